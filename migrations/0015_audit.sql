-- The audit log says which members an edit changed, and has indexes for a list. Every write of the API carries a token into the log, those of
-- cells and their jobs, too, and can remember its response. schema.sql explains the columns.

ALTER TABLE audit_log ADD COLUMN changed TEXT;
DROP INDEX audit_log_by_subject;
CREATE INDEX audit_log_by_subject ON audit_log (subject);
CREATE INDEX audit_log_by_key ON audit_log (key_id);
CREATE INDEX audit_log_by_action ON audit_log (action);
CREATE INDEX audit_log_by_subject_type ON audit_log (substr(action, 1, instr(action, char(46)) - 1));
CREATE INDEX audit_log_by_creation ON audit_log (created_at);

-- Dropping a view drops its triggers, too.
DROP VIEW create_tenant;
CREATE VIEW create_tenant (
  key_id, request_id, now, key_stands, id_is_there, hostname_is_taken, plan_is_there, site_is_there, may_adopt, id, hostname, is_enabled,
  plan_id, limits, env, external_id_is_taken, external_id, labels, is_trial, token, is_done,
  cell_fits, site_is_elsewhere, adopts_kept, cell_id, idempotency_key, fingerprint, remembered_until, answer, secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER create_tenant_done INSTEAD OF INSERT ON create_tenant WHEN NEW.key_stands AND NOT NEW.id_is_there AND NOT NEW.hostname_is_taken AND NEW.plan_is_there AND (NEW.site_is_there IS NOT 1 OR NEW.may_adopt) AND NEW.external_id_is_taken IS NOT 1 AND NEW.is_trial IS NOT 1 AND NEW.is_done IS NOT 1 AND NEW.cell_fits IS NOT 0 AND NEW.site_is_elsewhere IS NOT 1 BEGIN INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token) VALUES (NEW.key_id, 'tenant.create', lower(NEW.id), NEW.request_id, NEW.now, NEW.token); INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at) SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret, NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL; INSERT INTO tenants (id, hostname, is_enabled, plan_id, limits, env, created_at, updated_at, has_site, external_id, labels, revision, cell_id, site_state) VALUES (NEW.id, NEW.hostname, NEW.is_enabled, NEW.plan_id, NEW.limits, NEW.env, NEW.now, NEW.now, coalesce(NEW.site_is_there, 1), NEW.external_id, coalesce(NEW.labels, '{}'), last_insert_rowid(), NEW.cell_id, iif(NEW.adopts_kept, 'installed', NULL)); END;

DROP VIEW edit_tenant;
CREATE VIEW edit_tenant (
  key_id, request_id, now, key_stands, id_is_there, hostname_is_taken, plan_is_there, id, hostname, is_enabled, sets_plan_id, plan_id,
  sets_limits, limits, sets_env, env, external_id_is_taken, labels_fit, sets_external_id, external_id, sets_labels, labels,
  precondition_fails, is_trial, token, is_done, cell_fits, cell_is_fixed, sets_cell_id, cell_id, idempotency_key, fingerprint, remembered_until,
  answer, secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER edit_tenant_done INSTEAD OF INSERT ON edit_tenant WHEN NEW.key_stands AND NEW.id_is_there AND NOT NEW.hostname_is_taken AND NEW.plan_is_there AND NEW.external_id_is_taken IS NOT 1 AND NEW.labels_fit IS NOT 0 AND NEW.precondition_fails IS NOT 1 AND NEW.is_trial IS NOT 1 AND NEW.is_done IS NOT 1 AND NEW.cell_fits IS NOT 0 AND NEW.cell_is_fixed IS NOT 1 BEGIN INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token, changed) SELECT NEW.key_id, 'tenant.update', lower(NEW.id), NEW.request_id, NEW.now, NEW.token, trim(iif(NEW.hostname <> hostname, ' hostname', '') || iif(NEW.is_enabled <> is_enabled, ' is_enabled', '') || iif(NEW.sets_plan_id AND NEW.plan_id IS NOT plan_id, ' plan_id', '') || iif(NEW.sets_external_id AND NEW.external_id IS NOT external_id, ' external_id', '') || iif(NEW.sets_labels AND coalesce(NEW.labels, '{}') <> labels, ' labels', '') || iif(NEW.sets_limits AND NEW.limits IS NOT limits, ' limits', '') || iif(NEW.sets_env AND coalesce(NEW.env, env) IS NOT NULL, ' env', '') || iif(NEW.sets_cell_id AND NEW.cell_id IS NOT cell_id, ' cell_id', '')) FROM tenants WHERE id = NEW.id; INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at) SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret, NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL; UPDATE tenants SET hostname = coalesce(NEW.hostname, hostname), is_enabled = coalesce(NEW.is_enabled, is_enabled), plan_id = iif(NEW.sets_plan_id, NEW.plan_id, plan_id), limits = iif(NEW.sets_limits, NEW.limits, limits), env = iif(NEW.sets_env, NEW.env, env), external_id = iif(NEW.sets_external_id, NEW.external_id, external_id), labels = iif(NEW.sets_labels, coalesce(NEW.labels, '{}'), labels), has_site = iif(NEW.sets_cell_id AND NEW.cell_id IS NOT cell_id, 0, has_site), cell_id = iif(NEW.sets_cell_id, NEW.cell_id, cell_id), updated_at = NEW.now, revision = last_insert_rowid() WHERE id = NEW.id; END;

DROP VIEW delete_tenant;
CREATE VIEW delete_tenant (
  key_id, request_id, now, key_stands, id_is_there, site_is_there, id, precondition_fails, is_trial, token, is_done, idempotency_key, fingerprint,
  remembered_until, answer, secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER delete_tenant_done INSTEAD OF INSERT ON delete_tenant WHEN NEW.key_stands AND NEW.id_is_there AND NEW.precondition_fails IS NOT 1 AND NEW.is_trial IS NOT 1 AND NEW.is_done IS NOT 1 BEGIN INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token, detail) VALUES (NEW.key_id, 'tenant.delete', lower(NEW.id), NEW.request_id, NEW.now, NEW.token, iif(NEW.site_is_there, 'tables_kept', NULL)); INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at) SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret, NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL; DELETE FROM tenants WHERE id = NEW.id; END;

DROP VIEW create_plan;
CREATE VIEW create_plan (
  key_id, request_id, now, key_stands, id_is_there, id, name, description, limits, env, external_id_is_taken, external_id, labels, is_trial,
  token, is_done, idempotency_key, fingerprint, remembered_until, answer, secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER create_plan_done INSTEAD OF INSERT ON create_plan WHEN NEW.key_stands AND NOT NEW.id_is_there AND NEW.external_id_is_taken IS NOT 1 AND NEW.is_trial IS NOT 1 AND NEW.is_done IS NOT 1 BEGIN INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token) VALUES (NEW.key_id, 'plan.create', lower(NEW.id), NEW.request_id, NEW.now, NEW.token); INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at) SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret, NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL; INSERT INTO tenants_plans (id, name, description, limits, env, created_at, updated_at, external_id, labels, revision) VALUES (NEW.id, NEW.name, NEW.description, NEW.limits, NEW.env, NEW.now, NEW.now, NEW.external_id, coalesce(NEW.labels, '{}'), last_insert_rowid()); END;

DROP VIEW edit_plan;
CREATE VIEW edit_plan (
  key_id, request_id, now, key_stands, id_is_there, id, name, sets_description, description, sets_limits, limits, sets_env, env,
  external_id_is_taken, labels_fit, sets_external_id, external_id, sets_labels, labels, precondition_fails, is_trial, token, is_done,
  idempotency_key, fingerprint, remembered_until, answer, secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER edit_plan_done INSTEAD OF INSERT ON edit_plan WHEN NEW.key_stands AND NEW.id_is_there AND NEW.external_id_is_taken IS NOT 1 AND NEW.labels_fit IS NOT 0 AND NEW.precondition_fails IS NOT 1 AND NEW.is_trial IS NOT 1 AND NEW.is_done IS NOT 1 BEGIN INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token, changed) SELECT NEW.key_id, 'plan.update', lower(NEW.id), NEW.request_id, NEW.now, NEW.token, trim(iif(NEW.name IS NOT NULL AND NEW.name IS NOT name, ' name', '') || iif(NEW.sets_description AND NEW.description IS NOT description, ' description', '') || iif(NEW.sets_external_id AND NEW.external_id IS NOT external_id, ' external_id', '') || iif(NEW.sets_labels AND coalesce(NEW.labels, '{}') <> labels, ' labels', '') || iif(NEW.sets_limits AND NEW.limits IS NOT limits, ' limits', '') || iif(NEW.sets_env AND coalesce(NEW.env, env) IS NOT NULL, ' env', '')) FROM tenants_plans WHERE id = NEW.id; INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at) SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret, NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL; UPDATE tenants_plans SET name = coalesce(NEW.name, name), description = iif(NEW.sets_description, NEW.description, description), limits = iif(NEW.sets_limits, NEW.limits, limits), env = iif(NEW.sets_env, NEW.env, env), external_id = iif(NEW.sets_external_id, NEW.external_id, external_id), labels = iif(NEW.sets_labels, coalesce(NEW.labels, '{}'), labels), updated_at = NEW.now, revision = last_insert_rowid() WHERE id = NEW.id; END;

DROP VIEW delete_plan;
CREATE VIEW delete_plan (
  key_id, request_id, now, key_stands, id_is_there, id, precondition_fails, is_trial, token, is_done, idempotency_key, fingerprint,
  remembered_until, answer, secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER delete_plan_done INSTEAD OF INSERT ON delete_plan WHEN NEW.key_stands AND NEW.id_is_there AND NEW.precondition_fails IS NOT 1 AND NEW.is_trial IS NOT 1 AND NEW.is_done IS NOT 1 BEGIN INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token) VALUES (NEW.key_id, 'plan.delete', lower(NEW.id), NEW.request_id, NEW.now, NEW.token); INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at) SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret, NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL; UPDATE tenants SET plan_id = NULL, revision = last_insert_rowid() WHERE plan_id = NEW.id; DELETE FROM tenants_plans WHERE id = NEW.id; END;

DROP VIEW create_key;
CREATE VIEW create_key (
  key_id, request_id, now, key_stands, exceeds_own, id_is_given, id, name, digest, scopes, permits, expires_at, token, is_done, idempotency_key,
  fingerprint, remembered_until, answer, secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER create_key_done INSTEAD OF INSERT ON create_key WHEN NEW.key_stands AND NOT NEW.exceeds_own AND NOT NEW.id_is_given AND NOT NEW.is_done BEGIN INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token) VALUES (NEW.key_id, 'api_key.create', NEW.id, NEW.request_id, NEW.now, NEW.token); INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at) SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret, NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL; INSERT INTO api_keys (id, name, digest, scopes, permits, created_at, expires_at) VALUES (NEW.id, NEW.name, NEW.digest, NEW.scopes, NEW.permits, NEW.now, NEW.expires_at); END;

DROP VIEW edit_key;
CREATE VIEW edit_key (
  key_id, request_id, now, key_stands, exceeds_own, id_is_there, id, sets_name, name, sets_expires_at, expires_at, token, is_done,
  idempotency_key, fingerprint, remembered_until, answer, secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER edit_key_done INSTEAD OF INSERT ON edit_key WHEN NEW.key_stands AND NOT NEW.exceeds_own AND NEW.id_is_there AND NOT NEW.is_done BEGIN INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token, changed) SELECT NEW.key_id, 'api_key.update', NEW.id, NEW.request_id, NEW.now, NEW.token, trim(iif(NEW.sets_name AND NEW.name IS NOT name, ' name', '') || iif(NEW.sets_expires_at AND NEW.expires_at IS NOT expires_at, ' expires_at', '')) FROM api_keys WHERE id = NEW.id; INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at) SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret, NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL; UPDATE api_keys SET name = iif(NEW.sets_name, NEW.name, name), expires_at = iif(NEW.sets_expires_at, NEW.expires_at, expires_at) WHERE id = NEW.id; END;

DROP VIEW delete_key;
CREATE VIEW delete_key (
  key_id, request_id, now, key_stands, exceeds_own, id_is_there, id, token, is_done, idempotency_key, fingerprint, remembered_until, answer,
  secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER delete_key_done INSTEAD OF INSERT ON delete_key WHEN NEW.key_stands AND NOT NEW.exceeds_own AND NEW.id_is_there AND NOT NEW.is_done BEGIN INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token) VALUES (NEW.key_id, 'api_key.delete', NEW.id, NEW.request_id, NEW.now, NEW.token); INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at) SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret, NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL; UPDATE api_keys SET deleted_at = NEW.now WHERE id = NEW.id; END;

DROP VIEW rotate_key;
CREATE VIEW rotate_key (
  key_id, request_id, now, key_stands, exceeds_own, id_is_there, id, digest, previous_until, token, is_done, idempotency_key, fingerprint,
  remembered_until, answer, secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER rotate_key_done INSTEAD OF INSERT ON rotate_key WHEN NEW.key_stands AND NOT NEW.exceeds_own AND NEW.id_is_there AND NOT NEW.is_done BEGIN INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token) VALUES (NEW.key_id, 'api_key.rotate', NEW.id, NEW.request_id, NEW.now, NEW.token); INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at) SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret, NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL; UPDATE api_keys SET previous_digest = digest, previous_until = NEW.previous_until, digest = NEW.digest WHERE id = NEW.id; END;

DROP VIEW put_cell;
CREATE VIEW put_cell (
  key_id, request_id, now, key_stands, id_is_there, is_same, id, sets_name, name, sets_service, service_name, service_port, is_accepting, token,
  is_done, idempotency_key, fingerprint, remembered_until, answer, secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER put_cell_created INSTEAD OF INSERT ON put_cell WHEN NEW.key_stands AND NOT NEW.id_is_there AND NEW.is_done IS NOT 1 BEGIN INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token) VALUES (NEW.key_id, 'cell.create', lower(NEW.id), NEW.request_id, NEW.now, NEW.token); INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at) SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret, NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL; INSERT INTO cells (id, name, service_name, service_port, is_accepting, created_at, updated_at) VALUES (NEW.id, NEW.name, NEW.service_name, NEW.service_port, coalesce(NEW.is_accepting, 1), NEW.now, NEW.now); END;
CREATE TRIGGER put_cell_edited INSTEAD OF INSERT ON put_cell WHEN NEW.key_stands AND NEW.id_is_there AND NOT NEW.is_same AND NEW.is_done IS NOT 1 BEGIN INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token, changed) SELECT NEW.key_id, 'cell.update', lower(NEW.id), NEW.request_id, NEW.now, NEW.token, trim(iif(NEW.sets_name AND NEW.name IS NOT name, ' name', '') || iif(NEW.sets_service AND (NEW.service_name, NEW.service_port) IS NOT (service_name, service_port), ' service', '') || iif(NEW.is_accepting <> is_accepting, ' accepting', '')) FROM cells WHERE id = NEW.id; INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at) SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret, NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL; UPDATE cells SET name = iif(NEW.sets_name, NEW.name, name), service_name = iif(NEW.sets_service, NEW.service_name, service_name), service_port = iif(NEW.sets_service, NEW.service_port, service_port), is_accepting = coalesce(NEW.is_accepting, is_accepting), updated_at = NEW.now WHERE id = NEW.id; END;

DROP VIEW delete_cell;
CREATE VIEW delete_cell (
  key_id, request_id, now, key_stands, id_is_there, is_in_use, id, token, is_done, idempotency_key, fingerprint, remembered_until, answer, secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER delete_cell_done INSTEAD OF INSERT ON delete_cell WHEN NEW.key_stands AND NEW.id_is_there AND NOT NEW.is_in_use AND NEW.is_done IS NOT 1 BEGIN INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token) VALUES (NEW.key_id, 'cell.delete', lower(NEW.id), NEW.request_id, NEW.now, NEW.token); INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at) SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret, NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL; DELETE FROM cells WHERE id = NEW.id; DELETE FROM cell_feed WHERE cell_id = NEW.id; END;

DROP VIEW move_tenant;
CREATE VIEW move_tenant (
  key_id, request_id, now, key_stands, id_is_there, cell_is_there, is_free, id, cell_id, token, is_done, idempotency_key, fingerprint,
  remembered_until, answer, secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER move_tenant_done INSTEAD OF INSERT ON move_tenant WHEN NEW.key_stands AND NEW.id_is_there AND NEW.cell_is_there AND NEW.is_free AND NEW.is_done IS NOT 1 BEGIN INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token, changed) SELECT NEW.key_id, 'tenant.move', lower(NEW.id), NEW.request_id, NEW.now, NEW.token, iif(NEW.cell_id IS NOT cell_id, 'cell_id', '') FROM tenants WHERE id = NEW.id; INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at) SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret, NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL; UPDATE tenants SET cell_id = NEW.cell_id, updated_at = NEW.now, revision = last_insert_rowid() WHERE id = NEW.id; END;

DROP VIEW create_work;
CREATE VIEW create_work (
  key_id, request_id, now, key_stands, is_under_way, is_installed, id, tenant_id, cell_id, kind, input, is_generated,
  site_state, expires_at, token, is_done, idempotency_key, fingerprint, remembered_until, answer, secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER create_work_done INSTEAD OF INSERT ON create_work WHEN NEW.key_stands AND NEW.cell_id IS NOT NULL AND NOT NEW.is_under_way AND (NEW.kind <> 'install' OR NOT NEW.is_installed) AND NEW.is_done IS NOT 1 BEGIN INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token, detail) VALUES (NEW.key_id, 'job.create', NEW.id, NEW.request_id, NEW.now, NEW.token, NEW.kind); INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at) SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret, NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL; INSERT INTO cell_work (id, tenant_id, cell_id, kind, state, input, is_generated, site_before, created_at, expires_at, wipe_at) VALUES (NEW.id, NEW.tenant_id, NEW.cell_id, NEW.kind, 'waiting', NEW.input, NEW.is_generated, NEW.site_state, NEW.now, NEW.expires_at, NEW.expires_at); END;

DROP VIEW drop_at_cell;
CREATE VIEW drop_at_cell (
  key_id, request_id, now, key_stands, id, cell_id, job_id, expires_at, token, is_done, idempotency_key, fingerprint, remembered_until, answer,
  secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER drop_at_cell_done INSTEAD OF INSERT ON drop_at_cell WHEN NEW.key_stands AND NEW.cell_id IS NOT NULL AND NEW.is_done IS NOT 1 BEGIN INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token, detail) VALUES (NEW.key_id, 'tenant.delete', lower(NEW.id), NEW.request_id, NEW.now, NEW.token, 'tables_kept'); INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at) SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret, NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL; DELETE FROM tenants WHERE id = NEW.id; INSERT INTO kept_sites (tenant_id, cell_id, job_id) VALUES (NEW.id, NEW.cell_id, NEW.job_id) ON CONFLICT (tenant_id) DO UPDATE SET job_id = excluded.job_id; INSERT INTO cell_work (id, tenant_id, cell_id, kind, state, after_revision, created_at, expires_at, wipe_at) SELECT NEW.job_id, NEW.id, NEW.cell_id, 'drop', 'waiting', revision, NEW.now, NEW.expires_at, NEW.expires_at FROM feed_clock WHERE id = 1; END;

DROP VIEW finish_work;
CREATE VIEW finish_work (
  key_id, request_id, now, key_stands, id_is_there, has_lease, is_finished, id, state, error, wipe_at, token, is_done, idempotency_key,
  fingerprint, remembered_until, answer, secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER finish_work_done INSTEAD OF INSERT ON finish_work WHEN NEW.key_stands AND NEW.has_lease AND NOT NEW.is_finished AND NEW.is_done IS NOT 1 BEGIN UPDATE cell_work SET state = NEW.state, error = NEW.error, finished_at = NEW.now, lease_until = NULL, input = iif(is_generated AND NEW.state = 'done', input, NULL), wipe_at = iif(is_generated AND NEW.state = 'done', NEW.wipe_at, NULL) WHERE id = NEW.id; INSERT INTO audit_log (key_id, action, subject, request_id, created_at, detail) SELECT NEW.key_id, iif(kind = 'install', 'tenant.install', iif(kind = 'drop', 'tenant.drop_tables', 'tenant.user_password_reset')), lower(tenant_id), NEW.request_id, NEW.now, iif(kind = 'drop', 'tables_dropped', NULL) FROM cell_work WHERE id = NEW.id AND NEW.state = 'done'; INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token, detail) VALUES (NEW.key_id, 'job.finish', NEW.id, NEW.request_id, NEW.now, NEW.token, NEW.state); INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at) SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret, NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL; END;

DROP VIEW cancel_work;
CREATE VIEW cancel_work (
  key_id, request_id, now, key_stands, id_is_there, is_waiting, id, token, is_done, idempotency_key, fingerprint, remembered_until, answer,
  secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER cancel_work_done INSTEAD OF INSERT ON cancel_work WHEN NEW.key_stands AND NEW.is_waiting AND NEW.is_done IS NOT 1 BEGIN INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token, detail) SELECT NEW.key_id, 'job.cancel', id, NEW.request_id, NEW.now, NEW.token, kind FROM cell_work WHERE id = NEW.id; INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at) SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret, NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL; UPDATE cell_work SET state = 'cancelled', finished_at = NEW.now, lease_until = NULL, input = NULL, wipe_at = NULL WHERE id = NEW.id; END;

-- The token of a write, and the views that take it. schema.sql explains them.

ALTER TABLE audit_log ADD COLUMN token TEXT;
CREATE UNIQUE INDEX audit_log_by_token ON audit_log (token) WHERE token IS NOT NULL;

-- Dropping a view drops its trigger, too.
DROP VIEW create_tenant;
CREATE VIEW create_tenant (
  key_id, request_id, now, key_stands, id_is_there, hostname_is_taken, plan_is_there, site_is_there, may_adopt, id, hostname, is_enabled,
  plan_id, limits, env, external_id_is_taken, external_id, labels, is_trial, token, is_done
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER create_tenant_done INSTEAD OF INSERT ON create_tenant WHEN NEW.key_stands AND NOT NEW.id_is_there AND NOT NEW.hostname_is_taken AND NEW.plan_is_there AND (NEW.site_is_there IS NOT 1 OR NEW.may_adopt) AND NEW.external_id_is_taken IS NOT 1 AND NEW.is_trial IS NOT 1 AND NEW.is_done IS NOT 1 BEGIN INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token) VALUES (NEW.key_id, 'tenant.create', lower(NEW.id), NEW.request_id, NEW.now, NEW.token); INSERT INTO tenants (id, hostname, is_enabled, plan_id, limits, env, created_at, updated_at, has_site, external_id, labels, revision) VALUES (NEW.id, NEW.hostname, NEW.is_enabled, NEW.plan_id, NEW.limits, NEW.env, NEW.now, NEW.now, coalesce(NEW.site_is_there, 1), NEW.external_id, coalesce(NEW.labels, '{}'), last_insert_rowid()); END;

DROP VIEW edit_tenant;
CREATE VIEW edit_tenant (
  key_id, request_id, now, key_stands, id_is_there, hostname_is_taken, plan_is_there, id, hostname, is_enabled, sets_plan_id, plan_id,
  sets_limits, limits, sets_env, env, external_id_is_taken, labels_fit, sets_external_id, external_id, sets_labels, labels,
  precondition_fails, is_trial, token, is_done
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER edit_tenant_done INSTEAD OF INSERT ON edit_tenant WHEN NEW.key_stands AND NEW.id_is_there AND NOT NEW.hostname_is_taken AND NEW.plan_is_there AND NEW.external_id_is_taken IS NOT 1 AND NEW.labels_fit IS NOT 0 AND NEW.precondition_fails IS NOT 1 AND NEW.is_trial IS NOT 1 AND NEW.is_done IS NOT 1 BEGIN INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token) VALUES (NEW.key_id, 'tenant.update', lower(NEW.id), NEW.request_id, NEW.now, NEW.token); UPDATE tenants SET hostname = coalesce(NEW.hostname, hostname), is_enabled = coalesce(NEW.is_enabled, is_enabled), plan_id = iif(NEW.sets_plan_id, NEW.plan_id, plan_id), limits = iif(NEW.sets_limits, NEW.limits, limits), env = iif(NEW.sets_env, NEW.env, env), external_id = iif(NEW.sets_external_id, NEW.external_id, external_id), labels = iif(NEW.sets_labels, coalesce(NEW.labels, '{}'), labels), updated_at = NEW.now, revision = last_insert_rowid() WHERE id = NEW.id; END;

DROP VIEW delete_tenant;
CREATE VIEW delete_tenant (
  key_id, request_id, now, key_stands, id_is_there, site_is_there, id, precondition_fails, is_trial, token, is_done
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER delete_tenant_done INSTEAD OF INSERT ON delete_tenant WHEN NEW.key_stands AND NEW.id_is_there AND NEW.precondition_fails IS NOT 1 AND NEW.is_trial IS NOT 1 AND NEW.is_done IS NOT 1 BEGIN DELETE FROM tenants WHERE id = NEW.id; INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token, detail) VALUES (NEW.key_id, 'tenant.delete', lower(NEW.id), NEW.request_id, NEW.now, NEW.token, iif(NEW.site_is_there, 'tables_kept', NULL)); END;

DROP VIEW create_plan;
CREATE VIEW create_plan (
  key_id, request_id, now, key_stands, id_is_there, id, name, description, limits, env, external_id_is_taken, external_id, labels, is_trial,
  token, is_done
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER create_plan_done INSTEAD OF INSERT ON create_plan WHEN NEW.key_stands AND NOT NEW.id_is_there AND NEW.external_id_is_taken IS NOT 1 AND NEW.is_trial IS NOT 1 AND NEW.is_done IS NOT 1 BEGIN INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token) VALUES (NEW.key_id, 'plan.create', lower(NEW.id), NEW.request_id, NEW.now, NEW.token); INSERT INTO tenants_plans (id, name, description, limits, env, created_at, updated_at, external_id, labels, revision) VALUES (NEW.id, NEW.name, NEW.description, NEW.limits, NEW.env, NEW.now, NEW.now, NEW.external_id, coalesce(NEW.labels, '{}'), last_insert_rowid()); END;

DROP VIEW edit_plan;
CREATE VIEW edit_plan (
  key_id, request_id, now, key_stands, id_is_there, id, name, sets_description, description, sets_limits, limits, sets_env, env,
  external_id_is_taken, labels_fit, sets_external_id, external_id, sets_labels, labels, precondition_fails, is_trial, token, is_done
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER edit_plan_done INSTEAD OF INSERT ON edit_plan WHEN NEW.key_stands AND NEW.id_is_there AND NEW.external_id_is_taken IS NOT 1 AND NEW.labels_fit IS NOT 0 AND NEW.precondition_fails IS NOT 1 AND NEW.is_trial IS NOT 1 AND NEW.is_done IS NOT 1 BEGIN INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token) VALUES (NEW.key_id, 'plan.update', lower(NEW.id), NEW.request_id, NEW.now, NEW.token); UPDATE tenants_plans SET name = coalesce(NEW.name, name), description = iif(NEW.sets_description, NEW.description, description), limits = iif(NEW.sets_limits, NEW.limits, limits), env = iif(NEW.sets_env, NEW.env, env), external_id = iif(NEW.sets_external_id, NEW.external_id, external_id), labels = iif(NEW.sets_labels, coalesce(NEW.labels, '{}'), labels), updated_at = NEW.now, revision = last_insert_rowid() WHERE id = NEW.id; END;

DROP VIEW delete_plan;
CREATE VIEW delete_plan (
  key_id, request_id, now, key_stands, id_is_there, id, precondition_fails, is_trial, token, is_done
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER delete_plan_done INSTEAD OF INSERT ON delete_plan WHEN NEW.key_stands AND NEW.id_is_there AND NEW.precondition_fails IS NOT 1 AND NEW.is_trial IS NOT 1 AND NEW.is_done IS NOT 1 BEGIN INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token) VALUES (NEW.key_id, 'plan.delete', lower(NEW.id), NEW.request_id, NEW.now, NEW.token); UPDATE tenants SET plan_id = NULL, revision = last_insert_rowid() WHERE plan_id = NEW.id; DELETE FROM tenants_plans WHERE id = NEW.id; END;

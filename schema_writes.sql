-- The writes of the API, one statement each. A write inserts a row into one of these views. The row holds the new values, the caller and the
-- request (key_id, request_id, now), and the obstacles that the statement found. If there is no obstacle, the trigger carries out the
-- write and adds its audit entry. RETURNING answers the obstacles.
-- INVARIANT: no write happens without its audit entry, and none happens if the key of the caller is not valid.
-- `precondition_fails`: the row has none of the revisions that the request wants. `is_trial`: the request only asks whether it could be
-- carried out. A Worker that is older than these two columns leaves them NULL, and writes.
-- The audit entry comes first, since its id is the row's new revision.
-- `is_done`: the log has the write's token, because an earlier try of the same request was committed. A Worker that is older than the token leaves
-- both columns NULL.
-- `idempotency_key` and the four columns after it remember the response of a request with an `Idempotency-Key`. They are NULL if it has none, or if
-- the write's batch has a statement of its own for it. The remembered answer ends with the revision of the write, which only the trigger knows.
-- `sets_…` says whether to set a column, which may be to NULL. If `hostname`, `is_enabled` or `name` is NULL, the column keeps its value.

-- `site_is_there`: the tables of a deleted tenant with this id still exist. The new tenant gets them only if `may_adopt`. A Worker that is
-- older than these two columns leaves both NULL, and creates its tenant. The same holds for `external_id_is_taken`, `external_id` and `labels`,
-- and for the cell: `cell_fits`: there is such a cell, and it takes tenants. `site_is_elsewhere`: the tables of a deleted tenant with this id are
-- where the new tenant would not find them. `adopts_kept`: it finds them on its cell, in this state of `kept_sites` (an older Worker says 1).
-- `ends`: a JSON object with those of `suspend_at`, `delete_at` and `deletion_protection` that the request sets (NULL: none).
CREATE VIEW create_tenant (
  key_id, request_id, now, key_stands, id_is_there, hostname_is_taken, plan_is_there, site_is_there, may_adopt, id, hostname, is_enabled,
  plan_id, limits, env, external_id_is_taken, external_id, labels, is_trial, token, is_done,
  cell_fits, site_is_elsewhere, adopts_kept, cell_id, idempotency_key, fingerprint, remembered_until, answer, secret, ends
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER create_tenant_done INSTEAD OF INSERT ON create_tenant
WHEN NEW.key_stands AND NOT NEW.id_is_there AND NOT NEW.hostname_is_taken AND NEW.plan_is_there
  AND (NEW.site_is_there IS NOT 1 AND coalesce(NEW.adopts_kept, 0) = 0 OR NEW.may_adopt) AND NEW.external_id_is_taken IS NOT 1 AND NEW.is_trial IS NOT 1 AND NEW.is_done IS NOT 1
  AND NEW.cell_fits IS NOT 0 AND NEW.site_is_elsewhere IS NOT 1
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token)
    VALUES (NEW.key_id, 'tenant.create', lower(NEW.id), NEW.request_id, NEW.now, NEW.token);
  INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at, tenant_id)
    SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret,
      NEW.remembered_until, lower(NEW.id) FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL;
  INSERT INTO tenants (id, hostname, is_enabled, plan_id, limits, env, created_at, updated_at, has_site, external_id, labels, revision,
    cell_id, site_state, suspend_at, delete_at, deletion_protection)
    VALUES (NEW.id, NEW.hostname, NEW.is_enabled, NEW.plan_id, NEW.limits, NEW.env, NEW.now, NEW.now, coalesce(NEW.site_is_there, 1),
      NEW.external_id, coalesce(NEW.labels, '{}'), last_insert_rowid(), NEW.cell_id, iif(NEW.adopts_kept = 1, 'installed', iif(NEW.adopts_kept = 2, 'failed', NULL)),
      NEW.ends ->> 'suspend_at', NEW.ends ->> 'delete_at', coalesce(NEW.ends ->> 'deletion_protection', 0));
END;

-- `labels_fit`: there are not too many of them. `labels` is all of them, after the change. `cell_is_fixed`: something is installed, so the
-- tenant keeps its cell.
CREATE VIEW edit_tenant (
  key_id, request_id, now, key_stands, id_is_there, hostname_is_taken, plan_is_there, id, hostname, is_enabled, sets_plan_id, plan_id,
  sets_limits, limits, sets_env, env, external_id_is_taken, labels_fit, sets_external_id, external_id, sets_labels, labels,
  precondition_fails, is_trial, token, is_done, cell_fits, cell_is_fixed, sets_cell_id, cell_id, idempotency_key, fingerprint, remembered_until,
  answer, secret, ends
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER edit_tenant_done INSTEAD OF INSERT ON edit_tenant
WHEN NEW.key_stands AND NEW.id_is_there AND NOT NEW.hostname_is_taken AND NEW.plan_is_there AND NEW.external_id_is_taken IS NOT 1
  AND NEW.labels_fit IS NOT 0 AND NEW.precondition_fails IS NOT 1 AND NEW.is_trial IS NOT 1 AND NEW.is_done IS NOT 1
  AND NEW.cell_fits IS NOT 0 AND NEW.cell_is_fixed IS NOT 1
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token, changed)
    SELECT NEW.key_id, 'tenant.update', lower(NEW.id), NEW.request_id, NEW.now, NEW.token, trim(
      iif(NEW.hostname <> hostname, ' hostname', '') || iif(NEW.is_enabled <> is_enabled, ' is_enabled', '')
      || iif(NEW.sets_plan_id AND NEW.plan_id IS NOT plan_id, ' plan_id', '')
      || iif(NEW.sets_external_id AND NEW.external_id IS NOT external_id, ' external_id', '')
      || iif(NEW.sets_labels AND coalesce(NEW.labels, '{}') <> labels, ' labels', '')
      || iif(NEW.sets_limits AND NEW.limits IS NOT limits, ' limits', '')
      || iif(NEW.sets_env AND coalesce(NEW.env, env) IS NOT NULL, ' env', '')
      || iif(NEW.sets_cell_id AND NEW.cell_id IS NOT cell_id, ' cell_id', '')
      || iif(json_type(NEW.ends, '$.suspend_at') IS NOT NULL AND NEW.ends ->> 'suspend_at' IS NOT suspend_at, ' suspend_at', '')
      || iif(json_type(NEW.ends, '$.delete_at') IS NOT NULL AND NEW.ends ->> 'delete_at' IS NOT delete_at, ' delete_at', '')
      || iif(NEW.ends ->> 'deletion_protection' <> deletion_protection, ' deletion_protection', '')) FROM tenants WHERE id = NEW.id;
  INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at, tenant_id)
    SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret,
      NEW.remembered_until, lower(NEW.id) FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL;
  UPDATE tenants SET
    hostname = coalesce(NEW.hostname, hostname),
    is_enabled = coalesce(NEW.is_enabled, is_enabled),
    plan_id = iif(NEW.sets_plan_id, NEW.plan_id, plan_id),
    limits = iif(NEW.sets_limits, NEW.limits, limits),
    env = iif(NEW.sets_env, NEW.env, env),
    external_id = iif(NEW.sets_external_id, NEW.external_id, external_id),
    labels = iif(NEW.sets_labels, coalesce(NEW.labels, '{}'), labels),
    -- A tenant that changes its cell has no site.
    has_site = iif(NEW.sets_cell_id AND NEW.cell_id IS NOT cell_id, 0, has_site),
    cell_id = iif(NEW.sets_cell_id, NEW.cell_id, cell_id),
    suspend_at = iif(json_type(NEW.ends, '$.suspend_at') IS NOT NULL, NEW.ends ->> 'suspend_at', suspend_at),
    delete_at = iif(json_type(NEW.ends, '$.delete_at') IS NOT NULL, NEW.ends ->> 'delete_at', delete_at),
    deletion_protection = coalesce(NEW.ends ->> 'deletion_protection', deletion_protection),
    updated_at = NEW.now,
    revision = last_insert_rowid()
    WHERE id = NEW.id;
END;

-- `site_is_there`: the tables of the tenant exist, and stay. A Worker that is older than the column leaves it NULL, and so does one that is older
-- than `is_protected`: the trigger `tenant_protected` refuses its deletion. A sweep inserts here as well, a row for each tenant that is past its
-- `delete_at`. It has no caller.
CREATE VIEW delete_tenant (
  key_id, request_id, now, key_stands, id_is_there, site_is_there, id, precondition_fails, is_trial, token, is_done, idempotency_key, fingerprint,
  remembered_until, answer, secret, is_protected
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER delete_tenant_done INSTEAD OF INSERT ON delete_tenant
WHEN NEW.key_stands AND NEW.id_is_there AND NEW.precondition_fails IS NOT 1 AND NEW.is_trial IS NOT 1 AND NEW.is_done IS NOT 1
  AND NEW.is_protected IS NOT 1
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token, detail)
    VALUES (NEW.key_id, 'tenant.delete', lower(NEW.id), NEW.request_id, NEW.now, NEW.token, iif(NEW.site_is_there, 'tables_kept', NULL));
  INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at, tenant_id)
    SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret,
      NEW.remembered_until, lower(NEW.id) FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL;
  INSERT OR REPLACE INTO deleted_tenants (id, hostname, is_enabled, plan_id, limits, env, stats, created_at, updated_at, last_job_at, has_site, external_id, labels, revision,
    cell_id, site_state, site_job_id, holds, suspend_at, delete_at, hostnames, deleted_at)
    SELECT id, hostname, is_enabled, plan_id, limits, env, stats, created_at, updated_at, last_job_at, has_site, external_id, labels, revision,
      cell_id, site_state, site_job_id, holds, suspend_at, delete_at,
      (SELECT json_group_array(json_array(hostname, kind, created_at, updated_at, proof, missing_since)) FROM tenant_hostnames WHERE tenant_id = NEW.id AND claimed_until IS NULL), NEW.now
    FROM tenants WHERE id = NEW.id;
  DELETE FROM tenants WHERE id = NEW.id;
END;

-- Brings a deleted tenant back with everything that it had, but for a plan or a cell that is gone. `site_is_elsewhere`: its tables are being dropped, or
-- are not where it would find them. `hostname_is_taken`: one of its hostnames is.
CREATE VIEW restore_tenant (
  key_id, request_id, now, key_stands, id_is_there, id_is_taken, hostname_is_taken, external_id_is_taken, site_is_elsewhere, id, token, is_done
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER restore_tenant_done INSTEAD OF INSERT ON restore_tenant
WHEN NEW.key_stands AND NEW.id_is_there AND NOT NEW.id_is_taken AND NOT NEW.hostname_is_taken AND NOT NEW.external_id_is_taken
  AND NOT NEW.site_is_elsewhere AND NEW.is_done IS NOT 1
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token)
    VALUES (NEW.key_id, 'tenant.restore', lower(NEW.id), NEW.request_id, NEW.now, NEW.token);
  -- A job that installed its site may have ended meanwhile. A deletion that was to come is past.
  INSERT INTO tenants (id, hostname, is_enabled, plan_id, limits, env, stats, created_at, updated_at, last_job_at, has_site, external_id, labels,
      revision, cell_id, site_state, site_job_id, holds, hold_until, suspend_at, delete_at)
    SELECT d.id, d.hostname, d.is_enabled, (SELECT id FROM tenants_plans WHERE id = d.plan_id), d.limits, d.env, d.stats, d.created_at, NEW.now,
      d.last_job_at, d.has_site, d.external_id, d.labels, last_insert_rowid(), c.id,
      iif(d.cell_id IS NULL, (SELECT iif(state = 2, 'installing', NULL) FROM site_databases WHERE tenant_id = d.id),
        iif(c.id IS NULL, NULL, iif(d.site_state IS NOT 'installing', d.site_state, iif(w.id IS NULL, 'failed',
        iif(w.finished_at IS NULL, 'installing', iif(w.state IN ('done', 'refused'), 'installed', iif(w.attempts = 0, w.site_before, 'failed'))))))),
      d.site_job_id, d.holds, (SELECT min(json_extract(value, '$.until')) FROM json_each(d.holds)), d.suspend_at, iif(d.delete_at > NEW.now, d.delete_at, NULL)
    FROM deleted_tenants AS d LEFT JOIN cells AS c ON c.id = d.cell_id LEFT JOIN cell_work AS w ON w.id = d.site_job_id WHERE d.id = NEW.id;
  INSERT INTO tenant_hostnames (tenant_id, hostname, kind, created_at, updated_at, proof, missing_since, check_at) SELECT d.id, h.value ->> 0, h.value ->> 1, h.value ->> 2, h.value ->> 3, h.value ->> 4, h.value ->> 5, iif(h.value ->> 4 IS NULL, NULL, NEW.now) FROM deleted_tenants AS d, json_each(d.hostnames) AS h WHERE d.id = NEW.id;
  DELETE FROM deleted_tenants WHERE id = NEW.id;
END;

-- The first statement of the batch that erases a tenant: the rest deletes it with its tables. A deleted tenant is one again for that, under a name
-- that nobody has, since every way to drop tables begins with a tenant. So is an id whose tables a cell has kept. `is_refused`: it is done already, or not
-- to be done.
CREATE VIEW erase_tenant (key_stands, is_refused, now, id) AS SELECT NULL, NULL, NULL, NULL;
CREATE TRIGGER erase_tenant_done INSTEAD OF INSERT ON erase_tenant
WHEN NEW.key_stands AND NOT NEW.is_refused
BEGIN
  DELETE FROM idempotency WHERE secret IS NOT NULL AND lower(substr(secret, instr(secret, '@') + 1)) = 'tenants/' || lower(NEW.id);
  DELETE FROM idempotency WHERE tenant_id = lower(NEW.id);
  DELETE FROM idempotency WHERE job_id IN (SELECT id FROM cell_work WHERE tenant_id = NEW.id);
  UPDATE cell_work SET input = NULL WHERE tenant_id = NEW.id AND input IS NOT NULL;
  INSERT INTO tenants (id, hostname, is_enabled, created_at, updated_at, has_site, cell_id, site_state)
    SELECT d.id, 'erased-' || lower(hex(randomblob(8))), 0, d.created_at, NEW.now, d.has_site, c.id, iif(c.id IS NULL, NULL, d.site_state)
    FROM deleted_tenants AS d LEFT JOIN cells AS c ON c.id = d.cell_id
    WHERE d.id = NEW.id AND NOT EXISTS (SELECT 1 FROM tenants WHERE id = NEW.id);
  INSERT INTO tenants (id, hostname, is_enabled, created_at, updated_at, has_site, cell_id, site_state)
    SELECT k.tenant_id, 'erased-' || lower(hex(randomblob(8))), 0, NEW.now, NEW.now, 0, c.id, iif(k.state = 1, 'installed', iif(k.state = 2, 'failed', NULL))
    FROM kept_sites AS k JOIN cells AS c ON c.id = k.cell_id
    WHERE k.tenant_id = NEW.id AND k.job_id IS NULL AND NOT EXISTS (SELECT 1 FROM tenants WHERE id = NEW.id);
  DELETE FROM deleted_tenants WHERE id = NEW.id;
END;

-- Holds of a tenant. `hold` is the object of one kind. `is_same`: the tenant has this hold, so there is nothing to write.
CREATE VIEW put_hold (
  key_id, request_id, now, key_stands, id_is_there, is_same, id, kind, hold, precondition_fails, token, is_done, idempotency_key, fingerprint,
  remembered_until, answer, secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER put_hold_done INSTEAD OF INSERT ON put_hold WHEN NEW.key_stands AND NEW.id_is_there AND NOT NEW.is_same AND NEW.precondition_fails IS NOT 1 AND NEW.is_done IS NOT 1
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token, detail, changed)
    VALUES (NEW.key_id, 'tenant.hold', lower(NEW.id), NEW.request_id, NEW.now, NEW.token, NEW.kind, 'holds');
  INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at, tenant_id)
    SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret, NEW.remembered_until, lower(NEW.id) FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL;
  UPDATE tenants SET
    holds = json_set(coalesce(holds, '{}'), '$.' || NEW.kind, json(NEW.hold)),
    hold_until = (SELECT min(json_extract(value, '$.until')) FROM json_each(json_set(coalesce(holds, '{}'), '$.' || NEW.kind, json(NEW.hold)))),
    updated_at = NEW.now, revision = last_insert_rowid() WHERE id = NEW.id;
END;
CREATE TRIGGER put_hold_same INSTEAD OF INSERT ON put_hold WHEN NEW.key_stands AND NEW.id_is_there AND NEW.is_same AND NEW.precondition_fails IS NOT 1 AND NEW.is_done IS NOT 1 AND NEW.idempotency_key IS NOT NULL
BEGIN
  INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at, tenant_id)
    SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || revision), NEW.secret, NEW.remembered_until, lower(NEW.id) FROM registry, tenants WHERE registry.id = 1 AND tenants.id = NEW.id;
END;

-- A sweep inserts here as well, a row for each hold that is past its time. It has no caller.
CREATE VIEW release_hold (
  key_id, request_id, now, key_stands, id_is_there, hold_is_there, id, kind, precondition_fails, token, is_done, idempotency_key, fingerprint,
  remembered_until, answer, secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER release_hold_done INSTEAD OF INSERT ON release_hold WHEN NEW.key_stands AND NEW.id_is_there AND NEW.hold_is_there AND NEW.precondition_fails IS NOT 1 AND NEW.is_done IS NOT 1
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token, detail, changed)
    VALUES (NEW.key_id, 'tenant.release', lower(NEW.id), NEW.request_id, NEW.now, NEW.token, NEW.kind, 'holds');
  INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at, tenant_id)
    SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret, NEW.remembered_until, lower(NEW.id) FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL;
  UPDATE tenants SET
    holds = nullif(json_remove(holds, '$.' || NEW.kind), '{}'),
    hold_until = (SELECT min(json_extract(value, '$.until')) FROM json_each(json_remove(holds, '$.' || NEW.kind))),
    updated_at = NEW.now, revision = last_insert_rowid() WHERE id = NEW.id;
END;

-- A sweep inserts a row for each tenant that is past its `suspend_at`. A hold that is there keeps its reason and its message, and loses its end.
CREATE VIEW suspend_tenant (request_id, now, id) AS SELECT NULL, NULL, NULL;
CREATE TRIGGER suspend_tenant_done INSTEAD OF INSERT ON suspend_tenant
BEGIN
  INSERT INTO audit_log (action, subject, request_id, created_at, detail, changed)
    VALUES ('tenant.hold', lower(NEW.id), NEW.request_id, NEW.now, 'non_payment', 'holds suspend_at');
  UPDATE tenants SET
    holds = json_set(coalesce(holds, '{}'), '$.non_payment', json_set(coalesce(holds -> 'non_payment',
      json_object('reason', 'suspend_at ' || suspend_at, 'message', NULL)), '$.until', NULL)),
    hold_until = (SELECT min(json_extract(value, '$.until')) FROM json_each(json_remove(coalesce(holds, '{}'), '$.non_payment'))),
    suspend_at = NULL, updated_at = NEW.now, revision = last_insert_rowid() WHERE id = NEW.id;
END;

-- The cron trigger inserts a row each minute. What is past its time is carried out, the first 200 of each kind: the next run goes on. `is_due`:
-- the other work of the cron trigger is due as well. `wiped_until`: tenants that were deleted then, or before, cannot be brought back any more.
CREATE VIEW carry_out (now, is_due, wiped_until) AS SELECT NULL, NULL, NULL;
CREATE TRIGGER carry_out_done INSTEAD OF INSERT ON carry_out
BEGIN
  INSERT INTO release_hold (request_id, now, key_stands, id_is_there, hold_is_there, id, kind)
    SELECT 'cron-' || lower(hex(randomblob(8))), NEW.now, 1, 1, 1, t.id, h.key FROM tenants AS t, json_each(t.holds) AS h
    WHERE t.hold_until <= NEW.now AND json_extract(h.value, '$.until') <= NEW.now ORDER BY t.hold_until LIMIT 200;
  INSERT INTO suspend_tenant (request_id, now, id)
    SELECT 'cron-' || lower(hex(randomblob(8))), NEW.now, id FROM tenants WHERE suspend_at <= NEW.now ORDER BY suspend_at LIMIT 200;
  INSERT INTO delete_tenant (request_id, now, key_stands, id_is_there, site_is_there, id)
    SELECT 'cron-' || lower(hex(randomblob(8))), NEW.now, 1, 1, cell_id IS NULL AND has_site = 1, id FROM tenants
    WHERE delete_at <= NEW.now AND deletion_protection = 0 ORDER BY delete_at LIMIT 200;
  DELETE FROM deleted_tenants WHERE id IN (SELECT id FROM deleted_tenants WHERE deleted_at <= NEW.wiped_until ORDER BY deleted_at LIMIT 200);
  UPDATE registry SET upkeep_at = NEW.now WHERE id = 1 AND NEW.is_due;
END;

-- Lifts holds when a Worker sweeps that is older than `carry_out`.
CREATE TRIGGER holds_swept AFTER UPDATE OF swept_at ON registry BEGIN
  INSERT INTO release_hold (request_id, now, key_stands, id_is_there, hold_is_there, id, kind)
    SELECT 'cron-' || lower(hex(randomblob(8))), NEW.swept_at, 1, 1, 1, t.id, h.key FROM tenants AS t, json_each(t.holds) AS h
    WHERE t.hold_until <= NEW.swept_at AND json_extract(h.value, '$.until') <= NEW.swept_at ORDER BY t.hold_until LIMIT 200;
END;

-- Further hostnames of a tenant. `has_room`: it has not too many. `is_same`: it has this one as this kind, so there is nothing to write. `is_new`: it
-- does not have it yet. `proof` and `claimed_until` make a claim of it (NULL: the tenant gets it at once).
-- A claim that is past its end begins anew.
CREATE VIEW put_hostname (
  key_id, request_id, now, key_stands, id_is_there, hostname_is_taken, has_room, is_same, is_new, id, hostname, kind, precondition_fails, token, is_done, idempotency_key, fingerprint, remembered_until, answer, secret, proof, claimed_until
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER put_hostname_done INSTEAD OF INSERT ON put_hostname
WHEN NEW.key_stands AND NEW.id_is_there AND NOT NEW.hostname_is_taken AND NEW.has_room AND NOT NEW.is_same AND NEW.precondition_fails IS NOT 1 AND NEW.is_done IS NOT 1
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token, detail, changed) VALUES (NEW.key_id, 'tenant.update', lower(NEW.id), NEW.request_id, NEW.now, NEW.token, iif(NEW.is_new, 'hostname_added', 'hostname_changed'), 'hostnames');
  INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at, tenant_id) SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret, NEW.remembered_until, lower(NEW.id) FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL;
  UPDATE tenants SET updated_at = NEW.now, revision = last_insert_rowid() WHERE id = NEW.id;
  INSERT INTO tenant_hostnames (tenant_id, hostname, kind, created_at, updated_at, proof, claimed_until, check_at) SELECT id, NEW.hostname, NEW.kind, NEW.now, NEW.now, NEW.proof, NEW.claimed_until, iif(NEW.proof IS NULL, NULL, NEW.now) FROM tenants WHERE id = NEW.id ON CONFLICT (tenant_id, hostname) DO UPDATE SET kind = excluded.kind, updated_at = excluded.updated_at, proof = iif(excluded.proof IS NULL AND claimed_until IS NOT NULL OR claimed_until <= NEW.now, excluded.proof, proof), check_at = iif(excluded.proof IS NULL AND claimed_until IS NOT NULL OR claimed_until <= NEW.now, excluded.check_at, check_at), claimed_until = iif(excluded.proof IS NULL OR claimed_until <= NEW.now, excluded.claimed_until, claimed_until);
END;
CREATE TRIGGER put_hostname_same INSTEAD OF INSERT ON put_hostname
WHEN NEW.key_stands AND NEW.id_is_there AND NEW.is_same AND NEW.precondition_fails IS NOT 1 AND NEW.is_done IS NOT 1 AND NEW.idempotency_key IS NOT NULL
BEGIN
  INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at, tenant_id) SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || revision), NEW.secret, NEW.remembered_until, lower(NEW.id) FROM registry, tenants WHERE registry.id = 1 AND tenants.id = NEW.id;
END;

CREATE VIEW delete_hostname (
  key_id, request_id, now, key_stands, id_is_there, hostname_is_there, id, hostname, precondition_fails, token, is_done, idempotency_key, fingerprint, remembered_until, answer, secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER delete_hostname_done INSTEAD OF INSERT ON delete_hostname
WHEN NEW.key_stands AND NEW.id_is_there AND NEW.hostname_is_there AND NEW.precondition_fails IS NOT 1 AND NEW.is_done IS NOT 1
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token, detail, changed) VALUES (NEW.key_id, 'tenant.update', lower(NEW.id), NEW.request_id, NEW.now, NEW.token, 'hostname_deleted', 'hostnames');
  INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at, tenant_id) SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret, NEW.remembered_until, lower(NEW.id) FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL;
  UPDATE tenants SET updated_at = NEW.now, revision = last_insert_rowid() WHERE id = NEW.id;
  DELETE FROM tenant_hostnames WHERE tenant_id = NEW.id AND hostname = NEW.hostname;
END;

-- What a look-up of a hostname's record has found. Only a change is written: a claim that is proven before its end, unless somebody has the hostname by
-- now, and a record that is gone or back. The hostname itself stays either way. The cron trigger inserts here as well, without a caller.
CREATE VIEW check_hostname (
  key_id, request_id, now, key_stands, id_is_there, id, hostname, proof, is_found, token, is_done
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER check_hostname_done INSTEAD OF INSERT ON check_hostname
WHEN NEW.key_stands AND NEW.id_is_there AND NEW.is_done IS NOT 1 AND NOT EXISTS (SELECT 1 FROM tenants WHERE hostname = NEW.hostname) AND NOT EXISTS (SELECT 1 FROM tenant_hostnames WHERE hostname = NEW.hostname AND claimed_until IS NULL AND tenant_id <> NEW.id) AND EXISTS (SELECT 1 FROM tenant_hostnames WHERE tenant_id = NEW.id AND hostname = NEW.hostname AND proof = NEW.proof AND (claimed_until > NEW.now AND NEW.is_found OR claimed_until IS NULL AND NEW.is_found <> (missing_since IS NULL)))
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token, detail, changed) SELECT NEW.key_id, 'tenant.update', lower(NEW.id), NEW.request_id, NEW.now, NEW.token, iif(claimed_until IS NOT NULL, 'hostname_proven', iif(NEW.is_found, 'proof_found', 'proof_missing')), 'hostnames' FROM tenant_hostnames WHERE tenant_id = NEW.id AND hostname = NEW.hostname AND proof = NEW.proof;
  UPDATE tenants SET updated_at = NEW.now, revision = last_insert_rowid() WHERE id = NEW.id;
  UPDATE tenant_hostnames SET updated_at = NEW.now, missing_since = iif(NEW.is_found, NULL, NEW.now), claimed_until = NULL WHERE tenant_id = NEW.id AND hostname = NEW.hostname AND proof = NEW.proof;
END;

-- Ends the first 200 claims that are past their time.
CREATE TRIGGER claims_ended INSTEAD OF INSERT ON carry_out
BEGIN
  INSERT INTO delete_hostname (request_id, now, key_stands, id_is_there, hostname_is_there, id, hostname) SELECT 'cron-' || lower(hex(randomblob(8))), NEW.now, 1, 1, 1, tenant_id, hostname FROM tenant_hostnames WHERE claimed_until <= NEW.now ORDER BY claimed_until LIMIT 200;
END;

CREATE VIEW create_plan (
  key_id, request_id, now, key_stands, id_is_there, id, name, description, limits, env, external_id_is_taken, external_id, labels, is_trial,
  token, is_done, idempotency_key, fingerprint, remembered_until, answer, secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER create_plan_done INSTEAD OF INSERT ON create_plan
WHEN NEW.key_stands AND NOT NEW.id_is_there AND NEW.external_id_is_taken IS NOT 1 AND NEW.is_trial IS NOT 1 AND NEW.is_done IS NOT 1
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token)
    VALUES (NEW.key_id, 'plan.create', lower(NEW.id), NEW.request_id, NEW.now, NEW.token);
  INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at)
    SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret,
      NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL;
  INSERT INTO tenants_plans (id, name, description, limits, env, created_at, updated_at, external_id, labels, revision)
    VALUES (NEW.id, NEW.name, NEW.description, NEW.limits, NEW.env, NEW.now, NEW.now, NEW.external_id, coalesce(NEW.labels, '{}'), last_insert_rowid());
END;

CREATE VIEW edit_plan (
  key_id, request_id, now, key_stands, id_is_there, id, name, sets_description, description, sets_limits, limits, sets_env, env,
  external_id_is_taken, labels_fit, sets_external_id, external_id, sets_labels, labels, precondition_fails, is_trial, token, is_done,
  idempotency_key, fingerprint, remembered_until, answer, secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER edit_plan_done INSTEAD OF INSERT ON edit_plan
WHEN NEW.key_stands AND NEW.id_is_there AND NEW.external_id_is_taken IS NOT 1 AND NEW.labels_fit IS NOT 0
  AND NEW.precondition_fails IS NOT 1 AND NEW.is_trial IS NOT 1 AND NEW.is_done IS NOT 1
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token, changed)
    SELECT NEW.key_id, 'plan.update', lower(NEW.id), NEW.request_id, NEW.now, NEW.token, trim(
      iif(NEW.name IS NOT NULL AND NEW.name IS NOT name, ' name', '')
      || iif(NEW.sets_description AND NEW.description IS NOT description, ' description', '')
      || iif(NEW.sets_external_id AND NEW.external_id IS NOT external_id, ' external_id', '')
      || iif(NEW.sets_labels AND coalesce(NEW.labels, '{}') <> labels, ' labels', '')
      || iif(NEW.sets_limits AND NEW.limits IS NOT limits, ' limits', '')
      || iif(NEW.sets_env AND coalesce(NEW.env, env) IS NOT NULL, ' env', '')) FROM tenants_plans WHERE id = NEW.id;
  INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at)
    SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret,
      NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL;
  UPDATE tenants_plans SET
    name = coalesce(NEW.name, name),
    description = iif(NEW.sets_description, NEW.description, description),
    limits = iif(NEW.sets_limits, NEW.limits, limits),
    env = iif(NEW.sets_env, NEW.env, env),
    external_id = iif(NEW.sets_external_id, NEW.external_id, external_id),
    labels = iif(NEW.sets_labels, coalesce(NEW.labels, '{}'), labels),
    updated_at = NEW.now,
    revision = last_insert_rowid()
    WHERE id = NEW.id;
END;

CREATE VIEW delete_plan (
  key_id, request_id, now, key_stands, id_is_there, id, precondition_fails, is_trial, token, is_done, idempotency_key, fingerprint,
  remembered_until, answer, secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER delete_plan_done INSTEAD OF INSERT ON delete_plan
WHEN NEW.key_stands AND NEW.id_is_there AND NEW.precondition_fails IS NOT 1 AND NEW.is_trial IS NOT 1 AND NEW.is_done IS NOT 1
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token)
    VALUES (NEW.key_id, 'plan.delete', lower(NEW.id), NEW.request_id, NEW.now, NEW.token);
  INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at)
    SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret,
      NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL;
  -- The foreign key says the same, but not every SQLite enforces it.
  UPDATE tenants SET plan_id = NULL, revision = last_insert_rowid() WHERE plan_id = NEW.id;
  -- A later plan of the id is another one.
  UPDATE deleted_tenants SET plan_id = NULL WHERE plan_id COLLATE NOCASE = NEW.id;
  DELETE FROM tenants_plans WHERE id = NEW.id;
END;

-- The writes of API keys. `exceeds_own`: the key is or would be valid for longer than the caller's own. D1 binds a number as a floating one, so an id
-- is cast before it becomes a text.
CREATE VIEW create_key (
  key_id, request_id, now, key_stands, exceeds_own, id_is_given, id, name, digest, scopes, permits, expires_at, token, is_done, idempotency_key,
  fingerprint, remembered_until, answer, secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER create_key_done INSTEAD OF INSERT ON create_key
WHEN NEW.key_stands AND NOT NEW.exceeds_own AND NOT NEW.id_is_given AND NOT NEW.is_done
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token) VALUES (NEW.key_id, 'api_key.create', CAST(CAST(NEW.id AS INTEGER) AS TEXT), NEW.request_id, NEW.now, NEW.token);
  INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at)
    SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret,
      NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL;
  INSERT INTO api_keys (id, name, digest, scopes, permits, created_at, expires_at) VALUES (NEW.id, NEW.name, NEW.digest, NEW.scopes, NEW.permits, NEW.now, NEW.expires_at);
END;

-- `is_same`: nothing would change.
CREATE VIEW edit_key (
  key_id, request_id, now, key_stands, exceeds_own, id_is_there, is_same, id, sets_name, name, sets_expires_at, expires_at, token, is_done,
  idempotency_key, fingerprint, remembered_until, answer, secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER edit_key_done INSTEAD OF INSERT ON edit_key
WHEN NEW.key_stands AND NOT NEW.exceeds_own AND NEW.id_is_there AND NOT NEW.is_same AND NOT NEW.is_done
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token, changed)
    SELECT NEW.key_id, 'api_key.update', CAST(CAST(NEW.id AS INTEGER) AS TEXT), NEW.request_id, NEW.now, NEW.token, trim(
      iif(NEW.sets_name AND NEW.name IS NOT name, ' name', '')
      || iif(NEW.sets_expires_at AND NEW.expires_at IS NOT expires_at, ' expires_at', '')) FROM api_keys WHERE id = NEW.id;
  INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at)
    SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret,
      NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL;
  UPDATE api_keys SET name = iif(NEW.sets_name, NEW.name, name), expires_at = iif(NEW.sets_expires_at, NEW.expires_at, expires_at) WHERE id = NEW.id;
END;
CREATE TRIGGER edit_key_same INSTEAD OF INSERT ON edit_key
WHEN NEW.key_stands AND NOT NEW.exceeds_own AND NEW.id_is_there AND NEW.is_same AND NOT NEW.is_done AND NEW.idempotency_key IS NOT NULL
BEGIN
  INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at)
    SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || 0), NEW.secret, NEW.remembered_until
      FROM registry WHERE id = 1;
END;

CREATE VIEW delete_key (
  key_id, request_id, now, key_stands, exceeds_own, id_is_there, id, token, is_done, idempotency_key, fingerprint, remembered_until, answer,
  secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER delete_key_done INSTEAD OF INSERT ON delete_key
WHEN NEW.key_stands AND NOT NEW.exceeds_own AND NEW.id_is_there AND NOT NEW.is_done
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token) VALUES (NEW.key_id, 'api_key.delete', CAST(CAST(NEW.id AS INTEGER) AS TEXT), NEW.request_id, NEW.now, NEW.token);
  INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at)
    SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret,
      NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL;
  UPDATE api_keys SET deleted_at = NEW.now WHERE id = NEW.id;
END;

-- `previous_digest`: that of the secret before the last rotation, if the caller proved itself with it. It is the one that stays: the answer with the
-- secret after it was lost. NULL: the secret that is replaced stays.
CREATE VIEW rotate_key (
  key_id, request_id, now, key_stands, exceeds_own, id_is_there, id, digest, previous_digest, previous_until, token, is_done, idempotency_key,
  fingerprint, remembered_until, answer, secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER rotate_key_done INSTEAD OF INSERT ON rotate_key
WHEN NEW.key_stands AND NOT NEW.exceeds_own AND NEW.id_is_there AND NOT NEW.is_done
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token) VALUES (NEW.key_id, 'api_key.rotate', CAST(CAST(NEW.id AS INTEGER) AS TEXT), NEW.request_id, NEW.now, NEW.token);
  INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at)
    SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret,
      NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL;
  UPDATE api_keys SET previous_digest = coalesce(NEW.previous_digest, digest), previous_until = NEW.previous_until, digest = NEW.digest, previous_is_own = CAST(NEW.key_id AS INTEGER) IS id WHERE id = NEW.id;
END;

-- A PUT of a cell. `is_same`: nothing would change. `sets_…` as above, and `is_accepting` keeps its value if it is NULL.
CREATE VIEW put_cell (
  key_id, request_id, now, key_stands, id_is_there, is_same, id, sets_name, name, sets_service, service_name, service_port, is_accepting, token,
  is_done, idempotency_key, fingerprint, remembered_until, answer, secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER put_cell_created INSTEAD OF INSERT ON put_cell
WHEN NEW.key_stands AND NOT NEW.id_is_there AND NEW.is_done IS NOT 1
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token)
    VALUES (NEW.key_id, 'cell.create', lower(NEW.id), NEW.request_id, NEW.now, NEW.token);
  INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at)
    SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret,
      NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL;
  INSERT INTO cells (id, name, service_name, service_port, is_accepting, created_at, updated_at)
    VALUES (NEW.id, NEW.name, NEW.service_name, NEW.service_port, coalesce(NEW.is_accepting, 1), NEW.now, NEW.now);
END;
CREATE TRIGGER put_cell_edited INSTEAD OF INSERT ON put_cell
WHEN NEW.key_stands AND NEW.id_is_there AND NOT NEW.is_same AND NEW.is_done IS NOT 1
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token, changed)
    SELECT NEW.key_id, 'cell.update', lower(NEW.id), NEW.request_id, NEW.now, NEW.token, trim(
      iif(NEW.sets_name AND NEW.name IS NOT name, ' name', '')
      || iif(NEW.sets_service AND (NEW.service_name, NEW.service_port) IS NOT (service_name, service_port), ' service', '')
      || iif(NEW.is_accepting <> is_accepting, ' accepting', '')) FROM cells WHERE id = NEW.id;
  INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at)
    SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret,
      NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL;
  UPDATE cells SET
    name = iif(NEW.sets_name, NEW.name, name),
    service_name = iif(NEW.sets_service, NEW.service_name, service_name),
    service_port = iif(NEW.sets_service, NEW.service_port, service_port),
    is_accepting = coalesce(NEW.is_accepting, is_accepting),
    updated_at = NEW.now
    WHERE id = NEW.id;
END;

CREATE VIEW delete_cell (
  key_id, request_id, now, key_stands, id_is_there, is_in_use, id, token, is_done, idempotency_key, fingerprint, remembered_until, answer, secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER delete_cell_done INSTEAD OF INSERT ON delete_cell
WHEN NEW.key_stands AND NEW.id_is_there AND NOT NEW.is_in_use AND NEW.is_done IS NOT 1
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token)
    VALUES (NEW.key_id, 'cell.delete', lower(NEW.id), NEW.request_id, NEW.now, NEW.token);
  INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at)
    SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret,
      NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL;
  DELETE FROM cells WHERE id = NEW.id;
  DELETE FROM cell_feed WHERE cell_id = NEW.id;
END;

-- Another cell for an installed tenant, whose data was copied there.
CREATE VIEW move_tenant (
  key_id, request_id, now, key_stands, id_is_there, cell_is_there, is_free, id, cell_id, token, is_done, idempotency_key, fingerprint,
  remembered_until, answer, secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER move_tenant_done INSTEAD OF INSERT ON move_tenant
WHEN NEW.key_stands AND NEW.id_is_there AND NEW.cell_is_there AND NEW.is_free AND NEW.is_done IS NOT 1
  AND EXISTS (SELECT 1 FROM tenants WHERE id = NEW.id AND cell_id IS NOT NEW.cell_id)
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token, changed)
    VALUES (NEW.key_id, 'tenant.move', lower(NEW.id), NEW.request_id, NEW.now, NEW.token, 'cell_id');
  INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at, tenant_id)
    SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret,
      NEW.remembered_until, lower(NEW.id) FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL;
  UPDATE tenants SET cell_id = NEW.cell_id, updated_at = NEW.now, revision = last_insert_rowid() WHERE id = NEW.id;
END;
-- It has the cell already.
CREATE TRIGGER move_tenant_same INSTEAD OF INSERT ON move_tenant
WHEN NEW.key_stands AND NEW.id_is_there AND NEW.cell_is_there AND NEW.is_free AND NEW.is_done IS NOT 1 AND NEW.idempotency_key IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM audit_log WHERE token = NEW.token)
BEGIN
  INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at, tenant_id)
    SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || revision), NEW.secret,
      NEW.remembered_until, lower(NEW.id) FROM registry, tenants WHERE registry.id = 1 AND tenants.id = NEW.id;
END;

-- A job for the cell of a tenant. `is_under_way`: the tenant has an unfinished one of the kind.
CREATE VIEW create_work (
  key_id, request_id, now, key_stands, is_under_way, is_installed, id, tenant_id, cell_id, kind, input, is_generated,
  site_state, expires_at, token, is_done, idempotency_key, fingerprint, remembered_until, answer, secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER create_work_done INSTEAD OF INSERT ON create_work
WHEN NEW.key_stands AND NEW.cell_id IS NOT NULL AND NOT NEW.is_under_way AND (NEW.kind <> 'install' OR NOT NEW.is_installed)
  AND NEW.is_done IS NOT 1
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token, detail)
    VALUES (NEW.key_id, 'job.create', NEW.id, NEW.request_id, NEW.now, NEW.token, NEW.kind);
  INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at, job_id)
    SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret,
      NEW.remembered_until, NEW.id FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL;
  INSERT INTO cell_work (id, tenant_id, cell_id, kind, state, input, is_generated, site_before, created_at, expires_at, wipe_at)
    VALUES (NEW.id, NEW.tenant_id, NEW.cell_id, NEW.kind, 'waiting', NEW.input, NEW.is_generated, NEW.site_state, NEW.now, NEW.expires_at,
      NEW.expires_at);
END;

-- Deletes a tenant of a cell, and makes the job that drops its tables. Until then they are kept.
CREATE VIEW drop_at_cell (
  key_id, request_id, now, key_stands, id, cell_id, job_id, expires_at, token, is_done, idempotency_key, fingerprint, remembered_until, answer,
  secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER drop_at_cell_done INSTEAD OF INSERT ON drop_at_cell
WHEN NEW.key_stands AND NEW.cell_id IS NOT NULL AND NEW.is_done IS NOT 1
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token, detail)
    VALUES (NEW.key_id, 'tenant.delete', lower(NEW.id), NEW.request_id, NEW.now, NEW.token, 'tables_kept');
  INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at, job_id)
    SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret,
      NEW.remembered_until, NEW.job_id FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL;
  DELETE FROM tenants WHERE id = NEW.id;
  -- An earlier tenant of the id cannot be brought back over this one, whose tables stay if the job fails.
  DELETE FROM deleted_tenants WHERE id = NEW.id;
  INSERT INTO kept_sites (tenant_id, cell_id, job_id, state) VALUES (NEW.id, NEW.cell_id, NEW.job_id, 0)
    ON CONFLICT (tenant_id) DO UPDATE SET job_id = excluded.job_id;
  INSERT INTO cell_work (id, tenant_id, cell_id, kind, state, after_revision, created_at, expires_at, wipe_at)
    SELECT NEW.job_id, NEW.id, NEW.cell_id, 'drop', 'waiting', revision, NEW.now, NEW.expires_at, NEW.expires_at FROM feed_clock WHERE id = 1;
END;

-- The end of a job, by the agent that has its lease. A generated password can be read for `wipe_at`.
CREATE VIEW finish_work (
  key_id, request_id, now, key_stands, id_is_there, has_lease, is_finished, id, state, error, wipe_at, token, is_done, idempotency_key,
  fingerprint, remembered_until, answer, secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER finish_work_done INSTEAD OF INSERT ON finish_work
WHEN NEW.key_stands AND NEW.has_lease AND NOT NEW.is_finished AND NEW.is_done IS NOT 1
BEGIN
  UPDATE cell_work SET
    state = NEW.state,
    error = NEW.error,
    finished_at = NEW.now,
    lease_until = NULL,
    input = iif(is_generated AND NEW.state = 'done', input, NULL),
    wipe_at = iif(is_generated AND NEW.state = 'done', NEW.wipe_at, NULL)
    WHERE id = NEW.id;
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, detail)
    SELECT NEW.key_id, iif(kind = 'install', 'tenant.install', iif(kind = 'drop', 'tenant.drop_tables', 'tenant.user_password_reset')),
      lower(tenant_id), NEW.request_id, NEW.now, iif(kind = 'drop', 'tables_dropped', NULL) FROM cell_work WHERE id = NEW.id AND NEW.state = 'done';
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token, detail)
    VALUES (NEW.key_id, 'job.finish', NEW.id, NEW.request_id, NEW.now, NEW.token, NEW.state);
  INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at)
    SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret,
      NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL;
END;

CREATE VIEW cancel_work (
  key_id, request_id, now, key_stands, id_is_there, is_waiting, id, token, is_done, idempotency_key, fingerprint, remembered_until, answer,
  secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER cancel_work_done INSTEAD OF INSERT ON cancel_work
WHEN NEW.key_stands AND NEW.is_waiting AND NEW.is_done IS NOT 1
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token, detail)
    SELECT NEW.key_id, 'job.cancel', id, NEW.request_id, NEW.now, NEW.token, kind FROM cell_work WHERE id = NEW.id;
  INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at)
    SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret,
      NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL;
  UPDATE cell_work SET state = 'cancelled', finished_at = NEW.now, lease_until = NULL, input = NULL, wipe_at = NULL WHERE id = NEW.id;
END;

-- A session of the console. `nonce_is_used`: a session of the key began with this nonce. `key_is_current`: the caller has the present secret.
CREATE VIEW create_session (
  key_id, request_id, now, key_stands, nonce_is_used, key_is_current, id, digest, nonce, scopes, permits, expires_at, idle_until, token, is_done
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER create_session_done INSTEAD OF INSERT ON create_session WHEN NEW.key_stands AND NOT NEW.nonce_is_used AND NEW.key_is_current AND NOT NEW.is_done
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token)
    VALUES (NEW.key_id, 'session.create', NEW.id, NEW.request_id, NEW.now, NEW.token);
  INSERT INTO console_sessions (id, digest, key_id, key_digest, nonce, scopes, permits, created_at, last_used_at, idle_until, expires_at)
    SELECT NEW.id, NEW.digest, NEW.key_id, digest, NEW.nonce, NEW.scopes, NEW.permits, NEW.now, NEW.now, NEW.idle_until, NEW.expires_at
    FROM api_keys WHERE api_keys.id = NEW.key_id;
END;

CREATE VIEW end_session (
  key_id, request_id, now, key_stands, exceeds_own, id_is_there, id, token, is_done, idempotency_key, fingerprint, remembered_until, answer, secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER end_session_done INSTEAD OF INSERT ON end_session WHEN NEW.key_stands AND NOT NEW.exceeds_own AND NEW.id_is_there AND NOT NEW.is_done
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token)
    VALUES (NEW.key_id, 'session.delete', NEW.id, NEW.request_id, NEW.now, NEW.token);
  INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at)
    SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret,
      NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL;
  UPDATE console_sessions SET ended_at = NEW.now WHERE id = NEW.id;
END;

-- Webhooks. `has_room`: there are not too many of them. `sealed` is the encrypted secret. A new one begins after its own creation.
CREATE VIEW create_webhook (
  key_id, request_id, now, key_stands, has_room, id, url, types, description, secret_id, sealed, token, is_done, idempotency_key, fingerprint,
  remembered_until, answer, secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER create_webhook_done INSTEAD OF INSERT ON create_webhook
WHEN NEW.key_stands AND NEW.has_room AND NEW.is_done IS NOT 1
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token)
    VALUES (NEW.key_id, 'webhook.create', NEW.id, NEW.request_id, NEW.now, NEW.token);
  INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at)
    SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret,
      NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL;
  INSERT INTO webhooks (id, url, types, description, is_enabled, created_at, updated_at, cursor)
    VALUES (NEW.id, NEW.url, NEW.types, NEW.description, 1, NEW.now, NEW.now, last_insert_rowid());
  INSERT INTO webhook_secrets (id, webhook_id, secret) VALUES (NEW.secret_id, NEW.id, NEW.sealed);
END;

-- `url`, `types` and `is_enabled` keep their value if they are NULL. One that is enabled again begins with what comes from now on (`from_now`), or sends
-- all that it has not sent. Another URL is another receiver, which has refused nothing yet.
CREATE VIEW edit_webhook (
  key_id, request_id, now, key_stands, id_is_there, id, url, types, sets_description, description, is_enabled, from_now, token, is_done,
  idempotency_key, fingerprint, remembered_until, answer, secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER edit_webhook_done INSTEAD OF INSERT ON edit_webhook
WHEN NEW.key_stands AND NEW.id_is_there AND NEW.is_done IS NOT 1
  AND EXISTS (SELECT 1 FROM webhooks WHERE id = NEW.id AND (coalesce(NEW.url, url), coalesce(NEW.types, types), iif(NEW.sets_description, NEW.description, description), coalesce(NEW.is_enabled, is_enabled)) IS NOT (url, types, description, is_enabled))
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token, changed)
    SELECT NEW.key_id, 'webhook.update', NEW.id, NEW.request_id, NEW.now, NEW.token, trim(
      iif(NEW.url <> url, ' url', '') || iif(NEW.types <> types, ' types', '')
      || iif(NEW.sets_description AND NEW.description IS NOT description, ' description', '')
      || iif(NEW.is_enabled <> is_enabled, ' is_enabled', '')) FROM webhooks WHERE id = NEW.id;
  INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at)
    SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret,
      NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL;
  DELETE FROM webhook_behind WHERE webhook_id = NEW.id AND NEW.is_enabled = 1 AND NEW.from_now = 1
    AND (SELECT is_enabled FROM webhooks WHERE id = NEW.id) = 0;
  UPDATE webhook_behind SET attempts = 0, next_at = NEW.now WHERE webhook_id = NEW.id
    AND EXISTS (SELECT 1 FROM webhooks WHERE id = NEW.id AND (NEW.is_enabled = 1 AND is_enabled = 0 OR NEW.url <> url));
  UPDATE webhooks SET
    url = coalesce(NEW.url, url),
    types = coalesce(NEW.types, types),
    description = iif(NEW.sets_description, NEW.description, description),
    cursor = iif(NEW.is_enabled = 1 AND is_enabled = 0 AND NEW.from_now = 1, last_insert_rowid(), cursor),
    failing_since = iif(NEW.is_enabled = 1 AND is_enabled = 0 OR NEW.url <> url, NULL, failing_since),
    is_enabled = coalesce(NEW.is_enabled, is_enabled),
    updated_at = NEW.now
    WHERE id = NEW.id;
END;

CREATE TRIGGER edit_webhook_same INSTEAD OF INSERT ON edit_webhook
WHEN NEW.key_stands AND NEW.id_is_there AND NEW.is_done IS NOT 1 AND NEW.idempotency_key IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM audit_log WHERE token = NEW.token)
BEGIN
  INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at)
    SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || 0), NEW.secret,
      NEW.remembered_until FROM registry WHERE id = 1;
END;

-- Its deliveries stay until they are 30 days old.
CREATE VIEW delete_webhook (
  key_id, request_id, now, key_stands, id_is_there, id, token, is_done, idempotency_key, fingerprint, remembered_until, answer, secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER delete_webhook_done INSTEAD OF INSERT ON delete_webhook
WHEN NEW.key_stands AND NEW.id_is_there AND NEW.is_done IS NOT 1
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token)
    VALUES (NEW.key_id, 'webhook.delete', NEW.id, NEW.request_id, NEW.now, NEW.token);
  INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at)
    SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret,
      NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL;
  DELETE FROM webhook_secrets WHERE webhook_id = NEW.id;
  DELETE FROM webhook_behind WHERE webhook_id = NEW.id;
  DELETE FROM webhooks WHERE id = NEW.id;
END;

-- Gives a webhook another secret. The one before signs as well until `previous_until`, but no earlier one.
CREATE VIEW rotate_webhook (
  key_id, request_id, now, key_stands, id_is_there, id, secret_id, sealed, previous_until, token, is_done, idempotency_key, fingerprint,
  remembered_until, answer, secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER rotate_webhook_done INSTEAD OF INSERT ON rotate_webhook
WHEN NEW.key_stands AND NEW.id_is_there AND NEW.is_done IS NOT 1
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token)
    VALUES (NEW.key_id, 'webhook.rotate', NEW.id, NEW.request_id, NEW.now, NEW.token);
  INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at)
    SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret,
      NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL;
  DELETE FROM webhook_secrets WHERE webhook_id = NEW.id AND (valid_until IS NOT NULL OR NEW.previous_until IS NULL);
  UPDATE webhook_secrets SET valid_until = NEW.previous_until WHERE webhook_id = NEW.id;
  INSERT INTO webhook_secrets (id, webhook_id, secret) VALUES (NEW.secret_id, NEW.id, NEW.sealed);
END;

-- Sends an event again, and after it the later ones of its subject. It is tried as often as if it were new. An event that no run has come to is sent anyway.
CREATE VIEW retry_webhook (
  key_id, request_id, now, key_stands, id_is_there, event_is_there, id, entry_id, token, is_done, idempotency_key, fingerprint, remembered_until,
  answer, secret
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER retry_webhook_done INSTEAD OF INSERT ON retry_webhook
WHEN NEW.key_stands AND NEW.id_is_there AND NEW.event_is_there AND NEW.is_done IS NOT 1
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token)
    VALUES (NEW.key_id, 'webhook.retry', NEW.id, NEW.request_id, NEW.now, NEW.token);
  INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at)
    SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret,
      NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL;
  INSERT INTO webhook_behind (webhook_id, subject_type, subject, entry_id, attempts, next_at)
    SELECT w.id, substr(a.action, 1, instr(a.action, '.') - 1), a.subject, a.id, 0, NEW.now FROM webhooks AS w, audit_log AS a
    WHERE w.id = NEW.id AND a.id = NEW.entry_id AND a.id <= w.cursor
    ON CONFLICT (webhook_id, subject_type, subject) DO UPDATE SET attempts = 0, entry_id = min(entry_id, excluded.entry_id), next_at = excluded.next_at;
END;

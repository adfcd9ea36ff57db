-- Deleted tenants that can be brought back. schema.sql explains the table and the views.

CREATE TABLE deleted_tenants (
  id TEXT NOT NULL PRIMARY KEY COLLATE NOCASE,
  hostname TEXT NOT NULL,
  is_enabled INTEGER NOT NULL,
  plan_id TEXT,
  limits TEXT,
  env TEXT,
  stats TEXT,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  last_job_at TEXT,
  has_site INTEGER NOT NULL,
  external_id TEXT,
  labels TEXT NOT NULL,
  revision INTEGER NOT NULL,
  cell_id TEXT,
  site_state TEXT,
  site_job_id TEXT,
  holds TEXT,
  suspend_at TEXT,
  delete_at TEXT,
  deletion_protection INTEGER NOT NULL DEFAULT 0,
  hostnames TEXT NOT NULL DEFAULT '[]',
  deleted_at TEXT NOT NULL
) STRICT;
CREATE INDEX deleted_tenants_by_time ON deleted_tenants (deleted_at);
CREATE TRIGGER deleted_tenant_dropped AFTER INSERT ON audit_log WHEN NEW.detail = 'tables_dropped' OR NEW.action = 'tenant.drop_tables' BEGIN DELETE FROM deleted_tenants WHERE id = NEW.subject; END;

DROP VIEW delete_tenant;
CREATE VIEW delete_tenant ( key_id, request_id, now, key_stands, id_is_there, site_is_there, id, precondition_fails, is_trial, token, is_done, idempotency_key, fingerprint, remembered_until, answer, secret, is_protected ) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER delete_tenant_done INSTEAD OF INSERT ON delete_tenant WHEN NEW.key_stands AND NEW.id_is_there AND NEW.precondition_fails IS NOT 1 AND NEW.is_trial IS NOT 1 AND NEW.is_done IS NOT 1 AND NEW.is_protected IS NOT 1 BEGIN INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token, detail) VALUES (NEW.key_id, 'tenant.delete', lower(NEW.id), NEW.request_id, NEW.now, NEW.token, iif(NEW.site_is_there, 'tables_kept', NULL)); INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at) SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret, NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL; INSERT OR REPLACE INTO deleted_tenants (id, hostname, is_enabled, plan_id, limits, env, stats, created_at, updated_at, last_job_at, has_site, external_id, labels, revision, cell_id, site_state, site_job_id, holds, suspend_at, delete_at, hostnames, deleted_at) SELECT id, hostname, is_enabled, plan_id, limits, env, stats, created_at, updated_at, last_job_at, has_site, external_id, labels, revision, cell_id, site_state, site_job_id, holds, suspend_at, delete_at, (SELECT json_group_array(json_array(hostname, kind, created_at, updated_at)) FROM tenant_hostnames WHERE tenant_id = NEW.id), NEW.now FROM tenants WHERE id = NEW.id; DELETE FROM tenants WHERE id = NEW.id; END;
CREATE VIEW restore_tenant ( key_id, request_id, now, key_stands, id_is_there, id_is_taken, hostname_is_taken, external_id_is_taken, site_is_elsewhere, id, token, is_done ) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER restore_tenant_done INSTEAD OF INSERT ON restore_tenant WHEN NEW.key_stands AND NEW.id_is_there AND NOT NEW.id_is_taken AND NOT NEW.hostname_is_taken AND NOT NEW.external_id_is_taken AND NOT NEW.site_is_elsewhere AND NEW.is_done IS NOT 1 BEGIN INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token) VALUES (NEW.key_id, 'tenant.restore', lower(NEW.id), NEW.request_id, NEW.now, NEW.token); INSERT INTO tenants (id, hostname, is_enabled, plan_id, limits, env, stats, created_at, updated_at, last_job_at, has_site, external_id, labels, revision, cell_id, site_state, site_job_id, holds, hold_until, suspend_at, delete_at) SELECT d.id, d.hostname, d.is_enabled, (SELECT id FROM tenants_plans WHERE id = d.plan_id), d.limits, d.env, d.stats, d.created_at, NEW.now, d.last_job_at, d.has_site, d.external_id, d.labels, last_insert_rowid(), c.id, iif(d.cell_id IS NULL, (SELECT iif(state = 2, 'installing', NULL) FROM site_databases WHERE tenant_id = d.id), iif(c.id IS NULL, NULL, iif(d.site_state IS NOT 'installing', d.site_state, iif(w.id IS NULL, 'failed', iif(w.finished_at IS NULL, 'installing', iif(w.state IN ('done', 'refused'), 'installed', iif(w.attempts = 0, w.site_before, 'failed'))))))), d.site_job_id, d.holds, (SELECT min(json_extract(value, '$.until')) FROM json_each(d.holds)), d.suspend_at, iif(d.delete_at > NEW.now, d.delete_at, NULL) FROM deleted_tenants AS d LEFT JOIN cells AS c ON c.id = d.cell_id LEFT JOIN cell_work AS w ON w.id = d.site_job_id WHERE d.id = NEW.id; INSERT INTO tenant_hostnames (tenant_id, hostname, kind, created_at, updated_at) SELECT d.id, h.value ->> 0, h.value ->> 1, h.value ->> 2, h.value ->> 3 FROM deleted_tenants AS d, json_each(d.hostnames) AS h WHERE d.id = NEW.id; DELETE FROM deleted_tenants WHERE id = NEW.id; END;
DROP VIEW carry_out;
CREATE VIEW carry_out (now, is_due, wiped_until) AS SELECT NULL, NULL, NULL;
CREATE TRIGGER carry_out_done INSTEAD OF INSERT ON carry_out BEGIN INSERT INTO release_hold (request_id, now, key_stands, id_is_there, hold_is_there, id, kind) SELECT 'cron-' || lower(hex(randomblob(8))), NEW.now, 1, 1, 1, t.id, h.key FROM tenants AS t, json_each(t.holds) AS h WHERE t.hold_until <= NEW.now AND json_extract(h.value, '$.until') <= NEW.now ORDER BY t.hold_until LIMIT 200; INSERT INTO suspend_tenant (request_id, now, id) SELECT 'cron-' || lower(hex(randomblob(8))), NEW.now, id FROM tenants WHERE suspend_at <= NEW.now ORDER BY suspend_at LIMIT 200; INSERT INTO delete_tenant (request_id, now, key_stands, id_is_there, site_is_there, id) SELECT 'cron-' || lower(hex(randomblob(8))), NEW.now, 1, 1, cell_id IS NULL AND has_site = 1, id FROM tenants WHERE delete_at <= NEW.now AND deletion_protection = 0 ORDER BY delete_at LIMIT 200; DELETE FROM deleted_tenants WHERE id IN (SELECT id FROM deleted_tenants WHERE deleted_at <= NEW.wiped_until ORDER BY deleted_at LIMIT 200); UPDATE registry SET upkeep_at = NEW.now WHERE id = 1 AND NEW.is_due; END;

-- Cells: their tables, what each sees of its tenants, and their jobs. schema.sql explains all of it.

ALTER TABLE tenants ADD COLUMN cell_id TEXT COLLATE NOCASE;
ALTER TABLE tenants ADD COLUMN site_state TEXT CHECK (site_state IN ('installing', 'installed', 'failed'));
ALTER TABLE tenants ADD COLUMN site_job_id TEXT;
CREATE INDEX tenants_by_cell ON tenants (cell_id, id) WHERE cell_id IS NOT NULL;

DROP TRIGGER tenant_installed;
CREATE TRIGGER tenant_installed AFTER INSERT ON audit_log WHEN NEW.action = 'tenant.install' BEGIN UPDATE tenants SET has_site = 1, stats_turn_at = NULL WHERE id = NEW.subject AND cell_id IS NULL; END;

CREATE TABLE cells (
  id TEXT NOT NULL PRIMARY KEY COLLATE NOCASE,
  name TEXT,
  service_name TEXT,
  service_port INTEGER,
  is_accepting INTEGER NOT NULL DEFAULT 1 CHECK (is_accepting IN (0, 1)),
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  agent TEXT,
  agent_version TEXT,
  last_seen_at TEXT,
  seen_revision INTEGER NOT NULL DEFAULT 0,
  seen_id TEXT NOT NULL DEFAULT '',
  forgotten_revision INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE feed_clock (
  id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  revision INTEGER NOT NULL
) STRICT;
INSERT INTO feed_clock (id, revision) VALUES (1, 0);
CREATE TABLE cell_feed (
  cell_id TEXT NOT NULL COLLATE NOCASE,
  tenant_id TEXT NOT NULL,
  revision INTEGER NOT NULL,
  is_gone INTEGER NOT NULL DEFAULT 0 CHECK (is_gone IN (0, 1)),
  PRIMARY KEY (cell_id, tenant_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX cell_feed_by_revision ON cell_feed (cell_id, revision, tenant_id);
CREATE TABLE kept_sites (
  tenant_id TEXT NOT NULL PRIMARY KEY COLLATE NOCASE,
  cell_id TEXT NOT NULL COLLATE NOCASE,
  job_id TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX kept_sites_by_cell ON kept_sites (cell_id);
CREATE TABLE cell_work (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  tenant_id TEXT NOT NULL COLLATE NOCASE,
  cell_id TEXT NOT NULL COLLATE NOCASE,
  kind TEXT NOT NULL CHECK (kind IN ('install', 'password_reset', 'drop')),
  state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'refused', 'failed', 'cancelled')),
  input TEXT,
  is_generated INTEGER NOT NULL DEFAULT 0 CHECK (is_generated IN (0, 1)),
  site_before TEXT,
  after_revision INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0,
  lease TEXT,
  lease_until TEXT,
  created_at TEXT NOT NULL,
  started_at TEXT,
  finished_at TEXT,
  expires_at TEXT NOT NULL,
  wipe_at TEXT,
  error TEXT
) STRICT;
CREATE UNIQUE INDEX cell_work_unfinished ON cell_work (tenant_id, kind) WHERE finished_at IS NULL;
CREATE INDEX cell_work_waiting ON cell_work (cell_id, seq) WHERE finished_at IS NULL;
CREATE INDEX cell_work_to_wipe ON cell_work (wipe_at) WHERE wipe_at IS NOT NULL;
CREATE INDEX cell_work_by_tenant ON cell_work (tenant_id, seq);
CREATE TRIGGER cell_tenant_created AFTER INSERT ON tenants WHEN NEW.cell_id IS NOT NULL BEGIN UPDATE feed_clock SET revision = revision + 1 WHERE id = 1; INSERT INTO cell_feed (cell_id, tenant_id, revision) SELECT NEW.cell_id, NEW.id, revision FROM feed_clock WHERE id = 1 ON CONFLICT (cell_id, tenant_id) DO UPDATE SET revision = excluded.revision, is_gone = 0; DELETE FROM kept_sites WHERE tenant_id = NEW.id; END;

CREATE TRIGGER cell_tenant_edited AFTER UPDATE OF hostname, is_enabled, plan_id, limits, env, cell_id, updated_at ON tenants WHEN (NEW.cell_id IS NOT NULL OR OLD.cell_id IS NOT NULL) AND (NEW.hostname, NEW.is_enabled, NEW.plan_id, NEW.limits, NEW.env, NEW.cell_id, NEW.updated_at) IS NOT (OLD.hostname, OLD.is_enabled, OLD.plan_id, OLD.limits, OLD.env, OLD.cell_id, OLD.updated_at) BEGIN UPDATE feed_clock SET revision = revision + 1 WHERE id = 1; UPDATE cell_feed SET revision = (SELECT revision FROM feed_clock WHERE id = 1), is_gone = 1 WHERE cell_id = OLD.cell_id AND tenant_id = OLD.id AND NEW.cell_id IS NOT OLD.cell_id; INSERT INTO cell_feed (cell_id, tenant_id, revision) SELECT NEW.cell_id, NEW.id, revision FROM feed_clock WHERE id = 1 AND NEW.cell_id IS NOT NULL ON CONFLICT (cell_id, tenant_id) DO UPDATE SET revision = excluded.revision, is_gone = 0; END;

CREATE TRIGGER cell_tenant_deleted AFTER DELETE ON tenants WHEN OLD.cell_id IS NOT NULL BEGIN UPDATE feed_clock SET revision = revision + 1 WHERE id = 1; UPDATE cell_feed SET revision = (SELECT revision FROM feed_clock WHERE id = 1), is_gone = 1 WHERE cell_id = OLD.cell_id AND tenant_id = OLD.id; INSERT INTO kept_sites (tenant_id, cell_id) SELECT OLD.id, OLD.cell_id WHERE OLD.site_state IS NOT NULL ON CONFLICT (tenant_id) DO UPDATE SET cell_id = excluded.cell_id; UPDATE cell_work SET state = 'cancelled', finished_at = datetime('now'), input = NULL, wipe_at = NULL WHERE tenant_id = OLD.id AND finished_at IS NULL AND state = 'waiting'; END;

CREATE TRIGGER cell_plan_edited AFTER UPDATE OF limits, env ON tenants_plans WHEN (NEW.limits, NEW.env) IS NOT (OLD.limits, OLD.env) AND (SELECT revision FROM feed_clock WHERE id = 1) > 0 BEGIN UPDATE feed_clock SET revision = revision + 1 WHERE id = 1; UPDATE cell_feed SET revision = (SELECT revision FROM feed_clock WHERE id = 1) WHERE (cell_id, tenant_id) IN (SELECT cell_id, id FROM tenants WHERE plan_id = NEW.id AND cell_id IS NOT NULL); END;

CREATE TRIGGER cell_work_created AFTER INSERT ON cell_work WHEN NEW.kind = 'install' BEGIN UPDATE tenants SET site_state = 'installing', site_job_id = NEW.id WHERE id = NEW.tenant_id; END;

CREATE TRIGGER cell_work_ended AFTER UPDATE OF state ON cell_work WHEN NEW.finished_at IS NOT NULL AND OLD.finished_at IS NULL BEGIN UPDATE tenants SET site_state = iif(NEW.state IN ('done', 'refused'), 'installed', iif(NEW.attempts = 0, NEW.site_before, 'failed')) WHERE id = NEW.tenant_id AND NEW.kind = 'install' AND site_job_id = NEW.id; DELETE FROM kept_sites WHERE tenant_id = NEW.tenant_id AND job_id = NEW.id AND NEW.state = 'done'; UPDATE kept_sites SET job_id = NULL WHERE tenant_id = NEW.tenant_id AND job_id = NEW.id; END;

-- Dropping a view drops its trigger, too.
DROP VIEW create_tenant;
CREATE VIEW create_tenant (
  key_id, request_id, now, key_stands, id_is_there, hostname_is_taken, plan_is_there, site_is_there, may_adopt, id, hostname, is_enabled,
  plan_id, limits, env, external_id_is_taken, external_id, labels, is_trial, token, is_done,
  cell_fits, site_is_elsewhere, adopts_kept, cell_id
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER create_tenant_done INSTEAD OF INSERT ON create_tenant WHEN NEW.key_stands AND NOT NEW.id_is_there AND NOT NEW.hostname_is_taken AND NEW.plan_is_there AND (NEW.site_is_there IS NOT 1 OR NEW.may_adopt) AND NEW.external_id_is_taken IS NOT 1 AND NEW.is_trial IS NOT 1 AND NEW.is_done IS NOT 1 AND NEW.cell_fits IS NOT 0 AND NEW.site_is_elsewhere IS NOT 1 BEGIN INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token) VALUES (NEW.key_id, 'tenant.create', lower(NEW.id), NEW.request_id, NEW.now, NEW.token); INSERT INTO tenants (id, hostname, is_enabled, plan_id, limits, env, created_at, updated_at, has_site, external_id, labels, revision, cell_id, site_state) VALUES (NEW.id, NEW.hostname, NEW.is_enabled, NEW.plan_id, NEW.limits, NEW.env, NEW.now, NEW.now, coalesce(NEW.site_is_there, 1), NEW.external_id, coalesce(NEW.labels, '{}'), last_insert_rowid(), NEW.cell_id, iif(NEW.adopts_kept, 'installed', NULL)); END;

DROP VIEW edit_tenant;
CREATE VIEW edit_tenant (
  key_id, request_id, now, key_stands, id_is_there, hostname_is_taken, plan_is_there, id, hostname, is_enabled, sets_plan_id, plan_id,
  sets_limits, limits, sets_env, env, external_id_is_taken, labels_fit, sets_external_id, external_id, sets_labels, labels,
  precondition_fails, is_trial, token, is_done, cell_fits, cell_is_fixed, sets_cell_id, cell_id
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER edit_tenant_done INSTEAD OF INSERT ON edit_tenant WHEN NEW.key_stands AND NEW.id_is_there AND NOT NEW.hostname_is_taken AND NEW.plan_is_there AND NEW.external_id_is_taken IS NOT 1 AND NEW.labels_fit IS NOT 0 AND NEW.precondition_fails IS NOT 1 AND NEW.is_trial IS NOT 1 AND NEW.is_done IS NOT 1 AND NEW.cell_fits IS NOT 0 AND NEW.cell_is_fixed IS NOT 1 BEGIN INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token) VALUES (NEW.key_id, 'tenant.update', lower(NEW.id), NEW.request_id, NEW.now, NEW.token); UPDATE tenants SET hostname = coalesce(NEW.hostname, hostname), is_enabled = coalesce(NEW.is_enabled, is_enabled), plan_id = iif(NEW.sets_plan_id, NEW.plan_id, plan_id), limits = iif(NEW.sets_limits, NEW.limits, limits), env = iif(NEW.sets_env, NEW.env, env), external_id = iif(NEW.sets_external_id, NEW.external_id, external_id), labels = iif(NEW.sets_labels, coalesce(NEW.labels, '{}'), labels), has_site = iif(NEW.sets_cell_id AND NEW.cell_id IS NOT cell_id, 0, has_site), cell_id = iif(NEW.sets_cell_id, NEW.cell_id, cell_id), updated_at = NEW.now, revision = last_insert_rowid() WHERE id = NEW.id; END;

CREATE VIEW put_cell (
  key_id, request_id, now, key_stands, id_is_there, is_same, id, sets_name, name, sets_service, service_name, service_port, is_accepting
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER put_cell_created INSTEAD OF INSERT ON put_cell WHEN NEW.key_stands AND NOT NEW.id_is_there BEGIN INSERT INTO cells (id, name, service_name, service_port, is_accepting, created_at, updated_at) VALUES (NEW.id, NEW.name, NEW.service_name, NEW.service_port, coalesce(NEW.is_accepting, 1), NEW.now, NEW.now); INSERT INTO audit_log (key_id, action, subject, request_id, created_at) VALUES (NEW.key_id, 'cell.create', lower(NEW.id), NEW.request_id, NEW.now); END;

CREATE TRIGGER put_cell_edited INSTEAD OF INSERT ON put_cell WHEN NEW.key_stands AND NEW.id_is_there AND NOT NEW.is_same BEGIN UPDATE cells SET name = iif(NEW.sets_name, NEW.name, name), service_name = iif(NEW.sets_service, NEW.service_name, service_name), service_port = iif(NEW.sets_service, NEW.service_port, service_port), is_accepting = coalesce(NEW.is_accepting, is_accepting), updated_at = NEW.now WHERE id = NEW.id; INSERT INTO audit_log (key_id, action, subject, request_id, created_at) VALUES (NEW.key_id, 'cell.update', lower(NEW.id), NEW.request_id, NEW.now); END;

CREATE VIEW delete_cell (
  key_id, request_id, now, key_stands, id_is_there, is_in_use, id
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER delete_cell_done INSTEAD OF INSERT ON delete_cell WHEN NEW.key_stands AND NEW.id_is_there AND NOT NEW.is_in_use BEGIN DELETE FROM cells WHERE id = NEW.id; DELETE FROM cell_feed WHERE cell_id = NEW.id; INSERT INTO audit_log (key_id, action, subject, request_id, created_at) VALUES (NEW.key_id, 'cell.delete', lower(NEW.id), NEW.request_id, NEW.now); END;

CREATE VIEW move_tenant (
  key_id, request_id, now, key_stands, id_is_there, cell_is_there, is_free, id, cell_id, token, is_done
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER move_tenant_done INSTEAD OF INSERT ON move_tenant WHEN NEW.key_stands AND NEW.id_is_there AND NEW.cell_is_there AND NEW.is_free AND NEW.is_done IS NOT 1 BEGIN INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token) VALUES (NEW.key_id, 'tenant.move', lower(NEW.id), NEW.request_id, NEW.now, NEW.token); UPDATE tenants SET cell_id = NEW.cell_id, updated_at = NEW.now, revision = last_insert_rowid() WHERE id = NEW.id; END;

CREATE VIEW create_work (
  key_id, request_id, now, key_stands, is_under_way, is_installed, id, tenant_id, cell_id, kind, input, is_generated,
  site_state, expires_at
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER create_work_done INSTEAD OF INSERT ON create_work WHEN NEW.key_stands AND NEW.cell_id IS NOT NULL AND NOT NEW.is_under_way AND (NEW.kind <> 'install' OR NOT NEW.is_installed) BEGIN INSERT INTO cell_work (id, tenant_id, cell_id, kind, state, input, is_generated, site_before, created_at, expires_at, wipe_at) VALUES (NEW.id, NEW.tenant_id, NEW.cell_id, NEW.kind, 'waiting', NEW.input, NEW.is_generated, NEW.site_state, NEW.now, NEW.expires_at, NEW.expires_at); INSERT INTO audit_log (key_id, action, subject, request_id, created_at, detail) VALUES (NEW.key_id, 'job.create', lower(NEW.tenant_id), NEW.request_id, NEW.now, NEW.kind); END;

CREATE VIEW drop_at_cell (
  key_id, request_id, now, key_stands, id, cell_id, job_id, expires_at
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER drop_at_cell_done INSTEAD OF INSERT ON drop_at_cell WHEN NEW.key_stands AND NEW.cell_id IS NOT NULL BEGIN DELETE FROM tenants WHERE id = NEW.id; INSERT INTO kept_sites (tenant_id, cell_id, job_id) VALUES (NEW.id, NEW.cell_id, NEW.job_id) ON CONFLICT (tenant_id) DO UPDATE SET job_id = excluded.job_id; INSERT INTO cell_work (id, tenant_id, cell_id, kind, state, after_revision, created_at, expires_at, wipe_at) SELECT NEW.job_id, NEW.id, NEW.cell_id, 'drop', 'waiting', revision, NEW.now, NEW.expires_at, NEW.expires_at FROM feed_clock WHERE id = 1; INSERT INTO audit_log (key_id, action, subject, request_id, created_at, detail) VALUES (NEW.key_id, 'tenant.delete', lower(NEW.id), NEW.request_id, NEW.now, 'tables_kept'); END;

CREATE VIEW finish_work (
  key_id, request_id, now, key_stands, id_is_there, has_lease, is_finished, id, state, error, wipe_at
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER finish_work_done INSTEAD OF INSERT ON finish_work WHEN NEW.key_stands AND NEW.has_lease AND NOT NEW.is_finished BEGIN UPDATE cell_work SET state = NEW.state, error = NEW.error, finished_at = NEW.now, lease_until = NULL, input = iif(is_generated AND NEW.state = 'done', input, NULL), wipe_at = iif(is_generated AND NEW.state = 'done', NEW.wipe_at, NULL) WHERE id = NEW.id; INSERT INTO audit_log (key_id, action, subject, request_id, created_at, detail) SELECT NEW.key_id, iif(kind = 'install', 'tenant.install', iif(kind = 'drop', 'tenant.drop_tables', 'tenant.user_password_reset')), lower(tenant_id), NEW.request_id, NEW.now, iif(kind = 'drop', 'tables_dropped', NULL) FROM cell_work WHERE id = NEW.id AND NEW.state = 'done'; INSERT INTO audit_log (key_id, action, subject, request_id, created_at, detail) SELECT NEW.key_id, 'job.finish', lower(tenant_id), NEW.request_id, NEW.now, NEW.state FROM cell_work WHERE id = NEW.id; END;

CREATE VIEW cancel_work (
  key_id, request_id, now, key_stands, id_is_there, is_waiting, id
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER cancel_work_done INSTEAD OF INSERT ON cancel_work WHEN NEW.key_stands AND NEW.is_waiting BEGIN UPDATE cell_work SET state = 'cancelled', finished_at = NEW.now, lease_until = NULL, input = NULL, wipe_at = NULL WHERE id = NEW.id; INSERT INTO audit_log (key_id, action, subject, request_id, created_at, detail) SELECT NEW.key_id, 'job.cancel', lower(tenant_id), NEW.request_id, NEW.now, kind FROM cell_work WHERE id = NEW.id; END;

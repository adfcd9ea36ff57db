CREATE TABLE api_keys (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT,
  digest TEXT NOT NULL,
  created_at TEXT NOT NULL,
  expires_at TEXT,
  deleted_at TEXT
) STRICT;
CREATE TABLE tenants_plans (
  id TEXT NOT NULL PRIMARY KEY COLLATE NOCASE,
  name TEXT,
  description TEXT,
  limits TEXT,
  env TEXT,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  external_id TEXT,
  labels TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE UNIQUE INDEX plans_by_external_id ON tenants_plans (external_id) WHERE external_id IS NOT NULL;
CREATE TABLE tenants (
  id TEXT NOT NULL PRIMARY KEY COLLATE NOCASE,
  hostname TEXT NOT NULL UNIQUE,
  is_enabled INTEGER NOT NULL CHECK (is_enabled IN (0, 1)),
  plan_id TEXT COLLATE NOCASE REFERENCES tenants_plans (id) ON DELETE SET NULL,
  limits TEXT,
  env TEXT,
  stats TEXT,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  last_job_at TEXT,
  stats_turn_at TEXT,
  has_site INTEGER NOT NULL DEFAULT 1 CHECK (has_site IN (0, 1)),
  external_id TEXT,
  labels TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE INDEX tenants_by_plan ON tenants (plan_id, id);
CREATE INDEX tenants_by_enabled ON tenants (is_enabled, id);
CREATE INDEX tenants_by_creation ON tenants (created_at, id);
CREATE INDEX tenants_by_update ON tenants (updated_at, id);
CREATE UNIQUE INDEX tenants_by_external_id ON tenants (external_id) WHERE external_id IS NOT NULL;
CREATE INDEX tenants_by_stats_turn ON tenants (stats_turn_at) WHERE has_site = 1;
CREATE TABLE tenant_labels (
  tenant_id TEXT NOT NULL COLLATE NOCASE,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (tenant_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX tenants_by_label ON tenant_labels (name, value, tenant_id);
CREATE TRIGGER tenant_labels_created AFTER INSERT ON tenants
WHEN NEW.labels <> '{}'
BEGIN
  INSERT INTO tenant_labels (tenant_id, name, value) SELECT NEW.id, key, value FROM json_each(NEW.labels);
END;
CREATE TRIGGER tenant_labels_edited AFTER UPDATE OF labels ON tenants
WHEN NEW.labels <> OLD.labels
BEGIN
  DELETE FROM tenant_labels WHERE tenant_id = OLD.id;
  INSERT INTO tenant_labels (tenant_id, name, value) SELECT NEW.id, key, value FROM json_each(NEW.labels);
END;
CREATE TRIGGER tenant_labels_deleted AFTER DELETE ON tenants
WHEN OLD.labels <> '{}'
BEGIN
  DELETE FROM tenant_labels WHERE tenant_id = OLD.id;
END;
CREATE TABLE plan_labels (
  plan_id TEXT NOT NULL COLLATE NOCASE,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (plan_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX plans_by_label ON plan_labels (name, value, plan_id);
CREATE TRIGGER plan_labels_created AFTER INSERT ON tenants_plans
WHEN NEW.labels <> '{}'
BEGIN
  INSERT INTO plan_labels (plan_id, name, value) SELECT NEW.id, key, value FROM json_each(NEW.labels);
END;
CREATE TRIGGER plan_labels_edited AFTER UPDATE OF labels ON tenants_plans
WHEN NEW.labels <> OLD.labels
BEGIN
  DELETE FROM plan_labels WHERE plan_id = OLD.id;
  INSERT INTO plan_labels (plan_id, name, value) SELECT NEW.id, key, value FROM json_each(NEW.labels);
END;
CREATE TRIGGER plan_labels_deleted AFTER DELETE ON tenants_plans
WHEN OLD.labels <> '{}'
BEGIN
  DELETE FROM plan_labels WHERE plan_id = OLD.id;
END;
CREATE TABLE audit_log (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  key_id INTEGER,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  request_id TEXT NOT NULL,
  created_at TEXT NOT NULL,
  operator TEXT,
  detail TEXT
) STRICT;
CREATE INDEX audit_log_by_subject ON audit_log (subject, created_at);
CREATE TRIGGER tenant_installed AFTER INSERT ON audit_log
WHEN NEW.action = 'tenant.install'
BEGIN
  UPDATE tenants SET has_site = 1, stats_turn_at = NULL WHERE id = NEW.subject;
END;
CREATE TABLE registry (
  id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  epoch TEXT NOT NULL CHECK (length(epoch) = 16 AND epoch NOT GLOB '*[^0-9a-f]*')
) STRICT;
INSERT INTO registry (id, epoch) VALUES (1, lower(hex(randomblob(8))));
CREATE VIEW create_tenant (
  key_id, request_id, now, key_stands, id_is_there, hostname_is_taken, plan_is_there, site_is_there, may_adopt, id, hostname, is_enabled,
  plan_id, limits, env, external_id_is_taken, external_id, labels
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER create_tenant_done INSTEAD OF INSERT ON create_tenant
WHEN NEW.key_stands AND NOT NEW.id_is_there AND NOT NEW.hostname_is_taken AND NEW.plan_is_there
  AND (NEW.site_is_there IS NOT 1 OR NEW.may_adopt) AND NEW.external_id_is_taken IS NOT 1
BEGIN
  INSERT INTO tenants (id, hostname, is_enabled, plan_id, limits, env, created_at, updated_at, has_site, external_id, labels)
    VALUES (NEW.id, NEW.hostname, NEW.is_enabled, NEW.plan_id, NEW.limits, NEW.env, NEW.now, NEW.now, coalesce(NEW.site_is_there, 1),
      NEW.external_id, coalesce(NEW.labels, '{}'));
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at)
    VALUES (NEW.key_id, 'tenant.create', lower(NEW.id), NEW.request_id, NEW.now);
END;
CREATE VIEW edit_tenant (
  key_id, request_id, now, key_stands, id_is_there, hostname_is_taken, plan_is_there, id, hostname, is_enabled,
  sets_plan_id, plan_id, sets_limits, limits, sets_env, env, external_id_is_taken, labels_fit, sets_external_id, external_id, sets_labels,
  labels
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER edit_tenant_done INSTEAD OF INSERT ON edit_tenant
WHEN NEW.key_stands AND NEW.id_is_there AND NOT NEW.hostname_is_taken AND NEW.plan_is_there AND NEW.external_id_is_taken IS NOT 1
  AND NEW.labels_fit IS NOT 0
BEGIN
  UPDATE tenants SET
    hostname = coalesce(NEW.hostname, hostname),
    is_enabled = coalesce(NEW.is_enabled, is_enabled),
    plan_id = iif(NEW.sets_plan_id, NEW.plan_id, plan_id),
    limits = iif(NEW.sets_limits, NEW.limits, limits),
    env = iif(NEW.sets_env, NEW.env, env),
    external_id = iif(NEW.sets_external_id, NEW.external_id, external_id),
    labels = iif(NEW.sets_labels, coalesce(NEW.labels, '{}'), labels),
    updated_at = NEW.now
    WHERE id = NEW.id;
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at)
    VALUES (NEW.key_id, 'tenant.update', lower(NEW.id), NEW.request_id, NEW.now);
END;
CREATE VIEW delete_tenant (
  key_id, request_id, now, key_stands, id_is_there, site_is_there, id
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER delete_tenant_done INSTEAD OF INSERT ON delete_tenant
WHEN NEW.key_stands AND NEW.id_is_there
BEGIN
  DELETE FROM tenants WHERE id = NEW.id;
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, detail)
    VALUES (NEW.key_id, 'tenant.delete', lower(NEW.id), NEW.request_id, NEW.now, iif(NEW.site_is_there, 'tables_kept', NULL));
END;
CREATE VIEW create_plan (
  key_id, request_id, now, key_stands, id_is_there, id, name, description, limits, env, external_id_is_taken, external_id, labels
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER create_plan_done INSTEAD OF INSERT ON create_plan
WHEN NEW.key_stands AND NOT NEW.id_is_there AND NEW.external_id_is_taken IS NOT 1
BEGIN
  INSERT INTO tenants_plans (id, name, description, limits, env, created_at, updated_at, external_id, labels)
    VALUES (NEW.id, NEW.name, NEW.description, NEW.limits, NEW.env, NEW.now, NEW.now, NEW.external_id, coalesce(NEW.labels, '{}'));
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at)
    VALUES (NEW.key_id, 'plan.create', lower(NEW.id), NEW.request_id, NEW.now);
END;
CREATE VIEW edit_plan (
  key_id, request_id, now, key_stands, id_is_there, id, name, sets_description, description, sets_limits, limits,
  sets_env, env, external_id_is_taken, labels_fit, sets_external_id, external_id, sets_labels, labels
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER edit_plan_done INSTEAD OF INSERT ON edit_plan
WHEN NEW.key_stands AND NEW.id_is_there AND NEW.external_id_is_taken IS NOT 1 AND NEW.labels_fit IS NOT 0
BEGIN
  UPDATE tenants_plans SET
    name = coalesce(NEW.name, name),
    description = iif(NEW.sets_description, NEW.description, description),
    limits = iif(NEW.sets_limits, NEW.limits, limits),
    env = iif(NEW.sets_env, NEW.env, env),
    external_id = iif(NEW.sets_external_id, NEW.external_id, external_id),
    labels = iif(NEW.sets_labels, coalesce(NEW.labels, '{}'), labels),
    updated_at = NEW.now
    WHERE id = NEW.id;
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at)
    VALUES (NEW.key_id, 'plan.update', lower(NEW.id), NEW.request_id, NEW.now);
END;
CREATE VIEW delete_plan (
  key_id, request_id, now, key_stands, id_is_there, id
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER delete_plan_done INSTEAD OF INSERT ON delete_plan
WHEN NEW.key_stands AND NEW.id_is_there
BEGIN
  UPDATE tenants SET plan_id = NULL WHERE plan_id = NEW.id;
  DELETE FROM tenants_plans WHERE id = NEW.id;
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at)
    VALUES (NEW.key_id, 'plan.delete', lower(NEW.id), NEW.request_id, NEW.now);
END;

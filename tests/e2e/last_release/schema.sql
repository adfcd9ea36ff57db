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
  updated_at TEXT NOT NULL
) STRICT;
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
  stats_turn_at TEXT
) STRICT;
CREATE INDEX tenants_by_plan ON tenants (plan_id) WHERE plan_id IS NOT NULL;
CREATE INDEX tenants_by_stats_turn ON tenants (stats_turn_at);
CREATE TABLE audit_log (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  key_id INTEGER,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  request_id TEXT NOT NULL,
  created_at TEXT NOT NULL
) STRICT;
CREATE VIEW create_tenant (
  key_id, request_id, now, key_stands, id_is_there, hostname_is_taken, plan_is_there, id, hostname, is_enabled,
  plan_id, limits, env
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER create_tenant_done INSTEAD OF INSERT ON create_tenant
WHEN NEW.key_stands AND NOT NEW.id_is_there AND NOT NEW.hostname_is_taken AND NEW.plan_is_there
BEGIN
  INSERT INTO tenants (id, hostname, is_enabled, plan_id, limits, env, created_at, updated_at)
    VALUES (NEW.id, NEW.hostname, NEW.is_enabled, NEW.plan_id, NEW.limits, NEW.env, NEW.now, NEW.now);
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at)
    VALUES (NEW.key_id, 'tenant.create', lower(NEW.id), NEW.request_id, NEW.now);
END;
CREATE VIEW edit_tenant (
  key_id, request_id, now, key_stands, id_is_there, hostname_is_taken, plan_is_there, id, hostname, is_enabled,
  sets_plan_id, plan_id, sets_limits, limits, sets_env, env
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER edit_tenant_done INSTEAD OF INSERT ON edit_tenant
WHEN NEW.key_stands AND NEW.id_is_there AND NOT NEW.hostname_is_taken AND NEW.plan_is_there
BEGIN
  UPDATE tenants SET
    hostname = coalesce(NEW.hostname, hostname),
    is_enabled = coalesce(NEW.is_enabled, is_enabled),
    plan_id = iif(NEW.sets_plan_id, NEW.plan_id, plan_id),
    limits = iif(NEW.sets_limits, NEW.limits, limits),
    env = iif(NEW.sets_env, NEW.env, env),
    updated_at = NEW.now
    WHERE id = NEW.id;
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at)
    VALUES (NEW.key_id, 'tenant.update', lower(NEW.id), NEW.request_id, NEW.now);
END;
CREATE VIEW delete_tenant (
  key_id, request_id, now, key_stands, id_is_there, id
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER delete_tenant_done INSTEAD OF INSERT ON delete_tenant
WHEN NEW.key_stands AND NEW.id_is_there
BEGIN
  DELETE FROM tenants WHERE id = NEW.id;
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at)
    VALUES (NEW.key_id, 'tenant.delete', lower(NEW.id), NEW.request_id, NEW.now);
END;
CREATE VIEW create_plan (
  key_id, request_id, now, key_stands, id_is_there, id, name, description, limits, env
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER create_plan_done INSTEAD OF INSERT ON create_plan
WHEN NEW.key_stands AND NOT NEW.id_is_there
BEGIN
  INSERT INTO tenants_plans (id, name, description, limits, env, created_at, updated_at)
    VALUES (NEW.id, NEW.name, NEW.description, NEW.limits, NEW.env, NEW.now, NEW.now);
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at)
    VALUES (NEW.key_id, 'plan.create', lower(NEW.id), NEW.request_id, NEW.now);
END;
CREATE VIEW edit_plan (
  key_id, request_id, now, key_stands, id_is_there, id, name, sets_description, description, sets_limits, limits,
  sets_env, env
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER edit_plan_done INSTEAD OF INSERT ON edit_plan
WHEN NEW.key_stands AND NEW.id_is_there
BEGIN
  UPDATE tenants_plans SET
    name = coalesce(NEW.name, name),
    description = iif(NEW.sets_description, NEW.description, description),
    limits = iif(NEW.sets_limits, NEW.limits, limits),
    env = iif(NEW.sets_env, NEW.env, env),
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

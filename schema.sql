-- The registry: every table of the service's own, whole. `migrations/` holds the steps that lead here; a test holds the two equal.
--
-- Times are UTC, "YYYY-MM-DD HH:MM:SS". Identifiers compare without regard to ASCII case (NOCASE) and keep the case they came in.
-- No table's name here ends in `_<name of a tenant's own table>`, so that no tenant id can lead to one of these.

-- API keys. AUTOINCREMENT: an id is never given twice, not even after its row is gone.
CREATE TABLE api_keys (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT,
  digest TEXT NOT NULL,            -- SHA-256 of the whole key, lower-case hex; the key itself is never stored
  created_at TEXT NOT NULL,
  expires_at TEXT,                 -- first second at which it no longer opens anything; NULL: never
  deleted_at TEXT                  -- kept, so that the audit log keeps its subject
) STRICT;

CREATE TABLE tenants_plans (
  id TEXT NOT NULL PRIMARY KEY COLLATE NOCASE,
  name TEXT,                       -- the legacy dialect's
  description TEXT,                -- the legacy dialect's
  limits TEXT,                     -- JSON object of strings; NULL: never set
  env TEXT,                        -- sealed JSON object of strings; NULL: never set
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL
) STRICT;

CREATE TABLE tenants (
  id TEXT NOT NULL PRIMARY KEY COLLATE NOCASE,
  hostname TEXT NOT NULL UNIQUE,   -- lower case
  is_enabled INTEGER NOT NULL CHECK (is_enabled IN (0, 1)),
  plan_id TEXT COLLATE NOCASE REFERENCES tenants_plans (id) ON DELETE SET NULL,
  limits TEXT,                     -- JSON object of strings; NULL: empty
  env TEXT,                        -- sealed JSON object of strings; NULL: empty
  stats TEXT,                      -- JSON object of the sixteen counters; NULL: never counted, all zero
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  last_job_at TEXT,                -- when the statistics were last counted
  stats_turn_at TEXT               -- when it was last their turn to be counted, whatever came of it; NULL: never
) STRICT;

-- For "which tenants have this plan", when a plan goes.
CREATE INDEX tenants_by_plan ON tenants (plan_id) WHERE plan_id IS NOT NULL;

-- For "whose turn is it".
CREATE INDEX tenants_by_stats_turn ON tenants (stats_turn_at);

-- Who did what, on which subject, when, with which request. Never a body. Written in the transaction of what it tells of.
-- AUTOINCREMENT: ids only ever grow, so the newest is also the revision of everything above.
CREATE TABLE audit_log (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  key_id INTEGER,                  -- api_keys.id; NULL: an operator at the command line
  -- NOT NULL is also what stops a transaction whose entry stands under a condition that does not hold: sql.rs, `Batch::entered`.
  action TEXT NOT NULL,            -- "tenant.create", "plan.update", "api_key.delete", …
  subject TEXT NOT NULL,           -- the identifier of what was changed
  request_id TEXT NOT NULL,
  created_at TEXT NOT NULL
) STRICT;

-- The API's writes, one statement each. A row inserted into one of these views is what a caller asks for, with who asks (key_id, request_id, now) and
-- what stands against it as the statement found it; the trigger does it, and writes the audit entry, where nothing does. The statement's
-- RETURNING answers what stood against it. INVARIANT: no write without its audit entry, and none whose caller's key does not stand.
-- `sets_…` says that a column is to be set, to NULL too; `hostname`, `is_enabled` and `name` are kept where they are NULL.

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
  -- Said here and not left to the foreign key, which not every SQLite enforces.
  UPDATE tenants SET plan_id = NULL WHERE plan_id = NEW.id;
  DELETE FROM tenants_plans WHERE id = NEW.id;
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at)
    VALUES (NEW.key_id, 'plan.delete', lower(NEW.id), NEW.request_id, NEW.now);
END;

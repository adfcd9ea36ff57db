-- The first version of the registry. schema.sql explains its columns.

-- API keys. AUTOINCREMENT never gives an id twice, not even after its row is gone.
CREATE TABLE api_keys (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT,
  digest TEXT NOT NULL,            -- SHA-256 of the whole key in lower-case hex, since the key itself is never stored
  created_at TEXT NOT NULL,
  expires_at TEXT,                 -- first second in which the key is no longer valid (NULL: it never expires)
  deleted_at TEXT                  -- a deleted key keeps its row, so that audit entries can still name it
) STRICT;

CREATE TABLE tenants_plans (
  id TEXT NOT NULL PRIMARY KEY COLLATE NOCASE,
  name TEXT,                       -- only the legacy dialect has it
  description TEXT,                -- only the legacy dialect has it
  limits TEXT,                     -- JSON object of strings (NULL: never set)
  env TEXT,                        -- encrypted JSON object of strings (NULL: never set)
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL
) STRICT;

CREATE TABLE tenants (
  id TEXT NOT NULL PRIMARY KEY COLLATE NOCASE,
  hostname TEXT NOT NULL UNIQUE,   -- lower case
  is_enabled INTEGER NOT NULL CHECK (is_enabled IN (0, 1)),
  plan_id TEXT COLLATE NOCASE REFERENCES tenants_plans (id) ON DELETE SET NULL,
  limits TEXT,                     -- JSON object of strings (NULL: empty)
  env TEXT,                        -- encrypted JSON object of strings (NULL: empty)
  stats TEXT,                      -- JSON object of the sixteen counters (NULL: never counted, all zero)
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  last_job_at TEXT                 -- time of the last count of the statistics
) STRICT;

-- Finds the tenants of a plan when it is deleted.
CREATE INDEX tenants_by_plan ON tenants (plan_id) WHERE plan_id IS NOT NULL;

-- The audit log: who did what to which subject, when, in which request. It never holds a body. An entry shares the transaction of its change.
-- AUTOINCREMENT only ever counts up, so the newest id is also the revision of all tables above.
CREATE TABLE audit_log (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  key_id INTEGER,                  -- api_keys.id (NULL: an operator at the command line)
  action TEXT NOT NULL,            -- tenant.create, plan.update, api_key.delete, …
  subject TEXT NOT NULL,           -- the identifier of the changed resource
  request_id TEXT NOT NULL,
  created_at TEXT NOT NULL
) STRICT;

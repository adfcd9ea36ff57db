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
  last_job_at TEXT                 -- when the statistics were last counted
) STRICT;

-- For "which tenants have this plan", when a plan goes.
CREATE INDEX tenants_by_plan ON tenants (plan_id) WHERE plan_id IS NOT NULL;

-- Who did what, on which subject, when, with which request. Never a body. Written in the transaction of what it tells of.
-- AUTOINCREMENT: ids only ever grow, so the newest is also the revision of everything above.
CREATE TABLE audit_log (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  key_id INTEGER,                  -- api_keys.id; NULL: an operator at the command line
  action TEXT NOT NULL,            -- "tenant.create", "plan.update", "api_key.delete", …
  subject TEXT NOT NULL,           -- the identifier of what was changed
  request_id TEXT NOT NULL,
  created_at TEXT NOT NULL
) STRICT;

-- The registry: all tables of the service itself, and what keeps them right. `schema_writes.sql` has the views that write to them. `migrations/` has
-- the steps to this schema, and a test compares the two.
--
-- Times are UTC, "YYYY-MM-DD HH:MM:SS". Identifiers compare without regard to ASCII case (NOCASE) and keep the case they came in.
-- No name here ends in `_` and the name of a table that tenants have, so no tenant id can lead to one of these tables.

-- API keys. AUTOINCREMENT never gives an id twice, not even after its row is gone.
CREATE TABLE api_keys (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT,
  -- SHA-256 of the whole key in hex, since the key itself is never stored. A key that lacks scopes has it in upper case, and a bound key has
  -- "bound:" before it. Releases that know neither compare it exactly, and so refuse them.
  digest TEXT NOT NULL,
  created_at TEXT NOT NULL,
  expires_at TEXT,                 -- first second in which the key is no longer valid (NULL: it never expires)
  deleted_at TEXT,                 -- a deleted key keeps its row, so that audit entries can still name it
  scopes TEXT NOT NULL DEFAULT '*', -- what the key may do: names with a space between them
  permits INTEGER NOT NULL DEFAULT -1, -- the bits of all that `scopes` permit (value/scope.rs), for a fast check
  is_bound INTEGER NOT NULL DEFAULT 0 CHECK (is_bound IN (0, 1)), -- 1: the key signs each request as a whole
  previous_digest TEXT,            -- the digest before the last rotation, valid until `previous_until`
  previous_until TEXT,             -- first second in which the previous digest is no longer valid
  last_used_at TEXT,               -- the hour of the last use (NULL: never, or before there was this column)
  previous_is_own INTEGER NOT NULL DEFAULT 0 CHECK (previous_is_own IN (0, 1)) -- 1: the key made the last rotation itself
) STRICT;

CREATE TABLE tenants_plans (
  id TEXT NOT NULL PRIMARY KEY COLLATE NOCASE,
  name TEXT,                       -- only the legacy dialect has it
  description TEXT,                -- only the legacy dialect has it
  limits TEXT,                     -- JSON object of strings (NULL: never set)
  env TEXT,                        -- encrypted JSON object of strings (NULL: never set)
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  external_id TEXT,                -- another system's id of the plan, such as a billing system's
  labels TEXT NOT NULL DEFAULT '{}', -- JSON object of strings
  revision INTEGER NOT NULL DEFAULT 0 -- id of the audit entry of the last write (0: none since the column is there)
) STRICT;

-- Finds a plan by its external id.
CREATE UNIQUE INDEX plans_by_external_id ON tenants_plans (external_id) WHERE external_id IS NOT NULL;

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
  last_job_at TEXT,                -- time of the last count of the statistics
  stats_turn_at TEXT,              -- time of the last attempt to count them, even if it failed (NULL: never since the site was installed)
  -- 1: the tables of the tenant itself may exist. 0: they do not.
  has_site INTEGER NOT NULL DEFAULT 1 CHECK (has_site IN (0, 1)),
  external_id TEXT,                -- another system's id of the tenant, such as a billing system's
  labels TEXT NOT NULL DEFAULT '{}', -- JSON object of strings
  -- Id of the audit entry of the last write that changed the tenant's own answer (0: none since the column is there). Statistics, an
  -- installation and a re-encryption leave it; the deletion of the tenant's plan does not. A tenant that is created again gets a higher one.
  revision INTEGER NOT NULL DEFAULT 0,
  cell_id TEXT COLLATE NOCASE,     -- cells.id, spelled as there (NULL: the tenant's own tables are in this database)
  -- Of a tenant with a cell: the state of its site there (NULL: none). Of one whose site has a database of its own: that it is being installed.
  site_state TEXT CHECK (site_state IN ('installing', 'installed', 'failed')),
  site_job_id TEXT,                -- cell_work.id of its last installation
  -- Why the site is off: a JSON object with an object `reason`, `message` and `until` for each kind (NULL: the tenant has no hold).
  holds TEXT CHECK (json_type(holds) = 'object'),
  hold_until TEXT,                 -- the first `until` of its holds (NULL: none has one)
  suspend_at TEXT,                 -- when the cron trigger holds it for `non_payment` (NULL: never)
  delete_at TEXT,                  -- when the cron trigger deletes it (NULL: never)
  deletion_protection INTEGER NOT NULL DEFAULT 0 CHECK (deletion_protection IN (0, 1)) -- 1: nothing deletes it
) STRICT;

-- These find tenants for a list that filters or sorts. Each ends with the id, which is a list's order among equals. The first one also finds
-- the tenants of a plan when it is deleted.
CREATE INDEX tenants_by_plan ON tenants (plan_id, id);
CREATE INDEX tenants_by_enabled ON tenants (is_enabled, id);
CREATE INDEX tenants_by_creation ON tenants (created_at, id);
CREATE INDEX tenants_by_update ON tenants (updated_at, id);
CREATE UNIQUE INDEX tenants_by_external_id ON tenants (external_id) WHERE external_id IS NOT NULL;

-- Traefik's configuration, the whole and that of a cell, is read from one of these alone: the rows themselves, with their `env`, take fifty times
-- the room.
CREATE INDEX tenants_by_route ON tenants (id, hostname, cell_id, is_enabled) WHERE is_enabled = 1 OR cell_id IS NOT NULL;
CREATE INDEX tenants_by_cell ON tenants (cell_id, id, hostname) WHERE cell_id IS NOT NULL;

-- Finds the tenants with holds, and those of which a hold ends.
CREATE INDEX tenants_held ON tenants (id) WHERE holds IS NOT NULL;
CREATE INDEX tenants_by_hold_until ON tenants (hold_until) WHERE hold_until IS NOT NULL;

-- Finds the tenants to hold and to delete. A protected one waits until its protection is lifted.
CREATE INDEX tenants_by_suspend_at ON tenants (suspend_at) WHERE suspend_at IS NOT NULL;
CREATE INDEX tenants_by_delete_at ON tenants (delete_at) WHERE delete_at IS NOT NULL AND deletion_protection = 0;

-- Tenants that were deleted without their tables, for as long as they can be brought back (TENANTS_RESTORE_DAYS). The columns are those of `tenants`.
-- A newer deletion of the same id replaces the older one. Nothing else refers to a row: its plan and its cell may be gone.
CREATE TABLE deleted_tenants (
  id TEXT NOT NULL PRIMARY KEY COLLATE NOCASE,
  hostname TEXT NOT NULL,
  is_enabled INTEGER NOT NULL,
  plan_id TEXT,
  limits TEXT,
  env TEXT,                        -- encrypted for its place in `tenants`
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
  deletion_protection INTEGER NOT NULL DEFAULT 0, -- always 0: a protected tenant is not deleted
  hostnames TEXT NOT NULL DEFAULT '[]', -- its rows of `tenant_hostnames`, without its id: a JSON array of arrays
  deleted_at TEXT NOT NULL
) STRICT;
CREATE INDEX deleted_tenants_by_time ON deleted_tenants (deleted_at);
-- Finds the deleted tenants that need a cell.
CREATE INDEX deleted_tenants_by_cell ON deleted_tenants (cell_id COLLATE NOCASE) WHERE cell_id IS NOT NULL;
-- Finds the deleted tenants that forget a plan.
CREATE INDEX deleted_tenants_by_plan ON deleted_tenants (plan_id COLLATE NOCASE) WHERE plan_id IS NOT NULL;

-- Whatever would delete a protected tenant fails as a whole, also if a Worker that does not know the column asks for it.
CREATE TRIGGER tenant_protected BEFORE DELETE ON tenants
WHEN OLD.deletion_protection = 1
BEGIN
  SELECT RAISE(ABORT, 'the tenant is protected from deletion');
END;

-- Finds the tenants to count next.
CREATE INDEX tenants_by_stats_turn ON tenants (stats_turn_at) WHERE has_site = 1;

-- The labels of tenants and plans again, a row each, so that an index finds them. The triggers keep them the same as the column `labels`.
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

-- Hostnames of tenants besides their own: the site answers there too, or the visitor is sent to the tenant's own hostname.
CREATE TABLE tenant_hostnames (
  tenant_id TEXT NOT NULL COLLATE NOCASE CHECK (length(tenant_id) BETWEEN 1 AND 16 AND tenant_id NOT GLOB '*[^A-Za-z0-9_-]*'),
  hostname TEXT NOT NULL CHECK (length(hostname) BETWEEN 1 AND 255 AND hostname NOT GLOB '*[^a-z0-9.-]*'),
  kind TEXT NOT NULL CHECK (kind IN ('alias', 'redirect')),
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  proof TEXT,                      -- the value of the TXT record that shows the owner (NULL: none was asked for)
  claimed_until TEXT,              -- the end of a claim that waits for its record, and that keeps nobody out (NULL: the tenant has the hostname)
  missing_since TEXT,              -- since when the record of a hostname that the tenant has is not found (NULL: it is found, or none was asked for)
  check_at TEXT,                   -- when to look the record up next (NULL: never)
  PRIMARY KEY (tenant_id, hostname)
) STRICT, WITHOUT ROWID;
-- A hostname belongs to one tenant. The statements that write see to it, and name who has it.
CREATE UNIQUE INDEX tenant_hostnames_taken ON tenant_hostnames (hostname) WHERE claimed_until IS NULL;
-- Find the claims that end, and the records to look up next.
CREATE INDEX tenant_hostnames_claimed ON tenant_hostnames (claimed_until) WHERE claimed_until IS NOT NULL;
CREATE INDEX tenant_hostnames_to_check ON tenant_hostnames (check_at) WHERE check_at IS NOT NULL;

-- No tenant's own hostname may be another's further one. The statements of the service refuse that themselves and name the holder. These triggers stop
-- a Worker that is older than the table: its whole batch fails.
CREATE TRIGGER tenant_created_on_free_hostname BEFORE INSERT ON tenants
WHEN EXISTS (SELECT 1 FROM tenant_hostnames WHERE hostname = NEW.hostname AND claimed_until IS NULL)
BEGIN
  SELECT RAISE(ABORT, 'the hostname is taken');
END;
CREATE TRIGGER tenant_moved_to_free_hostname BEFORE UPDATE OF hostname ON tenants
WHEN NEW.hostname <> OLD.hostname AND EXISTS (SELECT 1 FROM tenant_hostnames WHERE hostname = NEW.hostname AND tenant_id <> NEW.id AND claimed_until IS NULL)
BEGIN
  SELECT RAISE(ABORT, 'the hostname is taken');
END;
-- A tenant may make a further hostname of its own its main one.
CREATE TRIGGER tenant_hostname_promoted AFTER UPDATE OF hostname ON tenants
WHEN NEW.hostname <> OLD.hostname
BEGIN
  DELETE FROM tenant_hostnames WHERE tenant_id = NEW.id AND hostname = NEW.hostname;
END;
CREATE TRIGGER tenant_hostnames_deleted AFTER DELETE ON tenants
BEGIN
  DELETE FROM tenant_hostnames WHERE tenant_id = OLD.id;
END;

-- The audit log: who did what to which subject, when, in which request. It never holds a body. An entry shares the transaction of its change.
-- AUTOINCREMENT only ever counts up, so the newest id is also the revision of all tables above.
CREATE TABLE audit_log (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  key_id INTEGER,                  -- api_keys.id (NULL: an operator at the command line)
  -- NOT NULL also stops a whole transaction: see `entered` in store/audit.rs.
  action TEXT NOT NULL,            -- "tenant.create", "plan.update", "api_key.delete", …
  subject TEXT NOT NULL,           -- the identifier of the changed resource, in lower case
  request_id TEXT NOT NULL,
  created_at TEXT NOT NULL,
  operator TEXT,                   -- who ran the command (NULL: a caller, or a host that does not say)
  -- Of "tenant.delete": "tables_kept" or "tables_dropped" (NULL: there were none, or a Worker that is older than the column).
  -- Of the creation and the cancellation of a job: its kind. Of its end: its state.
  detail TEXT,
  -- Random, one for each write of the API (NULL: another author, or a Worker that is older than the column). Of a write in a session of the console it
  -- begins with the id of the session and a full stop.
  token TEXT,
  -- Of an edit: the names of the members that it changed, with a space between them, and never their values (NULL: no edit, or an entry that is
  -- older than the column).
  changed TEXT
) STRICT;

-- These find entries for a list. Each ends with the entry's id, which is the order of the list. The type of an entry's subject is its action up to
-- the full stop. Ids and times ascend together, so a time needs no index: it is found by halving.
CREATE INDEX audit_log_by_subject ON audit_log (subject);
CREATE INDEX audit_log_by_key ON audit_log (key_id);
CREATE INDEX audit_log_by_action ON audit_log (action);
CREATE INDEX audit_log_by_subject_type ON audit_log (substr(action, 1, instr(action, char(46)) - 1));

-- A write whose batch failed is tried again with the same token. So one that was committed all the same, or that is only late, is not made twice.
CREATE UNIQUE INDEX audit_log_by_token ON audit_log (token) WHERE token IS NOT NULL;

-- A trigger, and no statement of the service: a Worker that is older than `has_site`, which a deployment or a rollback leaves running, would not
-- run it, and a newer Worker would never count the site.
CREATE TRIGGER tenant_installed AFTER INSERT ON audit_log
WHEN NEW.action = 'tenant.install'
BEGIN
  UPDATE tenants SET has_site = 1, stats_turn_at = NULL WHERE id = NEW.subject AND cell_id IS NULL;
END;

-- A tenant whose tables are gone cannot be brought back, nor can an earlier one of its id, which had the same tables. The service marks their database
-- "to drop" itself; a Worker that is older than that, or than the databases, does not.
CREATE TRIGGER deleted_tenant_dropped AFTER INSERT ON audit_log
WHEN NEW.detail = 'tables_dropped' OR NEW.action = 'tenant.drop_tables'
BEGIN
  DELETE FROM deleted_tenants WHERE id = NEW.subject;
  UPDATE site_databases SET state = 1, number = number + 1 WHERE tenant_id = NEW.subject AND state > 0;
END;

-- Requests with an `Idempotency-Key` that were carried out. Each row comes with the write of its request, in one transaction, and has no effect
-- from `expires_at` on. The cron trigger deletes it some time later.
CREATE TABLE idempotency (
  key_id INTEGER NOT NULL,         -- api_keys.id of the caller
  key TEXT NOT NULL,               -- the header, without quotes
  fingerprint TEXT NOT NULL,       -- HMAC-SHA256 of the request, in hex: the same key with another request is refused
  answer TEXT NOT NULL,            -- JSON list of the values of the response that only the database knew; empty: the request was only begun
  secret TEXT,                     -- a secret that was generated for the response, encrypted (NULL: there is none)
  expires_at TEXT NOT NULL,
  job_id TEXT,                     -- cell_work.id of the job that the request waits for (NULL: it waits for none)
  tenant_id TEXT,                  -- the tenant that it wrote, or whose site, in lower case (NULL: it wrote none)
  PRIMARY KEY (key_id, key)
) STRICT, WITHOUT ROWID;

-- Finds the rows to forget when a job has failed.
CREATE INDEX idempotency_by_job ON idempotency (job_id) WHERE job_id IS NOT NULL;

-- Finds what an erasure of the tenant wipes.
CREATE INDEX idempotency_by_tenant ON idempotency (tenant_id) WHERE tenant_id IS NOT NULL;

-- Finds the secrets to encrypt again. The fingerprint covers the caller and the key, so it names one row.
CREATE UNIQUE INDEX idempotency_by_secret ON idempotency (fingerprint) WHERE secret IS NOT NULL;

-- One row. A restored backup begins a new epoch: the ids of the audit log start again from an older one, so a revision alone would name two
-- states. The epoch and the revision together name one state.
CREATE TABLE registry (
  id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  epoch TEXT NOT NULL CHECK (length(epoch) = 16 AND epoch NOT GLOB '*[^0-9a-f]*'),
  -- The last sweep of the table `idempotency`: its time, and the last row that it looked at (NULL: the end of the table).
  swept_at TEXT,
  swept_key_id INTEGER,
  swept_key TEXT,
  upkeep_at TEXT                   -- the last run of the cron trigger that did all its work, not only that of each minute
) STRICT;

INSERT INTO registry (id, epoch) VALUES (1, lower(hex(randomblob(8))));

-- Rows of `idempotency` have no index by their expiry, which each write would have to keep. A sweep looks at the next 2,000 rows, and begins again
-- after the last one. The statement moves on first, and the trigger deletes what has expired of the rows that it passed.
CREATE TRIGGER idempotency_swept AFTER UPDATE OF swept_at ON registry
BEGIN
  DELETE FROM idempotency WHERE expires_at <= NEW.swept_at AND (key_id, key) IN (
    SELECT key_id, key FROM idempotency
    WHERE (key_id, key) <= (coalesce(NEW.swept_key_id, 9223372036854775807), coalesce(NEW.swept_key, '')) ORDER BY key_id DESC, key DESC LIMIT 2000);
END;

-- Cells: one Chevereto installation each. Its agent asks what changed, and which work waits (docs/API.md §15).
CREATE TABLE cells (
  id TEXT NOT NULL PRIMARY KEY COLLATE NOCASE,
  name TEXT,
  service_name TEXT,               -- Traefik's service for the tenants of the cell (NULL: the default one)
  service_port INTEGER,
  is_accepting INTEGER NOT NULL DEFAULT 1 CHECK (is_accepting IN (0, 1)),
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  agent TEXT,                      -- the agent's name for itself
  agent_version TEXT,
  last_seen_at TEXT,               -- written once a minute
  -- The agent has applied the rows of cell_feed up to this one.
  seen_revision INTEGER NOT NULL DEFAULT 0,
  seen_id TEXT NOT NULL DEFAULT '',
  forgotten_revision INTEGER NOT NULL DEFAULT 0 -- marks up to this revision may be missing from cell_feed
) STRICT;

-- One row, which counts the revisions of all cells. A revision is never given twice.
CREATE TABLE feed_clock (
  id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  revision INTEGER NOT NULL
) STRICT;
INSERT INTO feed_clock (id, revision) VALUES (1, 0);

-- The newest revision of each tenant that a cell has or had. Every change of what a cell sees of a tenant gives it another one. The triggers do
-- that, and no statement of the service, so a Worker that is older than the table moves it, too. A cell tells ids apart by their case.
CREATE TABLE cell_feed (
  cell_id TEXT NOT NULL COLLATE NOCASE,
  tenant_id TEXT NOT NULL,
  revision INTEGER NOT NULL,
  is_gone INTEGER NOT NULL DEFAULT 0 CHECK (is_gone IN (0, 1)), -- 1: a mark that the tenant was deleted or left the cell
  PRIMARY KEY (cell_id, tenant_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX cell_feed_by_revision ON cell_feed (cell_id, revision, tenant_id);
-- Finds the marks to prune.
CREATE INDEX cell_feed_marks ON cell_feed (revision) WHERE is_gone = 1;

-- The newest revision at the first run of the cron trigger on a day. It tells the age of marks.
CREATE TABLE feed_days (
  day TEXT NOT NULL PRIMARY KEY,   -- YYYY-MM-DD
  revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Sites of deleted tenants whose tables a cell still has. The id keeps its spelling.
CREATE TABLE kept_sites (
  tenant_id TEXT NOT NULL PRIMARY KEY COLLATE NOCASE,
  cell_id TEXT NOT NULL COLLATE NOCASE,
  job_id TEXT,                     -- cell_work.id of the unfinished job that drops the tables
  -- 0: no installation is known of. 1: it was installed. 2: its installation failed, or was cut off. A new tenant of the id begins with that.
  state INTEGER NOT NULL DEFAULT 1 CHECK (state IN (0, 1, 2))
) STRICT, WITHOUT ROWID;
CREATE INDEX kept_sites_by_cell ON kept_sites (cell_id);

-- The databases of tenants' sites, if each site has its own (docs/API.md §8). A row stays when its tenant is gone.
CREATE TABLE site_databases (
  tenant_id TEXT NOT NULL PRIMARY KEY COLLATE NOCASE, -- in lower case
  -- Each write of the site gets the next one, which is at least the time in seconds since 1970: a backup that is restored gives none again. The
  -- database keeps the newest one that it has seen, and refuses older ones.
  number INTEGER NOT NULL,
  -- 0: dropped, 1: to drop, 2: being installed, 3: installed, 4: the registry's tables are copied into it, 5: it is copied into the registry's tables
  state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 5),
  -- The number of the last order to move the site. Anything that the new place has from before is dropped first: a database that has seen no number from
  -- this one on, and tables until this is NULL again.
  ordered INTEGER
) STRICT, WITHOUT ROWID;
-- Finds the writes that were cut off.
CREATE INDEX site_databases_cut_off ON site_databases (number) WHERE state IN (1, 2);
-- Finds the sites to move.
CREATE INDEX site_databases_moving ON site_databases (number) WHERE state > 3;
CREATE TRIGGER site_database_created AFTER INSERT ON site_databases
BEGIN
  UPDATE tenants SET site_state = 'installing' WHERE id = NEW.tenant_id AND cell_id IS NULL AND NEW.state = 2;
END;
-- A site that is to be dropped keeps its id taken, as one that a cell has kept. No cell has the id ''.
CREATE TRIGGER site_database_changed AFTER UPDATE OF state ON site_databases
WHEN NEW.state <> OLD.state OR NEW.state = 2
BEGIN
  UPDATE tenants SET site_state = iif(NEW.state = 2, 'installing', NULL) WHERE id = NEW.tenant_id AND cell_id IS NULL;
  INSERT OR IGNORE INTO kept_sites (tenant_id, cell_id) SELECT NEW.tenant_id, '' WHERE NEW.state = 1;
  DELETE FROM kept_sites WHERE tenant_id = NEW.tenant_id AND cell_id = '' AND NEW.state <> 1;
END;
-- An installation that is under way when its tenant is deleted ends, and its database is to be dropped. Its number is no longer the newest, so it never
-- belongs to a later tenant with the id, and until it is dropped there is none.
CREATE TRIGGER site_database_abandoned AFTER DELETE ON tenants
BEGIN
  UPDATE site_databases SET state = 1, number = number + 1 WHERE tenant_id = OLD.id AND state = 2;
END;
-- Triggers, and no statements of the service: a Worker that is older than the column may order a move.
CREATE TRIGGER site_move_ordered_first AFTER INSERT ON site_databases
WHEN NEW.state > 3
BEGIN
  UPDATE site_databases SET ordered = NEW.number WHERE tenant_id = NEW.tenant_id;
END;
CREATE TRIGGER site_move_ordered AFTER UPDATE OF state ON site_databases
WHEN NEW.state > 3 AND NEW.state <> OLD.state
BEGIN
  UPDATE site_databases SET ordered = NEW.number WHERE tenant_id = NEW.tenant_id;
END;

-- Jobs of cells.
CREATE TABLE cell_work (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of the jobs
  id TEXT NOT NULL UNIQUE,
  tenant_id TEXT NOT NULL COLLATE NOCASE, -- tenants.id, spelled as there
  cell_id TEXT NOT NULL COLLATE NOCASE,
  kind TEXT NOT NULL CHECK (kind IN ('install', 'password_reset', 'drop')),
  state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'refused', 'failed', 'cancelled')),
  input TEXT,                      -- encrypted JSON object (NULL: none, or wiped)
  is_generated INTEGER NOT NULL DEFAULT 0 CHECK (is_generated IN (0, 1)), -- 1: the service made the password in `input`
  site_before TEXT,                -- tenants.site_state before an installation
  after_revision INTEGER NOT NULL DEFAULT 0, -- the job waits until the agent has applied this revision
  attempts INTEGER NOT NULL DEFAULT 0,
  lease TEXT,                      -- the token of the last lease (NULL: nobody has leased it, or it failed without an agent's word)
  lease_until TEXT,
  created_at TEXT NOT NULL,
  started_at TEXT,
  finished_at TEXT,
  expires_at TEXT NOT NULL,
  wipe_at TEXT,                    -- an unfinished job has then failed, and `input` is wiped
  error TEXT
) STRICT;
CREATE UNIQUE INDEX cell_work_unfinished ON cell_work (tenant_id, kind) WHERE finished_at IS NULL;
CREATE INDEX cell_work_waiting ON cell_work (cell_id, seq) WHERE finished_at IS NULL;
CREATE INDEX cell_work_to_wipe ON cell_work (wipe_at) WHERE wipe_at IS NOT NULL;
CREATE INDEX cell_work_by_tenant ON cell_work (tenant_id, seq);
CREATE INDEX cell_work_by_state ON cell_work (state);
CREATE INDEX cell_work_leased ON cell_work (lease_until) WHERE lease_until IS NOT NULL;

-- A cell of this id may have been there before, and its marks are gone with it. An agent that followed it begins again.
CREATE TRIGGER cell_created AFTER INSERT ON cells
BEGIN
  UPDATE cells SET forgotten_revision = (SELECT revision FROM feed_clock WHERE id = 1) WHERE id = NEW.id;
END;

CREATE TRIGGER cell_tenant_created AFTER INSERT ON tenants
WHEN NEW.cell_id IS NOT NULL
BEGIN
  UPDATE feed_clock SET revision = revision + 1 WHERE id = 1;
  INSERT INTO cell_feed (cell_id, tenant_id, revision) SELECT NEW.cell_id, NEW.id, revision FROM feed_clock WHERE id = 1
    ON CONFLICT (cell_id, tenant_id) DO UPDATE SET revision = excluded.revision, is_gone = 0;
  DELETE FROM kept_sites WHERE tenant_id = NEW.id;
END;
CREATE TRIGGER cell_tenant_edited AFTER UPDATE OF hostname, is_enabled, plan_id, limits, env, cell_id, updated_at, holds ON tenants
WHEN (NEW.cell_id IS NOT NULL OR OLD.cell_id IS NOT NULL)
  AND (NEW.hostname, NEW.is_enabled, NEW.plan_id, NEW.limits, NEW.env, NEW.cell_id, NEW.updated_at, NEW.holds)
    IS NOT (OLD.hostname, OLD.is_enabled, OLD.plan_id, OLD.limits, OLD.env, OLD.cell_id, OLD.updated_at, OLD.holds)
BEGIN
  UPDATE feed_clock SET revision = revision + 1 WHERE id = 1;
  UPDATE cell_feed SET revision = (SELECT revision FROM feed_clock WHERE id = 1), is_gone = 1
    WHERE cell_id = OLD.cell_id AND tenant_id = OLD.id AND NEW.cell_id IS NOT OLD.cell_id;
  INSERT INTO cell_feed (cell_id, tenant_id, revision) SELECT NEW.cell_id, NEW.id, revision FROM feed_clock WHERE id = 1 AND NEW.cell_id IS NOT NULL
    ON CONFLICT (cell_id, tenant_id) DO UPDATE SET revision = excluded.revision, is_gone = 0;
END;
-- A mark keeps the tables of a site, unless a job drops them (`drop_at_cell`). An installation that runs may still make some. One that no agent has begun makes
-- none: its job is cancelled.
CREATE TRIGGER cell_tenant_deleted AFTER DELETE ON tenants
WHEN OLD.cell_id IS NOT NULL
BEGIN
  UPDATE feed_clock SET revision = revision + 1 WHERE id = 1;
  UPDATE cell_feed SET revision = (SELECT revision FROM feed_clock WHERE id = 1), is_gone = 1
    WHERE cell_id = OLD.cell_id AND tenant_id = OLD.id;
  INSERT INTO kept_sites (tenant_id, cell_id, state) SELECT OLD.id, OLD.cell_id, iif(OLD.site_state = 'installed', 1, 2)
    WHERE OLD.site_state IS NOT NULL AND NOT (OLD.site_state = 'installing' AND EXISTS (SELECT 1 FROM cell_work
      WHERE id = OLD.site_job_id AND state = 'waiting' AND attempts = 0 AND site_before IS NULL))
    ON CONFLICT (tenant_id) DO UPDATE SET cell_id = excluded.cell_id, state = excluded.state;
  -- Its jobs are cancelled in the request that deleted it, whose entry is the newest one.
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, detail)
    SELECT a.key_id, 'job.cancel', w.id, a.request_id, a.created_at, w.kind FROM audit_log AS a CROSS JOIN cell_work AS w
    WHERE a.id = (SELECT max(id) FROM audit_log) AND a.action = 'tenant.delete' AND a.subject = lower(OLD.id)
      AND w.tenant_id = OLD.id AND w.finished_at IS NULL AND w.state = 'waiting';
  UPDATE cell_work SET state = 'cancelled', finished_at = datetime('now'), input = NULL, wipe_at = NULL
    WHERE tenant_id = OLD.id AND finished_at IS NULL AND state = 'waiting';
END;
CREATE TRIGGER cell_plan_edited AFTER UPDATE OF limits, env ON tenants_plans
WHEN (NEW.limits, NEW.env) IS NOT (OLD.limits, OLD.env) AND (SELECT revision FROM feed_clock WHERE id = 1) > 0
BEGIN
  UPDATE feed_clock SET revision = revision + 1 WHERE id = 1;
  UPDATE cell_feed SET revision = (SELECT revision FROM feed_clock WHERE id = 1)
    WHERE (cell_id, tenant_id) IN (SELECT cell_id, id FROM tenants WHERE plan_id = NEW.id AND cell_id IS NOT NULL);
END;

-- A cell's site answers at its tenant's aliases, too.
CREATE TRIGGER cell_hostname_added AFTER INSERT ON tenant_hostnames
WHEN EXISTS (SELECT 1 FROM tenants WHERE id = NEW.tenant_id AND cell_id IS NOT NULL)
BEGIN
  UPDATE feed_clock SET revision = revision + 1 WHERE id = 1;
  UPDATE cell_feed SET revision = (SELECT revision FROM feed_clock WHERE id = 1) WHERE cell_id = (SELECT cell_id FROM tenants WHERE id = NEW.tenant_id)
    AND tenant_id = (SELECT id FROM tenants WHERE id = NEW.tenant_id);
END;
CREATE TRIGGER cell_hostname_edited AFTER UPDATE ON tenant_hostnames
WHEN (NEW.kind, NEW.claimed_until IS NULL) IS NOT (OLD.kind, OLD.claimed_until IS NULL) AND EXISTS (SELECT 1 FROM tenants WHERE id = NEW.tenant_id AND cell_id IS NOT NULL)
BEGIN
  UPDATE feed_clock SET revision = revision + 1 WHERE id = 1;
  UPDATE cell_feed SET revision = (SELECT revision FROM feed_clock WHERE id = 1) WHERE cell_id = (SELECT cell_id FROM tenants WHERE id = NEW.tenant_id)
    AND tenant_id = (SELECT id FROM tenants WHERE id = NEW.tenant_id);
END;
CREATE TRIGGER cell_hostname_deleted AFTER DELETE ON tenant_hostnames
WHEN EXISTS (SELECT 1 FROM tenants WHERE id = OLD.tenant_id AND cell_id IS NOT NULL)
BEGIN
  UPDATE feed_clock SET revision = revision + 1 WHERE id = 1;
  UPDATE cell_feed SET revision = (SELECT revision FROM feed_clock WHERE id = 1) WHERE cell_id = (SELECT cell_id FROM tenants WHERE id = OLD.tenant_id)
    AND tenant_id = (SELECT id FROM tenants WHERE id = OLD.tenant_id);
END;

-- What a job's state says about its tenant's site. A site that refuses an installation is installed already.
CREATE TRIGGER cell_work_created AFTER INSERT ON cell_work
WHEN NEW.kind = 'install'
BEGIN
  UPDATE tenants SET site_state = 'installing', site_job_id = NEW.id WHERE id = NEW.tenant_id;
END;
CREATE TRIGGER cell_work_ended AFTER UPDATE OF state ON cell_work
WHEN NEW.finished_at IS NOT NULL AND OLD.finished_at IS NULL
BEGIN
  UPDATE tenants
    SET site_state = iif(NEW.state IN ('done', 'refused'), 'installed', iif(NEW.attempts = 0, NEW.site_before, 'failed'))
    WHERE id = NEW.tenant_id AND NEW.kind = 'install' AND site_job_id = NEW.id;
  DELETE FROM kept_sites WHERE tenant_id = NEW.tenant_id AND job_id = NEW.id AND NEW.state = 'done';
  UPDATE kept_sites SET job_id = NULL WHERE tenant_id = NEW.tenant_id AND job_id = NEW.id;
  -- The same request makes another job.
  DELETE FROM idempotency WHERE job_id = NEW.id AND NEW.state IN ('failed', 'cancelled');
  -- A job that its agent ended has the token of a lease, and an entry of the agent's request. This one is past its time, or was leased too often.
  INSERT INTO audit_log (action, subject, request_id, created_at, detail)
    SELECT 'job.finish', NEW.id, 'cron-' || lower(hex(randomblob(8))), NEW.finished_at, NEW.state WHERE NEW.state = 'failed' AND NEW.lease IS NULL;
END;

-- Sessions of people at the console (contract §20). A row stays after its session has ended, until the cron trigger deletes it, since no other session may begin
-- with its nonce. It has the digest of the token that the browser has, and never the token.
CREATE TABLE console_sessions (
  id TEXT NOT NULL PRIMARY KEY,    -- the first 16 digits of the digest, which name the session
  digest TEXT NOT NULL,            -- SHA-256 of the token in hex
  key_id INTEGER NOT NULL,         -- api_keys.id of the key that the session stands for
  key_digest TEXT NOT NULL,        -- api_keys.digest of that time: with another one, after a rotation, the session has ended
  nonce TEXT NOT NULL,             -- of the signature with which it began
  scopes TEXT NOT NULL,            -- as in api_keys: those of the key, or fewer
  permits INTEGER NOT NULL,        -- as in api_keys
  created_at TEXT NOT NULL,
  last_used_at TEXT NOT NULL,      -- to the minute or so
  idle_until TEXT NOT NULL,        -- first second in which the session is over, unless it is used
  expires_at TEXT NOT NULL,        -- first second in which the session is over
  ended_at TEXT                    -- when somebody ended it (NULL: nobody did)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX console_sessions_by_nonce ON console_sessions (key_id, nonce);
CREATE INDEX console_sessions_by_expiry ON console_sessions (expires_at);

-- A nonce is needed until its signature is good no longer, which is two hours at most after it came: the host's clock and the caller's may be an hour
-- apart. A session that ends with its key may be over sooner.
CREATE TRIGGER console_sessions_swept AFTER UPDATE OF swept_at ON registry
BEGIN
  DELETE FROM console_sessions WHERE id IN (SELECT id FROM console_sessions WHERE expires_at <= NEW.swept_at AND created_at <= datetime(NEW.swept_at, '-2 hours') ORDER BY expires_at LIMIT 500);
END;

-- Webhooks: receivers of events. The events themselves are entries of the audit log.
CREATE TABLE webhooks (
  id TEXT NOT NULL PRIMARY KEY,    -- 32 hexadecimal digits
  url TEXT NOT NULL,
  types TEXT NOT NULL,             -- JSON list of types of events and of families such as "tenant.*" (empty: all)
  description TEXT,
  is_enabled INTEGER NOT NULL CHECK (is_enabled IN (0, 1)),
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  -- audit_log.id of the last entry that was looked at. What the receiver has not accepted up to there is in `webhook_behind`.
  cursor INTEGER NOT NULL,
  failing_since TEXT,              -- the first refusal since the receiver accepted anything (NULL: none)
  lease TEXT,                      -- random, of the run that sends now (NULL: none does)
  lease_until TEXT,                -- another run may begin then
  served_at TEXT                   -- the beginning of the last run
) STRICT;
CREATE UNIQUE INDEX webhooks_by_lease ON webhooks (lease) WHERE lease IS NOT NULL;

-- The secrets that sign, the newest one and the one before it while that is still valid.
CREATE TABLE webhook_secrets (
  id TEXT NOT NULL PRIMARY KEY,    -- 32 hexadecimal digits
  webhook_id TEXT NOT NULL,        -- webhooks.id
  secret TEXT NOT NULL,            -- encrypted "whsec_…"
  valid_until TEXT                 -- NULL: the newest one
) STRICT;
CREATE INDEX webhook_secrets_by_webhook ON webhook_secrets (webhook_id);

-- The subjects with an event that a receiver has not accepted yet, the oldest such event of each. Later events of the subject wait for it.
CREATE TABLE webhook_behind (
  webhook_id TEXT NOT NULL,
  subject_type TEXT NOT NULL,
  subject TEXT NOT NULL,
  entry_id INTEGER NOT NULL,       -- audit_log.id
  attempts INTEGER NOT NULL,
  next_at TEXT NOT NULL,           -- when to try again
  PRIMARY KEY (webhook_id, subject_type, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_behind_due ON webhook_behind (webhook_id, next_at);

-- Each attempt of the last 30 days.
CREATE TABLE webhook_deliveries (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  webhook_id TEXT NOT NULL,
  entry_id INTEGER NOT NULL,       -- audit_log.id
  type TEXT NOT NULL,              -- of the event
  subject TEXT NOT NULL,
  at TEXT NOT NULL,
  outcome INTEGER NOT NULL CHECK (outcome IN (0, 1, 2)), -- 0: refused, 1: accepted, 2: refused and given up
  status INTEGER,                  -- of the answer (NULL: there was none)
  milliseconds INTEGER NOT NULL,
  answer TEXT NOT NULL             -- the beginning of the answer, or why there was none
) STRICT;
CREATE INDEX webhook_deliveries_by_webhook ON webhook_deliveries (webhook_id, id);
CREATE INDEX webhook_deliveries_given_up ON webhook_deliveries (id) WHERE outcome = 2;

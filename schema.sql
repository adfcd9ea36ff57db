-- The registry: all tables of the service itself. `migrations/` has the steps to this schema, and a test compares the two.
--
-- Times are UTC, "YYYY-MM-DD HH:MM:SS". Identifiers compare without regard to ASCII case (NOCASE) and keep the case they came in.
-- No name here ends in `_` and the name of a table that tenants have, so no tenant id can lead to one of these tables.

-- API keys. AUTOINCREMENT never gives an id twice, not even after its row is gone.
CREATE TABLE api_keys (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT,
  -- SHA-256 of the whole key in hex, since the key itself is never stored. It is in lower case if the key has every scope and is not bound.
  -- Other keys have it in upper case: releases that know neither scopes nor bound keys compare it exactly, and so refuse them.
  digest TEXT NOT NULL,
  created_at TEXT NOT NULL,
  expires_at TEXT,                 -- first second in which the key is no longer valid (NULL: it never expires)
  deleted_at TEXT,                 -- a deleted key keeps its row, so that audit entries can still name it
  scopes TEXT NOT NULL DEFAULT '*', -- what the key may do: names with a space between them
  permits INTEGER NOT NULL DEFAULT -1, -- the bits of all that `scopes` permit (value/scope.rs), for a fast check
  is_bound INTEGER NOT NULL DEFAULT 0 CHECK (is_bound IN (0, 1)), -- 1: the key signs each request as a whole
  previous_digest TEXT,            -- the digest before the last rotation, valid until `previous_until`
  previous_until TEXT,             -- first second in which the previous digest is no longer valid
  last_used_at TEXT                -- the hour of the last use (NULL: never, or before there was this column)
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
  revision INTEGER NOT NULL DEFAULT 0
) STRICT;

-- These find tenants for a list that filters or sorts. Each ends with the id, which is a list's order among equals. The first one also finds
-- the tenants of a plan when it is deleted. The second one also has the hostname, so that Traefik's configuration is read from it alone: the
-- rows themselves, with their `env`, take fifty times the room.
CREATE INDEX tenants_by_plan ON tenants (plan_id, id);
CREATE INDEX tenants_by_enabled ON tenants (is_enabled, id, hostname);
CREATE INDEX tenants_by_creation ON tenants (created_at, id);
CREATE INDEX tenants_by_update ON tenants (updated_at, id);
CREATE UNIQUE INDEX tenants_by_external_id ON tenants (external_id) WHERE external_id IS NOT NULL;

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

-- The audit log: who did what to which subject, when, in which request. It never holds a body. An entry shares the transaction of its change.
-- AUTOINCREMENT only ever counts up, so the newest id is also the revision of all tables above.
CREATE TABLE audit_log (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  key_id INTEGER,                  -- api_keys.id (NULL: an operator at the command line)
  -- NOT NULL also stops a whole transaction: see `entered` in store/audit.rs.
  action TEXT NOT NULL,            -- "tenant.create", "plan.update", "api_key.delete", …
  subject TEXT NOT NULL,           -- the identifier of the changed resource
  request_id TEXT NOT NULL,
  created_at TEXT NOT NULL,
  operator TEXT,                   -- who ran the command (NULL: a caller, or a host that does not say)
  -- Of "tenant.delete": "tables_kept" or "tables_dropped" (NULL: there were none, or a Worker that is older than the column).
  detail TEXT,
  token TEXT                       -- random, one for each write of the API (NULL: another author, or a Worker that is older than the column)
) STRICT;

-- Finds the history of a tenant, a plan or a key. Ids and times ascend together, so a time alone needs no index.
CREATE INDEX audit_log_by_subject ON audit_log (subject, created_at);

-- A write whose batch failed is tried again with the same token. So one that was committed all the same, or that is only late, is not made twice.
CREATE UNIQUE INDEX audit_log_by_token ON audit_log (token) WHERE token IS NOT NULL;

-- A trigger, and no statement of the service: a Worker that is older than `has_site`, which a deployment or a rollback leaves running, would not
-- run it, and a newer Worker would never count the site.
CREATE TRIGGER tenant_installed AFTER INSERT ON audit_log
WHEN NEW.action = 'tenant.install'
BEGIN
  UPDATE tenants SET has_site = 1, stats_turn_at = NULL WHERE id = NEW.subject;
END;

-- Requests with an `Idempotency-Key` that were carried out. Each row comes with the write of its request, in one transaction, and has no effect
-- from `expires_at` on. The cron trigger deletes it some time later.
CREATE TABLE idempotency (
  key_id INTEGER NOT NULL,         -- api_keys.id of the caller
  key TEXT NOT NULL,               -- the header, without quotes
  fingerprint TEXT NOT NULL,       -- HMAC-SHA256 of the request, in hex: the same key with another request is refused
  answer TEXT NOT NULL,            -- JSON list of the values of the response that only the database knew
  secret TEXT,                     -- a secret that was generated for the response, encrypted (NULL: there is none)
  expires_at TEXT NOT NULL,
  PRIMARY KEY (key_id, key)
) STRICT, WITHOUT ROWID;

-- Finds the rows to delete.
CREATE INDEX idempotency_by_expiry ON idempotency (expires_at);

-- Finds the secrets to encrypt again. The fingerprint covers the caller and the key, so it names one row.
CREATE UNIQUE INDEX idempotency_by_secret ON idempotency (fingerprint) WHERE secret IS NOT NULL;

-- One row. A restored backup begins a new epoch: the ids of the audit log start again from an older one, so a revision alone would name two
-- states. The epoch and the revision together name one state.
CREATE TABLE registry (
  id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  epoch TEXT NOT NULL CHECK (length(epoch) = 16 AND epoch NOT GLOB '*[^0-9a-f]*')
) STRICT;

INSERT INTO registry (id, epoch) VALUES (1, lower(hex(randomblob(8))));

-- The writes of the API, one statement each. A write inserts a row into one of these views. The row holds the new values, the caller and the
-- request (key_id, request_id, now), and the obstacles that the statement found. If there is no obstacle, the trigger carries out the
-- write and adds its audit entry. RETURNING answers the obstacles.
-- INVARIANT: no write happens without its audit entry, and none happens if the key of the caller is not valid.
-- `precondition_fails`: the row has none of the revisions that the request wants. `is_trial`: the request only asks whether it could be
-- carried out. A Worker that is older than these two columns leaves them NULL, and writes.
-- The audit entry comes first, since its id is the row's new revision.
-- `is_done`: the log has the write's token, because an earlier try of the same request was committed. A Worker that is older than the token leaves
-- both columns NULL.
-- `sets_…` says whether to set a column, which may be to NULL. If `hostname`, `is_enabled` or `name` is NULL, the column keeps its value.

-- `site_is_there`: the tables of a deleted tenant with this id still exist. The new tenant gets them only if `may_adopt`. A Worker that is
-- older than these two columns leaves both NULL, and creates its tenant. The same holds for `external_id_is_taken`, `external_id` and `labels`.
CREATE VIEW create_tenant (
  key_id, request_id, now, key_stands, id_is_there, hostname_is_taken, plan_is_there, site_is_there, may_adopt, id, hostname, is_enabled,
  plan_id, limits, env, external_id_is_taken, external_id, labels, is_trial, token, is_done
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER create_tenant_done INSTEAD OF INSERT ON create_tenant
WHEN NEW.key_stands AND NOT NEW.id_is_there AND NOT NEW.hostname_is_taken AND NEW.plan_is_there
  AND (NEW.site_is_there IS NOT 1 OR NEW.may_adopt) AND NEW.external_id_is_taken IS NOT 1 AND NEW.is_trial IS NOT 1 AND NEW.is_done IS NOT 1
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token)
    VALUES (NEW.key_id, 'tenant.create', lower(NEW.id), NEW.request_id, NEW.now, NEW.token);
  INSERT INTO tenants (id, hostname, is_enabled, plan_id, limits, env, created_at, updated_at, has_site, external_id, labels, revision)
    VALUES (NEW.id, NEW.hostname, NEW.is_enabled, NEW.plan_id, NEW.limits, NEW.env, NEW.now, NEW.now, coalesce(NEW.site_is_there, 1),
      NEW.external_id, coalesce(NEW.labels, '{}'), last_insert_rowid());
END;

-- `labels_fit`: there are not too many of them. `labels` is all of them, after the change.
CREATE VIEW edit_tenant (
  key_id, request_id, now, key_stands, id_is_there, hostname_is_taken, plan_is_there, id, hostname, is_enabled, sets_plan_id, plan_id,
  sets_limits, limits, sets_env, env, external_id_is_taken, labels_fit, sets_external_id, external_id, sets_labels, labels,
  precondition_fails, is_trial, token, is_done
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER edit_tenant_done INSTEAD OF INSERT ON edit_tenant
WHEN NEW.key_stands AND NEW.id_is_there AND NOT NEW.hostname_is_taken AND NEW.plan_is_there AND NEW.external_id_is_taken IS NOT 1
  AND NEW.labels_fit IS NOT 0 AND NEW.precondition_fails IS NOT 1 AND NEW.is_trial IS NOT 1 AND NEW.is_done IS NOT 1
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token)
    VALUES (NEW.key_id, 'tenant.update', lower(NEW.id), NEW.request_id, NEW.now, NEW.token);
  UPDATE tenants SET
    hostname = coalesce(NEW.hostname, hostname),
    is_enabled = coalesce(NEW.is_enabled, is_enabled),
    plan_id = iif(NEW.sets_plan_id, NEW.plan_id, plan_id),
    limits = iif(NEW.sets_limits, NEW.limits, limits),
    env = iif(NEW.sets_env, NEW.env, env),
    external_id = iif(NEW.sets_external_id, NEW.external_id, external_id),
    labels = iif(NEW.sets_labels, coalesce(NEW.labels, '{}'), labels),
    updated_at = NEW.now,
    revision = last_insert_rowid()
    WHERE id = NEW.id;
END;

-- `site_is_there`: the tables of the tenant exist, and stay. A Worker that is older than the column leaves it NULL.
CREATE VIEW delete_tenant (
  key_id, request_id, now, key_stands, id_is_there, site_is_there, id, precondition_fails, is_trial, token, is_done
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER delete_tenant_done INSTEAD OF INSERT ON delete_tenant
WHEN NEW.key_stands AND NEW.id_is_there AND NEW.precondition_fails IS NOT 1 AND NEW.is_trial IS NOT 1 AND NEW.is_done IS NOT 1
BEGIN
  DELETE FROM tenants WHERE id = NEW.id;
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token, detail)
    VALUES (NEW.key_id, 'tenant.delete', lower(NEW.id), NEW.request_id, NEW.now, NEW.token, iif(NEW.site_is_there, 'tables_kept', NULL));
END;

CREATE VIEW create_plan (
  key_id, request_id, now, key_stands, id_is_there, id, name, description, limits, env, external_id_is_taken, external_id, labels, is_trial,
  token, is_done
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER create_plan_done INSTEAD OF INSERT ON create_plan
WHEN NEW.key_stands AND NOT NEW.id_is_there AND NEW.external_id_is_taken IS NOT 1 AND NEW.is_trial IS NOT 1 AND NEW.is_done IS NOT 1
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token)
    VALUES (NEW.key_id, 'plan.create', lower(NEW.id), NEW.request_id, NEW.now, NEW.token);
  INSERT INTO tenants_plans (id, name, description, limits, env, created_at, updated_at, external_id, labels, revision)
    VALUES (NEW.id, NEW.name, NEW.description, NEW.limits, NEW.env, NEW.now, NEW.now, NEW.external_id, coalesce(NEW.labels, '{}'), last_insert_rowid());
END;

CREATE VIEW edit_plan (
  key_id, request_id, now, key_stands, id_is_there, id, name, sets_description, description, sets_limits, limits, sets_env, env,
  external_id_is_taken, labels_fit, sets_external_id, external_id, sets_labels, labels, precondition_fails, is_trial, token, is_done
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER edit_plan_done INSTEAD OF INSERT ON edit_plan
WHEN NEW.key_stands AND NEW.id_is_there AND NEW.external_id_is_taken IS NOT 1 AND NEW.labels_fit IS NOT 0
  AND NEW.precondition_fails IS NOT 1 AND NEW.is_trial IS NOT 1 AND NEW.is_done IS NOT 1
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token)
    VALUES (NEW.key_id, 'plan.update', lower(NEW.id), NEW.request_id, NEW.now, NEW.token);
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
  key_id, request_id, now, key_stands, id_is_there, id, precondition_fails, is_trial, token, is_done
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER delete_plan_done INSTEAD OF INSERT ON delete_plan
WHEN NEW.key_stands AND NEW.id_is_there AND NEW.precondition_fails IS NOT 1 AND NEW.is_trial IS NOT 1 AND NEW.is_done IS NOT 1
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token)
    VALUES (NEW.key_id, 'plan.delete', lower(NEW.id), NEW.request_id, NEW.now, NEW.token);
  -- The foreign key says the same, but not every SQLite enforces it.
  UPDATE tenants SET plan_id = NULL, revision = last_insert_rowid() WHERE plan_id = NEW.id;
  DELETE FROM tenants_plans WHERE id = NEW.id;
END;

-- The writes of API keys. `exceeds_own`: the key is or would be valid for longer than the caller's own.
CREATE VIEW create_key (
  key_id, request_id, now, key_stands, exceeds_own, id_is_given, id, name, digest, scopes, permits, expires_at, token, is_done
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER create_key_done INSTEAD OF INSERT ON create_key
WHEN NEW.key_stands AND NOT NEW.exceeds_own AND NOT NEW.id_is_given AND NOT NEW.is_done
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token) VALUES (NEW.key_id, 'api_key.create', NEW.id, NEW.request_id, NEW.now, NEW.token);
  INSERT INTO api_keys (id, name, digest, scopes, permits, created_at, expires_at) VALUES (NEW.id, NEW.name, NEW.digest, NEW.scopes, NEW.permits, NEW.now, NEW.expires_at);
END;

CREATE VIEW edit_key (
  key_id, request_id, now, key_stands, exceeds_own, id_is_there, id, sets_name, name, sets_expires_at, expires_at, token, is_done
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER edit_key_done INSTEAD OF INSERT ON edit_key
WHEN NEW.key_stands AND NOT NEW.exceeds_own AND NEW.id_is_there AND NOT NEW.is_done
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token) VALUES (NEW.key_id, 'api_key.update', NEW.id, NEW.request_id, NEW.now, NEW.token);
  UPDATE api_keys SET name = iif(NEW.sets_name, NEW.name, name), expires_at = iif(NEW.sets_expires_at, NEW.expires_at, expires_at) WHERE id = NEW.id;
END;

CREATE VIEW delete_key (
  key_id, request_id, now, key_stands, exceeds_own, id_is_there, id, token, is_done
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER delete_key_done INSTEAD OF INSERT ON delete_key
WHEN NEW.key_stands AND NOT NEW.exceeds_own AND NEW.id_is_there AND NOT NEW.is_done
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token) VALUES (NEW.key_id, 'api_key.delete', NEW.id, NEW.request_id, NEW.now, NEW.token);
  UPDATE api_keys SET deleted_at = NEW.now WHERE id = NEW.id;
END;

CREATE VIEW rotate_key (
  key_id, request_id, now, key_stands, exceeds_own, id_is_there, id, digest, previous_until, token, is_done
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER rotate_key_done INSTEAD OF INSERT ON rotate_key
WHEN NEW.key_stands AND NOT NEW.exceeds_own AND NEW.id_is_there AND NOT NEW.is_done
BEGIN
  INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token) VALUES (NEW.key_id, 'api_key.rotate', NEW.id, NEW.request_id, NEW.now, NEW.token);
  UPDATE api_keys SET previous_digest = digest, previous_until = NEW.previous_until, digest = NEW.digest WHERE id = NEW.id;
END;

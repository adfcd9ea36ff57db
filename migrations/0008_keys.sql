-- Scopes, rotation and use of API keys. schema.sql explains the columns.

ALTER TABLE api_keys ADD COLUMN scopes TEXT NOT NULL DEFAULT '*';
ALTER TABLE api_keys ADD COLUMN permits INTEGER NOT NULL DEFAULT -1;
ALTER TABLE api_keys ADD COLUMN is_bound INTEGER NOT NULL DEFAULT 0 CHECK (is_bound IN (0, 1));
ALTER TABLE api_keys ADD COLUMN previous_digest TEXT;
ALTER TABLE api_keys ADD COLUMN previous_until TEXT;
ALTER TABLE api_keys ADD COLUMN last_used_at TEXT;

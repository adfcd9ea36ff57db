-- Requests with an Idempotency-Key that were carried out. schema.sql explains the columns.

CREATE TABLE idempotency (
  key_id INTEGER NOT NULL,
  key TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  answer TEXT NOT NULL,
  secret TEXT,
  expires_at TEXT NOT NULL,
  PRIMARY KEY (key_id, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_by_expiry ON idempotency (expires_at);

CREATE UNIQUE INDEX idempotency_by_secret ON idempotency (fingerprint) WHERE secret IS NOT NULL;

-- Each index is written with each row. These two cost more than they spare. schema.sql explains what takes their place.

DROP INDEX audit_log_by_creation;
DROP INDEX idempotency_by_expiry;
ALTER TABLE registry ADD COLUMN swept_at TEXT;
ALTER TABLE registry ADD COLUMN swept_key_id INTEGER;
ALTER TABLE registry ADD COLUMN swept_key TEXT;
CREATE TRIGGER idempotency_swept AFTER UPDATE OF swept_at ON registry BEGIN DELETE FROM idempotency WHERE expires_at <= NEW.swept_at AND (key_id, key) IN (SELECT key_id, key FROM idempotency WHERE (key_id, key) <= (coalesce(NEW.swept_key_id, 9223372036854775807), coalesce(NEW.swept_key, '')) ORDER BY key_id DESC, key DESC LIMIT 2000); END;

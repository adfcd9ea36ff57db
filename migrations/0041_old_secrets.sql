-- Whether a key made its last rotation itself: only then may its old secret make the next one. And the nonce of a console session stays until its
-- signature is good no longer, even if the session is over sooner. schema.sql and schema_writes.sql explain the triggers.

ALTER TABLE api_keys ADD COLUMN previous_is_own INTEGER NOT NULL DEFAULT 0 CHECK (previous_is_own IN (0, 1));

DROP TRIGGER rotate_key_done;
CREATE TRIGGER rotate_key_done INSTEAD OF INSERT ON rotate_key WHEN NEW.key_stands AND NOT NEW.exceeds_own AND NEW.id_is_there AND NOT NEW.is_done BEGIN INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token) VALUES (NEW.key_id, 'api_key.rotate', CAST(CAST(NEW.id AS INTEGER) AS TEXT), NEW.request_id, NEW.now, NEW.token); INSERT OR REPLACE INTO idempotency (key_id, key, fingerprint, answer, secret, expires_at) SELECT NEW.key_id, NEW.idempotency_key, NEW.fingerprint, json_insert(NEW.answer, '$[#]', epoch || '.' || last_insert_rowid()), NEW.secret, NEW.remembered_until FROM registry WHERE id = 1 AND NEW.idempotency_key IS NOT NULL; UPDATE api_keys SET previous_digest = coalesce(NEW.previous_digest, digest), previous_until = NEW.previous_until, digest = NEW.digest, previous_is_own = CAST(NEW.key_id AS INTEGER) IS id WHERE id = NEW.id; END;

DROP TRIGGER console_sessions_swept;
CREATE TRIGGER console_sessions_swept AFTER UPDATE OF swept_at ON registry BEGIN DELETE FROM console_sessions WHERE id IN (SELECT id FROM console_sessions WHERE expires_at <= NEW.swept_at AND created_at <= datetime(NEW.swept_at, '-2 hours') ORDER BY expires_at LIMIT 500); END;

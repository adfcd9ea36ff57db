-- The writes of API keys. schema.sql explains the views.

CREATE VIEW create_key (
  key_id, request_id, now, key_stands, exceeds_own, id_is_given, id, name, digest, scopes, permits, expires_at, token, is_done
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER create_key_done INSTEAD OF INSERT ON create_key WHEN NEW.key_stands AND NOT NEW.exceeds_own AND NOT NEW.id_is_given AND NOT NEW.is_done BEGIN INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token) VALUES (NEW.key_id, 'api_key.create', NEW.id, NEW.request_id, NEW.now, NEW.token); INSERT INTO api_keys (id, name, digest, scopes, permits, created_at, expires_at) VALUES (NEW.id, NEW.name, NEW.digest, NEW.scopes, NEW.permits, NEW.now, NEW.expires_at); END;

CREATE VIEW edit_key (
  key_id, request_id, now, key_stands, exceeds_own, id_is_there, id, sets_name, name, sets_expires_at, expires_at, token, is_done
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER edit_key_done INSTEAD OF INSERT ON edit_key WHEN NEW.key_stands AND NOT NEW.exceeds_own AND NEW.id_is_there AND NOT NEW.is_done BEGIN INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token) VALUES (NEW.key_id, 'api_key.update', NEW.id, NEW.request_id, NEW.now, NEW.token); UPDATE api_keys SET name = iif(NEW.sets_name, NEW.name, name), expires_at = iif(NEW.sets_expires_at, NEW.expires_at, expires_at) WHERE id = NEW.id; END;

CREATE VIEW delete_key (
  key_id, request_id, now, key_stands, exceeds_own, id_is_there, id, token, is_done
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER delete_key_done INSTEAD OF INSERT ON delete_key WHEN NEW.key_stands AND NOT NEW.exceeds_own AND NEW.id_is_there AND NOT NEW.is_done BEGIN INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token) VALUES (NEW.key_id, 'api_key.delete', NEW.id, NEW.request_id, NEW.now, NEW.token); UPDATE api_keys SET deleted_at = NEW.now WHERE id = NEW.id; END;

CREATE VIEW rotate_key (
  key_id, request_id, now, key_stands, exceeds_own, id_is_there, id, digest, previous_until, token, is_done
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER rotate_key_done INSTEAD OF INSERT ON rotate_key WHEN NEW.key_stands AND NOT NEW.exceeds_own AND NEW.id_is_there AND NOT NEW.is_done BEGIN INSERT INTO audit_log (key_id, action, subject, request_id, created_at, token) VALUES (NEW.key_id, 'api_key.rotate', NEW.id, NEW.request_id, NEW.now, NEW.token); UPDATE api_keys SET previous_digest = digest, previous_until = NEW.previous_until, digest = NEW.digest WHERE id = NEW.id; END;

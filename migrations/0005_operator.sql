-- The operator of a task, and the tables that a deleted tenant leaves. schema.sql explains the columns and the view.

ALTER TABLE audit_log ADD COLUMN operator TEXT;
ALTER TABLE audit_log ADD COLUMN detail TEXT;

CREATE INDEX audit_log_by_subject ON audit_log (subject, created_at);

-- This drops the trigger, too.
DROP VIEW delete_tenant;
CREATE VIEW delete_tenant (
  key_id, request_id, now, key_stands, id_is_there, site_is_there, id
) AS SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL;
CREATE TRIGGER delete_tenant_done INSTEAD OF INSERT ON delete_tenant WHEN NEW.key_stands AND NEW.id_is_there BEGIN DELETE FROM tenants WHERE id = NEW.id; INSERT INTO audit_log (key_id, action, subject, request_id, created_at, detail) VALUES (NEW.key_id, 'tenant.delete', lower(NEW.id), NEW.request_id, NEW.now, iif(NEW.site_is_there, 'tables_kept', NULL)); END;

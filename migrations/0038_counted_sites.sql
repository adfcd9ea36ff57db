-- A release before this one, in the isolation mode table, took sites that have a database of their own for none. It would never count them again, and
-- it left their databases when it dropped them.

UPDATE tenants SET has_site = 1 WHERE has_site = 0 AND id IN (SELECT tenant_id FROM site_databases WHERE state IN (3, 5));
DROP TRIGGER deleted_tenant_dropped;
CREATE TRIGGER deleted_tenant_dropped AFTER INSERT ON audit_log WHEN NEW.detail = 'tables_dropped' OR NEW.action = 'tenant.drop_tables' BEGIN DELETE FROM deleted_tenants WHERE id = NEW.subject; UPDATE site_databases SET state = 1, number = number + 1 WHERE tenant_id = NEW.subject AND state > 0; END;

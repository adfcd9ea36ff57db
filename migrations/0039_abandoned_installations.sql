-- An installation of a site whose tenant is deleted ends with it, so that it never belongs to a later tenant with the id. schema.sql explains the states.

CREATE TRIGGER site_database_abandoned AFTER DELETE ON tenants BEGIN UPDATE site_databases SET state = 1, number = number + 1 WHERE tenant_id = OLD.id AND state = 2; END;
UPDATE site_databases SET state = 1, number = number + 1 WHERE state = 2 AND NOT EXISTS (SELECT 1 FROM tenants WHERE tenants.id = site_databases.tenant_id);

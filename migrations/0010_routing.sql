-- The index of enabled tenants gets their hostnames. schema.sql says why.

DROP INDEX tenants_by_enabled;
CREATE INDEX tenants_by_enabled ON tenants (is_enabled, id, hostname);

-- The indexes of the routing have the cells of tenants. schema.sql says why.

CREATE INDEX tenants_by_route ON tenants (id, hostname, cell_id, is_enabled) WHERE is_enabled = 1 OR cell_id IS NOT NULL;
DROP INDEX tenants_by_cell;
CREATE INDEX tenants_by_cell ON tenants (cell_id, id, hostname) WHERE cell_id IS NOT NULL;
DROP INDEX tenants_by_enabled;
CREATE INDEX tenants_by_enabled ON tenants (is_enabled, id);

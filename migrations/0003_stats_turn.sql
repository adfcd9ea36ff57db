-- The order in which statistics are counted. schema.sql explains the column.

ALTER TABLE tenants ADD COLUMN stats_turn_at TEXT;

CREATE INDEX tenants_by_stats_turn ON tenants (stats_turn_at);

-- Whose statistics are counted next. What the column means stands in schema.sql.

ALTER TABLE tenants ADD COLUMN stats_turn_at TEXT;

CREATE INDEX tenants_by_stats_turn ON tenants (stats_turn_at);

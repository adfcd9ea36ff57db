-- The number of the order to move a site, so that the move begins with an empty place. schema.sql explains the column.

ALTER TABLE site_databases ADD COLUMN ordered INTEGER;
CREATE TRIGGER site_move_ordered_first AFTER INSERT ON site_databases WHEN NEW.state > 3 BEGIN UPDATE site_databases SET ordered = NEW.number WHERE tenant_id = NEW.tenant_id; END;
CREATE TRIGGER site_move_ordered AFTER UPDATE OF state ON site_databases WHEN NEW.state > 3 AND NEW.state <> OLD.state BEGIN UPDATE site_databases SET ordered = NEW.number WHERE tenant_id = NEW.tenant_id; END;
UPDATE site_databases SET ordered = number WHERE state > 3;

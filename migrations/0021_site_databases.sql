-- Sites that have a database each. schema.sql explains it.

CREATE TABLE site_databases (
  tenant_id TEXT NOT NULL PRIMARY KEY COLLATE NOCASE,
  number INTEGER NOT NULL,
  state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 5)
) STRICT, WITHOUT ROWID;
CREATE INDEX site_databases_cut_off ON site_databases (number) WHERE state IN (1, 2);
CREATE INDEX site_databases_moving ON site_databases (number) WHERE state > 3;
CREATE TRIGGER site_database_created AFTER INSERT ON site_databases BEGIN UPDATE tenants SET site_state = 'installing' WHERE id = NEW.tenant_id AND cell_id IS NULL AND NEW.state = 2; END;
CREATE TRIGGER site_database_changed AFTER UPDATE OF state ON site_databases WHEN NEW.state <> OLD.state OR NEW.state = 2 BEGIN UPDATE tenants SET site_state = iif(NEW.state = 2, 'installing', NULL) WHERE id = NEW.tenant_id AND cell_id IS NULL; INSERT OR IGNORE INTO kept_sites (tenant_id, cell_id) SELECT NEW.tenant_id, '' WHERE NEW.state = 1; DELETE FROM kept_sites WHERE tenant_id = NEW.tenant_id AND cell_id = '' AND NEW.state <> 1; END;

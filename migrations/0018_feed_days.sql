-- The age of marks in the feeds of cells, and the jobs whose lease runs out. schema.sql explains them.

CREATE INDEX cell_feed_marks ON cell_feed (revision) WHERE is_gone = 1;
CREATE TABLE feed_days (
  day TEXT NOT NULL PRIMARY KEY,
  revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX cell_work_leased ON cell_work (lease_until) WHERE lease_until IS NOT NULL;
CREATE TRIGGER cell_created AFTER INSERT ON cells BEGIN UPDATE cells SET forgotten_revision = (SELECT revision FROM feed_clock WHERE id = 1) WHERE id = NEW.id; END;

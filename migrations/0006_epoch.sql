-- The epoch of the registry. schema.sql explains it.

CREATE TABLE registry (
  id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  epoch TEXT NOT NULL CHECK (length(epoch) = 16 AND epoch NOT GLOB '*[^0-9a-f]*')
) STRICT;

INSERT INTO registry (id, epoch) VALUES (1, lower(hex(randomblob(8))));

UPDATE schema_floor SET version = 1;
CREATE TABLE old_labels (
    text TEXT NOT NULL PRIMARY KEY
) STRICT;

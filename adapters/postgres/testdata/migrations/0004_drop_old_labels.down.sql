UPDATE schema_floor SET version = 1;
CREATE TABLE old_labels (
    text text NOT NULL PRIMARY KEY
);

DROP TABLE old_labels;
UPDATE schema_floor SET version = 3;

-- The version of the schema that a program has to know, at least, to serve on this one. See migrations.go.
CREATE TABLE schema_floor (
    version INTEGER NOT NULL PRIMARY KEY
) STRICT;
INSERT INTO schema_floor (version) VALUES (8);

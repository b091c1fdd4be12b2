-- What one node does for all of them, and when it is due again.
CREATE TABLE duties (
    name   TEXT    NOT NULL PRIMARY KEY CHECK (name <> ''),
    due_at INTEGER NOT NULL
) STRICT;

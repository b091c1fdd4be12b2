CREATE TABLE labels (
    id      INTEGER NOT NULL PRIMARY KEY,
    user_id TEXT    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    text    TEXT    NOT NULL
) STRICT;
CREATE INDEX labels_user_id_idx ON labels (user_id);
ALTER TABLE webauthn_challenges ADD COLUMN label_id INTEGER REFERENCES labels (id) ON DELETE CASCADE;
CREATE TABLE old_labels (
    text TEXT NOT NULL PRIMARY KEY
) STRICT;

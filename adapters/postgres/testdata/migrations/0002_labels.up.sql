CREATE TABLE labels (
    id      bigint NOT NULL PRIMARY KEY,
    user_id uuid    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    text    text    NOT NULL
);
CREATE INDEX labels_user_id_idx ON labels (user_id);
ALTER TABLE webauthn_challenges ADD COLUMN label_id bigint REFERENCES labels (id) ON DELETE CASCADE;
CREATE TABLE old_labels (
    text text NOT NULL PRIMARY KEY
);

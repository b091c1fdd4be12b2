-- An address that somebody says is theirs, and the code that would prove it. As many as like may claim the same one: what is
-- only claimed is nobody's.
ALTER TABLE users ADD COLUMN claimed_email TEXT CHECK (claimed_email <> '' AND claimed_email = lower(claimed_email)); -- NULL if none
ALTER TABLE users ADD COLUMN claim_code BLOB -- HMAC-SHA-256
    CHECK (length(claim_code) = 32) CHECK ((claim_code IS NULL) = (claimed_email IS NULL));
ALTER TABLE users ADD COLUMN claim_failures INTEGER
    CHECK (claim_failures >= 0) CHECK ((claim_failures IS NULL) = (claimed_email IS NULL));
ALTER TABLE users ADD COLUMN claim_expires_at INTEGER -- the code's end; the claim stays
    CHECK ((claim_expires_at IS NULL) = (claimed_email IS NULL));

-- Mail that waits to be sent: the facts, which are put into words only then. NULL is what does not apply.
CREATE TABLE messages (
    id           TEXT    NOT NULL PRIMARY KEY CHECK (length(id) = 36),
    user_id      TEXT    REFERENCES users (id) ON DELETE CASCADE, -- NULL if it outlives its user
    recipient    TEXT    NOT NULL CHECK (recipient <> ''), -- e-mail address, as it was then
    kind         TEXT    NOT NULL CHECK (kind <> ''),
    happened_at  INTEGER,
    party        TEXT    CHECK (party IN ('user', 'operator')), -- whose doing it was
    passkey_name TEXT    CHECK (passkey_name <> ''),
    device_name  TEXT    CHECK (device_name <> ''),
    ip           TEXT    CHECK (ip <> ''),
    code         BLOB    CHECK (length(code) > 0), -- encrypted
    attempts     INTEGER NOT NULL CHECK (attempts >= 0),
    due_at       INTEGER NOT NULL, -- when it may be tried (again)
    expires_at   INTEGER NOT NULL,
    CHECK ((code IS NOT NULL) = (kind = 'email_code'))
) STRICT;

CREATE INDEX messages_by_due ON messages (due_at, id);
CREATE INDEX messages_by_expiry ON messages (expires_at);
CREATE INDEX messages_of_user ON messages (user_id) WHERE user_id IS NOT NULL;

-- An address that somebody says is theirs, and the code that would prove it. As many as like may claim the same one: what is
-- only claimed is nobody's.
ALTER TABLE users ADD COLUMN claimed_email text CHECK (claimed_email <> '' AND claimed_email = lower(claimed_email)); -- NULL if none
ALTER TABLE users ADD COLUMN claim_code bytea -- HMAC-SHA-256
    CHECK (length(claim_code) = 32) CHECK ((claim_code IS NULL) = (claimed_email IS NULL));
ALTER TABLE users ADD COLUMN claim_failures bigint
    CHECK (claim_failures >= 0) CHECK ((claim_failures IS NULL) = (claimed_email IS NULL));
ALTER TABLE users ADD COLUMN claim_expires_at timestamptz -- the code's end; the claim stays
    CHECK ((claim_expires_at IS NULL) = (claimed_email IS NULL));

-- Mail that waits to be sent: the facts, which are put into words only then. NULL is what does not apply.
CREATE TABLE messages (
    id           uuid        NOT NULL PRIMARY KEY,
    user_id      uuid        REFERENCES users (id) ON DELETE CASCADE, -- NULL if it outlives its user
    recipient    text        NOT NULL CHECK (recipient <> ''), -- e-mail address, as it was then
    kind         text        NOT NULL CHECK (kind <> ''),
    happened_at  timestamptz,
    party        text        CHECK (party IN ('user', 'operator')), -- whose doing it was
    passkey_name text        CHECK (passkey_name <> ''),
    device_name  text        CHECK (device_name <> ''),
    ip           text        CHECK (ip <> ''),
    code         bytea       CHECK (length(code) > 0), -- encrypted
    attempts     bigint      NOT NULL CHECK (attempts >= 0),
    due_at       timestamptz NOT NULL, -- when it may be tried (again)
    expires_at   timestamptz NOT NULL,
    CHECK ((code IS NOT NULL) = (kind = 'email_code'))
);

CREATE INDEX messages_by_due ON messages (due_at ASC, id);
CREATE INDEX messages_by_expiry ON messages (expires_at ASC);
CREATE INDEX messages_of_user ON messages (user_id) WHERE user_id IS NOT NULL;

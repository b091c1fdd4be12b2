-- A person's authenticator app (RFC 6238), and beside it the one that is being set up in its place.
CREATE TABLE totps (
    user_id      uuid        NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    secret       bytea       CHECK (length(secret) > 0), -- encrypted; NULL until a code of the first one was shown
    confirmed_at timestamptz CHECK ((confirmed_at IS NULL) = (secret IS NULL)),
    step         bigint      NOT NULL, -- the latest that a code was accepted for
    pending      bytea       CHECK (length(pending) > 0), -- encrypted
    pending_at   timestamptz CHECK ((pending_at IS NULL) = (pending IS NULL))
);

-- A person's codes on paper. A set that is used up is still one.
CREATE TABLE backup_code_sets (
    user_id uuid        NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    made_at timestamptz NOT NULL
);

-- Those of a set that are not spent, found without knowing whose they are.
CREATE TABLE backup_codes (
    digest  bytea NOT NULL PRIMARY KEY CHECK (length(digest) = 32), -- HMAC-SHA-256
    user_id uuid  NOT NULL REFERENCES backup_code_sets (user_id) ON DELETE CASCADE
);

CREATE INDEX backup_codes_of_user ON backup_codes (user_id);

-- A recovery under way, from its codes to the passkey that it may enrol, found by the digest of its token. The code that
-- paid for it may be gone before it.
CREATE TABLE recovery_grants (
    user_id      uuid        NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    token_digest bytea       NOT NULL UNIQUE CHECK (length(token_digest) = 32), -- SHA-256
    nonce        bytea       NOT NULL, -- makes the token again, with a key that is not in here
    code_digest  bytea       CHECK (length(code_digest) = 32), -- NULL if no backup code paid
    factors      text[]      NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL
);

CREATE INDEX recovery_grants_by_expiry ON recovery_grants (expires_at ASC);

-- Wrong recovery codes in a row. The subject is an HMAC of whom they count against, who may be nobody.
CREATE TABLE recovery_lockouts (
    subject      bytea       NOT NULL PRIMARY KEY CHECK (length(subject) = 32),
    failures     bigint      NOT NULL CHECK (failures >= 0),
    locked_until timestamptz,
    updated_at   timestamptz NOT NULL
);

CREATE INDEX recovery_lockouts_by_age ON recovery_lockouts (updated_at ASC);

-- The grant that a ceremony was begun under, without which nobody can answer it.
ALTER TABLE webauthn_challenges ADD COLUMN recovery_grant bytea REFERENCES recovery_grants (token_digest) ON DELETE CASCADE; -- NULL if begun under none

CREATE INDEX webauthn_challenges_of_grant ON webauthn_challenges (recovery_grant) WHERE recovery_grant IS NOT NULL;

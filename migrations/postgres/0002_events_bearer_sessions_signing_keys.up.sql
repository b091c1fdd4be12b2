-- When the operator shut the account.
ALTER TABLE users ADD COLUMN disabled_at timestamptz;

-- How a session's holder shows that they hold it. Whatever was opened so far was a browser's.
ALTER TABLE sessions ADD COLUMN transport text NOT NULL DEFAULT 'cookie' CHECK (transport IN ('cookie', 'bearer'));
-- The refresh token before the latest one, and when the one replaced the other.
ALTER TABLE sessions ADD COLUMN previous_token_digest bytea CHECK (length(previous_token_digest) = 32); -- SHA-256
ALTER TABLE sessions ADD COLUMN rotated_at timestamptz CHECK ((rotated_at IS NULL) = (previous_token_digest IS NULL));

-- A user's sessions, newest first: ids grow with time.
DROP INDEX sessions_of_user;
CREATE INDEX sessions_of_user ON sessions (user_id, id);

-- The session that a ceremony was begun in, without which nobody can answer it.
ALTER TABLE webauthn_challenges ADD COLUMN session_id uuid REFERENCES sessions (id) ON DELETE CASCADE; -- NULL if begun in none

CREATE INDEX webauthn_challenges_of_session ON webauthn_challenges (session_id) WHERE session_id IS NOT NULL;

-- An entry of a user's security log. NULL is what does not apply. Sessions and passkeys may be gone before it; a user is
-- only let go once their entries have been made nobody's, and an entry that is nobody's says nothing about anybody.
CREATE TABLE events (
    id            uuid        NOT NULL PRIMARY KEY,
    kind          text        NOT NULL CHECK (kind <> ''),
    at            timestamptz NOT NULL,
    party         text        NOT NULL CHECK (party IN ('user', 'operator')), -- whose doing it was
    reason        text        CHECK (reason <> ''),
    user_id       uuid        REFERENCES users (id),
    session_id    uuid,
    credential_id bytea       CHECK (length(credential_id) BETWEEN 1 AND 1023),
    passkey_name  text        CHECK (passkey_name <> ''), -- as it was then
    device_name   text        CHECK (device_name <> ''),
    ip            text        CHECK (ip <> ''),
    changed       text[]      NOT NULL DEFAULT '{}', -- names of what was changed
    request_id    text        CHECK (request_id <> ''),
    repeat_key    bytea       CHECK (length(repeat_key) = 16), -- equal for events that are counted as one; NULL if it stands alone
    repeats       bigint      NOT NULL DEFAULT 0 CHECK (repeats >= 0), -- how often it happened again
    last_at       timestamptz CHECK ((last_at IS NULL) = (repeats = 0)), -- when it did last
    other_ips     text[]      NOT NULL DEFAULT '{}',
    CHECK (
        user_id IS NOT NULL
        OR changed = '{}' AND other_ips = '{}' AND session_id IS NULL AND credential_id IS NULL
            AND COALESCE(passkey_name, device_name, ip, request_id) IS NULL
    )
);

CREATE INDEX events_of_user ON events (user_id, id);
CREATE INDEX events_by_time ON events (at ASC);
CREATE UNIQUE INDEX events_by_repeat_key ON events (repeat_key) WHERE repeat_key IS NOT NULL;

-- A key that signs access tokens.
CREATE TABLE signing_keys (
    id         text        NOT NULL PRIMARY KEY CHECK (id <> ''), -- RFC 7638 thumbprint
    algorithm  text        NOT NULL CHECK (algorithm <> ''),
    sealed     bytea       NOT NULL, -- PKCS #8, encrypted
    created_at timestamptz NOT NULL,
    signs_from timestamptz NOT NULL
);

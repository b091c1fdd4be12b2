-- When the operator shut the account.
ALTER TABLE users ADD COLUMN disabled_at INTEGER;

-- How a session's holder shows that they hold it. Whatever was opened so far was a browser's.
ALTER TABLE sessions ADD COLUMN transport TEXT NOT NULL DEFAULT 'cookie' CHECK (transport IN ('cookie', 'bearer'));
-- The refresh token before the latest one, and when the one replaced the other.
ALTER TABLE sessions ADD COLUMN previous_token_digest BLOB CHECK (length(previous_token_digest) = 32); -- SHA-256
ALTER TABLE sessions ADD COLUMN rotated_at INTEGER CHECK ((rotated_at IS NULL) = (previous_token_digest IS NULL));

-- A user's sessions, newest first: ids grow with time.
DROP INDEX sessions_of_user;
CREATE INDEX sessions_of_user ON sessions (user_id, id);

-- The session that a ceremony was begun in, without which nobody can answer it.
ALTER TABLE webauthn_challenges ADD COLUMN session_id TEXT REFERENCES sessions (id) ON DELETE CASCADE; -- NULL if begun in none

CREATE INDEX webauthn_challenges_of_session ON webauthn_challenges (session_id) WHERE session_id IS NOT NULL;

-- An entry of a user's security log. NULL is what does not apply. Sessions and passkeys may be gone before it; a user is
-- only let go once their entries have been made nobody's, and an entry that is nobody's says nothing about anybody.
CREATE TABLE events (
    id            TEXT    NOT NULL PRIMARY KEY CHECK (length(id) = 36),
    kind          TEXT    NOT NULL CHECK (kind <> ''),
    at            INTEGER NOT NULL,
    party         TEXT    NOT NULL CHECK (party IN ('user', 'operator')), -- whose doing it was
    reason        TEXT    CHECK (reason <> ''),
    user_id       TEXT    REFERENCES users (id),
    session_id    TEXT    CHECK (length(session_id) = 36),
    credential_id BLOB    CHECK (length(credential_id) BETWEEN 1 AND 1023),
    passkey_name  TEXT    CHECK (passkey_name <> ''), -- as it was then
    device_name   TEXT    CHECK (device_name <> ''),
    ip            TEXT    CHECK (ip <> ''),
    changed       TEXT    NOT NULL DEFAULT '[]' CHECK (json_type(changed) = 'array'), -- names of what was changed
    request_id    TEXT    CHECK (request_id <> ''),
    repeat_key    BLOB    CHECK (length(repeat_key) = 16), -- equal for events that are counted as one; NULL if it stands alone
    repeats       INTEGER NOT NULL DEFAULT 0 CHECK (repeats >= 0), -- how often it happened again
    last_at       INTEGER CHECK ((last_at IS NULL) = (repeats = 0)), -- when it did last
    other_ips     TEXT    NOT NULL DEFAULT '[]' CHECK (json_type(other_ips) = 'array'),
    CHECK (
        user_id IS NOT NULL
        OR changed = '[]' AND other_ips = '[]' AND COALESCE(session_id, credential_id, passkey_name, device_name, ip, request_id) IS NULL
    )
) STRICT;

CREATE INDEX events_of_user ON events (user_id, id);
CREATE INDEX events_by_time ON events (at);
CREATE UNIQUE INDEX events_by_repeat_key ON events (repeat_key) WHERE repeat_key IS NOT NULL;

-- A key that signs access tokens.
CREATE TABLE signing_keys (
    id         TEXT    NOT NULL PRIMARY KEY CHECK (id <> ''), -- RFC 7638 thumbprint
    algorithm  TEXT    NOT NULL CHECK (algorithm <> ''),
    sealed     BLOB    NOT NULL, -- PKCS #8, encrypted
    created_at INTEGER NOT NULL,
    signs_from INTEGER NOT NULL
) STRICT;

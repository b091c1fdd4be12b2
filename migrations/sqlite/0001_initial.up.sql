-- Times are microseconds since the Unix epoch, UTC; NULL is "not yet" or "never". Ids are UUIDs as text, so that people can
-- read them; values that WebAuthn compares byte for byte are BLOBs. Lists are JSON arrays of strings. A CHECK constraint is
-- named <table>_<column>_check, an index <table>_<columns>_idx.

-- users: the accounts.
CREATE TABLE users (
    id                       TEXT    NOT NULL PRIMARY KEY CONSTRAINT users_id_check CHECK (length(id) = 36),
    user_handle              BLOB    NOT NULL UNIQUE CONSTRAINT users_user_handle_check CHECK (length(user_handle) BETWEEN 1 AND 64),
    email                    TEXT    UNIQUE CONSTRAINT users_email_check CHECK (email <> '' AND email = lower(email)),
    email_verified_at        INTEGER CONSTRAINT users_email_verified_at_check CHECK (email_verified_at IS NULL OR email IS NOT NULL),
    -- A requested e-mail address that is not verified yet. Several users may request the same one.
    pending_email            TEXT    CONSTRAINT users_pending_email_check CHECK (pending_email <> '' AND pending_email = lower(pending_email)),
    pending_email_code       BLOB    CONSTRAINT users_pending_email_code_check -- HMAC-SHA-256
        CHECK ((pending_email_code IS NULL) = (pending_email IS NULL) AND (pending_email_code IS NULL OR length(pending_email_code) = 32)),
    pending_email_failures   INTEGER NOT NULL CONSTRAINT users_pending_email_failures_check
        CHECK (pending_email_failures >= 0 AND (pending_email_failures = 0 OR pending_email IS NOT NULL)),
    pending_email_expires_at INTEGER CONSTRAINT users_pending_email_expires_at_check -- the code expires; the pending e-mail stays
        CHECK ((pending_email_expires_at IS NULL) = (pending_email IS NULL)),
    display_name             TEXT    NOT NULL, -- '' if not set
    locale                   TEXT    CONSTRAINT users_locale_check CHECK (locale <> ''), -- BCP 47; NULL if not set
    -- For a search by prefix: the display name and its last word, in lower case and without accents; '' if not set.
    search_name              TEXT    NOT NULL DEFAULT '',
    search_last_word         TEXT    NOT NULL DEFAULT '',
    groups                   TEXT    NOT NULL DEFAULT '[]' CONSTRAINT users_groups_check CHECK (json_type(groups) = 'array'), -- in alphabetical order
    disabled_at              INTEGER,
    created_at               INTEGER NOT NULL
) STRICT;

CREATE INDEX users_search_name_idx ON users (search_name) WHERE search_name <> '';
CREATE INDEX users_search_last_word_idx ON users (search_last_word) WHERE search_last_word <> '';

-- passkeys: credential records (WebAuthn Level 3, section 4).
CREATE TABLE passkeys (
    credential_id      BLOB    NOT NULL PRIMARY KEY CONSTRAINT passkeys_credential_id_check CHECK (length(credential_id) BETWEEN 1 AND 1023),
    user_id            TEXT    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name               TEXT    NOT NULL, -- '' if not set
    status             TEXT    NOT NULL CONSTRAINT passkeys_status_check CHECK (status IN ('active', 'suspended')),
    rp_id              TEXT    NOT NULL,
    public_key         BLOB    NOT NULL, -- COSE_Key
    algorithm          INTEGER NOT NULL, -- COSE algorithm identifier
    aaguid             BLOB    NOT NULL CONSTRAINT passkeys_aaguid_check CHECK (length(aaguid) = 16),
    attachment         TEXT    NOT NULL, -- '' if the client sent none
    transports         TEXT    NOT NULL CONSTRAINT passkeys_transports_check CHECK (json_type(transports) = 'array'),
    flags              INTEGER NOT NULL CONSTRAINT passkeys_flags_check -- a passkey that is backed up is backup eligible
        CHECK (flags BETWEEN 0 AND 255 AND (flags & 16 = 0 OR flags & 8 = 8)),
    sign_count         INTEGER NOT NULL CONSTRAINT passkeys_sign_count_check CHECK (sign_count BETWEEN 0 AND 4294967295),
    clone_warning      INTEGER NOT NULL CONSTRAINT passkeys_clone_warning_check CHECK (clone_warning IN (0, 1)),
    extensions         TEXT    CONSTRAINT passkeys_extensions_check CHECK (json_valid(extensions)),
    created_at         INTEGER NOT NULL,
    last_used_at       INTEGER
) STRICT;

CREATE INDEX passkeys_user_id_created_at_idx ON passkeys (user_id, created_at);
-- Every start counts the passkeys of other RP IDs.
CREATE INDEX passkeys_rp_id_idx ON passkeys (rp_id);

-- passkey_attestations: the authenticators' responses at registration, apart from the passkeys that every sign-in reads and
-- writes.
CREATE TABLE passkey_attestations (
    credential_id      BLOB    NOT NULL PRIMARY KEY REFERENCES passkeys (credential_id) ON DELETE CASCADE,
    attestation_type   TEXT    NOT NULL,
    attestation_format TEXT    NOT NULL,
    attestation_object BLOB    NOT NULL, -- CBOR
    authenticator_data BLOB    NOT NULL,
    client_data_json   BLOB    NOT NULL
) STRICT;

-- sessions: found by the digest of the token. A session outlives the removal of the passkey that opened it.
CREATE TABLE sessions (
    id                    TEXT    NOT NULL PRIMARY KEY CONSTRAINT sessions_id_check CHECK (length(id) = 36),
    user_id               TEXT    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    credential_id         BLOB    NOT NULL,
    transport             TEXT    NOT NULL CONSTRAINT sessions_transport_check CHECK (transport IN ('cookie', 'bearer')),
    token_digest          BLOB    NOT NULL UNIQUE CONSTRAINT sessions_token_digest_check CHECK (length(token_digest) = 32), -- SHA-256
    previous_token_digest BLOB    CONSTRAINT sessions_previous_token_digest_check CHECK (length(previous_token_digest) = 32), -- SHA-256
    rotated_at            INTEGER CONSTRAINT sessions_rotated_at_check CHECK ((rotated_at IS NULL) = (previous_token_digest IS NULL)),
    assurance             TEXT    NOT NULL CONSTRAINT sessions_assurance_check CHECK (assurance <> ''),
    amr                   TEXT    NOT NULL CONSTRAINT sessions_amr_check CHECK (json_type(amr) = 'array'), -- RFC 8176
    device_name           TEXT    NOT NULL,
    device_user_agent     TEXT    NOT NULL,
    device_ip             TEXT    NOT NULL, -- '' if unknown
    created_at            INTEGER NOT NULL,
    auth_time             INTEGER NOT NULL,
    last_seen_at          INTEGER NOT NULL,
    idle_ends_at          INTEGER NOT NULL,
    expires_at            INTEGER NOT NULL,
    revoked_at            INTEGER,
    CONSTRAINT sessions_idle_ends_at_check CHECK (idle_ends_at <= expires_at)
) STRICT;

-- Every sign-in counts a user's sessions that are not revoked. Lists of them are newest first: ids grow with time.
CREATE INDEX sessions_user_id_revoked_at_id_idx ON sessions (user_id, revoked_at, id);
CREATE INDEX sessions_ended_at_idx ON sessions (COALESCE(revoked_at, idle_ends_at));

-- recovery_grants: one per user at most, found by the digest of the token. A grant outlives its backup code.
CREATE TABLE recovery_grants (
    user_id            TEXT    NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    token_digest       BLOB    NOT NULL UNIQUE CONSTRAINT recovery_grants_token_digest_check CHECK (length(token_digest) = 32), -- SHA-256
    nonce              BLOB    NOT NULL, -- derives the token again, with a key that is not in the database
    backup_code_digest BLOB    CONSTRAINT recovery_grants_backup_code_digest_check CHECK (length(backup_code_digest) = 32), -- NULL if no backup code was used
    factors            TEXT    NOT NULL CONSTRAINT recovery_grants_factors_check CHECK (json_type(factors) = 'array'),
    created_at         INTEGER NOT NULL,
    expires_at         INTEGER NOT NULL
) STRICT;

CREATE INDEX recovery_grants_expires_at_idx ON recovery_grants (expires_at);

-- authorization_codes: found by the digest of the code. A redeemed code is kept, so that a second redemption is recognised. The
-- session that it opened may end before it.
CREATE TABLE authorization_codes (
    digest            BLOB    NOT NULL PRIMARY KEY CONSTRAINT authorization_codes_digest_check CHECK (length(digest) = 32), -- SHA-256
    session_id        TEXT    NOT NULL REFERENCES sessions (id) ON DELETE CASCADE, -- the session that issued the code
    session_auth_at   INTEGER NOT NULL, -- its auth_time at that time
    return_to         TEXT    NOT NULL CONSTRAINT authorization_codes_return_to_check CHECK (return_to <> ''), -- URL
    challenge         BLOB    NOT NULL CONSTRAINT authorization_codes_challenge_check CHECK (length(challenge) = 32), -- SHA-256 of the verifier
    created_at        INTEGER NOT NULL,
    expires_at        INTEGER NOT NULL,
    redeemed_at       INTEGER,
    issued_session_id TEXT    CONSTRAINT authorization_codes_issued_session_id_check CHECK (length(issued_session_id) = 36), -- the session that the redemption opened
    CONSTRAINT authorization_codes_redeemed_at_check CHECK (redeemed_at IS NOT NULL OR issued_session_id IS NULL)
) STRICT;

CREATE INDEX authorization_codes_session_id_idx ON authorization_codes (session_id);
CREATE INDEX authorization_codes_expires_at_idx ON authorization_codes (expires_at);

-- webauthn_challenges: ceremonies that were begun and have no answer yet.
CREATE TABLE webauthn_challenges (
    id                   TEXT    NOT NULL PRIMARY KEY CONSTRAINT webauthn_challenges_id_check CHECK (length(id) = 36),
    purpose              TEXT    NOT NULL CONSTRAINT webauthn_challenges_purpose_check CHECK (purpose <> ''),
    binding              BLOB    CONSTRAINT webauthn_challenges_binding_check CHECK (length(binding) = 32), -- NULL if not bound to a browser
    session_id           TEXT    REFERENCES sessions (id) ON DELETE CASCADE, -- NULL if not bound to a session
    recovery_grant       BLOB    REFERENCES recovery_grants (token_digest) ON DELETE CASCADE, -- NULL if not bound to a recovery grant
    ceremony_state       BLOB    NOT NULL,
    -- The user that a sign-up will create.
    pending_user_id      TEXT    CONSTRAINT webauthn_challenges_pending_user_id_check
        CHECK ((purpose = 'signup') = (pending_user_id IS NOT NULL) AND (pending_user_id IS NULL OR length(pending_user_id) = 36)),
    pending_user_handle  BLOB    CONSTRAINT webauthn_challenges_pending_user_handle_check
        CHECK ((pending_user_handle IS NULL) = (pending_user_id IS NULL) AND (pending_user_handle IS NULL OR length(pending_user_handle) BETWEEN 1 AND 64)),
    pending_email        TEXT    CONSTRAINT webauthn_challenges_pending_email_check CHECK (pending_email <> ''),
    pending_display_name TEXT    CONSTRAINT webauthn_challenges_pending_display_name_check CHECK (pending_display_name <> ''),
    pending_locale       TEXT    CONSTRAINT webauthn_challenges_pending_locale_check CHECK (pending_locale <> ''),
    pending_invite_id    TEXT    CONSTRAINT webauthn_challenges_pending_invite_id_check CHECK (length(pending_invite_id) = 36), -- NULL without an invite
    created_at           INTEGER NOT NULL,
    expires_at           INTEGER NOT NULL
) STRICT;

CREATE INDEX webauthn_challenges_expires_at_idx ON webauthn_challenges (expires_at);
CREATE INDEX webauthn_challenges_session_id_idx ON webauthn_challenges (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX webauthn_challenges_recovery_grant_idx ON webauthn_challenges (recovery_grant) WHERE recovery_grant IS NOT NULL;

-- events: the audit log. NULL is what does not apply. An event outlives its session and its passkey. Before a user is
-- deleted, the user's events are anonymized: an event without a user says nothing about a person.
CREATE TABLE events (
    id            TEXT    NOT NULL PRIMARY KEY CONSTRAINT events_id_check CHECK (length(id) = 36),
    kind          TEXT    NOT NULL CONSTRAINT events_kind_check CHECK (kind <> ''),
    at            INTEGER NOT NULL,
    actor         TEXT    NOT NULL CONSTRAINT events_actor_check CHECK (actor IN ('user', 'operator')),
    reason        TEXT    CONSTRAINT events_reason_check CHECK (reason <> ''),
    user_id       TEXT    REFERENCES users (id),
    session_id    TEXT    CONSTRAINT events_session_id_check CHECK (length(session_id) = 36),
    credential_id BLOB    CONSTRAINT events_credential_id_check CHECK (length(credential_id) BETWEEN 1 AND 1023),
    passkey_name  TEXT    CONSTRAINT events_passkey_name_check CHECK (passkey_name <> ''), -- the name at that time
    device_name   TEXT    CONSTRAINT events_device_name_check CHECK (device_name <> ''),
    ip            TEXT    CONSTRAINT events_ip_check CHECK (ip <> ''),
    changed       TEXT    NOT NULL DEFAULT '[]' CONSTRAINT events_changed_check CHECK (json_type(changed) = 'array'), -- names of the changed fields
    api_key_id    TEXT    CONSTRAINT events_api_key_id_check CHECK (length(api_key_id) = 36), -- of the operator's program
    invite_id     TEXT    CONSTRAINT events_invite_id_check CHECK (length(invite_id) = 36),
    request_id    TEXT    CONSTRAINT events_request_id_check CHECK (request_id <> ''),
    repeat_key    BLOB    CONSTRAINT events_repeat_key_check CHECK (length(repeat_key) = 16), -- equal for events that are counted as one
    repeats       INTEGER NOT NULL DEFAULT 0 CONSTRAINT events_repeats_check CHECK (repeats >= 0),
    last_at       INTEGER CONSTRAINT events_last_at_check CHECK ((last_at IS NULL) = (repeats = 0)), -- time of the last repetition
    other_ips     TEXT    NOT NULL DEFAULT '[]' CONSTRAINT events_other_ips_check CHECK (json_type(other_ips) = 'array'),
    CONSTRAINT events_user_id_check CHECK (
        user_id IS NOT NULL
        OR changed = '[]' AND other_ips = '[]' AND session_id IS NULL AND credential_id IS NULL
            AND COALESCE(passkey_name, device_name, ip, request_id) IS NULL
    )
) STRICT;

CREATE INDEX events_user_id_id_idx ON events (user_id, id);
CREATE INDEX events_at_idx ON events (at);
CREATE UNIQUE INDEX events_repeat_key_idx ON events (repeat_key) WHERE repeat_key IS NOT NULL;

-- signing_keys: the keys that sign access tokens.
CREATE TABLE signing_keys (
    id            TEXT    NOT NULL PRIMARY KEY CONSTRAINT signing_keys_id_check CHECK (id <> ''), -- RFC 7638 thumbprint
    algorithm     TEXT    NOT NULL CONSTRAINT signing_keys_algorithm_check CHECK (algorithm <> ''),
    encrypted_key BLOB    NOT NULL, -- PKCS #8
    created_at    INTEGER NOT NULL,
    signs_from    INTEGER NOT NULL
) STRICT;

-- api_keys: the keys of the operator's programs for the admin API, found by the digest of the token. Revoked and expired ones are
-- kept, since events name them.
CREATE TABLE api_keys (
    id           TEXT    NOT NULL PRIMARY KEY CONSTRAINT api_keys_id_check CHECK (length(id) = 36),
    name         TEXT    NOT NULL CONSTRAINT api_keys_name_check CHECK (name <> ''),
    token_digest BLOB    NOT NULL UNIQUE CONSTRAINT api_keys_token_digest_check CHECK (length(token_digest) = 32), -- SHA-256
    scopes       TEXT    NOT NULL CONSTRAINT api_keys_scopes_check CHECK (json_type(scopes) = 'array'), -- in alphabetical order
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    revoked_at   INTEGER
) STRICT;

-- invites: found by the digest of the token. An invite is consumed by the sign-up of a user, and deleted with that user.
CREATE TABLE invites (
    id           TEXT    NOT NULL PRIMARY KEY CONSTRAINT invites_id_check CHECK (length(id) = 36),
    token_digest BLOB    NOT NULL UNIQUE CONSTRAINT invites_token_digest_check CHECK (length(token_digest) = 32), -- SHA-256
    email        TEXT    CONSTRAINT invites_email_check CHECK (email <> '' AND email = lower(email)), -- NULL for any address
    groups       TEXT    NOT NULL CONSTRAINT invites_groups_check CHECK (json_type(groups) = 'array'), -- in alphabetical order
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    used_at      INTEGER,
    user_id      TEXT    REFERENCES users (id) ON DELETE CASCADE CONSTRAINT invites_user_id_check CHECK ((user_id IS NULL) = (used_at IS NULL)),
    revoked_at   INTEGER CONSTRAINT invites_revoked_at_check CHECK (revoked_at IS NULL OR used_at IS NULL)
) STRICT;

CREATE INDEX invites_expires_at_idx ON invites (expires_at);
CREATE INDEX invites_user_id_idx ON invites (user_id) WHERE user_id IS NOT NULL;

-- totps: authenticator apps (RFC 6238), and the pending secret of the app that is being set up. Secrets are encrypted.
CREATE TABLE totps (
    user_id        TEXT    NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    secret         BLOB    CONSTRAINT totps_secret_check CHECK (length(secret) > 0), -- NULL until the first app is confirmed
    confirmed_at   INTEGER CONSTRAINT totps_confirmed_at_check CHECK ((confirmed_at IS NULL) = (secret IS NULL)),
    last_step      INTEGER NOT NULL, -- the latest time step whose code was accepted
    pending_secret BLOB    CONSTRAINT totps_pending_secret_check CHECK (length(pending_secret) > 0),
    pending_at     INTEGER CONSTRAINT totps_pending_at_check CHECK ((pending_at IS NULL) = (pending_secret IS NULL))
) STRICT;

-- backup_code_sets: one per user at most. A set of which every code was used is still a set.
CREATE TABLE backup_code_sets (
    user_id    TEXT    NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL
) STRICT;

-- backup_codes: the unused codes of a set, found without knowing the user.
CREATE TABLE backup_codes (
    digest  BLOB    NOT NULL PRIMARY KEY CONSTRAINT backup_codes_digest_check CHECK (length(digest) = 32), -- HMAC-SHA-256
    user_id TEXT    NOT NULL REFERENCES backup_code_sets (user_id) ON DELETE CASCADE
) STRICT;

CREATE INDEX backup_codes_user_id_idx ON backup_codes (user_id);

-- recovery_lockouts: consecutive wrong recovery codes. The subject is an HMAC of a user id, an e-mail address or an IP address.
CREATE TABLE recovery_lockouts (
    subject      BLOB    NOT NULL PRIMARY KEY CONSTRAINT recovery_lockouts_subject_check CHECK (length(subject) = 32),
    failures     INTEGER NOT NULL CONSTRAINT recovery_lockouts_failures_check CHECK (failures >= 0),
    locked_until INTEGER,
    updated_at   INTEGER NOT NULL
) STRICT;

CREATE INDEX recovery_lockouts_updated_at_idx ON recovery_lockouts (updated_at);

-- outbox_emails: e-mails to be sent, as facts; the text is written when an e-mail is sent. NULL is what does not apply.
CREATE TABLE outbox_emails (
    id           TEXT    NOT NULL PRIMARY KEY CONSTRAINT outbox_emails_id_check CHECK (length(id) = 36),
    user_id      TEXT    REFERENCES users (id) ON DELETE CASCADE, -- NULL if the e-mail outlives its user
    recipient    TEXT    NOT NULL CONSTRAINT outbox_emails_recipient_check CHECK (recipient <> ''), -- the e-mail address at that time
    locale       TEXT    CONSTRAINT outbox_emails_locale_check CHECK (locale <> ''), -- the recipient's at that time
    kind         TEXT    NOT NULL CONSTRAINT outbox_emails_kind_check CHECK (kind <> ''),
    happened_at  INTEGER,
    actor        TEXT    CONSTRAINT outbox_emails_actor_check CHECK (actor IN ('user', 'operator')),
    passkey_name TEXT    CONSTRAINT outbox_emails_passkey_name_check CHECK (passkey_name <> ''),
    device_name  TEXT    CONSTRAINT outbox_emails_device_name_check CHECK (device_name <> ''),
    ip           TEXT    CONSTRAINT outbox_emails_ip_check CHECK (ip <> ''),
    code         BLOB    CONSTRAINT outbox_emails_code_check -- encrypted
        CHECK ((code IS NOT NULL) = (kind = 'email_code') AND (code IS NULL OR length(code) > 0)),
    attempts     INTEGER NOT NULL CONSTRAINT outbox_emails_attempts_check CHECK (attempts >= 0),
    due_at       INTEGER NOT NULL, -- time of the next attempt
    expires_at   INTEGER NOT NULL
) STRICT;

CREATE INDEX outbox_emails_due_at_id_idx ON outbox_emails (due_at, id);
CREATE INDEX outbox_emails_expires_at_idx ON outbox_emails (expires_at);
CREATE INDEX outbox_emails_user_id_idx ON outbox_emails (user_id) WHERE user_id IS NOT NULL;

-- job_leases: jobs that one node runs for all nodes, and when each is due again.
CREATE TABLE job_leases (
    name   TEXT    NOT NULL PRIMARY KEY CONSTRAINT job_leases_name_check CHECK (name <> ''),
    due_at INTEGER NOT NULL
) STRICT;

-- schema_floor: the lowest schema version that a program must know to serve this database. See migrations.go.
CREATE TABLE schema_floor (
    version INTEGER NOT NULL PRIMARY KEY
) STRICT;
INSERT INTO schema_floor (version) VALUES (1);

-- NULL is "not yet" or "never". Values that WebAuthn compares byte for byte are bytea. Lists are JSON arrays of strings. A CHECK
-- constraint is named <table>_<column>_check, an index <table>_<columns>_idx. Indexes on times and texts that are read in order
-- say ASC, because YugabyteDB uses hash indexes by default.

-- users: the accounts.
CREATE TABLE users (
    id                       uuid        NOT NULL PRIMARY KEY,
    user_handle              bytea       NOT NULL UNIQUE CONSTRAINT users_user_handle_check CHECK (length(user_handle) BETWEEN 1 AND 64),
    email                    text        COLLATE "C" UNIQUE CONSTRAINT users_email_check CHECK (email <> '' AND email = lower(email)),
    email_verified_at        timestamptz CONSTRAINT users_email_verified_at_check CHECK (email_verified_at IS NULL OR email IS NOT NULL),
    -- A requested e-mail address that is not verified yet. Several users may request the same one.
    pending_email            text        CONSTRAINT users_pending_email_check CHECK (pending_email <> '' AND pending_email = lower(pending_email)),
    pending_email_code       bytea       CONSTRAINT users_pending_email_code_check -- HMAC-SHA-256
        CHECK ((pending_email_code IS NULL) = (pending_email IS NULL) AND (pending_email_code IS NULL OR length(pending_email_code) = 32)),
    pending_email_failures   bigint      NOT NULL CONSTRAINT users_pending_email_failures_check
        CHECK (pending_email_failures >= 0 AND (pending_email_failures = 0 OR pending_email IS NOT NULL)),
    pending_email_expires_at timestamptz CONSTRAINT users_pending_email_expires_at_check -- the code expires; the pending e-mail stays
        CHECK ((pending_email_expires_at IS NULL) = (pending_email IS NULL)),
    display_name             text        NOT NULL, -- '' if not set
    locale                   text        CONSTRAINT users_locale_check CHECK (locale <> ''), -- BCP 47; NULL if not set
    -- For a search by prefix: the display name and its last word, in lower case and without accents; '' if not set.
    search_name              text        COLLATE "C" NOT NULL DEFAULT '',
    search_last_word         text        COLLATE "C" NOT NULL DEFAULT '',
    groups                   jsonb       NOT NULL DEFAULT '[]' CONSTRAINT users_groups_check CHECK (jsonb_typeof(groups) = 'array'), -- in alphabetical order
    disabled_at              timestamptz,
    created_at               timestamptz NOT NULL
);

CREATE INDEX users_search_name_idx ON users (search_name) WHERE search_name <> '';
CREATE INDEX users_search_last_word_idx ON users (search_last_word) WHERE search_last_word <> '';

-- passkeys: credential records (WebAuthn Level 3, section 4).
CREATE TABLE passkeys (
    credential_id      bytea       NOT NULL PRIMARY KEY CONSTRAINT passkeys_credential_id_check CHECK (length(credential_id) BETWEEN 1 AND 1023),
    user_id            uuid        NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name               text        NOT NULL, -- '' if not set
    status             text        NOT NULL CONSTRAINT passkeys_status_check CHECK (status IN ('active', 'suspended')),
    rp_id              text        NOT NULL,
    public_key         bytea       NOT NULL, -- COSE_Key
    algorithm          bigint      NOT NULL, -- COSE algorithm identifier
    aaguid             bytea       NOT NULL CONSTRAINT passkeys_aaguid_check CHECK (length(aaguid) = 16),
    attachment         text        NOT NULL, -- '' if the client sent none
    transports         jsonb       NOT NULL CONSTRAINT passkeys_transports_check CHECK (jsonb_typeof(transports) = 'array'),
    flags              bigint      NOT NULL CONSTRAINT passkeys_flags_check -- a passkey that is backed up is backup eligible
        CHECK (flags BETWEEN 0 AND 255 AND (flags & 16 = 0 OR flags & 8 = 8)),
    sign_count         bigint      NOT NULL CONSTRAINT passkeys_sign_count_check CHECK (sign_count BETWEEN 0 AND 4294967295),
    clone_warning      boolean     NOT NULL,
    extensions         text        CONSTRAINT passkeys_extensions_check CHECK (extensions IS NULL OR extensions::json IS NOT NULL), -- as received, which jsonb would not keep
    created_at         timestamptz NOT NULL,
    last_used_at       timestamptz
);

CREATE INDEX passkeys_user_id_created_at_idx ON passkeys (user_id, created_at);
-- Every start counts the passkeys of other RP IDs.
CREATE INDEX passkeys_rp_id_idx ON passkeys (rp_id ASC);

-- passkey_attestations: the authenticators' responses at registration, apart from the passkeys that every sign-in reads and
-- writes.
CREATE TABLE passkey_attestations (
    credential_id      bytea       NOT NULL PRIMARY KEY REFERENCES passkeys (credential_id) ON DELETE CASCADE,
    attestation_type   text        NOT NULL,
    attestation_format text        NOT NULL,
    attestation_object bytea       NOT NULL, -- CBOR
    authenticator_data bytea       NOT NULL,
    client_data_json   bytea       NOT NULL
);

-- sessions: found by the digest of the token. A session outlives the removal of the passkey that opened it.
CREATE TABLE sessions (
    id                    uuid        NOT NULL PRIMARY KEY,
    user_id               uuid        NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    credential_id         bytea       NOT NULL,
    transport             text        NOT NULL CONSTRAINT sessions_transport_check CHECK (transport IN ('cookie', 'bearer')),
    token_digest          bytea       NOT NULL UNIQUE CONSTRAINT sessions_token_digest_check CHECK (length(token_digest) = 32), -- SHA-256
    previous_token_digest bytea       CONSTRAINT sessions_previous_token_digest_check CHECK (length(previous_token_digest) = 32), -- SHA-256
    rotated_at            timestamptz CONSTRAINT sessions_rotated_at_check CHECK ((rotated_at IS NULL) = (previous_token_digest IS NULL)),
    assurance             text        NOT NULL CONSTRAINT sessions_assurance_check CHECK (assurance <> ''),
    amr                   jsonb       NOT NULL CONSTRAINT sessions_amr_check CHECK (jsonb_typeof(amr) = 'array'), -- RFC 8176
    device_name           text        NOT NULL,
    device_user_agent     text        NOT NULL,
    device_ip             text        NOT NULL, -- '' if unknown
    created_at            timestamptz NOT NULL,
    auth_time             timestamptz NOT NULL,
    last_seen_at          timestamptz NOT NULL,
    idle_ends_at          timestamptz NOT NULL,
    expires_at            timestamptz NOT NULL,
    revoked_at            timestamptz,
    CONSTRAINT sessions_idle_ends_at_check CHECK (idle_ends_at <= expires_at)
);

-- Every sign-in counts a user's sessions that are not revoked. Lists of them are newest first: ids grow with time.
CREATE INDEX sessions_user_id_revoked_at_id_idx ON sessions (user_id, revoked_at, id);
CREATE INDEX sessions_ended_at_idx ON sessions (COALESCE(revoked_at, idle_ends_at) ASC);

-- recovery_grants: one per user at most, found by the digest of the token. A grant outlives its backup code.
CREATE TABLE recovery_grants (
    user_id            uuid        NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    token_digest       bytea       NOT NULL UNIQUE CONSTRAINT recovery_grants_token_digest_check CHECK (length(token_digest) = 32), -- SHA-256
    nonce              bytea       NOT NULL, -- derives the token again, with a key that is not in the database
    backup_code_digest bytea       CONSTRAINT recovery_grants_backup_code_digest_check CHECK (length(backup_code_digest) = 32), -- NULL if no backup code was used
    factors            jsonb       NOT NULL CONSTRAINT recovery_grants_factors_check CHECK (jsonb_typeof(factors) = 'array'),
    created_at         timestamptz NOT NULL,
    expires_at         timestamptz NOT NULL
);

CREATE INDEX recovery_grants_expires_at_idx ON recovery_grants (expires_at ASC);

-- authorization_codes: found by the digest of the code. A redeemed code is kept, so that a second redemption is recognised. The
-- session that it opened may end before it.
CREATE TABLE authorization_codes (
    digest            bytea       NOT NULL PRIMARY KEY CONSTRAINT authorization_codes_digest_check CHECK (length(digest) = 32), -- SHA-256
    session_id        uuid        NOT NULL REFERENCES sessions (id) ON DELETE CASCADE, -- the session that issued the code
    session_auth_at   timestamptz NOT NULL, -- its auth_time at that time
    return_to         text        NOT NULL CONSTRAINT authorization_codes_return_to_check CHECK (return_to <> ''), -- URL
    challenge         bytea       NOT NULL CONSTRAINT authorization_codes_challenge_check CHECK (length(challenge) = 32), -- SHA-256 of the verifier
    created_at        timestamptz NOT NULL,
    expires_at        timestamptz NOT NULL,
    redeemed_at       timestamptz,
    issued_session_id uuid       , -- the session that the redemption opened
    CONSTRAINT authorization_codes_redeemed_at_check CHECK (redeemed_at IS NOT NULL OR issued_session_id IS NULL)
);

CREATE INDEX authorization_codes_session_id_idx ON authorization_codes (session_id);
CREATE INDEX authorization_codes_expires_at_idx ON authorization_codes (expires_at ASC);

-- webauthn_challenges: ceremonies that were begun and have no answer yet.
CREATE TABLE webauthn_challenges (
    id                   uuid        NOT NULL PRIMARY KEY,
    purpose              text        NOT NULL CONSTRAINT webauthn_challenges_purpose_check CHECK (purpose <> ''),
    binding              bytea       CONSTRAINT webauthn_challenges_binding_check CHECK (length(binding) = 32), -- NULL if not bound to a browser
    session_id           uuid        REFERENCES sessions (id) ON DELETE CASCADE, -- NULL if not bound to a session
    recovery_grant       bytea       REFERENCES recovery_grants (token_digest) ON DELETE CASCADE, -- NULL if not bound to a recovery grant
    ceremony_state       bytea       NOT NULL,
    -- The user that a sign-up will create.
    pending_user_id      uuid        CONSTRAINT webauthn_challenges_pending_user_id_check
        CHECK ((purpose = 'signup') = (pending_user_id IS NOT NULL)),
    pending_user_handle  bytea       CONSTRAINT webauthn_challenges_pending_user_handle_check
        CHECK ((pending_user_handle IS NULL) = (pending_user_id IS NULL) AND (pending_user_handle IS NULL OR length(pending_user_handle) BETWEEN 1 AND 64)),
    pending_email        text        CONSTRAINT webauthn_challenges_pending_email_check CHECK (pending_email <> ''),
    pending_display_name text        CONSTRAINT webauthn_challenges_pending_display_name_check CHECK (pending_display_name <> ''),
    pending_locale       text        CONSTRAINT webauthn_challenges_pending_locale_check CHECK (pending_locale <> ''),
    pending_invite_id    uuid, -- NULL without an invite
    created_at           timestamptz NOT NULL,
    expires_at           timestamptz NOT NULL
);

CREATE INDEX webauthn_challenges_expires_at_idx ON webauthn_challenges (expires_at ASC);
CREATE INDEX webauthn_challenges_session_id_idx ON webauthn_challenges (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX webauthn_challenges_recovery_grant_idx ON webauthn_challenges (recovery_grant) WHERE recovery_grant IS NOT NULL;

-- events: the audit log. NULL is what does not apply. An event outlives its session and its passkey. Before a user is
-- deleted, the user's events are anonymized: an event without a user says nothing about a person.
CREATE TABLE events (
    id            uuid        NOT NULL PRIMARY KEY,
    kind          text        NOT NULL CONSTRAINT events_kind_check CHECK (kind <> ''),
    at            timestamptz NOT NULL,
    actor         text        NOT NULL CONSTRAINT events_actor_check CHECK (actor IN ('user', 'operator')),
    reason        text        CONSTRAINT events_reason_check CHECK (reason <> ''),
    user_id       uuid        REFERENCES users (id),
    session_id    uuid,
    credential_id bytea       CONSTRAINT events_credential_id_check CHECK (length(credential_id) BETWEEN 1 AND 1023),
    passkey_name  text        CONSTRAINT events_passkey_name_check CHECK (passkey_name <> ''), -- the name at that time
    device_name   text        CONSTRAINT events_device_name_check CHECK (device_name <> ''),
    ip            text        CONSTRAINT events_ip_check CHECK (ip <> ''),
    changed       jsonb       NOT NULL DEFAULT '[]' CONSTRAINT events_changed_check CHECK (jsonb_typeof(changed) = 'array'), -- names of the changed fields
    api_key_id    uuid, -- of the operator's program
    invite_id     uuid, -- that was created, used or revoked
    request_id    text        CONSTRAINT events_request_id_check CHECK (request_id <> ''),
    repeat_key    bytea       CONSTRAINT events_repeat_key_check CHECK (length(repeat_key) = 16), -- equal for events that are counted as one
    repeats       bigint      NOT NULL DEFAULT 0 CONSTRAINT events_repeats_check CHECK (repeats >= 0),
    last_at       timestamptz CONSTRAINT events_last_at_check CHECK ((last_at IS NULL) = (repeats = 0)), -- time of the last repetition
    other_ips     jsonb       NOT NULL DEFAULT '[]' CONSTRAINT events_other_ips_check CHECK (jsonb_typeof(other_ips) = 'array'),
    CONSTRAINT events_user_id_check CHECK (
        user_id IS NOT NULL
        OR changed = '[]' AND other_ips = '[]' AND session_id IS NULL AND credential_id IS NULL
            AND COALESCE(passkey_name, device_name, ip, request_id) IS NULL
    )
);

CREATE INDEX events_user_id_id_idx ON events (user_id, id);
CREATE INDEX events_at_idx ON events (at ASC);
CREATE UNIQUE INDEX events_repeat_key_idx ON events (repeat_key) WHERE repeat_key IS NOT NULL;

-- signing_keys: the keys that sign access tokens.
CREATE TABLE signing_keys (
    id            text        NOT NULL PRIMARY KEY CONSTRAINT signing_keys_id_check CHECK (id <> ''), -- RFC 7638 thumbprint
    algorithm     text        NOT NULL CONSTRAINT signing_keys_algorithm_check CHECK (algorithm <> ''),
    encrypted_key bytea       NOT NULL, -- PKCS #8
    created_at    timestamptz NOT NULL,
    signs_from    timestamptz NOT NULL
);

-- api_keys: the keys of the operator's programs for the admin API, found by the digest of the token. Revoked and expired ones are
-- kept, since events name them.
CREATE TABLE api_keys (
    id           uuid        NOT NULL PRIMARY KEY,
    name         text        NOT NULL CONSTRAINT api_keys_name_check CHECK (name <> ''),
    token_digest bytea       NOT NULL UNIQUE CONSTRAINT api_keys_token_digest_check CHECK (length(token_digest) = 32), -- SHA-256
    scopes       jsonb       NOT NULL CONSTRAINT api_keys_scopes_check CHECK (jsonb_typeof(scopes) = 'array'), -- in alphabetical order
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    last_used_at timestamptz,
    revoked_at   timestamptz
);

-- invites: found by the digest of the token. An invite is consumed by the sign-up of a user, and deleted with that user.
CREATE TABLE invites (
    id           uuid        NOT NULL PRIMARY KEY,
    token_digest bytea       NOT NULL UNIQUE CONSTRAINT invites_token_digest_check CHECK (length(token_digest) = 32), -- SHA-256
    email        text        CONSTRAINT invites_email_check CHECK (email <> '' AND email = lower(email)), -- NULL for any address
    groups       jsonb       NOT NULL CONSTRAINT invites_groups_check CHECK (jsonb_typeof(groups) = 'array'), -- in alphabetical order
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    used_at      timestamptz,
    user_id      uuid        REFERENCES users (id) ON DELETE CASCADE CONSTRAINT invites_user_id_check CHECK ((user_id IS NULL) = (used_at IS NULL)),
    revoked_at   timestamptz CONSTRAINT invites_revoked_at_check CHECK (revoked_at IS NULL OR used_at IS NULL)
);

CREATE INDEX invites_expires_at_idx ON invites (expires_at ASC);
CREATE INDEX invites_user_id_idx ON invites (user_id) WHERE user_id IS NOT NULL;

-- totps: authenticator apps (RFC 6238), and the pending secret of the app that is being set up. Secrets are encrypted.
CREATE TABLE totps (
    user_id        uuid        NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    secret         bytea       CONSTRAINT totps_secret_check CHECK (length(secret) > 0), -- NULL until the first app is confirmed
    confirmed_at   timestamptz CONSTRAINT totps_confirmed_at_check CHECK ((confirmed_at IS NULL) = (secret IS NULL)),
    last_step      bigint      NOT NULL, -- the latest time step whose code was accepted
    pending_secret bytea       CONSTRAINT totps_pending_secret_check CHECK (length(pending_secret) > 0),
    pending_at     timestamptz CONSTRAINT totps_pending_at_check CHECK ((pending_at IS NULL) = (pending_secret IS NULL))
);

-- backup_code_sets: one per user at most. A set of which every code was used is still a set.
CREATE TABLE backup_code_sets (
    user_id    uuid        NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL
);

-- backup_codes: the unused codes of a set, found without knowing the user.
CREATE TABLE backup_codes (
    digest  bytea       NOT NULL PRIMARY KEY CONSTRAINT backup_codes_digest_check CHECK (length(digest) = 32), -- HMAC-SHA-256
    user_id uuid        NOT NULL REFERENCES backup_code_sets (user_id) ON DELETE CASCADE
);

CREATE INDEX backup_codes_user_id_idx ON backup_codes (user_id);

-- recovery_lockouts: consecutive wrong recovery codes. The subject is an HMAC of a user id, an e-mail address or an IP address.
CREATE TABLE recovery_lockouts (
    subject      bytea       NOT NULL PRIMARY KEY CONSTRAINT recovery_lockouts_subject_check CHECK (length(subject) = 32),
    failures     bigint      NOT NULL CONSTRAINT recovery_lockouts_failures_check CHECK (failures >= 0),
    locked_until timestamptz,
    updated_at   timestamptz NOT NULL
);

CREATE INDEX recovery_lockouts_updated_at_idx ON recovery_lockouts (updated_at ASC);

-- outbox_emails: e-mails to be sent, as facts; the text is written when an e-mail is sent. NULL is what does not apply.
CREATE TABLE outbox_emails (
    id           uuid        NOT NULL PRIMARY KEY,
    user_id      uuid        REFERENCES users (id) ON DELETE CASCADE, -- NULL if the e-mail outlives its user
    recipient    text        NOT NULL CONSTRAINT outbox_emails_recipient_check CHECK (recipient <> ''), -- the e-mail address at that time
    locale       text        CONSTRAINT outbox_emails_locale_check CHECK (locale <> ''), -- the recipient's at that time
    kind         text        NOT NULL CONSTRAINT outbox_emails_kind_check CHECK (kind <> ''),
    happened_at  timestamptz,
    actor        text        CONSTRAINT outbox_emails_actor_check CHECK (actor IN ('user', 'operator')),
    passkey_name text        CONSTRAINT outbox_emails_passkey_name_check CHECK (passkey_name <> ''),
    device_name  text        CONSTRAINT outbox_emails_device_name_check CHECK (device_name <> ''),
    ip           text        CONSTRAINT outbox_emails_ip_check CHECK (ip <> ''),
    code         bytea       CONSTRAINT outbox_emails_code_check -- encrypted
        CHECK ((code IS NOT NULL) = (kind = 'email_code') AND (code IS NULL OR length(code) > 0)),
    attempts     bigint      NOT NULL CONSTRAINT outbox_emails_attempts_check CHECK (attempts >= 0),
    due_at       timestamptz NOT NULL, -- time of the next attempt
    expires_at   timestamptz NOT NULL
);

CREATE INDEX outbox_emails_due_at_id_idx ON outbox_emails (due_at ASC, id);
CREATE INDEX outbox_emails_expires_at_idx ON outbox_emails (expires_at ASC);
CREATE INDEX outbox_emails_user_id_idx ON outbox_emails (user_id) WHERE user_id IS NOT NULL;

-- job_leases: jobs that one node runs for all nodes, and when each is due again.
CREATE TABLE job_leases (
    name   text        NOT NULL PRIMARY KEY CONSTRAINT job_leases_name_check CHECK (name <> ''),
    due_at timestamptz NOT NULL
);

-- rate_buckets: token buckets, by a digest of the caller. A bucket is stored as the time when it will be full; a full bucket
-- need not be stored. The table is UNLOGGED: after a crash of the server all buckets are full, which costs less than writing
-- the write-ahead log at each call.
CREATE UNLOGGED TABLE rate_buckets (
    subject      bytea       NOT NULL PRIMARY KEY CONSTRAINT rate_buckets_subject_check CHECK (octet_length(subject) = 16),
    interval_us  bigint      NOT NULL CONSTRAINT rate_buckets_interval_us_check CHECK (interval_us > 0), -- microseconds per token
    fill_time_us bigint      NOT NULL CONSTRAINT rate_buckets_fill_time_us_check CHECK (fill_time_us > 0), -- microseconds from empty to full
    full_at      timestamptz NOT NULL
);
-- schema_floor: the lowest schema version that a program must know to serve this database. See migrations.go.
CREATE TABLE schema_floor (
    version bigint NOT NULL PRIMARY KEY
);
INSERT INTO schema_floor (version) VALUES (1);

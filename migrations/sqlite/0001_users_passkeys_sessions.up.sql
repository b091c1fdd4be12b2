-- Times are microseconds since the Unix epoch, UTC; NULL is "not yet" or "never". Ids are UUIDs as text, for whoever
-- reads along; what WebAuthn compares byte for byte is a BLOB.

-- A person with an account.
CREATE TABLE users (
    id                TEXT    NOT NULL PRIMARY KEY CHECK (length(id) = 36),
    user_handle       BLOB    NOT NULL UNIQUE CHECK (length(user_handle) BETWEEN 1 AND 64),
    email             TEXT    UNIQUE CHECK (email <> '' AND email = lower(email)),
    email_verified_at INTEGER CHECK (email_verified_at IS NULL OR email IS NOT NULL),
    display_name      TEXT    NOT NULL, -- '' if the person gave none
    created_at        INTEGER NOT NULL
) STRICT;

-- A credential record (WebAuthn Level 3, section 4): one passkey of one user, kept whole.
CREATE TABLE passkeys (
    credential_id      BLOB    NOT NULL PRIMARY KEY CHECK (length(credential_id) BETWEEN 1 AND 1023),
    user_id            TEXT    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name               TEXT    NOT NULL, -- '' if the person gave none
    status             TEXT    NOT NULL CHECK (status IN ('active', 'suspended')),
    rp_id              TEXT    NOT NULL,
    public_key         BLOB    NOT NULL, -- COSE_Key
    algorithm          INTEGER NOT NULL, -- COSE algorithm identifier
    aaguid             BLOB    NOT NULL CHECK (length(aaguid) = 16),
    attachment         TEXT    NOT NULL, -- '' if the client did not say
    transports         TEXT    NOT NULL CHECK (json_type(transports) = 'array'),
    flags              INTEGER NOT NULL CHECK (flags BETWEEN 0 AND 255),
    sign_count         INTEGER NOT NULL CHECK (sign_count BETWEEN 0 AND 4294967295),
    clone_warning      INTEGER NOT NULL CHECK (clone_warning IN (0, 1)),
    attestation_type   TEXT    NOT NULL,
    attestation_format TEXT    NOT NULL,
    attestation_object BLOB    NOT NULL, -- CBOR
    authenticator_data BLOB    NOT NULL,
    client_data_json   BLOB    NOT NULL,
    extensions         TEXT    CHECK (json_valid(extensions)),
    created_at         INTEGER NOT NULL,
    last_used_at       INTEGER,
    CHECK (flags & 16 = 0 OR flags & 8 = 8) -- backed up means eligible for it
) STRICT;

CREATE INDEX passkeys_of_user ON passkeys (user_id, created_at);

-- A ceremony under way, from its options to its first answer.
CREATE TABLE webauthn_challenges (
    id                     TEXT    NOT NULL PRIMARY KEY CHECK (length(id) = 36),
    purpose                TEXT    NOT NULL CHECK (purpose <> ''),
    binding                BLOB    CHECK (length(binding) = 32), -- NULL if bound to no browser
    ceremony               BLOB    NOT NULL,
    applicant_user_id      TEXT    CHECK (length(applicant_user_id) = 36),
    applicant_handle       BLOB    CHECK (length(applicant_handle) BETWEEN 1 AND 64),
    applicant_email        TEXT    CHECK (applicant_email <> ''),
    applicant_display_name TEXT,
    created_at             INTEGER NOT NULL,
    expires_at             INTEGER NOT NULL,
    -- somebody is signing up, or nobody is
    CHECK ((purpose = 'signup') = (applicant_user_id IS NOT NULL)),
    CHECK ((applicant_user_id IS NULL) = (applicant_handle IS NULL)),
    CHECK ((applicant_user_id IS NULL) = (applicant_display_name IS NULL))
) STRICT;

CREATE INDEX webauthn_challenges_by_expiry ON webauthn_challenges (expires_at);

-- A sign-in that lasts, found by the digest of its token. The passkey that opened it may be gone before it.
CREATE TABLE sessions (
    id                TEXT    NOT NULL PRIMARY KEY CHECK (length(id) = 36),
    user_id           TEXT    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    credential_id     BLOB    NOT NULL,
    token_digest      BLOB    NOT NULL UNIQUE CHECK (length(token_digest) = 32), -- SHA-256
    assurance         TEXT    NOT NULL CHECK (assurance <> ''),
    amr               TEXT    NOT NULL CHECK (json_type(amr) = 'array'), -- RFC 8176
    device_name       TEXT    NOT NULL,
    device_user_agent TEXT    NOT NULL,
    device_ip         TEXT    NOT NULL, -- '' if unknown
    created_at        INTEGER NOT NULL,
    auth_time         INTEGER NOT NULL,
    last_seen_at      INTEGER NOT NULL,
    idle_ends_at      INTEGER NOT NULL,
    expires_at        INTEGER NOT NULL,
    revoked_at        INTEGER,
    CHECK (idle_ends_at <= expires_at)
) STRICT;

CREATE INDEX sessions_of_user ON sessions (user_id);
CREATE INDEX sessions_by_end ON sessions (COALESCE(revoked_at, idle_ends_at));

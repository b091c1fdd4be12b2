-- NULL is "not yet" or "never". What WebAuthn compares byte for byte is a bytea. Indexes on times say ASC, since YugabyteDB
-- would hash them otherwise and could not read them in their order.

-- A person with an account.
CREATE TABLE users (
    id                uuid        NOT NULL PRIMARY KEY,
    user_handle       bytea       NOT NULL UNIQUE CHECK (length(user_handle) BETWEEN 1 AND 64),
    email             text        UNIQUE CHECK (email <> '' AND email = lower(email)),
    email_verified_at timestamptz CHECK (email_verified_at IS NULL OR email IS NOT NULL),
    display_name      text        NOT NULL, -- '' if the person gave none
    created_at        timestamptz NOT NULL
);

-- A credential record (WebAuthn Level 3, section 4): one passkey of one user, kept whole.
CREATE TABLE passkeys (
    credential_id      bytea       NOT NULL PRIMARY KEY CHECK (length(credential_id) BETWEEN 1 AND 1023),
    user_id            uuid        NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name               text        NOT NULL, -- '' if the person gave none
    status             text        NOT NULL CHECK (status IN ('active', 'suspended')),
    rp_id              text        NOT NULL,
    public_key         bytea       NOT NULL, -- COSE_Key
    algorithm          bigint      NOT NULL, -- COSE algorithm identifier
    aaguid             bytea       NOT NULL CHECK (length(aaguid) = 16),
    attachment         text        NOT NULL, -- '' if the client did not say
    transports         text[]      NOT NULL,
    flags              bigint      NOT NULL CHECK (flags BETWEEN 0 AND 255),
    sign_count         bigint      NOT NULL CHECK (sign_count BETWEEN 0 AND 4294967295),
    clone_warning      boolean     NOT NULL,
    attestation_type   text        NOT NULL,
    attestation_format text        NOT NULL,
    attestation_object bytea       NOT NULL, -- CBOR
    authenticator_data bytea       NOT NULL,
    client_data_json   bytea       NOT NULL,
    extensions         text        CHECK (extensions IS NULL OR extensions::json IS NOT NULL), -- as it was sent, which jsonb would not keep
    created_at         timestamptz NOT NULL,
    last_used_at       timestamptz,
    CHECK (flags & 16 = 0 OR flags & 8 = 8) -- backed up means eligible for it
);

CREATE INDEX passkeys_of_user ON passkeys (user_id, created_at);

-- A ceremony under way, from its options to its first answer.
CREATE TABLE webauthn_challenges (
    id                     uuid        NOT NULL PRIMARY KEY,
    purpose                text        NOT NULL CHECK (purpose <> ''),
    binding                bytea       CHECK (length(binding) = 32), -- NULL if bound to no browser
    ceremony               bytea       NOT NULL,
    applicant_user_id      uuid,
    applicant_handle       bytea       CHECK (length(applicant_handle) BETWEEN 1 AND 64),
    applicant_email        text        CHECK (applicant_email <> ''),
    applicant_display_name text,
    created_at             timestamptz NOT NULL,
    expires_at             timestamptz NOT NULL,
    -- somebody is signing up, or nobody is
    CHECK ((purpose = 'signup') = (applicant_user_id IS NOT NULL)),
    CHECK ((applicant_user_id IS NULL) = (applicant_handle IS NULL)),
    CHECK ((applicant_user_id IS NULL) = (applicant_display_name IS NULL))
);

CREATE INDEX webauthn_challenges_by_expiry ON webauthn_challenges (expires_at ASC);

-- A sign-in that lasts, found by the digest of its token. The passkey that opened it may be gone before it.
CREATE TABLE sessions (
    id                uuid        NOT NULL PRIMARY KEY,
    user_id           uuid        NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    credential_id     bytea       NOT NULL,
    token_digest      bytea       NOT NULL UNIQUE CHECK (length(token_digest) = 32), -- SHA-256
    assurance         text        NOT NULL CHECK (assurance <> ''),
    amr               text[]      NOT NULL, -- RFC 8176
    device_name       text        NOT NULL,
    device_user_agent text        NOT NULL,
    device_ip         text        NOT NULL, -- '' if unknown
    created_at        timestamptz NOT NULL,
    auth_time         timestamptz NOT NULL,
    last_seen_at      timestamptz NOT NULL,
    idle_ends_at      timestamptz NOT NULL,
    expires_at        timestamptz NOT NULL,
    revoked_at        timestamptz,
    CHECK (idle_ends_at <= expires_at)
);

CREATE INDEX sessions_of_user ON sessions (user_id);
CREATE INDEX sessions_by_end ON sessions (COALESCE(revoked_at, idle_ends_at) ASC);

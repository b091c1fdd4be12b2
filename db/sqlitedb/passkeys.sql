-- name: AddPasskey :execrows
INSERT INTO passkeys (
    credential_id, user_id, name, status, rp_id, public_key, algorithm, aaguid, attachment, transports, flags,
    sign_count, clone_warning, extensions, created_at, last_used_at
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (credential_id) DO NOTHING;

-- name: AddPasskeyAttestation :exec
INSERT INTO passkey_attestations (
    credential_id, attestation_type, attestation_format, attestation_object, authenticator_data, client_data_json
) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (credential_id) DO NOTHING;

-- name: PasskeyAttestation :one
SELECT * FROM passkey_attestations WHERE credential_id = @credential_id;

-- name: PasskeyByID :one
SELECT * FROM passkeys WHERE credential_id = @credential_id;

-- Of an owner with many sessions only as many are counted as needed.
-- name: PasskeyWithOwner :one
SELECT
    sqlc.embed(passkeys), sqlc.embed(users),
    (SELECT count(*) FROM (
        SELECT 1 FROM sessions AS s WHERE s.user_id = passkeys.user_id AND s.revoked_at IS NULL LIMIT @up_to
    ) AS counted) AS sessions
FROM passkeys JOIN users ON users.id = passkeys.user_id
WHERE passkeys.credential_id = @credential_id;

-- name: ListPasskeysWithOwner :many
SELECT
    sqlc.embed(passkeys), sqlc.embed(users),
    EXISTS (SELECT 1 FROM recovery_lockouts WHERE recovery_lockouts.subject = @subject) AS has_lockout
FROM passkeys JOIN users ON users.id = passkeys.user_id
WHERE passkeys.user_id = @user_id ORDER BY passkeys.created_at, passkeys.credential_id;

-- name: ListPasskeysByUser :many
SELECT * FROM passkeys WHERE user_id = @user_id ORDER BY created_at, credential_id;

-- SavePasskey leaves what the registration has fixed.
-- name: SavePasskey :execrows
UPDATE passkeys
SET name = @name, status = @status, transports = @transports, flags = @flags, sign_count = @sign_count,
    clone_warning = @clone_warning, last_used_at = @last_used_at
WHERE credential_id = @credential_id;

-- name: RemovePasskey :execrows
DELETE FROM passkeys WHERE credential_id = @credential_id;

-- Two range scans, because <> cannot use the index.
-- name: CountPasskeysOfOtherRPIDs :many
SELECT less.rp_id, count(*) AS passkeys FROM passkeys AS less WHERE less.rp_id < @rp_id GROUP BY less.rp_id
UNION ALL
SELECT more.rp_id, count(*) AS passkeys FROM passkeys AS more WHERE more.rp_id > @rp_id GROUP BY more.rp_id;

-- name: AddPasskey :execrows
INSERT INTO passkeys (
    credential_id, user_id, name, status, rp_id, public_key, algorithm, aaguid, attachment, transports, flags, sign_count,
    clone_warning, attestation_type, attestation_format, attestation_object, authenticator_data, client_data_json,
    extensions, created_at, last_used_at
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (credential_id) DO NOTHING;

-- name: PasskeyByID :one
SELECT * FROM passkeys WHERE credential_id = ?;

-- name: PasskeysOfUser :many
SELECT * FROM passkeys WHERE user_id = ? ORDER BY created_at, credential_id;

-- What registration fixed stays as it is.
-- name: SavePasskey :execrows
UPDATE passkeys
SET name = ?, status = ?, transports = ?, flags = ?, sign_count = ?, clone_warning = ?, last_used_at = ?
WHERE credential_id = ?;

-- name: RemovePasskey :execrows
DELETE FROM passkeys WHERE credential_id = ?;

-- In two halves, since an index knows less and more, and not other.
-- name: PasskeysOfOtherRPs :many
SELECT less.rp_id, count(*) AS passkeys FROM passkeys AS less WHERE less.rp_id < sqlc.arg(rp_id) GROUP BY less.rp_id
UNION ALL
SELECT more.rp_id, count(*) AS passkeys FROM passkeys AS more WHERE more.rp_id > sqlc.arg(rp_id) GROUP BY more.rp_id;

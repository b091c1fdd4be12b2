-- name: AddUser :execrows
INSERT INTO users (
    id, user_handle, email, email_verified_at, claimed_email, claim_code, claim_failures, claim_expires_at, display_name,
    disabled_at, created_at
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (email) DO NOTHING;

-- name: UserByID :one
SELECT * FROM users WHERE id = ?;

-- name: UserByEmail :one
SELECT * FROM users WHERE email = CAST(sqlc.arg(email) AS TEXT);

-- name: UsersAfter :many
SELECT * FROM users WHERE id > sqlc.arg(after) ORDER BY id LIMIT sqlc.arg(up_to);

-- What passkeys and other systems know a user by never changes.
-- name: SaveUser :execrows
UPDATE users
SET email = ?, email_verified_at = ?, claimed_email = ?, claim_code = ?, claim_failures = ?, claim_expires_at = ?,
    display_name = ?, disabled_at = ?
WHERE id = ?;

-- Passkeys, sessions, the authenticator app, backup codes, the grant, messages and the challenges bound to any of those go
-- along.
-- name: RemoveUser :execrows
DELETE FROM users WHERE id = ?;

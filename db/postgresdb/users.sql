-- name: AddUser :execrows
INSERT INTO users (
    id, user_handle, email, email_verified_at, claimed_email, claim_code, claim_failures, claim_expires_at, display_name,
    disabled_at, created_at
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (email) DO NOTHING;

-- name: UserByID :one
SELECT * FROM users WHERE id = $1;

-- name: UserByEmail :one
SELECT * FROM users WHERE email = sqlc.arg(email)::text;

-- name: UsersAfter :many
SELECT * FROM users WHERE id > sqlc.arg(after) ORDER BY id LIMIT sqlc.arg(up_to)::bigint;

-- What passkeys and other systems know a user by never changes. A taken address saves nothing: the error of the unique
-- index would end the transaction.
-- name: SaveUser :execrows
UPDATE users AS u
SET email = $1, email_verified_at = $2, claimed_email = $3, claim_code = $4, claim_failures = $5, claim_expires_at = $6,
    display_name = $7, disabled_at = $8
WHERE u.id = $9 AND NOT EXISTS (SELECT 1 FROM users AS other WHERE other.email = $1 AND other.id <> $9);

-- Passkeys, sessions, the authenticator app, backup codes, the grant, messages and the challenges bound to any of those go
-- along.
-- name: RemoveUser :execrows
DELETE FROM users WHERE id = $1;

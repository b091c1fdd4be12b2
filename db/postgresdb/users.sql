-- name: AddUser :execrows
INSERT INTO users (id, user_handle, email, email_verified_at, display_name, disabled_at, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
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
UPDATE users AS u SET email = $1, email_verified_at = $2, display_name = $3, disabled_at = $4
WHERE u.id = $5 AND NOT EXISTS (SELECT 1 FROM users AS other WHERE other.email = $1 AND other.id <> $5);

-- Passkeys, sessions, the authenticator app, backup codes, the grant and the challenges bound to any of those go along.
-- name: RemoveUser :execrows
DELETE FROM users WHERE id = $1;

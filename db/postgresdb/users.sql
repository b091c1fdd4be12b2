-- name: AddUser :execrows
INSERT INTO users (
    id, user_handle, email, email_verified_at, pending_email, pending_email_code, pending_email_failures,
    pending_email_expires_at, display_name, locale, groups, disabled_at, created_at
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT (email) DO NOTHING;

-- name: UserByID :one
SELECT * FROM users WHERE id = @id;

-- name: UserByEmail :one
SELECT * FROM users WHERE email = @email::text;

-- name: ListUsers :many
SELECT * FROM users WHERE id > @after ORDER BY id LIMIT @up_to::bigint;

-- SaveUser changes no row if another user has the e-mail address: in PostgreSQL the error of the unique index would end the
-- transaction. The id and the user handle of a user never change.
-- name: SaveUser :execrows
UPDATE users
SET email = @email, email_verified_at = @email_verified_at, pending_email = @pending_email,
    pending_email_code = @pending_email_code, pending_email_failures = @pending_email_failures,
    pending_email_expires_at = @pending_email_expires_at, display_name = @display_name, locale = @locale,
    groups = @groups, disabled_at = @disabled_at
WHERE users.id = @id AND NOT EXISTS (SELECT 1 FROM users AS other WHERE other.email = @email AND other.id <> @id);

-- RemoveUser also deletes the user's passkeys, sessions, authenticator app, backup codes, recovery grant and e-mails, and the
-- challenges bound to them.
-- name: RemoveUser :execrows
DELETE FROM users WHERE id = @id;

-- name: AddUser :execrows
INSERT INTO users (
    id, user_handle, email, email_verified_at, pending_email, pending_email_code, pending_email_failures,
    pending_email_expires_at, display_name, locale, search_name, search_last_word, groups, disabled_at, created_at
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
ON CONFLICT (email) DO NOTHING;

-- name: UserByID :one
SELECT * FROM users WHERE id = @id;

-- name: UserByEmail :one
SELECT * FROM users WHERE email = @email::text;

-- name: ListUsers :many
SELECT * FROM users WHERE id > @after ORDER BY id LIMIT @up_to::bigint;

-- The three searches read what begins with low and is below high: a range of an index.
-- name: SearchUsersByEmail :many
SELECT * FROM users WHERE email >= @low::text AND email < @high::text ORDER BY email LIMIT @up_to::bigint;

-- name: SearchUsersByName :many
SELECT * FROM users WHERE search_name >= @low::text AND search_name < @high::text AND search_name <> '' ORDER BY search_name LIMIT @up_to::bigint;

-- name: SearchUsersByLastWord :many
SELECT * FROM users WHERE search_last_word >= @low::text AND search_last_word < @high::text AND search_last_word <> '' ORDER BY search_last_word LIMIT @up_to::bigint;

-- SaveUser changes no row if another user has the e-mail address: in PostgreSQL the error of the unique index would end the
-- transaction. The id and the user handle of a user never change.
-- name: SaveUser :execrows
UPDATE users
SET email = @email, email_verified_at = @email_verified_at, pending_email = @pending_email,
    pending_email_code = @pending_email_code, pending_email_failures = @pending_email_failures,
    pending_email_expires_at = @pending_email_expires_at, display_name = @display_name, locale = @locale,
    search_name = @search_name, search_last_word = @search_last_word, groups = @groups, disabled_at = @disabled_at
WHERE users.id = @id AND NOT EXISTS (SELECT 1 FROM users AS other WHERE other.email = @email AND other.id <> @id);

-- RemoveUser also deletes the user's passkeys, sessions, authenticator app, backup codes, recovery grant and e-mails, and the
-- challenges bound to them.
-- name: RemoveUser :execrows
DELETE FROM users WHERE id = @id;

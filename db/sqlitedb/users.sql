-- name: AddUser :execrows
INSERT INTO users (id, user_handle, email, email_verified_at, display_name, created_at)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (email) DO NOTHING;

-- name: UserByID :one
SELECT * FROM users WHERE id = ?;

-- name: UserByEmail :one
SELECT * FROM users WHERE email = CAST(sqlc.arg(email) AS TEXT);

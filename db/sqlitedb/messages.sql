-- name: AddMessage :exec
INSERT INTO messages (
    id, user_id, recipient, kind, happened_at, party, passkey_name, device_name, ip, code, attempts, due_at, expires_at
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: DueMessages :many
SELECT * FROM messages WHERE due_at <= sqlc.arg(now) ORDER BY due_at, id LIMIT sqlc.arg(up_to);

-- What a message says, and to whom, never changes.
-- name: SaveMessage :exec
UPDATE messages SET attempts = ?, due_at = ? WHERE id = ?;

-- Whose it was tells whether anything has to be forgotten, as it does in the next one.
-- name: RemoveMessage :one
DELETE FROM messages WHERE id = ? RETURNING user_id;

-- name: SweepMessages :many
DELETE FROM messages
WHERE id IN (
    SELECT m.id FROM messages AS m WHERE m.expires_at <= sqlc.arg(expired) ORDER BY m.expires_at LIMIT sqlc.arg(up_to)
)
RETURNING user_id;

-- name: AddMessage :exec
INSERT INTO messages (
    id, user_id, recipient, kind, happened_at, party, passkey_name, device_name, ip, code, attempts, due_at, expires_at
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13);

-- name: DueMessages :many
SELECT * FROM messages WHERE due_at <= sqlc.arg(now) ORDER BY due_at, id LIMIT sqlc.arg(up_to)::bigint;

-- name: MessagesAfter :many
SELECT * FROM messages WHERE id > sqlc.arg(after) ORDER BY id LIMIT sqlc.arg(up_to)::bigint;

-- What a message says, and to whom, never changes.
-- name: SaveMessage :exec
UPDATE messages SET attempts = $1, due_at = $2 WHERE id = $3;

-- name: RemoveMessage :exec
DELETE FROM messages WHERE id = $1;

-- name: SweepMessages :execrows
DELETE FROM messages
WHERE id IN (
    SELECT m.id FROM messages AS m WHERE m.expires_at <= sqlc.arg(expired) ORDER BY m.expires_at LIMIT sqlc.arg(up_to)::bigint
);

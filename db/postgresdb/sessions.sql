-- name: AddSession :exec
INSERT INTO sessions (
    id, user_id, credential_id, transport, token_digest, previous_token_digest, rotated_at, assurance, amr, device_name,
    device_user_agent, device_ip, created_at, auth_time, last_seen_at, idle_ends_at, expires_at, revoked_at
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18);

-- name: SessionByToken :one
SELECT * FROM sessions WHERE token_digest = $1;

-- name: SessionByID :one
SELECT * FROM sessions WHERE id = $1;

-- The idle end is never after the absolute one.
-- name: LiveSessions :many
SELECT * FROM sessions
WHERE user_id = sqlc.arg(user_id) AND id < sqlc.arg(before) AND revoked_at IS NULL AND idle_ends_at > sqlc.arg(now)
ORDER BY id DESC LIMIT sqlc.arg(up_to)::bigint;

-- Whose session it is, how it is carried and when it began never changes.
-- name: SaveSession :execrows
UPDATE sessions
SET credential_id = $1, token_digest = $2, previous_token_digest = $3, rotated_at = $4, assurance = $5, amr = $6,
    device_name = $7, device_user_agent = $8, device_ip = $9, auth_time = $10, last_seen_at = $11, idle_ends_at = $12,
    expires_at = $13, revoked_at = $14
WHERE id = $15;

-- name: SweepSessions :execrows
DELETE FROM sessions
WHERE id IN (
    SELECT s.id FROM sessions AS s
    WHERE COALESCE(s.revoked_at, s.idle_ends_at) <= sqlc.arg(ended)::timestamptz
    ORDER BY COALESCE(s.revoked_at, s.idle_ends_at) LIMIT sqlc.arg(up_to)::bigint
);

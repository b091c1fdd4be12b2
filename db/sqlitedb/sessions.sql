-- name: AddSession :exec
INSERT INTO sessions (
    id, user_id, credential_id, transport, token_digest, previous_token_digest, rotated_at, assurance, amr, device_name,
    device_user_agent, device_ip, created_at, auth_time, last_seen_at, idle_ends_at, expires_at, revoked_at
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: SessionByToken :one
SELECT * FROM sessions WHERE token_digest = ?;

-- name: SessionByID :one
SELECT * FROM sessions WHERE id = ?;

-- The idle end is never after the absolute one.
-- name: LiveSessions :many
SELECT * FROM sessions
WHERE user_id = sqlc.arg(user_id) AND id < sqlc.arg(before) AND revoked_at IS NULL AND idle_ends_at > sqlc.arg(now)
ORDER BY id DESC LIMIT sqlc.arg(up_to);

-- Whose session it is, how it is carried and when it began never changes.
-- name: SaveSession :execrows
UPDATE sessions
SET credential_id = ?, token_digest = ?, previous_token_digest = ?, rotated_at = ?, assurance = ?, amr = ?, device_name = ?,
    device_user_agent = ?, device_ip = ?, auth_time = ?, last_seen_at = ?, idle_ends_at = ?, expires_at = ?, revoked_at = ?
WHERE id = ?;

-- The plus hides the parameter's type, by which SQLite would pass over the index: an expression in one has none.
-- name: SweepSessions :execrows
DELETE FROM sessions
WHERE id IN (
    SELECT s.id FROM sessions AS s
    WHERE COALESCE(s.revoked_at, s.idle_ends_at) <= +CAST(sqlc.arg(ended) AS INTEGER)
    ORDER BY COALESCE(s.revoked_at, s.idle_ends_at) LIMIT sqlc.arg(up_to)
);

-- name: AddSession :exec
INSERT INTO sessions (
    id, user_id, credential_id, token_digest, assurance, amr, device_name, device_user_agent, device_ip,
    created_at, auth_time, last_seen_at, idle_ends_at, expires_at, revoked_at
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: SessionByToken :one
SELECT * FROM sessions WHERE token_digest = ?;

-- Whose session it is and when it began never changes.
-- name: SaveSession :execrows
UPDATE sessions
SET credential_id = ?, token_digest = ?, assurance = ?, amr = ?, device_name = ?, device_user_agent = ?, device_ip = ?,
    auth_time = ?, last_seen_at = ?, idle_ends_at = ?, expires_at = ?, revoked_at = ?
WHERE id = ?;

-- name: SweepSessions :execrows
DELETE FROM sessions
WHERE id IN (
    SELECT s.id FROM sessions AS s
    WHERE COALESCE(s.revoked_at, s.idle_ends_at) <= CAST(sqlc.arg(ended) AS INTEGER)
    ORDER BY COALESCE(s.revoked_at, s.idle_ends_at) LIMIT sqlc.arg(up_to)
);

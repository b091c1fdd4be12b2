-- name: AddSession :exec
INSERT INTO sessions (
    id, user_id, credential_id, transport, token_digest, previous_token_digest, rotated_at, assurance, amr,
    device_name, device_user_agent, device_ip, created_at, auth_time, last_seen_at, idle_ends_at, expires_at,
    revoked_at
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18);

-- name: SessionByToken :one
SELECT * FROM sessions WHERE token_digest = @token_digest;

-- name: SessionByID :one
SELECT * FROM sessions WHERE id = @id;

-- name: SessionWithUserByToken :one
SELECT sqlc.embed(sessions), sqlc.embed(users)
FROM sessions JOIN users ON users.id = sessions.user_id
WHERE sessions.token_digest = @token_digest;

-- name: SessionWithUserByID :one
SELECT sqlc.embed(sessions), sqlc.embed(users)
FROM sessions JOIN users ON users.id = sessions.user_id
WHERE sessions.id = @id;

-- A session never ends later than its idle end.
-- name: ListActiveSessions :many
SELECT * FROM sessions
WHERE user_id = @user_id AND id < @before AND revoked_at IS NULL AND idle_ends_at > @now
ORDER BY id DESC LIMIT @up_to::bigint;

-- name: ListAllActiveSessions :many
SELECT * FROM sessions
WHERE id > @after AND revoked_at IS NULL AND idle_ends_at > @now
ORDER BY id LIMIT @up_to::bigint;

-- The user, the transport and the creation time of a session never change.
-- name: SaveSession :execrows
UPDATE sessions
SET credential_id = @credential_id, token_digest = @token_digest, previous_token_digest = @previous_token_digest,
    rotated_at = @rotated_at, assurance = @assurance, amr = @amr, device_name = @device_name,
    device_user_agent = @device_user_agent, device_ip = @device_ip, auth_time = @auth_time, last_seen_at = @last_seen_at,
    idle_ends_at = @idle_ends_at, expires_at = @expires_at, revoked_at = @revoked_at
WHERE id = @id;

-- name: DeleteExpiredSessions :execrows
DELETE FROM sessions
WHERE id IN (
    SELECT s.id FROM sessions AS s
    WHERE COALESCE(s.revoked_at, s.idle_ends_at) <= @ended::timestamptz
    ORDER BY COALESCE(s.revoked_at, s.idle_ends_at) LIMIT @up_to::bigint
);

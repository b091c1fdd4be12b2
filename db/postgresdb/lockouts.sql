-- name: GetLockout :one
SELECT * FROM recovery_lockouts WHERE subject = @subject;

-- name: ListLockouts :many
SELECT * FROM recovery_lockouts WHERE subject > @after ORDER BY subject LIMIT @up_to::bigint;

-- name: SaveLockout :exec
INSERT INTO recovery_lockouts (subject, failures, locked_until, updated_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (subject) DO UPDATE
SET failures = excluded.failures, locked_until = excluded.locked_until, updated_at = excluded.updated_at;

-- name: ClearLockout :exec
DELETE FROM recovery_lockouts WHERE subject = @subject;

-- name: DeleteExpiredLockouts :execrows
DELETE FROM recovery_lockouts
WHERE subject IN (
    SELECT l.subject FROM recovery_lockouts AS l WHERE l.updated_at <= @before ORDER BY l.updated_at LIMIT @up_to::bigint
);

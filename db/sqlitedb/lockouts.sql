-- name: LockoutOfSubject :one
SELECT * FROM recovery_lockouts WHERE subject = ?;

-- name: LockoutsAfter :many
SELECT * FROM recovery_lockouts WHERE subject > sqlc.arg(after) ORDER BY subject LIMIT sqlc.arg(up_to);

-- name: SaveLockout :exec
INSERT INTO recovery_lockouts (subject, failures, locked_until, updated_at)
VALUES (?, ?, ?, ?)
ON CONFLICT (subject) DO UPDATE
SET failures = excluded.failures, locked_until = excluded.locked_until, updated_at = excluded.updated_at;

-- name: ClearLockout :exec
DELETE FROM recovery_lockouts WHERE subject = ?;

-- name: SweepLockouts :execrows
DELETE FROM recovery_lockouts
WHERE subject IN (
    SELECT l.subject FROM recovery_lockouts AS l
    WHERE l.updated_at <= sqlc.arg(before)
    ORDER BY l.updated_at LIMIT sqlc.arg(up_to)
);

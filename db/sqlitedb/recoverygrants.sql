-- name: AddRecoveryGrant :exec
INSERT INTO recovery_grants (
    user_id, token_digest, nonce, backup_code_digest, factors, created_at, expires_at
) VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: RecoveryGrantByUser :one
SELECT * FROM recovery_grants WHERE user_id = @user_id;

-- name: RecoveryGrantByToken :one
SELECT * FROM recovery_grants WHERE token_digest = @token_digest;

-- A recovery grant's challenges are deleted with it, here and below.
-- name: RemoveRecoveryGrant :exec
DELETE FROM recovery_grants WHERE user_id = @user_id;

-- One statement finds and deletes, so that a recovery grant is taken once.
-- name: TakeRecoveryGrant :one
DELETE FROM recovery_grants WHERE token_digest = @token_digest RETURNING *;

-- name: DeleteExpiredRecoveryGrants :execrows
DELETE FROM recovery_grants
WHERE user_id IN (
    SELECT g.user_id FROM recovery_grants AS g WHERE g.expires_at <= @expired ORDER BY g.expires_at LIMIT @up_to
);

-- name: AddGrant :exec
INSERT INTO recovery_grants (user_id, token_digest, nonce, code_digest, factors, created_at, expires_at)
VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: GrantOfUser :one
SELECT * FROM recovery_grants WHERE user_id = ?;

-- name: GrantByToken :one
SELECT * FROM recovery_grants WHERE token_digest = ?;

-- The challenges bound to it go along, as they do in the next two.
-- name: RemoveGrantOfUser :exec
DELETE FROM recovery_grants WHERE user_id = ?;

-- One statement finds and removes, so that a grant is taken once.
-- name: TakeGrant :one
DELETE FROM recovery_grants WHERE token_digest = ? RETURNING *;

-- name: SweepGrants :execrows
DELETE FROM recovery_grants
WHERE user_id IN (
    SELECT g.user_id FROM recovery_grants AS g WHERE g.expires_at <= sqlc.arg(expired) ORDER BY g.expires_at LIMIT sqlc.arg(up_to)
);

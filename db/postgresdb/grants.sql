-- name: AddGrant :exec
INSERT INTO recovery_grants (user_id, token_digest, nonce, code_digest, factors, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7);

-- name: GrantOfUser :one
SELECT * FROM recovery_grants WHERE user_id = $1;

-- name: GrantByToken :one
SELECT * FROM recovery_grants WHERE token_digest = $1;

-- The challenges bound to it go along, as they do in the next two.
-- name: RemoveGrantOfUser :exec
DELETE FROM recovery_grants WHERE user_id = $1;

-- One statement finds and removes, so that a grant is taken once.
-- name: TakeGrant :one
DELETE FROM recovery_grants WHERE token_digest = $1 RETURNING *;

-- name: SweepGrants :execrows
DELETE FROM recovery_grants
WHERE user_id IN (
    SELECT g.user_id FROM recovery_grants AS g WHERE g.expires_at <= sqlc.arg(expired) ORDER BY g.expires_at LIMIT sqlc.arg(up_to)::bigint
);

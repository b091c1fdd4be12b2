-- name: TOTPOfUser :one
SELECT * FROM totps WHERE user_id = $1;

-- name: SaveTOTP :exec
INSERT INTO totps (user_id, secret, confirmed_at, step, pending, pending_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (user_id) DO UPDATE
SET secret = excluded.secret, confirmed_at = excluded.confirmed_at, step = excluded.step, pending = excluded.pending,
    pending_at = excluded.pending_at;

-- name: RemoveTOTP :exec
DELETE FROM totps WHERE user_id = $1;

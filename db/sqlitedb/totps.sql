-- name: GetTOTP :one
SELECT * FROM totps WHERE user_id = @user_id;

-- name: SaveTOTP :exec
INSERT INTO totps (user_id, secret, confirmed_at, last_step, pending_secret, pending_at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (user_id) DO UPDATE
SET secret = excluded.secret, confirmed_at = excluded.confirmed_at, last_step = excluded.last_step,
    pending_secret = excluded.pending_secret, pending_at = excluded.pending_at;

-- name: RemoveTOTP :exec
DELETE FROM totps WHERE user_id = @user_id;

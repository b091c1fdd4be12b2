-- name: AddInvite :exec
INSERT INTO invites (id, token_digest, email, groups, created_at, expires_at, used_at, user_id, revoked_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: InviteByToken :one
SELECT * FROM invites WHERE token_digest = @token_digest;

-- name: InviteByID :one
SELECT * FROM invites WHERE id = @id;

-- name: ListInvites :many
SELECT * FROM invites WHERE id > @after ORDER BY id LIMIT @up_to::bigint;

-- name: EndInvite :execrows
UPDATE invites SET used_at = @used_at, user_id = @user_id, revoked_at = @revoked_at
WHERE id = @id AND used_at IS NULL AND revoked_at IS NULL;

-- name: DeleteExpiredInvites :execrows
DELETE FROM invites
WHERE id IN (
    SELECT i.id FROM invites AS i WHERE i.expires_at <= @expired ORDER BY i.expires_at LIMIT @up_to::bigint
);

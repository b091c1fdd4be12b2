-- name: AddAPIKey :exec
INSERT INTO api_keys (id, name, token_digest, scopes, created_at, expires_at, last_used_at, revoked_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: APIKeyByToken :one
SELECT * FROM api_keys WHERE token_digest = @token_digest;

-- name: APIKeyByID :one
SELECT * FROM api_keys WHERE id = @id;

-- name: ListAPIKeys :many
SELECT * FROM api_keys WHERE id > @after ORDER BY id LIMIT @up_to::bigint;

-- name: SaveAPIKey :execrows
UPDATE api_keys SET last_used_at = @last_used_at, revoked_at = @revoked_at WHERE id = @id;

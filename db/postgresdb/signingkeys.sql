-- name: AddSigningKey :exec
INSERT INTO signing_keys (id, algorithm, encrypted_key, created_at, signs_from) VALUES ($1, $2, $3, $4, $5);

-- name: ListSigningKeys :many
SELECT * FROM signing_keys ORDER BY signs_from, id;

-- name: RemoveSigningKey :exec
DELETE FROM signing_keys WHERE id = @id;

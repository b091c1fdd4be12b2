-- name: AddSigningKey :exec
INSERT INTO signing_keys (id, algorithm, sealed, created_at, signs_from) VALUES ($1, $2, $3, $4, $5);

-- name: SigningKeys :many
SELECT * FROM signing_keys ORDER BY signs_from, id;

-- name: RemoveSigningKey :exec
DELETE FROM signing_keys WHERE id = $1;

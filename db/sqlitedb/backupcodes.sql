-- The codes of the set are deleted with it.
-- name: RemoveBackupCodeSet :exec
DELETE FROM backup_code_sets WHERE user_id = @user_id;

-- name: AddBackupCodeSet :exec
INSERT INTO backup_code_sets (user_id, created_at) VALUES (?, ?);

-- name: AddBackupCode :exec
INSERT INTO backup_codes (digest, user_id) VALUES (?, ?);

-- name: CountBackupCodes :one
SELECT s.created_at, (SELECT count(*) FROM backup_codes AS c WHERE c.user_id = s.user_id) AS unused
FROM backup_code_sets AS s WHERE s.user_id = @user_id;

-- name: ListBackupCodes :many
SELECT digest FROM backup_codes WHERE user_id = @user_id;

-- name: FindBackupCodeOwner :one
SELECT user_id FROM backup_codes WHERE digest = @digest;

-- One statement finds and deletes, so that a backup code is consumed once.
-- name: ConsumeBackupCode :execrows
DELETE FROM backup_codes WHERE digest = @digest;

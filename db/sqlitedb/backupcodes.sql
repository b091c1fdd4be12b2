-- The codes go along.
-- name: RemoveBackupCodeSet :exec
DELETE FROM backup_code_sets WHERE user_id = ?;

-- name: AddBackupCodeSet :exec
INSERT INTO backup_code_sets (user_id, made_at) VALUES (?, ?);

-- name: AddBackupCode :exec
INSERT INTO backup_codes (digest, user_id) VALUES (?, ?);

-- name: BackupCodeStock :one
SELECT s.made_at, (SELECT count(*) FROM backup_codes AS c WHERE c.user_id = s.user_id) AS unspent
FROM backup_code_sets AS s WHERE s.user_id = ?;

-- name: BackupCodesOfUser :many
SELECT digest FROM backup_codes WHERE user_id = ?;

-- name: OwnerOfBackupCode :one
SELECT user_id FROM backup_codes WHERE digest = ?;

-- One statement finds and removes, so that a code is spent once.
-- name: SpendBackupCode :execrows
DELETE FROM backup_codes WHERE digest = ?;

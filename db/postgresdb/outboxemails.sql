-- name: AddOutboxEmail :exec
INSERT INTO outbox_emails (
    id, user_id, recipient, locale, kind, happened_at, actor, passkey_name, device_name, ip, code, attempts,
    due_at, expires_at
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14);

-- name: ListDueOutboxEmails :many
SELECT * FROM outbox_emails WHERE due_at <= @now ORDER BY due_at, id LIMIT @up_to::bigint;

-- name: ListOutboxEmails :many
SELECT * FROM outbox_emails WHERE id > @after ORDER BY id LIMIT @up_to::bigint;

-- name: CountOutboxEmails :one
SELECT count(*) FROM outbox_emails;

-- The recipient and the content of an e-mail never change.
-- name: SaveOutboxEmail :exec
UPDATE outbox_emails SET attempts = @attempts, due_at = @due_at WHERE id = @id;

-- The user ids show the SQLite adapter whether an e-mail had outlived its user, here and below.
-- name: RemoveOutboxEmail :one
DELETE FROM outbox_emails WHERE id = @id RETURNING user_id;

-- name: DeleteExpiredOutboxEmails :many
DELETE FROM outbox_emails
WHERE id IN (
    SELECT m.id FROM outbox_emails AS m WHERE m.expires_at <= @expired ORDER BY m.expires_at LIMIT @up_to::bigint
)
RETURNING user_id;

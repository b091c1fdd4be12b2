-- name: AddEvent :exec
INSERT INTO events (
    id, kind, at, actor, reason, user_id, session_id, credential_id, passkey_name, device_name, ip, changed,
    api_key_id, invite_id, request_id, repeat_key, repeats, last_at, other_ips
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19);

-- name: EventByKey :one
SELECT * FROM events WHERE repeat_key = @repeat_key;

-- name: SaveEvent :execrows
UPDATE events
SET session_id = @session_id, credential_id = @credential_id, passkey_name = @passkey_name, repeats = @repeats, last_at = @last_at,
    other_ips = @other_ips
WHERE id = @id;

-- Kinds is a JSON array; an empty one selects all kinds.
-- name: ListEventsByUser :many
SELECT * FROM events
WHERE user_id = @user_id AND id < @before
    AND (@kinds::text = '[]' OR strpos(@kinds::text, '"' || kind || '"') > 0)
ORDER BY id DESC LIMIT @up_to::bigint;

-- The index does not serve IS NOT DISTINCT FROM NULL.
-- name: ListAnonymousEvents :many
SELECT * FROM events
WHERE user_id IS NULL AND id < @before
    AND (@kinds::text = '[]' OR strpos(@kinds::text, '"' || kind || '"') > 0)
ORDER BY id DESC LIMIT @up_to::bigint;

-- name: ListEventsOfUserAfter :many
SELECT * FROM events
WHERE user_id = @user_id AND id > @after AND id < @before AND (@kinds::text = '[]' OR strpos(@kinds::text, '"' || kind || '"') > 0)
ORDER BY id LIMIT @up_to::bigint;

-- name: ListEvents :many
SELECT * FROM events
WHERE id > @after AND id < @before AND (@kinds::text = '[]' OR strpos(@kinds::text, '"' || kind || '"') > 0)
ORDER BY id LIMIT @up_to::bigint;

-- A new column must be cleared here, or be allowed by events_user_id_check.
-- name: AnonymizeEvents :exec
UPDATE events
SET user_id = NULL, session_id = NULL, credential_id = NULL, passkey_name = NULL, device_name = NULL, ip = NULL,
    changed = '[]', request_id = NULL, repeat_key = NULL, other_ips = '[]'
WHERE user_id = @user_id;

-- name: DeleteExpiredEvents :execrows
DELETE FROM events
WHERE id IN (
    SELECT e.id FROM events AS e WHERE e.at <= @before ORDER BY e.at LIMIT @up_to::bigint
);

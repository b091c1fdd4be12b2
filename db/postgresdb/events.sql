-- name: AddEvent :exec
INSERT INTO events (
    id, kind, at, party, reason, user_id, session_id, credential_id, passkey_name, device_name, ip, changed, request_id,
    repeat_key, repeats, last_at, other_ips
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17);

-- name: EventByKey :one
SELECT * FROM events WHERE repeat_key = $1;

-- name: SaveEvent :execrows
UPDATE events
SET session_id = $1, credential_id = $2, passkey_name = $3, repeats = $4, last_at = $5, other_ips = $6
WHERE id = $7;

-- No kinds asks for all.
-- name: EventsOfUser :many
SELECT * FROM events
WHERE user_id = sqlc.arg(user_id) AND id < sqlc.arg(before)
    AND (cardinality(sqlc.arg(kinds)::text[]) = 0 OR kind = ANY(sqlc.arg(kinds)::text[]))
ORDER BY id DESC LIMIT sqlc.arg(up_to)::bigint;

-- Those that are nobody's any more: no index would find NULL by IS NOT DISTINCT FROM.
-- name: EventsOfNobody :many
SELECT * FROM events
WHERE user_id IS NULL AND id < sqlc.arg(before)
    AND (cardinality(sqlc.arg(kinds)::text[]) = 0 OR kind = ANY(sqlc.arg(kinds)::text[]))
ORDER BY id DESC LIMIT sqlc.arg(up_to)::bigint;

-- A column that joins the table goes as well, or the table's own rule refuses.
-- name: DisownEvents :exec
UPDATE events
SET user_id = NULL, session_id = NULL, credential_id = NULL, passkey_name = NULL, device_name = NULL, ip = NULL,
    changed = '{}', request_id = NULL, repeat_key = NULL, other_ips = '{}'
WHERE user_id = $1;

-- name: SweepEvents :execrows
DELETE FROM events
WHERE id IN (
    SELECT e.id FROM events AS e WHERE e.at <= sqlc.arg(before) ORDER BY e.at LIMIT sqlc.arg(up_to)::bigint
);

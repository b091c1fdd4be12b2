-- name: AddEvent :exec
INSERT INTO events (
    id, kind, at, actor, reason, user_id, session_id, credential_id, passkey_name, device_name, ip, changed,
    api_key_id, invite_id, request_id, repeat_key, repeats, last_at, other_ips
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: EventByKey :one
SELECT * FROM events WHERE repeat_key = @repeat_key;

-- name: SaveEvent :execrows
UPDATE events
SET session_id = @session_id, credential_id = @credential_id, passkey_name = @passkey_name, repeats = @repeats, last_at = @last_at,
    other_ips = @other_ips
WHERE id = @id;

-- Events without a user are those of a NULL user. Kinds is a JSON array; an empty one selects all kinds.
-- name: ListEventsByUser :many
SELECT * FROM events
WHERE user_id IS sqlc.narg(user_id) AND id < @before
    AND (CAST(@kinds AS TEXT) = '[]' OR instr(CAST(@kinds AS TEXT), '"' || kind || '"') > 0)
ORDER BY id DESC LIMIT @up_to;

-- name: ListEventsOfUserAfter :many
SELECT * FROM events
WHERE user_id = @user_id AND id > @after AND id < @before AND (CAST(@kinds AS TEXT) = '[]' OR instr(CAST(@kinds AS TEXT), '"' || kind || '"') > 0)
ORDER BY id LIMIT @up_to;

-- name: ListEvents :many
SELECT * FROM events
WHERE id > @after AND id < @before AND (CAST(@kinds AS TEXT) = '[]' OR instr(CAST(@kinds AS TEXT), '"' || kind || '"') > 0)
ORDER BY id LIMIT @up_to;

-- AnonymizeEvents writes each event anew with the columns that may stay: a new column is cleared unless it is named here.
-- name: AnonymizeEvents :exec
INSERT OR REPLACE INTO events (id, kind, at, actor, reason, api_key_id, invite_id, repeats, last_at)
SELECT e.id, e.kind, e.at, e.actor, e.reason, e.api_key_id, e.invite_id, e.repeats, e.last_at FROM events AS e WHERE e.user_id = @user_id;

-- name: DeleteExpiredEvents :execrows
DELETE FROM events
WHERE id IN (
    SELECT e.id FROM events AS e WHERE e.at <= @before ORDER BY e.at LIMIT @up_to
);

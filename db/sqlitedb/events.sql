-- name: AddEvent :exec
INSERT INTO events (
    id, kind, at, party, reason, user_id, session_id, credential_id, passkey_name, device_name, ip, changed, request_id,
    repeat_key, repeats, last_at, other_ips
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: EventByKey :one
SELECT * FROM events WHERE repeat_key = ?;

-- name: SaveEvent :execrows
UPDATE events
SET session_id = ?, credential_id = ?, passkey_name = ?, repeats = ?, last_at = ?, other_ips = ?
WHERE id = ?;

-- Without a user these are the events that are nobody's. Kinds is an array in JSON; an empty one asks for all kinds.
-- name: EventsOfUser :many
SELECT * FROM events
WHERE user_id IS sqlc.narg(user_id) AND id < sqlc.arg(before)
    AND (CAST(sqlc.arg(kinds) AS TEXT) = '[]' OR instr(CAST(sqlc.arg(kinds) AS TEXT), '"' || kind || '"') > 0)
ORDER BY id DESC LIMIT sqlc.arg(up_to);

-- Each is written anew with what may stay, so that a column that joins the table goes unless it is named here.
-- name: DisownEvents :exec
INSERT OR REPLACE INTO events (id, kind, at, party, reason, repeats, last_at)
SELECT e.id, e.kind, e.at, e.party, e.reason, e.repeats, e.last_at FROM events AS e WHERE e.user_id = ?;

-- name: SweepEvents :execrows
DELETE FROM events
WHERE id IN (
    SELECT e.id FROM events AS e WHERE e.at <= sqlc.arg(before) ORDER BY e.at LIMIT sqlc.arg(up_to)
);

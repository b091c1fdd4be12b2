-- name: AddEvent :exec
INSERT INTO events (
    id, kind, at, party, reason, user_id, session_id, credential_id, passkey_name, device_name, ip, changed, request_id
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- Without a user these are the events that are nobody's any more.
-- name: EventsOfUser :many
SELECT * FROM events
WHERE user_id IS sqlc.narg(user_id) AND id < sqlc.arg(before)
ORDER BY id DESC LIMIT sqlc.arg(up_to);

-- Each is written anew with what may stay, so that a column that joins the table goes unless it is named here.
-- name: DisownEvents :exec
INSERT OR REPLACE INTO events (id, kind, at, party, reason)
SELECT e.id, e.kind, e.at, e.party, e.reason FROM events AS e WHERE e.user_id = ?;

-- name: SweepEvents :execrows
DELETE FROM events
WHERE id IN (
    SELECT e.id FROM events AS e WHERE e.at <= sqlc.arg(before) ORDER BY e.at LIMIT sqlc.arg(up_to)
);

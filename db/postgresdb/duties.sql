-- name: TakeDuty :execrows
INSERT INTO duties (name, due_at) VALUES (sqlc.arg(name), sqlc.arg(next))
ON CONFLICT (name) DO UPDATE SET due_at = excluded.due_at WHERE duties.due_at <= sqlc.arg(now)::timestamptz;

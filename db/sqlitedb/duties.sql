-- name: TakeDuty :execrows
INSERT INTO duties (name, due_at)
SELECT sqlc.arg(name), sqlc.arg(next)
WHERE NOT EXISTS (SELECT 1 FROM duties AS d WHERE d.name = sqlc.arg(name) AND d.due_at > sqlc.arg(now))
ON CONFLICT (name) DO UPDATE SET due_at = excluded.due_at;

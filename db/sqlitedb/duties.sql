-- name: PutOffDuty :execrows
UPDATE duties SET due_at = sqlc.arg(next) WHERE name = sqlc.arg(name) AND due_at <= sqlc.arg(now);

-- name: AddDuty :execrows
INSERT INTO duties (name, due_at) VALUES (?, ?) ON CONFLICT (name) DO NOTHING;

-- name: RenewLease :execrows
UPDATE job_leases SET due_at = @next WHERE name = @name AND due_at <= @now;

-- name: AddLease :execrows
INSERT INTO job_leases (name, due_at) VALUES (@name, @next) ON CONFLICT (name) DO NOTHING;

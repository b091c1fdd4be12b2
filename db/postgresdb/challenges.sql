-- name: AddChallenge :exec
INSERT INTO webauthn_challenges (
    id, purpose, binding, session_id, recovery_grant, ceremony, applicant_user_id, applicant_handle, applicant_email,
    applicant_display_name, created_at, expires_at
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12);

-- name: ChallengeByID :one
SELECT * FROM webauthn_challenges WHERE id = $1;

-- One statement finds and removes, so that a challenge is taken once.
-- name: TakeChallenge :one
DELETE FROM webauthn_challenges WHERE id = $1 RETURNING *;

-- name: SweepChallenges :execrows
DELETE FROM webauthn_challenges
WHERE id IN (
    SELECT c.id FROM webauthn_challenges AS c WHERE c.expires_at <= sqlc.arg(expired) ORDER BY c.expires_at LIMIT sqlc.arg(up_to)::bigint
);

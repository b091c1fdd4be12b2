-- name: AddChallenge :exec
INSERT INTO webauthn_challenges (
    id, purpose, binding, session_id, recovery_grant, ceremony, applicant_user_id, applicant_handle, applicant_email,
    applicant_display_name, created_at, expires_at
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12);

-- name: ChallengeByID :one
SELECT * FROM webauthn_challenges WHERE id = $1;

-- One statement finds and removes, so that a challenge is taken once. It locks the grant before it locks the challenge, as
-- whoever takes the grant does, which takes the challenges along: in another order many of them would wait for each other.
-- name: TakeChallenge :one
DELETE FROM webauthn_challenges AS c
WHERE c.id = $1 AND (
    c.recovery_grant IS NULL OR EXISTS (SELECT 1 FROM recovery_grants AS g WHERE g.token_digest = c.recovery_grant FOR UPDATE)
)
RETURNING *;

-- name: SweepChallenges :execrows
DELETE FROM webauthn_challenges
WHERE id IN (
    SELECT c.id FROM webauthn_challenges AS c WHERE c.expires_at <= sqlc.arg(expired) ORDER BY c.expires_at LIMIT sqlc.arg(up_to)::bigint
);

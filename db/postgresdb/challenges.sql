-- name: AddChallenge :exec
INSERT INTO webauthn_challenges (
    id, purpose, binding, session_id, recovery_grant, ceremony_state, pending_user_id, pending_user_handle,
    pending_email, pending_display_name, pending_locale, pending_invite_id, created_at, expires_at
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14);

-- name: ChallengeByID :one
SELECT * FROM webauthn_challenges WHERE id = @id;

-- ConsumeChallenge locks the recovery grant before the challenge, in the order of TakeRecoveryGrant, which deletes the challenges of
-- the grant: another order would deadlock.
-- name: ConsumeChallenge :execrows
DELETE FROM webauthn_challenges AS c
WHERE c.id = @id AND (
    c.recovery_grant IS NULL OR EXISTS (SELECT 1 FROM recovery_grants AS g WHERE g.token_digest = c.recovery_grant FOR UPDATE)
);

-- name: DeleteExpiredChallenges :execrows
DELETE FROM webauthn_challenges
WHERE id IN (
    SELECT c.id FROM webauthn_challenges AS c WHERE c.expires_at <= @expired ORDER BY c.expires_at LIMIT @up_to::bigint
);

-- name: AddChallenge :exec
INSERT INTO webauthn_challenges (
    id, purpose, binding, session_id, recovery_grant, ceremony_state, pending_user_id, pending_user_handle,
    pending_email, pending_display_name, pending_locale, pending_invite_id, created_at, expires_at
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: ChallengeByID :one
SELECT * FROM webauthn_challenges WHERE id = @id;

-- name: ConsumeChallenge :execrows
DELETE FROM webauthn_challenges WHERE id = @id;

-- name: DeleteExpiredChallenges :execrows
DELETE FROM webauthn_challenges
WHERE id IN (
    SELECT c.id FROM webauthn_challenges AS c WHERE c.expires_at <= @expired ORDER BY c.expires_at LIMIT @up_to
);

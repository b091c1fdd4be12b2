-- name: AddAuthorizationCode :exec
INSERT INTO authorization_codes (
    digest, session_id, session_auth_at, return_to, challenge, created_at, expires_at
) VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: AuthorizationCodeByDigest :one
SELECT * FROM authorization_codes WHERE digest = @digest;

-- One statement finds and changes, so that a code is redeemed once.
-- name: RedeemAuthorizationCode :execrows
UPDATE authorization_codes SET redeemed_at = @redeemed_at, issued_session_id = @issued_session_id
WHERE digest = @digest AND redeemed_at IS NULL;

-- name: DeleteExpiredAuthorizationCodes :execrows
DELETE FROM authorization_codes
WHERE digest IN (
    SELECT c.digest FROM authorization_codes AS c WHERE c.expires_at <= @expired ORDER BY c.expires_at LIMIT @up_to
);

package acceptance

import (
	"net/http"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
)

func (c *httpAPI) redeem(proof recoveryProof) (string, rejection) {
	body := map[string]string{}
	for name, value := range map[string]string{"email": proof.email, "totp_code": proof.totpCode, "backup_code": proof.backupCode} {
		if value != "" {
			body[name] = value
		}
	}
	var redeemed struct {
		GrantToken string `json:"grant_token"`
	}
	rejected := c.call(http.MethodPost, "/v1/recovery/redeem", body, &redeemed)
	return redeemed.GrantToken, rejected
}

func (c *httpAPI) beginRecovery(grant string) (pendingCeremony, rejection) {
	var begun ceremonyResponse
	rejected := c.call(http.MethodPost, "/v1/recovery/options", map[string]string{"grant_token": grant}, &begun)
	return pendingCeremony{begun.ChallengeID, begun.Options}, rejected
}

func (c *httpAPI) finishRecovery(grant, challengeID string, response authenticator.RegistrationResponse) (shownUser, rejection) {
	return c.openSession("/v1/recovery/verify", map[string]any{"grant_token": grant, "challenge_id": challengeID, "credential": response})
}

func (c *httpAPI) recoveryFactors() (shownFactors, rejection) {
	var body struct {
		TOTP        struct{ Enrolled bool }
		BackupCodes struct{ Remaining int } `json:"backup_codes"`
	}
	rejected := c.call(http.MethodGet, "/v1/me/recovery", nil, &body)
	return shownFactors{body.TOTP.Enrolled, body.BackupCodes.Remaining}, rejected
}

func (c *httpAPI) setUpTOTP() (string, rejection) {
	var body struct{ Secret string }
	rejected := c.call(http.MethodPost, "/v1/me/recovery/totp", nil, &body)
	return body.Secret, rejected
}

func (c *httpAPI) confirmTOTP(code string) rejection {
	return c.call(http.MethodPost, "/v1/me/recovery/totp/confirm", map[string]string{"code": code}, nil)
}

func (c *httpAPI) removeTOTP() rejection {
	return c.call(http.MethodDelete, "/v1/me/recovery/totp", nil, nil)
}

func (c *httpAPI) makeBackupCodes() ([]string, rejection) {
	var body struct{ Codes []string }
	rejected := c.call(http.MethodPost, "/v1/me/recovery/backup-codes", nil, &body)
	return body.Codes, rejected
}

package acceptance

import (
	"net/http"

	"github.com/keylodge/keylodge/acceptance/authenticator"
)

func (c *httpAPI) redeem(shown recoveryProof) (string, rejection) {
	body := map[string]string{}
	for name, value := range map[string]string{"email": shown.email, "totp_code": shown.totpCode, "backup_code": shown.backupCode} {
		if value != "" {
			body[name] = value
		}
	}
	var granted struct {
		GrantToken string `json:"grant_token"`
	}
	refused := c.call(http.MethodPost, "/v1/recovery/redeem", body, &granted)
	return granted.GrantToken, refused
}

func (c *httpAPI) beginRecovery(grant string) (pendingCeremony, rejection) {
	var begun ceremonyResponse
	refused := c.call(http.MethodPost, "/v1/recovery/options", map[string]string{"grant_token": grant}, &begun)
	return pendingCeremony{begun.ChallengeID, begun.Options}, refused
}

func (c *httpAPI) finishRecovery(grant, challengeID string, answer authenticator.RegistrationResponse) (shownUser, rejection) {
	return c.openSession("/v1/recovery/verify", map[string]any{"grant_token": grant, "challenge_id": challengeID, "credential": answer})
}

func (c *httpAPI) recoveryFactors() (shownFactors, rejection) {
	var body struct {
		TOTP        struct{ Enrolled bool }
		BackupCodes struct{ Remaining int } `json:"backup_codes"`
	}
	refused := c.call(http.MethodGet, "/v1/me/recovery", nil, &body)
	return shownFactors{body.TOTP.Enrolled, body.BackupCodes.Remaining}, refused
}

func (c *httpAPI) setUpTOTP() (string, rejection) {
	var body struct{ Secret string }
	refused := c.call(http.MethodPost, "/v1/me/recovery/totp", nil, &body)
	return body.Secret, refused
}

func (c *httpAPI) confirmTOTP(code string) rejection {
	return c.call(http.MethodPost, "/v1/me/recovery/totp/confirm", map[string]string{"code": code}, nil)
}

func (c *httpAPI) removeTOTP() rejection {
	return c.call(http.MethodDelete, "/v1/me/recovery/totp", nil, nil)
}

func (c *httpAPI) makeBackupCodes() ([]string, rejection) {
	var body struct{ Codes []string }
	refused := c.call(http.MethodPost, "/v1/me/recovery/backup-codes", nil, &body)
	return body.Codes, refused
}

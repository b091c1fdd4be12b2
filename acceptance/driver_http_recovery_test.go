package acceptance

import (
	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/acceptance/testkit/client"
)

func (c *httpAPI) redeem(proof recoveryProof) (string, rejection) {
	grant, err := c.Redeem(client.RedeemRequest{Email: proof.email, TOTPCode: proof.totpCode, BackupCode: proof.backupCode})
	return grant, c.rejection(err)
}

func (c *httpAPI) beginRecovery(grant string) (pendingCeremony, rejection) {
	return c.begun(c.BeginRecovery(grant))
}

func (c *httpAPI) finishRecovery(grant, challengeID string, response authenticator.RegistrationResponse) (shownUser, rejection) {
	return c.signedIn(c.FinishRecovery(client.RecoveryVerifyRequest{
		GrantRequest:        client.GrantRequest{GrantToken: grant},
		SignUpVerifyRequest: client.SignUpVerifyRequest{ChallengeID: challengeID, Credential: response, Transport: c.transport},
	}))
}

func (c *httpAPI) recoveryFactors() (shownFactors, rejection) {
	factors, err := c.Factors()
	return shownFactors{factors.TOTP.Enrolled, factors.BackupCodes.Remaining}, c.rejection(err)
}

func (c *httpAPI) setUpTOTP() (string, rejection) {
	secret, err := c.SetUpTOTP()
	return secret, c.rejection(err)
}

func (c *httpAPI) confirmTOTP(code string) rejection { return c.rejection(c.ConfirmTOTP(code)) }

func (c *httpAPI) removeTOTP() rejection { return c.rejection(c.RemoveTOTP()) }

func (c *httpAPI) makeBackupCodes() ([]string, rejection) {
	codes, err := c.MakeBackupCodes()
	return codes, c.rejection(err)
}

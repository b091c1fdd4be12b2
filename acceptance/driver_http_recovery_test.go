package acceptance

import (
	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/acceptance/testkit/client"
)

func (c *httpAPI) redeem(proof recoveryProof) result[string] {
	grant, err := c.Redeem(client.RedeemRequest{Email: proof.email, TOTPCode: proof.totpCode, BackupCode: proof.backupCode})
	return result[string]{grant, c.rejection(err)}
}

func (c *httpAPI) beginRecovery(grant string) result[pendingCeremony] {
	return c.begun(c.BeginRecovery(grant))
}

func (c *httpAPI) finishRecovery(grant, challengeID string, response authenticator.RegistrationResponse) result[shownUser] {
	return c.signedIn(c.FinishRecovery(client.RecoveryVerifyRequest{
		GrantRequest:        client.GrantRequest{GrantToken: grant},
		SignUpVerifyRequest: client.SignUpVerifyRequest{ChallengeID: challengeID, Credential: response, Transport: c.transport},
	}))
}

func (c *httpAPI) recoveryFactors() result[shownFactors] {
	factors, err := c.Factors()
	return result[shownFactors]{shownFactors{factors.TOTP.Enrolled, factors.BackupCodes.Remaining}, c.rejection(err)}
}

func (c *httpAPI) setUpTOTP() result[string] {
	secret, err := c.SetUpTOTP()
	return result[string]{secret, c.rejection(err)}
}

func (c *httpAPI) confirmTOTP(code string) rejection { return c.rejection(c.ConfirmTOTP(code)) }

func (c *httpAPI) removeTOTP() rejection { return c.rejection(c.RemoveTOTP()) }

func (c *httpAPI) makeBackupCodes() result[[]string] {
	codes, err := c.MakeBackupCodes()
	return result[[]string]{codes, c.rejection(err)}
}

package acceptance

import (
	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/recovery"
	"github.com/keylodge/keylodge/domain"
)

func (c *useCaseAPI) redeem(proof recoveryProof) (string, rejection) {
	email, err := domain.ParseEmail("email", proof.email)
	if err != nil {
		return "", rejectionOf(c.t, err)
	}
	redeemed, err := c.usecases.Recovery.Redeem(c.context(), recovery.Proof{
		Fields: recovery.ProofFields{User: "email", TOTPCode: "totp_code", BackupCode: "backup_code"},
		User:   domain.UserRef{Email: email}, TOTPCode: proof.totpCode, BackupCode: proof.backupCode,
	}, c.client())
	if err != nil {
		return "", rejectionOf(c.t, err)
	}
	return redeemed.Token.Reveal(), rejection{}
}

func (c *useCaseAPI) beginRecovery(grant string) (pendingCeremony, rejection) {
	token, err := domain.ParseRecoveryGrantToken(grant)
	if err != nil {
		return pendingCeremony{}, rejectionOf(c.t, err)
	}
	started, err := c.usecases.Recovery.Begin(c.context(), token, c.binding)
	return pendingCeremony{started.ChallengeID.String(), started.Options}, rejectionOf(c.t, err)
}

func (c *useCaseAPI) finishRecovery(grant, challengeID string, response authenticator.RegistrationResponse) (shownUser, rejection) {
	token, err := domain.ParseRecoveryGrantToken(grant)
	if err != nil {
		return shownUser{}, rejectionOf(c.t, err)
	}
	return c.openSession(c.usecases.Recovery.Finish(c.context(), recovery.FinishInput{
		Token: token, ChallengeID: c.challengeID(challengeID), Binding: c.binding, Credential: c.registrationResponse(response), Client: c.client(),
	}))
}

func (c *useCaseAPI) recoveryFactors() (shown shownFactors, rejected rejection) {
	rejected = c.asPrincipal(func(actor identity.Principal) error {
		have, err := c.usecases.Recovery.Show(c.context(), actor)
		if err == nil {
			shown = shownFactors{have.TOTP.Confirmed(), have.CodesLeft}
		}
		return err
	})
	return shown, rejected
}

func (c *useCaseAPI) setUpTOTP() (secret string, rejected rejection) {
	rejected = c.asPrincipal(func(actor identity.Principal) error {
		key, err := c.usecases.Recovery.SetUpTOTP(c.context(), actor)
		secret = key.Secret.Reveal()
		return err
	})
	return secret, rejected
}

func (c *useCaseAPI) confirmTOTP(code string) rejection {
	return c.asPrincipal(func(actor identity.Principal) error {
		return c.usecases.Recovery.ConfirmTOTP(c.context(), actor, code)
	})
}

func (c *useCaseAPI) removeTOTP() rejection {
	return c.asPrincipal(func(actor identity.Principal) error {
		return c.usecases.Recovery.RemoveTOTP(c.context(), actor)
	})
}

func (c *useCaseAPI) makeBackupCodes() (written []string, rejected rejection) {
	rejected = c.asPrincipal(func(actor identity.Principal) error {
		codes, err := c.usecases.Recovery.GenerateCodes(c.context(), actor)
		for _, code := range codes {
			written = append(written, code.RevealFormatted())
		}
		return err
	})
	return written, rejected
}

package acceptance

import (
	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/recovery"
	"github.com/keylodge/keylodge/domain"
)

func (c *useCaseAPI) redeem(proof recoveryProof) result[string] {
	email, err := domain.ParseEmail("email", proof.email)
	if err != nil {
		return result[string]{rejection: rejectionOf(c.t, err)}
	}
	redeemed, err := c.usecases.Recovery.Redeem(c.context(), recovery.Proof{
		Fields: recovery.ProofFields{User: "email", TOTPCode: "totp_code", BackupCode: "backup_code"},
		User:   domain.UserRef{Email: email}, TOTPCode: proof.totpCode, BackupCode: proof.backupCode,
	}, c.client())
	if err != nil {
		return result[string]{rejection: rejectionOf(c.t, err)}
	}
	return result[string]{value: redeemed.Token.Reveal()}
}

func (c *useCaseAPI) beginRecovery(grant string) result[pendingCeremony] {
	token, err := domain.ParseRecoveryGrantToken(grant)
	if err != nil {
		return result[pendingCeremony]{rejection: rejectionOf(c.t, err)}
	}
	started, err := c.usecases.Recovery.Begin(c.context(), token, c.binding)
	return result[pendingCeremony]{pendingCeremony{started.ChallengeID.String(), started.Options}, rejectionOf(c.t, err)}
}

func (c *useCaseAPI) finishRecovery(grant, challengeID string, response authenticator.RegistrationResponse) result[shownUser] {
	token, err := domain.ParseRecoveryGrantToken(grant)
	if err != nil {
		return result[shownUser]{rejection: rejectionOf(c.t, err)}
	}
	return c.openSession(c.usecases.Recovery.Finish(c.context(), recovery.FinishInput{
		Token: token, ChallengeID: c.challengeID(challengeID), Binding: c.binding, Credential: c.registrationResponse(response), Client: c.client(),
	}))
}

func (c *useCaseAPI) recoveryFactors() (got result[shownFactors]) {
	got.rejection = c.asPrincipal(func(actor identity.Principal) error {
		have, err := c.usecases.Recovery.Show(c.context(), actor)
		if err == nil {
			got.value = shownFactors{have.TOTP.Confirmed(), have.CodesLeft}
		}
		return err
	})
	return got
}

func (c *useCaseAPI) setUpTOTP() (got result[string]) {
	got.rejection = c.asPrincipal(func(actor identity.Principal) error {
		key, err := c.usecases.Recovery.SetUpTOTP(c.context(), actor)
		got.value = key.Secret.Reveal()
		return err
	})
	return got
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

func (c *useCaseAPI) makeBackupCodes() (got result[[]string]) {
	got.rejection = c.asPrincipal(func(actor identity.Principal) error {
		codes, err := c.usecases.Recovery.GenerateCodes(c.context(), actor)
		for _, code := range codes {
			got.value = append(got.value, code.RevealFormatted())
		}
		return err
	})
	return got
}

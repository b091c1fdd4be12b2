package acceptance

import (
	"github.com/keylodge/keylodge/acceptance/authenticator"
	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/application/recovery"
	"github.com/keylodge/keylodge/domain"
)

func (c *directConnection) redeem(shown claim) (string, refusal) {
	email, err := domain.ParseEmail(shown.email)
	if err != nil {
		return "", refusalOf(c.t, err)
	}
	granted, err := c.usecases.Recovery.Redeem.Execute(c.context(), recovery.Claim{
		Name: recovery.Name{Email: email}, TOTPCode: shown.totpCode, BackupCode: shown.backupCode,
	}, c.visitor())
	if err != nil {
		return "", refusalOf(c.t, err)
	}
	return granted.Token.Reveal(), refusal{}
}

func (c *directConnection) beginRecovery(grant string) (attempt, refusal) {
	token, err := domain.ParseGrantToken(grant)
	if err != nil {
		return attempt{}, refusalOf(c.t, err)
	}
	started, err := c.usecases.Recovery.Begin.Execute(c.context(), token, c.browser)
	return attempt{started.ChallengeID.String(), started.Options}, refusalOf(c.t, err)
}

func (c *directConnection) finishRecovery(grant, challengeID string, answer authenticator.RegistrationResponse) (identity, refusal) {
	token, err := domain.ParseGrantToken(grant)
	if err != nil {
		return identity{}, refusalOf(c.t, err)
	}
	return c.enter(c.usecases.Recovery.Finish.Execute(c.context(), recovery.Answer{
		Token: token, ChallengeID: c.challenge(challengeID), Binding: c.browser, Credential: c.registrationAnswer(answer), Visitor: c.visitor(),
	}))
}

func (c *directConnection) recoveryFactors() (shown shownFactors, refused refusal) {
	refused = c.do(func(actor access.Actor) error {
		have, err := c.usecases.Recovery.Show.Execute(c.context(), actor)
		if err == nil {
			shown = shownFactors{have.TOTP.Confirmed(), have.CodesLeft}
		}
		return err
	})
	return shown, refused
}

func (c *directConnection) setUpTOTP() (secret string, refused refusal) {
	refused = c.do(func(actor access.Actor) error {
		key, err := c.usecases.Recovery.SetUpTOTP.Execute(c.context(), actor)
		secret = key.Secret.Reveal()
		return err
	})
	return secret, refused
}

func (c *directConnection) confirmTOTP(code string) refusal {
	return c.do(func(actor access.Actor) error {
		return c.usecases.Recovery.ConfirmTOTP.Execute(c.context(), actor, code)
	})
}

func (c *directConnection) removeTOTP() refusal {
	return c.do(func(actor access.Actor) error { return c.usecases.Recovery.RemoveTOTP.Execute(c.context(), actor) })
}

func (c *directConnection) makeBackupCodes() (written []string, refused refusal) {
	refused = c.do(func(actor access.Actor) error {
		codes, err := c.usecases.Recovery.MakeCodes.Execute(c.context(), actor)
		for _, code := range codes {
			written = append(written, code.Written())
		}
		return err
	})
	return written, refused
}

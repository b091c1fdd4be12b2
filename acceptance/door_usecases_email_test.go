package acceptance

import "github.com/keylodge/keylodge/application/access"

func (c *directConnection) emailStatus() (shown shownEmail, refused refusal) {
	refused = c.do(func(actor access.Actor) error {
		shown = shownEmail{held: string(actor.User.Email()), pending: string(actor.User.PendingEmail()), verified: actor.User.EmailVerified()}
		return nil
	})
	return shown, refused
}

func (c *directConnection) sendEmailCode() refusal {
	return c.do(func(actor access.Actor) error {
		_, err := c.usecases.Account.SendCode.Execute(c.context(), actor)
		return err
	})
}

func (c *directConnection) confirmEmail(code string) refusal {
	return c.do(func(actor access.Actor) error {
		_, err := c.usecases.Account.ConfirmEmail.Execute(c.context(), actor, code)
		return err
	})
}

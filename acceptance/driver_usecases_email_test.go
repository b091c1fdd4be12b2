package acceptance

import "github.com/keylodge/keylodge/application/identity"

func (c *useCaseAPI) emailStatus() (got result[shownEmail]) {
	got.rejection = c.asPrincipal(func(actor identity.Principal) error {
		got.value = shownEmail{current: string(actor.User.Email()), pending: string(actor.User.PendingEmail()), verified: actor.User.EmailVerified()}
		return nil
	})
	return got
}

func (c *useCaseAPI) sendEmailCode() rejection {
	return c.asPrincipal(func(actor identity.Principal) error {
		_, err := c.usecases.Account.SendCode(c.context(), actor)
		return err
	})
}

func (c *useCaseAPI) confirmEmail(code string) rejection {
	return c.asPrincipal(func(actor identity.Principal) error {
		_, err := c.usecases.Account.ConfirmEmail(c.context(), actor, code)
		return err
	})
}

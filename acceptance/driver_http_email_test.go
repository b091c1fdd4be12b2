package acceptance

func (c *httpAPI) emailStatus() result[shownEmail] {
	user, err := c.Account()
	return result[shownEmail]{shownEmail{current: user.Email, pending: user.PendingEmail, verified: user.EmailVerified}, c.rejection(err)}
}

func (c *httpAPI) sendEmailCode() rejection { return c.rejection(c.SendEmailCode()) }

func (c *httpAPI) confirmEmail(code string) rejection { return c.rejection(c.ConfirmEmail(code)) }

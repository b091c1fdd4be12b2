package doctor

import (
	"context"
	"net"
	"strconv"
	"time"
)

// checkMail connects to the mail server.
func (c *checks) checkMail(ctx context.Context) {
	// Check mail: the mail server accepts connections. The check neither authenticates nor sends an e-mail:
	// docs/runbooks/email-not-sent.md.
	smtp := c.config.SMTP
	if smtp == nil {
		c.AddOK("mail", "no e-mail is sent: KEYLODGE_SMTP_HOST is not set")
		return
	}
	address := net.JoinHostPort(smtp.Host, strconv.Itoa(smtp.Port))
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		c.AddError("mail", "the mail server is unreachable, so e-mails wait in the outbox until they expire: "+err.Error(),
			"correct KEYLODGE_SMTP_HOST and KEYLODGE_SMTP_PORT, or allow connections to "+address)
		return
	}
	_ = conn.Close()
	c.AddOK("mail", address+" accepts connections")
}

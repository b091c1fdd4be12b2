package doctor

import (
	"context"
	"net"
	"strconv"
	"time"
)

// checkMail makes sure that somebody is there to hand letters to. Whether they take any is seen when one is sent.
func (e *checks) checkMail(ctx context.Context) {
	smtp := e.config.SMTP
	if smtp == nil {
		e.AddOK("mail", "none is sent: KEYLODGE_SMTP_HOST is not set")
		return
	}
	address := net.JoinHostPort(smtp.Host, strconv.Itoa(smtp.Port))
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		e.AddError("mail", "the mail server cannot be reached, so letters wait and then expire: "+err.Error(),
			"correct KEYLODGE_SMTP_HOST and KEYLODGE_SMTP_PORT, or let this machine reach "+address)
		return
	}
	_ = conn.Close()
	e.AddOK("mail", address+" can be reached")
}

package smtp

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/textproto"
	"slices"
	"strings"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Steps of a delivery, for errors.
const (
	stepConnect  = "connecting to the mail server"
	stepEHLO     = "sending EHLO to the mail server"
	stepSTARTTLS = "starting TLS with the mail server"
	stepAUTH     = "authenticating to the mail server"
	stepMAIL     = "sending the sender to the mail server"
	stepRCPT     = "sending the recipient to the mail server"
	stepDATA     = "sending the e-mail"
)

// stepError is an error of one step.
type stepError struct {
	step string
	err  error
}

// wrapError returns the error that ports.Mailer documents.
func (t *transaction) wrapError(ctx context.Context, e *stepError) error {
	if e == nil {
		return nil
	}
	text := e.err.Error()
	if reply := e.reply(); reply != nil {
		text = fmt.Sprintf("%d %s", reply.Code, reply.Msg)
	}
	text = t.sanitize(text)
	switch cause, kind := ctx.Err(), e.classify(); {
	case errors.Is(cause, context.Canceled): // not an error of the server
		return fmt.Errorf("%s: %w", e.step, cause)
	case cause != nil:
		return &unavailableError{fmt.Errorf("%s: %w", e.step, cause)}
	case errors.Is(kind, domain.ErrUnavailable):
		return &unavailableError{fmt.Errorf("%s: %s%s", e.step, e.advice(), text)}
	case kind != nil:
		return fmt.Errorf("%s: %w: %s", e.step, kind, text)
	}
	return fmt.Errorf("%s: %s", e.step, text)
}

// unavailableError is a domain.ErrUnavailable for the operator's log: the message of that error tells clients of the API to try again.
type unavailableError struct{ error }

func (e *unavailableError) Unwrap() []error { return []error{domain.ErrUnavailable, e.error} }

// advice returns what the operator must check, or "".
func (e *stepError) advice() string {
	reply := e.reply()
	if reply != nil && (e.step == stepAUTH && reply.Code >= 500 || reply.Code == codeAuthenticationRequired) {
		return "check KEYLODGE_SMTP_USERNAME and KEYLODGE_SMTP_PASSWORD: "
	}
	return ""
}

const codeAuthenticationRequired = 530 // RFC 4954, section 6

// reply returns the server's reply, or nil if there is none.
func (e *stepError) reply() *textproto.Error {
	if reply, ok := errors.AsType[*textproto.Error](e.err); ok {
		return reply
	}
	return nil
}

// classify returns domain.ErrUnavailable for an error that concerns all e-mails: every error before RCPT, and some replies after it.
// It returns domain.ErrUndeliverable for a permanent error of this e-mail, and nil for a temporary one.
func (e *stepError) classify() error {
	perEmail := e.step == stepRCPT || e.step == stepDATA
	reply := e.reply()
	switch {
	case !perEmail, reply == nil, slices.Contains(serverReplyCodes, reply.Code):
		return domain.ErrUnavailable
	case reply.Code >= 500 && !isRelayRejection(reply.Msg):
		return domain.ErrUndeliverable
	}
	return nil
}

// isRelayRejection reports whether the enhanced status (RFC 3463, section 3) of a permanent rejection is about the mail system (3),
// the network (4), the protocol (5) or a policy (7), for example that this sender may not relay, and not about the address (1), the
// mailbox (2) or the content (6). The operator can fix that, so the e-mail is sent later. A reply without a status is permanent.
func isRelayRejection(reply string) bool {
	subject, found := strings.CutPrefix(reply, "5.")
	return found && len(subject) > 1 && strings.ContainsRune("3457", rune(subject[0])) && subject[1] == '.'
}

// serverReplyCodes concern the server or the connection, after any command: the server closes, does not know the command, or
// requires authentication (RFC 5321, section 4.2.2; RFC 4954, section 6; Postfix sends 454 to unauthenticated clients).
var serverReplyCodes = []int{421, 454, 500, 502, 503, 504, codeAuthenticationRequired}

// maxErrorLength bounds the characters of an error in the log.
const maxErrorLength = 300

// sanitize returns a reply of the server as one line without secrets.
func (t *transaction) sanitize(s string) string { return oneLine(t.redact.Replace(s), maxErrorLength) }

// newRedactor redacts secrets in the forms in which a server may repeat them.
func newRedactor(config Config, email ports.OutgoingEmail) *strings.Replacer {
	password, code, to := config.Password.Reveal(), email.Code.Reveal(), string(email.Email.To)
	encode := base64.StdEncoding.EncodeToString
	var pairs []string
	for _, secret := range []string{
		encode([]byte("\x00" + config.Username + "\x00" + password)), encode([]byte(password)), password,
		groupDigits(code), code, to,
	} {
		if strings.TrimSpace(secret) != "" {
			pairs = append(pairs, secret, "[redacted]")
		}
	}
	return strings.NewReplacer(pairs...)
}

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

// What was being done when it went wrong.
const (
	stepConnect  = "connecting to the mail server"
	stepEHLO     = "greeting the mail server"
	stepSTARTTLS = "starting TLS with the mail server"
	stepAUTH     = "signing in to the mail server"
	stepMAIL     = "telling the mail server the sender"
	stepRCPT     = "telling the mail server the recipient"
	stepDATA     = "sending the message"
)

// stepError is an error of one step.
type stepError struct {
	step string
	err  error
}

// wrapError makes an error of a fault as the port promises it.
func (t *transaction) wrapError(ctx context.Context, f *stepError) error {
	if f == nil {
		return nil
	}
	said := f.err.Error()
	if reply := f.reply(); reply != nil {
		said = fmt.Sprintf("%d %s", reply.Code, reply.Msg)
	}
	said = t.sanitize(said)
	switch cause, kind := ctx.Err(), f.classify(); {
	case errors.Is(cause, context.Canceled): // which says nothing about the server
		return fmt.Errorf("%s: %w", f.step, cause)
	case cause != nil:
		return fmt.Errorf("%s: %w: %w", f.step, domain.ErrUnavailable, cause)
	case kind != nil:
		return fmt.Errorf("%s: %w: %s", f.step, kind, said)
	}
	return fmt.Errorf("%s: %s", f.step, said)
}

// reply is the server's, or nil if there is none.
func (f *stepError) reply() *textproto.Error {
	if reply, ok := errors.AsType[*textproto.Error](f.err); ok {
		return reply
	}
	return nil
}

// classify distinguishes an error that concerns this e-mail from one that concerns all: every error before RCPT concerns all, and so
// do some replies after it. It returns nil for an e-mail that may be accepted later.
func (f *stepError) classify() error {
	aboutRecipient := f.step == stepRCPT || f.step == stepDATA
	reply := f.reply()
	switch {
	case !aboutRecipient, reply == nil, slices.Contains(serverReplyCodes, reply.Code):
		return domain.ErrUnavailable
	case reply.Code >= 500 && !isRelayRejection(reply.Msg):
		return domain.ErrUndeliverable
	}
	return nil
}

// isRelayRejection reads the enhanced status (RFC 3463, section 3) of an e-mail that was refused for good: its subject is the
// mail system (3), the way (4), the protocol (5) or a policy (7), say that this sender may not relay, and not the address (1),
// the mailbox (2) or what the e-mail holds (6). The operator can fix that, so the e-mail is sent later. A reply without one is
// taken at its word.
func isRelayRejection(said string) bool {
	subject, found := strings.CutPrefix(said, "5.")
	return found && len(subject) > 1 && strings.ContainsRune("3457", rune(subject[0])) && subject[1] == '.'
}

// serverReplyCodes are replies that mean the server or the way it was spoken to, whatever they answer: it closes, it does not
// understand, it requires authentication (RFC 5321, section 4.2.2; RFC 4954, section 6; Postfix says 454 to unauthenticated clients).
var serverReplyCodes = []int{421, 454, 500, 502, 503, 504, 530}

// maxErrorLength is how many characters of an error are worth a line of the log.
const maxErrorLength = 300

// sanitize makes one line of a server's.
func (t *transaction) sanitize(s string) string { return oneLine(t.redact.Replace(s), maxErrorLength) }

// newRedactor knows the forms in which a server may repeat secrets.
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

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
	stepDATA     = "handing a letter to the mail server"
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

// classify tells what is wrong with this letter from what is wrong with all: of the latter sort is everything before the
// recipient is named, and some replies even then. Nil is for a letter that may be taken later.
func (f *stepError) classify() error {
	aboutLetter := f.step == stepRCPT || f.step == stepDATA
	reply := f.reply()
	switch {
	case !aboutLetter, reply == nil, slices.Contains(serverReplyCodes, reply.Code):
		return domain.ErrUnavailable
	case reply.Code >= 500 && !isRelayRejection(reply.Msg):
		return domain.ErrUndeliverable
	}
	return nil
}

// isRelayRejection goes by the enhanced status (RFC 3463, section 3) of a letter that was refused for good: its subject is the
// mail system (3), the way (4), the protocol (5) or a policy (7), say that this sender may not relay, and not the address (1),
// the mailbox (2) or what the letter holds (6). The operator can mend that, so the letter waits. A reply without one is
// taken at its word.
func isRelayRejection(said string) bool {
	subject, found := strings.CutPrefix(said, "5.")
	return found && len(subject) > 1 && strings.ContainsRune("3457", rune(subject[0])) && subject[1] == '.'
}

// serverReplyCodes are replies that mean the server or the way it was spoken to, whatever they answer: it closes, it does not
// understand, it wants somebody to sign in (RFC 5321, section 4.2.2; RFC 4954, section 6; Postfix says 454 to strangers).
var serverReplyCodes = []int{421, 454, 500, 502, 503, 504, 530}

// maxErrorLength is how many characters of an error are worth a line of the log.
const maxErrorLength = 300

// sanitize makes one line of a server's.
func (t *transaction) sanitize(s string) string { return oneLine(t.redact.Replace(s), maxErrorLength) }

// newRedactor knows in which forms a server may say back what it was told.
func newRedactor(config Config, letter ports.OutgoingEmail) *strings.Replacer {
	password, code, to := config.Password.Reveal(), letter.Code.Reveal(), string(letter.Email.To)
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

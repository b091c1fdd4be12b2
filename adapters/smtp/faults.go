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
	connecting      = "connecting to the mail server"
	greeting        = "greeting the mail server"
	startingTLS     = "starting TLS with the mail server"
	signingIn       = "signing in to the mail server"
	namingSender    = "telling the mail server the sender"
	namingRecipient = "telling the mail server the recipient"
	handingOver     = "handing a letter to the mail server"
)

// fault is an error of one step.
type fault struct {
	step string
	err  error
}

// explain makes an error of a fault as the port promises it.
func (t *talk) explain(ctx context.Context, f *fault) error {
	if f == nil {
		return nil
	}
	said := f.err.Error()
	if reply := f.reply(); reply != nil {
		said = fmt.Sprintf("%d %s", reply.Code, reply.Msg)
	}
	said = t.words(said)
	switch cause, kind := ctx.Err(), f.kind(); {
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
func (f *fault) reply() *textproto.Error {
	if reply, ok := errors.AsType[*textproto.Error](f.err); ok {
		return reply
	}
	return nil
}

// kind tells what is wrong with this letter from what is wrong with all: of the latter sort is everything before the
// recipient is named, and some replies even then. Nil is for a letter that may be taken later.
func (f *fault) kind() error {
	aboutLetter := f.step == namingRecipient || f.step == handingOver
	reply := f.reply()
	switch {
	case !aboutLetter, reply == nil, slices.Contains(aboutTheServer, reply.Code):
		return domain.ErrUnavailable
	case reply.Code >= 500 && !isAboutTheRelay(reply.Msg):
		return domain.ErrUndeliverable
	}
	return nil
}

// isAboutTheRelay goes by the enhanced status (RFC 3463, section 3) of a letter that was refused for good: its subject is the
// mail system (3), the way (4), the protocol (5) or a policy (7), say that this sender may not relay, and not the address (1),
// the mailbox (2) or what the letter holds (6). The operator can mend that, so the letter waits. A reply without one is
// taken at its word.
func isAboutTheRelay(said string) bool {
	subject, found := strings.CutPrefix(said, "5.")
	return found && len(subject) > 1 && strings.ContainsRune("3457", rune(subject[0])) && subject[1] == '.'
}

// aboutTheServer are replies that mean the server or the way it was spoken to, whatever they answer: it closes, it does not
// understand, it wants somebody to sign in (RFC 5321, section 4.2.2; RFC 4954, section 6; Postfix says 454 to strangers).
var aboutTheServer = []int{421, 454, 500, 502, 503, 504, 530}

// longest is how many characters of an error are worth a line of the log.
const longest = 300

// words makes one line of a server's.
func (t *talk) words(s string) string { return oneLine(t.redact.Replace(s), longest) }

// redactor knows in which forms a server may say back what it was told.
func redactor(config Config, letter ports.Letter) *strings.Replacer {
	password, code, to := config.Password.Reveal(), letter.Code.Reveal(), string(letter.Message.To)
	encode := base64.StdEncoding.EncodeToString
	var pairs []string
	for _, secret := range []string{
		encode([]byte("\x00" + config.Username + "\x00" + password)), encode([]byte(password)), password,
		spaced(code), code, to,
	} {
		if strings.TrimSpace(secret) != "" {
			pairs = append(pairs, secret, "[redacted]")
		}
	}
	return strings.NewReplacer(pairs...)
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/application/transfer"
	"github.com/keylodge/keylodge/domain"
)

// Exit codes.
const (
	ExitOK        = 0
	ExitFailure   = 1 // it ran and could not go on
	ExitUsage     = 2 // arguments or settings cannot be used
	ExitNotFound  = 3 // no such user or session
	ExitConflict  = 4 // not as things stand, or not confirmed
	ExitUnhealthy = 5 // doctor reports an error
)

// exitCodes is the only place that maps the domain's failures to exit codes. Whatever else fails is ExitFailure.
var exitCodes = map[domain.Kind]int{
	domain.KindInvalid:  ExitUsage,
	domain.KindNotFound: ExitNotFound,
	domain.KindConflict: ExitConflict,
}

// errInterrupted can promise that much, since a unit of work that fails keeps nothing.
var errInterrupted = &domain.Error{Code: "interrupted", Message: "interrupted; nothing was changed"}

// failure is an error as programs read it.
type failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// advice says what to do about errors of use cases, which know neither settings nor commands.
var advice = map[*domain.Error]string{
	signingkeys.ErrExternalKeys:       "put the new key first in the file of KEYLODGE_JWT_KEY_FILE, and restart",
	transfer.ErrUnknownSecret:         "set KEYLODGE_SECRET to that secret, or copy its key file, or add it to KEYLODGE_PREVIOUS_SECRETS",
	transfer.ErrUnknownPreviousSecret: "set KEYLODGE_PREVIOUS_SECRETS as on that server",
	transfer.ErrOtherUsers:            "to merge both, add --into-existing",
}

// failureOf tells all that is known: whoever runs the command runs the server.
func failureOf(err error) (f failure, exitCode int) {
	if errors.Is(err, context.Canceled) {
		err = errInterrupted
	}
	if errors.Is(err, errChecksFailed) {
		return failure{errChecksFailed.Code, err.Error()}, ExitUnhealthy
	}
	var known *domain.Error
	if !errors.As(err, &known) {
		return failure{"internal", err.Error()}, ExitFailure
	}
	message := err.Error()
	if a := advice[known]; a != "" {
		message += "; " + a
	}
	if code, found := exitCodes[known.Kind]; found {
		return failure{known.Code, message}, code
	}
	return failure{known.Code, message}, ExitFailure
}

// reportError tells why a command failed, if it did, and returns the exit code.
func (p *Program) reportError(err error, asJSON bool) int {
	if err == nil {
		return ExitOK
	}
	f, exitCode := failureOf(err)
	switch {
	case errors.Is(err, ErrAlreadyLogged):
	case asJSON:
		_ = printJSON(p.Stderr, map[string]failure{"error": f}) // for want of anywhere to tell of it
	default:
		for i, line := range strings.Split(f.Message, "\n") {
			if i == 0 {
				line = "keylodge: " + line
			}
			fmt.Fprintln(p.Stderr, printable(line))
		}
	}
	return exitCode
}

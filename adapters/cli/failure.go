package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/keylodge/keylodge/application/transfer"
	"github.com/keylodge/keylodge/domain"
)

// Exit codes.
const (
	ExitOK        = 0
	ExitFailure   = 1 // runtime error, or interrupted
	ExitUsage     = 2 // invalid arguments or settings
	ExitNotFound  = 3 // no such user or session
	ExitConflict  = 4 // conflict, or not confirmed
	ExitUnhealthy = 5 // doctor reports an error
)

// exitCodes maps the kinds of the domain's errors to exit codes. Any other error is ExitFailure.
var exitCodes = map[domain.Kind]int{
	domain.KindInvalid:  ExitUsage,
	domain.KindNotFound: ExitNotFound,
	domain.KindConflict: ExitConflict,
}

// errInterrupted is returned if no transaction was committed.
var errInterrupted = &domain.Error{Code: "interrupted", Message: "interrupted; nothing was changed"}

// failure is an error as JSON.
type failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// advice is added to the errors of use cases, which know neither settings nor commands.
var advice = map[*domain.Error]string{
	domain.ErrSigningKeysExternal:     "put the new key first in the file of KEYLODGE_JWT_KEY_FILE, and restart",
	transfer.ErrUnknownSecret:         "set KEYLODGE_SECRET to that secret, or copy its key file, or add it to KEYLODGE_PREVIOUS_SECRETS",
	transfer.ErrUnknownPreviousSecret: "set KEYLODGE_PREVIOUS_SECRETS as on that server",
	transfer.ErrOtherUsers:            "add --merge to keep both",
}

// failureOf returns an error with its details, which are for the operator.
func failureOf(err error) (f failure, exitCode int) {
	if errors.Is(err, context.Canceled) {
		err = errInterrupted
	}
	if errors.Is(err, errChecksFailed) {
		return failure{errChecksFailed.Code, err.Error()}, ExitUnhealthy
	}
	var domainErr *domain.Error
	if !errors.As(err, &domainErr) {
		return failure{"internal", err.Error()}, ExitFailure
	}
	message := err.Error()
	if a := advice[domainErr]; a != "" {
		message += "; " + a
	}
	if code, found := exitCodes[domainErr.Kind]; found {
		return failure{domainErr.Code, message}, code
	}
	return failure{domainErr.Code, message}, ExitFailure
}

// reportError prints the error of a command, if any, and returns the exit code.
func (p *Program) reportError(err error, asJSON bool) int {
	if err == nil {
		return ExitOK
	}
	f, exitCode := failureOf(err)
	switch {
	case errors.Is(err, ErrAlreadyLogged):
	case asJSON:
		_ = printJSON(p.Stderr, map[string]failure{"error": f}) // an error here cannot be printed either
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

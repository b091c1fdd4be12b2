package transfer

import (
	"errors"
	"fmt"

	"github.com/keylodge/keylodge/domain"
)

// Errors of Import that the operator can resolve.
var (
	ErrUnknownSecret = &domain.Error{
		Kind: domain.KindInvalid, Code: "other_secret",
		Message: "this export was made under another secret, without which its encrypted values cannot be read",
	}
	ErrUnknownPreviousSecret = &domain.Error{
		Kind: domain.KindInvalid, Code: "other_secret",
		Message: "this export was made by a server with previous secrets, and one of them is unknown here",
	}
	ErrOtherUsers = &domain.Error{
		Kind: domain.KindConflict, Code: "not_empty",
		Message: "this database has users who are not in the export, so it may be the wrong one; nothing was changed",
	}
)

var (
	errNotAnExport        = &domain.Error{Kind: domain.KindInvalid, Code: "invalid_export", Message: "this file is not a Keylodge export"}
	errUnsupportedVersion = &domain.Error{
		Kind: domain.KindInvalid, Code: "invalid_export",
		Message: "this export has a format that this release does not know; import it with the release that made it, or a later one",
	}
	errTruncated = &domain.Error{
		Kind: domain.KindInvalid, Code: "invalid_export",
		Message: "this export is truncated: its last line is missing; export again, or copy the file again",
	}
	errTampered = &domain.Error{
		Kind: domain.KindInvalid, Code: "invalid_export",
		Message: "this export was damaged or modified; export again, or copy the file again",
	}
)

// invalidLine returns an error that states the number of the line, from 1.
func invalidLine(number int, err error) error {
	return &domain.Error{Kind: domain.KindInvalid, Code: "invalid_export", Message: fmt.Sprintf("line %d of the export is invalid: %v", number, err)}
}

// conflict returns the error for a record that exists. An import overwrites none.
func conflict(format string, values ...any) error {
	return &domain.Error{Kind: domain.KindConflict, Code: "conflict", Message: fmt.Sprintf(format, values...)}
}

// userConflict returns nil if err is nil. It names the user that could not be added.
func userConflict(id domain.UserID, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, domain.ErrEmailTaken):
		return conflict("user %s cannot be imported: another user here has the same e-mail address", id)
	case errors.Is(err, domain.ErrPasskeyAlreadyRegistered):
		return conflict("user %s cannot be imported: another user here has one of the passkeys", id)
	}
	return fmt.Errorf("adding user %s: %w", id, err)
}

package transfer

import (
	"errors"
	"fmt"

	"github.com/keylodge/keylodge/domain"
)

var (
	errUnknownSecret = &domain.Error{
		Kind: domain.KindInvalid, Code: "other_secret",
		Message: "this export was made under another secret, without which nothing sealed in it can be read: " +
			"set KEYLODGE_SECRET to the one it was made under, or bring its key file, or add it to KEYLODGE_PREVIOUS_SECRETS",
	}
	errUnknownPreviousSecret = &domain.Error{
		Kind: domain.KindInvalid, Code: "other_secret",
		Message: "this export was made where former secrets are still believed, and one of them is not known here: " +
			"set KEYLODGE_PREVIOUS_SECRETS as it was there",
	}
	errNotAnExport        = &domain.Error{Kind: domain.KindInvalid, Code: "invalid_export", Message: "this is not an export of Keylodge"}
	errUnsupportedVersion = &domain.Error{
		Kind: domain.KindInvalid, Code: "invalid_export",
		Message: "this export is in a format that this release does not know; import it with the release that made it, or a later one",
	}
	errTruncated = &domain.Error{
		Kind: domain.KindInvalid, Code: "invalid_export",
		Message: "this export is cut short: its last line is missing; export again, or copy the file again",
	}
	errTampered = &domain.Error{
		Kind: domain.KindInvalid, Code: "invalid_export",
		Message: "this export is not as it was written: it is damaged, or somebody changed it; export again, or copy the file again",
	}
	errNotEmpty = &domain.Error{
		Kind: domain.KindConflict, Code: "not_empty",
		Message: "this database has users who are not in the export, so it may be the wrong one; nothing was changed. " +
			"If both shall live in it, add --into-existing",
	}
)

// invalidLine says what is wrong with a line, and which it is, beginning with 1.
func invalidLine(number int, err error) error {
	return &domain.Error{Kind: domain.KindInvalid, Code: "invalid_export", Message: fmt.Sprintf("line %d of the export cannot be used: %v", number, err)}
}

// conflict is about something that is there already. Nothing is written over.
func conflict(format string, values ...any) error {
	return &domain.Error{Kind: domain.KindConflict, Code: "conflict", Message: fmt.Sprintf(format, values...)}
}

// userConflict says for which user there is no room, if that is why err came.
func userConflict(id userID, err error) error {
	switch {
	case errors.Is(err, domain.ErrEmailTaken):
		return conflict("user %s cannot come in: their e-mail address is another user's here", id)
	case errors.Is(err, domain.ErrPasskeyAlreadyRegistered):
		return conflict("user %s cannot come in: a passkey of theirs is another user's here", id)
	}
	return fmt.Errorf("adding user %s: %w", id, err)
}

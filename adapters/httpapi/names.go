package httpapi

import (
	"golang.org/x/text/unicode/norm"

	"github.com/keylodge/keylodge/domain"
)

// displayName normalises a name to composed characters (Unicode Normalization Form C) and parses it: clients send a base character
// and its accent as one character or as two.
func displayName(s string) (domain.DisplayName, error) {
	return domain.ParseDisplayName("display_name", norm.NFC.String(s))
}

// passkeyName parses a name like displayName. Field is its member in the request.
func passkeyName(field, s string) (domain.PasskeyName, error) {
	return domain.ParsePasskeyName(field, norm.NFC.String(s))
}

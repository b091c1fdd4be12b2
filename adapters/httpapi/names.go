package httpapi

import (
	"golang.org/x/text/unicode/norm"

	"github.com/keylodge/keylodge/domain"
)

// displayName reads a name as clients send it: composed first (Unicode Normalization Form C), since a base character and its accent
// may come as one character or as two.
func displayName(s string) (domain.DisplayName, error) {
	return domain.ParseDisplayName("display_name", norm.NFC.String(s))
}

// passkeyName reads a name like displayName. Field is where it stands in the request.
func passkeyName(field, s string) (domain.PasskeyName, error) {
	return domain.ParsePasskeyName(field, norm.NFC.String(s))
}

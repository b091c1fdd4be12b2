package httpapi

import (
	"bytes"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
)

// Requirement: OWASP-CSRF-double-submit
func TestCSRFTokens_BoundToSession(t *testing.T) {
	adas, bens := domain.NewSessionID(time.Now(), rand.Reader), domain.NewSessionID(time.Now(), rand.Reader)
	previous, current := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	tokens := csrfTokens{[][]byte{current, previous}}
	token := tokens.issue(adas)
	nonce, mac, _ := strings.Cut(token, ".")
	long := strings.Repeat("x", 128)
	for name, c := range map[string]struct {
		token   string
		session domain.SessionID
		valid   bool
	}{
		"of the session":               {token, adas, true},
		"a second one of it":           {tokens.issue(adas), adas, true},
		"signed with the previous key": {csrfTokens{[][]byte{previous}}.issue(adas), adas, true},
		"of another session":           {token, bens, false},
		"without a session":            {token, domain.SessionID{}, false},
		"signed with an unknown key":   {csrfTokens{[][]byte{bytes.Repeat([]byte{3}, 32)}}.issue(adas), adas, false},
		"signed with an empty key":     {csrfTokens{[][]byte{{}}}.issue(adas), adas, false},
		"empty":                        {"", adas, false},
		"a dot":                        {".", adas, false},
		"the nonce alone":              {nonce, adas, false},
		"no signature":                 {nonce + ".", adas, false},
		"no nonce":                     {"." + mac, adas, false},
		"no dot":                       {nonce + mac, adas, false},
		"another nonce":                {rand.Text() + "." + mac, adas, false},
		"the nonce cut short":          {nonce[1:] + "." + mac, adas, false},
		"the signature cut short":      {token[:len(token)-1], adas, false},
		"the signature padded":         {token + "=", adas, false},
		"with a suffix":                {token + ".x", adas, false},
		"with a space":                 {token + " ", adas, false},
		"in upper case":                {strings.ToUpper(token), adas, false},
		"too long":                     {long + "." + tokens.keys.Sign(csrfMessage(adas, long)), adas, false},
	} {
		if err := tokens.verify(c.token, c.session); (err == nil) != c.valid || err != nil && err != error(errCSRF) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if again := tokens.issue(adas); again == token {
		t.Error("issue returned the same token twice")
	}
	if err := (csrfTokens{}).verify(token, adas); err == nil {
		t.Error("a token is valid without a key")
	}
}

// New tokens are signed with the current key, so that the previous one can be removed.
func TestCSRFTokens_SignWithFirstKey(t *testing.T) {
	previous, current := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	token := csrfTokens{[][]byte{current, previous}}.issue(domain.SessionID{})
	if err := (csrfTokens{[][]byte{current}}).verify(token, domain.SessionID{}); err != nil {
		t.Error(err)
	}
}

package httpapi

import (
	"bytes"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
)

func TestCSRFTokens_BoundToSession(t *testing.T) {
	sessionID := func() domain.SessionID {
		id := domain.NewSessionID(time.Now(), rand.Reader)
		return id
	}
	adas, bens := sessionID(), sessionID()
	former, present := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	tokens := csrfTokens{[][]byte{present, former}}
	minted := tokens.issue(adas)
	nonce, mac, _ := strings.Cut(minted, ".")
	long := strings.Repeat("x", 128)
	for name, c := range map[string]struct {
		token   string
		session domain.SessionID
		good    bool
	}{
		"its own":                     {minted, adas, true},
		"another one of its own":      {tokens.issue(adas), adas, true},
		"of before a secret was new":  {csrfTokens{[][]byte{former}}.issue(adas), adas, true},
		"somebody else's":             {minted, bens, false},
		"for no session":              {minted, domain.SessionID{}, false},
		"of a secret that is unknown": {csrfTokens{[][]byte{bytes.Repeat([]byte{3}, 32)}}.issue(adas), adas, false},
		"of no secret":                {csrfTokens{[][]byte{{}}}.issue(adas), adas, false},
		"empty":                       {"", adas, false},
		"a dot":                       {".", adas, false},
		"the nonce alone":             {nonce, adas, false},
		"no signature":                {nonce + ".", adas, false},
		"no nonce":                    {"." + mac, adas, false},
		"no dot":                      {nonce + mac, adas, false},
		"another nonce":               {rand.Text() + "." + mac, adas, false},
		"the nonce cut short":         {nonce[1:] + "." + mac, adas, false},
		"the signature cut short":     {minted[:len(minted)-1], adas, false},
		"the signature padded":        {minted + "=", adas, false},
		"something behind it":         {minted + ".x", adas, false},
		"a space behind it":           {minted + " ", adas, false},
		"in capitals":                 {strings.ToUpper(minted), adas, false},
		"over-long":                   {long + "." + tokens.sign(present, adas, long), adas, false},
	} {
		if err := tokens.verify(c.token, c.session); (err == nil) != c.good || err != nil && err != error(errCSRF) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if again := tokens.issue(adas); again == minted {
		t.Error("the same token was minted twice")
	}
	if err := (csrfTokens{}).verify(minted, adas); err == nil {
		t.Error("without any secret it was believed")
	}
}

// New tokens are signed with the present secret, so that the former one can be forgotten.
func TestCSRFTokens_SignWithFirstKey(t *testing.T) {
	former, present := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	minted := csrfTokens{[][]byte{present, former}}.issue(domain.SessionID{})
	if err := (csrfTokens{[][]byte{present}}).verify(minted, domain.SessionID{}); err != nil {
		t.Error(err)
	}
}

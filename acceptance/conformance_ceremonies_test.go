package acceptance

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/authenticator"
)

func (e *inspectedServer) registration(t *testing.T, w invalidCase) ceremonyUnderTest {
	t.Helper()
	connection := e.newAPI(t)
	by := func(device []authenticator.Option) func(pendingCeremony, ...authenticator.Variation) any {
		return func(begun pendingCeremony, variations ...authenticator.Variation) any {
			answer, err := authenticator.New(e.origin, device...).Create(begun.options, variations...)
			if err != nil {
				t.Fatal(err)
			}
			return answer
		}
	}
	wrong := by(w.device)
	if w.otherDevice != nil {
		wrong = by(w.otherDevice)
	}
	return ceremonyUnderTest{
		api: connection, path: "/v1/signup/verify",
		begin: func() pendingCeremony {
			begun, refused := connection.beginSignUp(profile{name: "Ada"})
			if refused != (rejection{}) {
				t.Fatalf("%+v", refused)
			}
			return begun
		},
		answer: by(w.device), invalidAnswer: wrong,
	}
}

func (e *inspectedServer) authentication(t *testing.T, w invalidCase) ceremonyUnderTest {
	t.Helper()
	adas, _ := e.signedOutUser(t, "Ada", w)
	bens, _ := e.signedOutUser(t, "Ben", w)
	connection := e.newAPI(t)
	answer := func(begun pendingCeremony, variations ...authenticator.Variation) any {
		answer, err := adas.Get(begun.options, variations...)
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	return ceremonyUnderTest{
		api: connection, path: "/v1/login/verify", hasAccount: true,
		begin: func() pendingCeremony {
			email := ""
			if w.byEmail {
				email = uniqueEmail(t, "Ada")
			}
			begun, refused := connection.beginSignIn(email)
			if refused != (rejection{}) {
				t.Fatalf("%+v", refused)
			}
			return begun
		},
		answer: answer, invalidAnswer: answer,
		otherAnswer: func(begun pendingCeremony) any {
			answer, err := bens.Get(withoutAllowCredentials(t, begun.options))
			if err != nil {
				t.Fatal(err)
			}
			return answer
		},
	}
}

// signedOutUser signs a new user up and out.
func (e *inspectedServer) signedOutUser(t *testing.T, name string, w invalidCase) (*authenticator.Authenticator, authenticator.RegistrationResponse) {
	t.Helper()
	device, connection := authenticator.New(e.origin, w.device...), e.newAPI(t)
	begun, refused := connection.beginSignUp(profile{name: name, email: uniqueEmail(t, name)})
	if refused != (rejection{}) {
		t.Fatalf("%+v", refused)
	}
	made, err := device.Create(begun.options)
	if err != nil {
		t.Fatal(err)
	}
	if _, refused := connection.finishSignUp(begun.challengeID, made); refused != (rejection{}) {
		t.Fatalf("%+v", refused)
	}
	return device, made
}

// uniqueEmail is an address that no other user of the server has.
func uniqueEmail(t *testing.T, name string) string {
	t.Helper()
	return fmt.Sprintf("%s.%x@example.org", strings.ToLower(name), sha256.Sum224([]byte(t.Name())))
}

func withoutAllowCredentials(t *testing.T, options []byte) []byte {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(options, &members); err != nil {
		t.Fatal(err)
	}
	delete(members, "allowCredentials")
	return encode(t, members)
}

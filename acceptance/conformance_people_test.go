package acceptance

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/authenticator"
)

func (e *examined) registration(t *testing.T, w wrongAnswer) ceremonyUnderTest {
	t.Helper()
	connection := e.connect(t)
	by := func(device []authenticator.Option) func(attempt, ...authenticator.Variation) any {
		return func(begun attempt, variations ...authenticator.Variation) any {
			answer, err := authenticator.New(e.origin, device...).Create(begun.options, variations...)
			if err != nil {
				t.Fatal(err)
			}
			return answer
		}
	}
	wrong := by(w.device)
	if w.instead != nil {
		wrong = by(w.instead)
	}
	return ceremonyUnderTest{
		connection: connection, path: "/v1/signup/verify",
		begin: func() attempt {
			begun, refused := connection.beginSignUp(applicant{name: "Ada"})
			if refused != (refusal{}) {
				t.Fatalf("%+v", refused)
			}
			return begun
		},
		answer: by(w.device), wrong: wrong,
	}
}

func (e *examined) authentication(t *testing.T, w wrongAnswer) ceremonyUnderTest {
	t.Helper()
	adas, _ := e.holder(t, "Ada", w)
	bens, _ := e.holder(t, "Ben", w)
	connection := e.connect(t)
	answer := func(begun attempt, variations ...authenticator.Variation) any {
		answer, err := adas.Get(begun.options, variations...)
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	return ceremonyUnderTest{
		connection: connection, path: "/v1/login/verify", listens: true,
		begin: func() attempt {
			email := ""
			if w.email {
				email = emailOf(t, "Ada")
			}
			begun, refused := connection.beginSignIn(email)
			if refused != (refusal{}) {
				t.Fatalf("%+v", refused)
			}
			return begun
		},
		answer: answer, wrong: answer,
		bens: func(begun attempt) any {
			answer, err := bens.Get(withoutList(t, begun.options))
			if err != nil {
				t.Fatal(err)
			}
			return answer
		},
	}
}

// holder signs somebody up and out.
func (e *examined) holder(t *testing.T, name string, w wrongAnswer) (*authenticator.Authenticator, authenticator.RegistrationResponse) {
	t.Helper()
	device, connection := authenticator.New(e.origin, w.device...), e.connect(t)
	begun, refused := connection.beginSignUp(applicant{name: name, email: emailOf(t, name)})
	if refused != (refusal{}) {
		t.Fatalf("%+v", refused)
	}
	made, err := device.Create(begun.options)
	if err != nil {
		t.Fatal(err)
	}
	if _, refused := connection.finishSignUp(begun.challengeID, made); refused != (refusal{}) {
		t.Fatalf("%+v", refused)
	}
	return device, made
}

// emailOf is an address that nobody else on the server has.
func emailOf(t *testing.T, name string) string {
	t.Helper()
	return fmt.Sprintf("%s.%x@example.org", strings.ToLower(name), sha256.Sum224([]byte(t.Name())))
}

func withoutList(t *testing.T, options []byte) []byte {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(options, &members); err != nil {
		t.Fatal(err)
	}
	delete(members, "allowCredentials")
	return encode(t, members)
}

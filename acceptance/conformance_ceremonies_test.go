package acceptance

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
)

func (s *inspectedServer) registration(t *testing.T, tc invalidCase) ceremonyUnderTest {
	t.Helper()
	api := s.newAPI(t)
	by := func(device []authenticator.Option) func(pendingCeremony, ...authenticator.Variation) any {
		return func(begun pendingCeremony, variations ...authenticator.Variation) any {
			response, err := authenticator.New(s.origin, device...).Create(begun.options, variations...)
			if err != nil {
				t.Fatal(err)
			}
			return response
		}
	}
	wrong := by(tc.device)
	if tc.otherDevice != nil {
		wrong = by(tc.otherDevice)
	}
	return ceremonyUnderTest{
		api: api, path: "/v1/signup/verify",
		begin: func() pendingCeremony {
			begun := api.beginSignUp(profile{name: "Ada"}).must(t)
			return begun
		},
		response: by(tc.device), invalidResponse: wrong,
	}
}

func (s *inspectedServer) authentication(t *testing.T, tc invalidCase) ceremonyUnderTest {
	t.Helper()
	ada, _ := s.signedOutUser(t, "Ada", tc)
	ben, _ := s.signedOutUser(t, "Ben", tc)
	api := s.newAPI(t)
	respond := func(begun pendingCeremony, variations ...authenticator.Variation) any {
		response, err := ada.Get(begun.options, variations...)
		if err != nil {
			t.Fatal(err)
		}
		return response
	}
	return ceremonyUnderTest{
		api: api, path: "/v1/login/verify", hasAccount: true,
		begin: func() pendingCeremony {
			email := ""
			if tc.byEmail {
				email = uniqueEmail(t, "Ada")
			}
			begun := api.beginSignIn(email).must(t)
			return begun
		},
		response: respond, invalidResponse: respond,
		otherResponse: func(begun pendingCeremony) any {
			response, err := ben.Get(withoutAllowCredentials(t, begun.options))
			if err != nil {
				t.Fatal(err)
			}
			return response
		},
	}
}

// signedOutUser signs up a new user on a device. It returns the device and its response.
func (s *inspectedServer) signedOutUser(t *testing.T, name string, tc invalidCase) (*authenticator.Authenticator, authenticator.RegistrationResponse) {
	t.Helper()
	device, api := authenticator.New(s.origin, tc.device...), s.newAPI(t)
	begun := api.beginSignUp(profile{name: name, email: uniqueEmail(t, name)}).must(t)
	credential, err := device.Create(begun.options)
	if err != nil {
		t.Fatal(err)
	}
	api.finishSignUp(begun.challengeID, credential).must(t)
	return device, credential
}

// uniqueEmail returns an address that depends on the name and the test.
func uniqueEmail(t *testing.T, name string) string {
	t.Helper()
	return fmt.Sprintf("%s.%x@example.org", strings.ToLower(name), sha256.Sum224([]byte(t.Name())))
}

// withoutAllowCredentials removes allowCredentials, as a client that ignores the list does.
func withoutAllowCredentials(t testing.TB, options []byte) []byte {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(options, &members); err != nil {
		t.Fatal(err)
	}
	delete(members, "allowCredentials")
	return encode(t, members)
}

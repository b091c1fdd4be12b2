package acceptance

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/acceptance/testkit/client"
)

// The options of both ceremonies (Req-1 of the FIDO server conformance tests). Every test checks their members and types against
// the OpenAPI document; these tests check the values.

type listedCredential struct {
	Type       string   `json:"type"`
	ID         string   `json:"id"`
	Transports []string `json:"transports"`
}

type ceremonyOptions struct {
	Challenge          string             `json:"challenge"`
	ExcludeCredentials []listedCredential `json:"excludeCredentials"`
	AllowCredentials   []listedCredential `json:"allowCredentials"`
	User               struct {
		ID string `json:"id"`
	} `json:"user"`
	Algorithms []struct {
		Type      string                  `json:"type"`
		Algorithm authenticator.Algorithm `json:"alg"`
	} `json:"pubKeyCredParams"`
}

// Requirement: FIDO-Req-1
func TestOptions_ListExistingPasskeys(t *testing.T) {
	s := startServer(t, newClock(), nil)
	api := s.newAPI(t)
	device := authenticator.New(s.origin)
	challenges := map[string]bool{}
	ask := func(path string, body any) ceremonyOptions {
		t.Helper()
		var begun client.Ceremony
		if rejected := api.call(http.MethodPost, path, body, &begun); rejected != (rejection{}) {
			t.Fatalf("%s: %+v", path, rejected)
		}
		var options ceremonyOptions
		if err := json.Unmarshal(begun.Options, &options); err != nil {
			t.Fatal(err)
		}
		if raw, err := base64.RawURLEncoding.DecodeString(options.Challenge); err != nil || len(raw) != 32 || challenges[options.Challenge] {
			t.Errorf("%s: challenge %q, %v, used before: %t", path, options.Challenge, err, challenges[options.Challenge])
		}
		challenges[options.Challenge] = true
		return options
	}
	email := map[string]string{"email": "ada@example.org"}

	handles := map[string]bool{}
	for range 3 {
		options := ask("/v1/signup/options", email)
		if raw, err := base64.RawURLEncoding.DecodeString(options.User.ID); err != nil || len(raw) != 32 || handles[options.User.ID] {
			t.Errorf("user handle %q, %v", options.User.ID, err)
		}
		handles[options.User.ID] = true
		if len(options.ExcludeCredentials) != 0 {
			t.Errorf("excludeCredentials at a sign-up is %v", options.ExcludeCredentials)
		}
		var algorithms []authenticator.Algorithm
		for _, p := range options.Algorithms {
			algorithms = append(algorithms, p.Algorithm)
		}
		if !slices.Equal(algorithms, []authenticator.Algorithm{authenticator.ES256, authenticator.EdDSA, authenticator.RS256}) {
			t.Errorf("algorithms %v, want ES256, EdDSA and RS256", algorithms)
		}
	}

	begun := api.beginSignUp(profile{email: email["email"]}).must(t)
	credential, err := device.Create(begun.options)
	if err != nil {
		t.Fatal(err)
	}
	api.finishSignUp(begun.challengeID, credential).must(t)
	want := []listedCredential{{"public-key", credential.ID.String(), []string{"hybrid", "internal"}}}
	// Passkeys of the same time have no order.
	sorted := func(list []listedCredential) []listedCredential {
		list = slices.Clone(list)
		slices.SortFunc(list, func(a, b listedCredential) int { return strings.Compare(a.ID, b.ID) })
		return list
	}
	for range 2 {
		if got := ask("/v1/me/passkeys/options", nil).ExcludeCredentials; !reflect.DeepEqual(sorted(got), sorted(want)) {
			t.Errorf("excludeCredentials for another passkey is %v, want %v", got, want)
		}
		begun := api.beginAddPasskey().must(t)
		another, err := authenticator.New(s.origin, authenticator.DeviceBound()).Create(begun.options)
		if err != nil {
			t.Fatal(err)
		}
		if rejected := api.finishAddPasskey(begun.challengeID, "", another); rejected != (rejection{}) {
			t.Fatalf("rejected: %+v", rejected)
		}
		want = append(want, listedCredential{"public-key", another.ID.String(), []string{"nfc", "usb"}})
	}
	for path, body := range map[string]any{"/v1/session/step-up/options": nil, "/v1/login/options": email} {
		if got := ask(path, body).AllowCredentials; !reflect.DeepEqual(sorted(got), sorted(want)) {
			t.Errorf("%s: allowCredentials is %v, want %v", path, got, want)
		}
	}
	if got := ask("/v1/login/options", map[string]any{}).AllowCredentials; len(got) != 0 {
		t.Errorf("allowCredentials without an address is %v", got)
	}
}

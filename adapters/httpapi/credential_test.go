package httpapi_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/adapters/httpapi"
	"github.com/keylodge/keylodge/adapters/metrics"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/emailverify"
	"github.com/keylodge/keylodge/application/login"
	"github.com/keylodge/keylodge/application/ratelimit"
	"github.com/keylodge/keylodge/application/signup"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// capturingRelyingParty records the credentials that it receives, and rejects them.
type capturingRelyingParty struct {
	ports.RelyingParty
	registration   ports.RegistrationAnswer
	authentication ports.AuthenticationAnswer
}

type deviceNames struct{}

func (deviceNames) NameOf(userAgent string) string { return userAgent }

var errRejected = domain.Reject(domain.ReasonMalformed, "")

func (r *capturingRelyingParty) VerifyRegistration(_ []byte, answer ports.RegistrationAnswer) (domain.Registration, error) {
	r.registration = answer
	return domain.Registration{}, errRejected
}

func (r *capturingRelyingParty) VerifyAuthentication(_ []byte, answer ports.AuthenticationAnswer, _ *domain.User, _ *domain.Credential) (domain.Assertion, error) {
	r.authentication = answer
	return domain.Assertion{}, errRejected
}

func TestVerify_PassesWholeCredential(t *testing.T) {
	store, relyingParty := sqlitestore.New(t), &capturingRelyingParty{}
	challenges := &ceremony.Service{Store: store, Clock: clock{}, Random: rand.Reader, TTL: ceremony.TTL(time.Minute)}
	log := &audit.Log{Random: rand.Reader, Devices: deviceNames{}}
	api := httpapi.New(httpapi.Config{BindingKeys: [][]byte{make([]byte, 32)}}, application.UseCases{
		SignUp:    &signup.Service{Policy: domain.RegistrationOpen, Store: store, RelyingParty: relyingParty, Clock: clock{}, Challenges: challenges, EmailVerification: &emailverify.Service{}},
		Login:     &login.Service{Store: store, RelyingParty: relyingParty, Clock: clock{}, Challenges: challenges, Audit: log},
		RateLimit: &ratelimit.Service{},
	}, metrics.New(), slog.New(slog.DiscardHandler))
	ada := domain.NewPendingUser("", "Ada", clock{}.Now(), rand.Reader)
	key, err := domain.NewCredential(ada.UserID, "", sqlitestore.Registration("id"), clock{}.Now())
	if err != nil {
		t.Fatal(err)
	}
	err = store.Update(t.Context(), func(tx ports.Tx) error {
		return errors.Join(tx.Users.Add(t.Context(), ada.ToUser(clock{}.Now())), tx.Credentials.Add(t.Context(), key, sqlitestore.Attestation()))
	})
	if err != nil {
		t.Fatal(err)
	}
	verify := func(path string, purpose domain.Purpose, pendingUser *domain.PendingUser, response string) {
		t.Helper()
		begun, err := challenges.Begin(t.Context(), purpose, domain.ChallengeContext{}, ports.CeremonyOptions{State: []byte("state")}, pendingUser)
		if err != nil {
			t.Fatal(err)
		}
		request := httptest.NewRequest(http.MethodPost, path, strings.NewReader(fmt.Sprintf(`{"challenge_id":%q,"credential":{"id":"aWQ","rawId":"aWQ",
			"type":"public-key","authenticatorAttachment":"platform","clientExtensionResults":{"credProps":{"rk":true}},"response":%s}}`, begun.ChallengeID, response)))
		request.Header.Set("Content-Type", "application/json")
		got, err := api.Test(request, -1)
		if err != nil || got.StatusCode != 422 {
			t.Fatalf("%s: %v, %v", path, got, err)
		}
	}
	verify("/v1/signup/verify", domain.PurposeSignUp, ada, `{"clientDataJSON":"Y2xpZW50","attestationObject":"b2JqZWN0","transports":["usb","nfc"]}`)
	if want := (ports.RegistrationAnswer{
		ID: []byte("id"), ClientDataJSON: []byte("client"), AttestationObject: []byte("object"), Transports: []string{"usb", "nfc"},
		Attachment: "platform", Extensions: []byte(`{"credProps":{"rk":true}}`),
	}); !reflect.DeepEqual(relyingParty.registration, want) {
		t.Errorf("got  %+v\nwant %+v", relyingParty.registration, want)
	}
	verify("/v1/login/verify", domain.PurposeLogin, nil, `{"clientDataJSON":"Y2xpZW50","authenticatorData":"ZGF0YQ","signature":"c2lnbmF0dXJl","userHandle":"YWRh"}`)
	if want := (ports.AuthenticationAnswer{
		ID: []byte("id"), ClientDataJSON: []byte("client"), AuthenticatorData: []byte("data"), Signature: []byte("signature"), UserHandle: []byte("ada"),
		Attachment: "platform", Extensions: []byte(`{"credProps":{"rk":true}}`),
	}); !reflect.DeepEqual(relyingParty.authentication, want) {
		t.Errorf("got  %+v\nwant %+v", relyingParty.authentication, want)
	}
}

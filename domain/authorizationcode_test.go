package domain_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
)

const callback = "https://app.example.com/callback?step=1"

// authorization is a code of Ada's session for callback.
type authorization struct {
	session  *domain.Session
	code     *domain.AuthorizationCode
	secret   domain.AuthorizationCodeSecret
	location *url.URL
	verifier domain.CodeVerifier
}

func returnTo(t *testing.T, s string, app domain.Application) domain.ReturnAddress {
	t.Helper()
	app.Origin = "https://app.example.com"
	address, err := domain.Applications{app}.ParseReturnTo(s)
	if err != nil {
		t.Fatal(err)
	}
	return address
}

func authorize(t *testing.T, state string) authorization {
	t.Helper()
	s, _ := session(t, synced)
	verifier, challenge := domain.NewCodeVerifier(rand.Reader)
	code, location, err := domain.IssueAuthorizationCode(s, s.AuthContext(), domain.AuthorizationRequest{ReturnTo: returnTo(t, callback, domain.Application{}), Challenge: challenge, State: state}, noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := domain.ParseAuthorizationCode(u.Query().Get("code"))
	if err != nil {
		t.Fatal(err)
	}
	return authorization{s, code, secret, u, verifier}
}

func TestIssueAuthorizationCode(t *testing.T) {
	const state = "a b&code=x#é"
	a := authorize(t, state)
	if got := a.location.Query(); got.Get("state") != state || got.Get("step") != "1" || len(got["code"]) != 1 || len(got) != 3 || a.location.Host != "app.example.com" || a.location.Path != "/callback" {
		t.Errorf("got the address %s", a.location)
	}
	digest := sha256.Sum256([]byte(a.verifier.Reveal()))
	want := domain.AuthorizationCodeState{
		Digest: sha256.Sum256([]byte(a.secret.Reveal())), SessionID: a.session.ID(), AuthTime: noon, ReturnTo: callback, Challenge: domain.CodeChallenge(digest),
		CreatedAt: noon, ExpiresAt: noon.Add(time.Minute),
	}
	if got := a.code.State(); !reflect.DeepEqual(got, want) || a.code.SessionID() != want.SessionID {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	later, _, err := domain.IssueAuthorizationCode(a.session, a.session.AuthContext(), domain.AuthorizationRequest{ReturnTo: returnTo(t, callback, domain.Application{})}, noon.Add(time.Hour), rand.Reader)
	if err != nil || !later.State().AuthTime.Equal(noon) || !later.State().CreatedAt.Equal(noon.Add(time.Hour)) {
		t.Errorf("an hour after the authentication: got %+v, %v", later.State(), err)
	}
	if other := authorize(t, ""); other.secret.Reveal() == a.secret.Reveal() || other.location.Query().Has("state") {
		t.Errorf("a second code: %s", other.location)
	}
	if !strings.HasPrefix(a.secret.Reveal(), "klc_") || len(a.secret.Reveal()) != len("klc_")+43 {
		t.Errorf("got a code of %d characters", len(a.secret.Reveal()))
	}
}

func TestIssueAuthorizationCode_rejected(t *testing.T) {
	s, _ := session(t, synced)
	bearer := domain.AccessClaims{AuthTime: noon}.AuthContext()
	for name, c := range map[string]struct {
		returnTo domain.ReturnAddress
		state    string
		auth     domain.AuthContext
		after    time.Duration
		want     error
	}{
		"an access token":        {returnTo(t, callback, domain.Application{}), "", bearer, 0, domain.ErrUnauthenticated},
		"a code in the address":  {returnTo(t, callback+"&code=1", domain.Application{}), "", s.AuthContext(), 0, domain.ErrInvalidRequest},
		"a state in the address": {returnTo(t, callback+"&%73tate=1", domain.Application{}), "", s.AuthContext(), 0, domain.ErrInvalidRequest},
		"an invalid query":       {returnTo(t, callback+"&a=%zz", domain.Application{}), "", s.AuthContext(), 0, domain.ErrInvalidRequest},
		"a long state":           {returnTo(t, callback, domain.Application{}), strings.Repeat("x", 513), s.AuthContext(), 0, domain.ErrInvalidRequest},
		"an old authentication":  {returnTo(t, callback, domain.Application{MaxAge: time.Minute}), "", s.AuthContext(), time.Minute + 1, domain.ErrStepUpRequired},
	} {
		t.Run(name, func(t *testing.T) {
			code, location, err := domain.IssueAuthorizationCode(s, c.auth, domain.AuthorizationRequest{ReturnTo: c.returnTo, State: c.state}, noon.Add(c.after), rand.Reader)
			if !errors.Is(err, c.want) || code != nil || location != "" {
				t.Errorf("got %v, %q, %v", code, location, err)
			}
		})
	}
	for _, state := range []string{"", strings.Repeat("x", 512)} {
		if _, _, err := domain.IssueAuthorizationCode(s, s.AuthContext(), domain.AuthorizationRequest{ReturnTo: returnTo(t, callback, domain.Application{MaxAge: time.Minute}), State: state}, noon.Add(time.Minute), rand.Reader); err != nil {
			t.Errorf("a state of %d bytes: got %v", len(state), err)
		}
	}
}

func TestAuthorizationCode_Redeem(t *testing.T) {
	for name, c := range map[string]struct {
		change func(a *authorization)
		to     string
		after  time.Duration
		want   error
	}{
		"valid":            {nil, callback, time.Minute - 1, nil},
		"expired":          {nil, callback, time.Minute, domain.ErrAuthorizationCodeInvalid},
		"another address":  {nil, callback + "&x=y", 0, domain.ErrAuthorizationCodeInvalid},
		"no address":       {nil, "", 0, domain.ErrAuthorizationCodeInvalid},
		"another verifier": {func(a *authorization) { a.verifier, _ = domain.NewCodeVerifier(rand.Reader) }, callback, 0, domain.ErrAuthorizationCodeInvalid},
		"no verifier, of no verifier": {func(a *authorization) {
			state := a.code.State()
			state.Challenge = sha256.Sum256(nil)
			a.code, a.verifier = domain.RestoreAuthorizationCode(state), domain.CodeVerifier{}
		}, callback, 0, domain.ErrAuthorizationCodeInvalid},
		"no verifier":       {func(a *authorization) { a.verifier = domain.CodeVerifier{} }, callback, 0, domain.ErrAuthorizationCodeInvalid},
		"the session ended": {func(a *authorization) { a.session.Revoke(noon) }, callback, 0, domain.ErrAuthorizationCodeInvalid},
		"a step-up since": {func(a *authorization) {
			a.session.StepUp(credential(t, synced, 0), a.session.NewSecret(nil, rand.Reader), noon.Add(time.Second))
		}, callback, 2 * time.Second, domain.ErrAuthorizationCodeInvalid},
		"a use of it earlier": {func(a *authorization) { _ = a.code.Redeem("", domain.CodeVerifier{}, a.session, noon) }, callback, 0, domain.ErrAuthorizationCodeReused},
	} {
		t.Run(name, func(t *testing.T) {
			a := authorize(t, "")
			if c.change != nil {
				c.change(&a)
			}
			if err := a.code.Redeem(c.to, a.verifier, a.session, noon.Add(c.after)); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if a.code.State().RedeemedAt.IsZero() {
				t.Error("the code is not redeemed")
			}
			if err := a.code.Redeem(callback, a.verifier, a.session, noon); !errors.Is(err, domain.ErrAuthorizationCodeReused) {
				t.Errorf("a second redemption: got %v", err)
			}
		})
	}
}

func TestSession_Continue(t *testing.T) {
	s, _ := session(t, deviceBound)
	later := noon.Add(24 * time.Hour)
	continued, token := s.Continue(domain.Device{Name: "App"}, lifetime, domain.KeyRing[domain.RefreshToken]{otherKey}, later, rand.Reader)
	want := s.State()
	got := continued.State()
	if got.ID == want.ID || got.Token != token.Digest() || token.SessionID() != got.ID {
		t.Errorf("got the session %s and the token of %s", got.ID, token.SessionID())
	}
	want.ID, want.Token, want.Transport, want.Device = got.ID, got.Token, domain.TransportBearer, domain.Device{Name: "App"}
	want.CreatedAt, want.LastSeenAt, want.IdleEndsAt = later, later, later.Add(lifetime.IdleTTL)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	code := authorize(t, "").code
	if code.Opened(continued); code.IssuedSession() != continued.ID() {
		t.Errorf("the code has the session %s", code.IssuedSession())
	}
}

func TestParseAuthorizationCode_malformed(t *testing.T) {
	valid := authorize(t, "").secret.Reveal()
	for _, s := range []string{"", "klc_", valid[4:], "kls_" + valid[4:], valid + "A", valid[:len(valid)-1], " " + valid} {
		if _, err := domain.ParseAuthorizationCode(s); !errors.Is(err, domain.ErrAuthorizationCodeInvalid) {
			t.Errorf("%q: got %v", s, err)
		}
	}
}

// The example of RFC 7636, appendix B.
func TestCodeVerifier_RFC7636(t *testing.T) {
	a := authorize(t, "")
	state := a.code.State()
	var err error
	if state.Challenge, err = domain.ParseCodeChallenge("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"); err != nil {
		t.Fatal(err)
	}
	verifier, err := domain.ParseCodeVerifier("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
	if err != nil {
		t.Fatal(err)
	}
	if err := domain.RestoreAuthorizationCode(state).Redeem(callback, verifier, a.session, noon); err != nil {
		t.Error(err)
	}
	if state.Challenge.String() != "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" {
		t.Errorf("got %s", state.Challenge)
	}
}

func TestParseCodeVerifier_malformed(t *testing.T) {
	for _, s := range []string{"", strings.Repeat("a", 42), strings.Repeat("a", 129), strings.Repeat("a", 42) + "+", strings.Repeat("a", 42) + "/", strings.Repeat("a", 42) + "=", strings.Repeat("a", 42) + "é", strings.Repeat("a", 43) + "\n"} {
		if _, err := domain.ParseCodeVerifier(s); !errors.Is(err, domain.ErrAuthorizationCodeInvalid) {
			t.Errorf("%q: got %v", s, err)
		}
	}
	for _, s := range []string{strings.Repeat("a", 43), strings.Repeat("Z", 124) + "-._~"} {
		if _, err := domain.ParseCodeVerifier(s); err != nil {
			t.Errorf("%q: got %v", s, err)
		}
	}
}

func TestParseCodeChallenge_malformed(t *testing.T) {
	digest := sha256.Sum256(nil)
	valid := base64.RawURLEncoding.EncodeToString(digest[:])
	for _, s := range []string{"", valid + "=", valid[:42], valid + "A", valid[:20] + "\n" + valid[20:], base64.RawURLEncoding.EncodeToString(digest[:31]), valid[:42] + "V"} {
		var invalid *domain.InvalidInput
		if _, err := domain.ParseCodeChallenge(s); !errors.As(err, &invalid) || invalid.Fields[0].Field != "code_challenge" {
			t.Errorf("%q: got %v", s, err)
		}
	}
}

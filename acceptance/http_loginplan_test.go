package acceptance

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/acceptance/testkit/client"
)

// The options of a plan are those of a sign-in, whichever way the user takes.
func TestLoginPlan_SignsIn(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	passkeys := authenticator.New(s.origin)
	api := s.newAPI(t)
	begun, err := api.BeginSignUp(client.SignUpOptionsRequest{DisplayName: new("Ada"), Email: new("ada@example.org")})
	if err != nil {
		t.Fatal(err)
	}
	created, err := passkeys.Create(begun.Options)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := api.FinishSignUp(client.SignUpVerifyRequest{ChallengeID: begun.ChallengeID, Credential: created}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		request client.SignInPlanRequest
		ways    []string
	}{
		"no capabilities": {client.SignInPlanRequest{}, []string{"prompt", "phone", "security_key", "recovery"}},
		"immediate":       {client.SignInPlanRequest{Capabilities: map[string]bool{"immediateGet": true, "conditionalGet": true, "userVerifyingPlatformAuthenticator": false}}, []string{"immediate", "autofill", "prompt", "phone", "security_key", "recovery"}},
		"no other device": {client.SignInPlanRequest{Capabilities: map[string]bool{"conditionalGet": true, "hybridTransport": false}}, []string{"autofill", "prompt", "security_key", "recovery"}},
		"a named account": {client.SignInPlanRequest{Email: new("ada@example.org"), Capabilities: map[string]bool{"immediateGet": true}}, []string{"prompt", "phone", "security_key", "recovery"}},
	} {
		browser := s.newAPI(t)
		plan, err := browser.PlanSignIn(c.request)
		if err != nil {
			t.Fatal(err)
		}
		var ways []string
		for _, way := range plan.Ways {
			ways = append(ways, way.Way)
			switch {
			case (way.Way == "immediate") != (way.UIMode != nil), (way.Way == "autofill") != (way.Mediation != nil),
				(way.Way == "phone") != slices.Equal(way.Hints, []string{"hybrid"}), (way.Way == "security_key") != slices.Equal(way.Hints, []string{"security-key"}):
				t.Errorf("%s: the way is %+v", name, way)
			}
		}
		if !slices.Equal(ways, c.ways) {
			t.Errorf("%s: got %v, want %v", name, ways, c.ways)
		}
		got, err := passkeys.Get(plan.Options)
		if err != nil {
			t.Fatal(err)
		}
		opened, err := browser.FinishSignIn(client.SignInVerifyRequest{ChallengeID: plan.ChallengeID, Credential: got})
		if err != nil || opened.User.DisplayName != "Ada" {
			t.Errorf("%s: got %+v, %v", name, opened.User, err)
		}
	}
}

// The metrics have the steps by way, outcome and browser family, and nothing that a client wrote.
func TestLoginPlan_CountsSteps(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	api := s.newAPI(t)
	api.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	if _, err := api.PlanSignIn(client.SignInPlanRequest{}); err != nil {
		t.Fatal(err)
	}
	steps := []client.SignInStep{{Way: "prompt", Outcome: "prompted"}, {Way: "prompt", Outcome: "cancelled"}, {Way: "phone", Outcome: "done"}}
	if err := api.ReportSignInSteps(client.SignInStepsRequest{Steps: steps}); err != nil {
		t.Fatal(err)
	}
	for _, invalid := range []string{
		``, `{}`, `{"steps":[]}`, `{"steps":[{}]}`, `{"steps":[{"way":"prompt","outcome":"begun"}]}`, `{"steps":[{"way":"ada@example.org","outcome":"done"}]}`,
		`{"steps":[{"way":"prompt","outcome":"done"},{"way":"prompt","outcome":"lost"}]}`, `{"steps":[` + strings.Repeat(`{"way":"prompt","outcome":"done"},`, 20) + `{"way":"prompt","outcome":"done"}]}`,
	} {
		s.send(t, http.MethodPost, "/v1/login/steps", invalid).requireProblem(t, 400, "invalid_request")
	}
	s.send(t, http.MethodPost, "/v1/login/steps", `{"steps":[{"way":"prompt","outcome":"done"}]}`, "Origin", "https://evil.example").requireProblem(t, 403, "cross_origin_rejected")
	for line := range strings.Lines(string(s.readMetrics(t))) {
		if !strings.HasPrefix(line, "keylodge_sign_in_steps_total{") {
			continue
		}
		labels, count, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "keylodge_sign_in_steps_total")), " ")
		want := "0"
		switch labels {
		case `{browser="firefox",outcome="begun",way="prompt"}`, `{browser="firefox",outcome="prompted",way="prompt"}`,
			`{browser="firefox",outcome="cancelled",way="prompt"}`, `{browser="firefox",outcome="done",way="phone"}`:
			want = "1"
		}
		if count != want {
			t.Errorf("%s is %s, want %s", labels, count, want)
		}
	}
}

package client_test

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/client"
)

type schema struct{ Properties map[string]json.RawMessage }

type body struct {
	Content map[string]struct{ Schema schema }
}

// TestTypes_MatchOpenAPI checks that the types have the members of the components of their names, or of the bodies that have no
// component.
func TestTypes_MatchOpenAPI(t *testing.T) {
	content, err := os.ReadFile("../../../adapters/httpapi/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Components struct{ Schemas map[string]schema }
		Paths      map[string]struct {
			Get  struct{ Responses map[string]body }
			Post struct{ RequestBody body }
		}
	}
	if err := json.Unmarshal(content, &document); err != nil {
		t.Fatal(err)
	}
	schemas := document.Components.Schemas
	for name, path := range map[string]string{
		"RedeemRequest": "/v1/recovery/redeem", "GrantRequest": "/v1/recovery/options", "CodeRequest": "/v1/me/email/confirm",
	} {
		schemas[name] = document.Paths[path].Post.RequestBody.Content["application/json"].Schema
	}
	schemas["Factors"] = document.Paths["/v1/me/recovery"].Get.Responses["200"].Content["application/json"].Schema
	both := map[string][]string{
		"Ceremony":              {"RegistrationCeremony", "AuthenticationCeremony"},
		"SessionResponse":       {"CookieSessionResponse", "BearerSessionResponse"},
		"StepUpResponse":        {"CookieStepUpResponse", "BearerStepUpResponse"},
		"RecoveryVerifyRequest": {"SignUpVerifyRequest", "GrantRequest"},
	}
	for _, value := range []any{
		client.Config{}, client.User{}, client.Session{}, client.Device{}, client.Passkey{}, client.Signals{}, client.Event{},
		client.Ceremony{}, client.SessionResponse{}, client.StepUpResponse{}, client.Tokens{}, client.AccessToken{},
		client.SignUpOptionsRequest{}, client.SignUpVerifyRequest{}, client.SignInOptionsRequest{}, client.SignInVerifyRequest{},
		client.StepUpVerifyRequest{}, client.AddPasskeyVerifyRequest{}, client.RefreshRequest{}, client.AccountRequest{},
		client.PasskeyRequest{}, client.RedeemRequest{}, client.GrantRequest{}, client.RecoveryVerifyRequest{}, client.CodeRequest{},
		client.Factors{}, client.Problem{}, client.InvalidField{},
	} {
		of := reflect.TypeOf(value)
		var members []string
		for _, field := range reflect.VisibleFields(of) {
			if member, _, _ := strings.Cut(field.Tag.Get("json"), ","); !field.Anonymous && member != "-" {
				members = append(members, member)
			}
		}
		components := both[of.Name()]
		if components == nil {
			components = []string{of.Name()}
		}
		want := map[string]json.RawMessage{}
		for _, component := range components {
			maps.Copy(want, schemas[component].Properties)
		}
		slices.Sort(members)
		if names := slices.Sorted(maps.Keys(want)); !slices.Equal(members, names) {
			t.Errorf("%s has the members %q, want %q", of.Name(), members, names)
		}
	}
}

func TestClient_CSRFToken(t *testing.T) {
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Method+" "+r.URL.Path+" "+r.Header.Get("X-CSRF-Token"))
		_, _ = w.Write([]byte(`{"csrf_token":"fresh"}`))
	}))
	defer server.Close()
	browser := client.NewBrowser(server.URL, nil)
	for _, send := range []func() error{
		browser.SignOut, // without a session there is no token to request
		func() error { browser.SetSessionToken("stolen"); return browser.SignOut() },
		func() error { browser.SetCSRFToken("known"); return browser.SignOut() },
	} {
		if err := send(); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"DELETE /v1/session ", "GET /v1/csrf ", "DELETE /v1/session fresh", "DELETE /v1/session known"}
	if !slices.Equal(got, want) {
		t.Errorf("requests %q, want %q", got, want)
	}
}

func TestClient_Problem(t *testing.T) {
	for body, want := range map[string]string{
		`{"status":401,"code":"unauthenticated"}`: "401 unauthenticated",
		`<html>no server</html>`:                  "502 ", // a proxy's page
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			_, _ = w.Write([]byte(body))
		}))
		_, err := client.New(server.URL, nil).Account()
		server.Close()
		var problem *client.Problem
		if !errors.As(err, &problem) || problem.Error() != want || string(problem.Response.Body) != body {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

package acceptance

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/client"
)

// The http_*_test.go files test the contract of the HTTP API beyond the ceremonies, on a real listener.

// apiResponse is a response of the API, with checks.
type apiResponse struct{ *client.Response }

// send sends a request without cookies. Headers are pairs of name and value. The content type of a body is JSON by default.
func (s *server) send(t *testing.T, method, path, body string, headers ...string) apiResponse {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, s.origin+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Add(headers[i], headers[i+1])
	}
	if _, present := request.Header["Content-Type"]; body != "" && !present {
		request.Header.Set("Content-Type", "application/json")
	}
	return s.roundTrip(t, request)
}

func (s *server) roundTrip(t testing.TB, request *http.Request) apiResponse {
	t.Helper()
	response, err := s.transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	read, err := client.ReadResponse(response)
	if err != nil {
		t.Fatal(err)
	}
	return apiResponse{read}
}

// problem returns the problem document of the response. It fails the test if the response is not one.
func (a apiResponse) problem(t *testing.T) client.Problem {
	t.Helper()
	var p client.Problem
	if err := json.Unmarshal(a.Body, &p); err != nil {
		t.Fatalf("status %d with %q: %v", a.StatusCode, a.Body, err)
	}
	if a.Header.Get("Content-Type") != "application/problem+json" || a.Header.Get("Cache-Control") != "no-store" ||
		p.Type != "urn:keylodge:problem:"+p.Code || p.Status != a.StatusCode || p.Title == "" ||
		p.RequestID == "" || p.RequestID != a.Header.Get("X-Request-Id") {
		t.Fatalf("not a problem document: %v %s", a.Header, a.Body)
	}
	return p
}

func (a apiResponse) requireProblem(t *testing.T, status int, code string) {
	t.Helper()
	if p := a.problem(t); a.StatusCode != status || p.Code != code {
		t.Errorf("got %d %s, want %d %s", a.StatusCode, p.Code, status, code)
	}
}

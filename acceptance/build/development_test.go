package build

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/acceptance/testkit/client"
	"github.com/keylodge/keylodge/acceptance/testkit/keylodgeserver"
	"github.com/keylodge/keylodge/acceptance/testkit/process"
)

// developmentServer is a server of `keylodge dev`.
type developmentServer struct {
	*keylodgeserver.Server
	t    *testing.T
	page string // the address of its page
}

func startDevelopment(t *testing.T, settings ...string) *developmentServer {
	t.Helper()
	page, err := process.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	s := &developmentServer{keylodgeserver.New(t, keylodgeserver.Binary(t), settings...), t, page}
	s.Arguments = []string{"dev", "--page", page}
	s.Start()
	return s
}

// request sends a request to the page, and returns the status and the body. The headers are names and values.
func (s *developmentServer) request(method, path string, form url.Values, headers ...string) (int, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+s.page+path, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// code waits for the verification code to the address.
func (s *developmentServer) code(address string) string {
	s.t.Helper()
	for deadline := time.Now().Add(keylodgeserver.Timeout); ; time.Sleep(20 * time.Millisecond) {
		_, body := s.request(http.MethodGet, "/emails", nil)
		var list struct {
			Emails []struct{ To, Kind, Text, HTML, Code string }
		}
		if err := json.Unmarshal([]byte(body), &list); err != nil {
			s.t.Fatalf("%v: %s", err, body)
		}
		if len(list.Emails) > 0 {
			e := list.Emails[0]
			if e.To != address || e.Kind != "email_code" || len(e.Code) != 8 || !strings.Contains(e.Text, e.Code[:4]+" "+e.Code[4:]) || !strings.Contains(e.HTML, "<") {
				s.t.Fatalf("%+v", e)
			}
			return e.Code
		}
		if time.Now().After(deadline) {
			s.t.Fatal("no e-mail")
		}
	}
}

// A developer signs up with an e-mail address, reads the code on the page, and moves the clock until the session has ended. Then no
// data is left.
func TestDevelopment(t *testing.T) {
	temporary := t.TempDir()
	s := startDevelopment(t, "TMPDIR="+temporary, "KEYLODGE_SMTP_HOST=smtp.example.org", "KEYLODGE_SMTP_FROM=no-reply@example.org", "KEYLODGE_DATABASE_URL=postgres://db.example.org/keylodge")
	ada, address := client.NewBrowser(s.URL(), http.DefaultTransport), "ada@example.org"
	begun, err := ada.BeginSignUp(client.SignUpOptionsRequest{Email: &address})
	if err != nil {
		t.Fatal(err)
	}
	credential, err := authenticator.New(s.URL()).Create(begun.Options)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ada.FinishSignUp(client.SignUpVerifyRequest{ChallengeID: begun.ChallengeID, Credential: credential}); err != nil {
		t.Fatal(err)
	}
	if err := ada.ConfirmEmail(s.code(address)); err != nil {
		t.Errorf("confirming the address: %v", err)
	}
	if status, page := s.request(http.MethodGet, "/", nil); status != 200 || !strings.Contains(page, "Not for real accounts") || !strings.Contains(page, address) {
		t.Errorf("the page: %d %s", status, page)
	}
	if status, _ := s.request(http.MethodPost, "/clock", url.Values{"advance": {"168h"}}, "Origin", "http://"+s.page); status != 200 {
		t.Errorf("moving the clock: %d", status)
	}
	var problem *client.Problem
	if _, _, err := ada.Session(); !errors.As(err, &problem) || problem.Code != "session_expired" {
		t.Errorf("after a week: %v, want session_expired", err)
	}
	if status, clock := s.request(http.MethodGet, "/clock", nil); status != 200 || !strings.Contains(clock, `"ahead_seconds":604800`) {
		t.Errorf("the clock: %d %s", status, clock)
	}
	if status, _ := s.request(http.MethodDelete, "/emails", nil); status != 204 {
		t.Errorf("deleting the e-mails: %d", status)
	}
	if _, list := s.request(http.MethodGet, "/emails", nil); strings.TrimSpace(list) != `{"emails":[]}` {
		t.Errorf("after deleting the e-mails: %s", list)
	}
	s.Stop()
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
	if log := s.Logs(); !strings.Contains(log, `"level":"WARN","msg":"DEVELOPMENT MODE, not for real accounts`) {
		t.Errorf("no warning: %s", log)
	}
}

func TestDevelopment_PageRejectsOtherSites(t *testing.T) {
	s := startDevelopment(t)
	for _, c := range []struct {
		method, path, advance string
		headers               []string
		want                  int
	}{
		{http.MethodGet, "/emails", "", []string{"Host", "rebinding.example"}, http.StatusMisdirectedRequest},
		{http.MethodGet, "/", "", []string{"Host", "192.0.2.1:8025"}, http.StatusMisdirectedRequest},
		{http.MethodGet, "/", "", []string{"Host", "localhost"}, http.StatusOK},
		{http.MethodGet, "/", "", []string{"Host", "[::1]:8025"}, http.StatusOK},
		{http.MethodPost, "/clock", "1h", []string{"Origin", "https://evil.example"}, http.StatusForbidden},
		{http.MethodPost, "/clock", "1h", []string{"Origin", "null"}, http.StatusForbidden},
		{http.MethodDelete, "/emails", "", []string{"Origin", "http://localhost:1"}, http.StatusForbidden},
		{http.MethodPost, "/clock", "-1h", nil, http.StatusBadRequest},
		{http.MethodPost, "/clock", "9601h", nil, http.StatusBadRequest},
		{http.MethodPost, "/clock", "soon", nil, http.StatusBadRequest},
		{http.MethodGet, "/other", "", nil, http.StatusNotFound},
	} {
		if status, _ := s.request(c.method, c.path, url.Values{"advance": {c.advance}}, c.headers...); status != c.want {
			t.Errorf("%s %s %s %q: %d, want %d", c.method, c.path, c.advance, c.headers, status, c.want)
		}
	}
	if _, clock := s.request(http.MethodGet, "/clock", nil); !strings.Contains(clock, `"ahead_seconds":0`) {
		t.Errorf("the clock was moved: %s", clock)
	}
}

// The development mode does not start where other machines could reach it.
func TestDevelopment_ServesThisMachineOnly(t *testing.T) {
	for _, c := range []struct{ page, setting, want string }{
		{"0.0.0.0:0", "", "not an address of this machine"},
		{":8025", "", "not an address of this machine"},
		{"127.0.0.1:0", "KEYLODGE_LISTEN=:0", "KEYLODGE_LISTEN"},
		{"127.0.0.1:0", "KEYLODGE_PUBLIC_URL=https://id.example.org", "KEYLODGE_PUBLIC_URL"},
	} {
		temporary := t.TempDir()
		s := keylodgeserver.New(t, keylodgeserver.Binary(t), "TMPDIR="+temporary, c.setting)
		output, err := s.Command("dev", "--page", c.page)
		if left, _ := os.ReadDir(temporary); err == nil || !strings.Contains(output, c.want) || len(left) > 0 {
			t.Errorf("%+v: %v, %s, left over: %v", c, err, output, left)
		}
	}
}

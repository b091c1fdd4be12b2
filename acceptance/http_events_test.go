package acceptance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/acceptance/testkit/client"
	"github.com/keylodge/keylodge/bootstrap/config"
)

// eventPage is a page of GET /v1/me/events.
type eventPage struct {
	Items []struct {
		Kind, Reason string
		Count        int
		At           string
		LastAt       string `json:"last_at"`
		Addresses    []string
		Device       struct{ Name, IP string }
		RequestID    string `json:"request_id"`
	}
	NextCursor *string `json:"next_cursor"`
}

func (s *server) listEvents(t *testing.T, token, query string) (page eventPage) {
	t.Helper()
	got := s.send(t, http.MethodGet, "/v1/me/events"+query, "", "Authorization", "Bearer "+token)
	if err := json.Unmarshal(got.Body, &page); got.StatusCode != 200 || err != nil {
		t.Fatalf("status %d, body %s, error %v", got.StatusCode, got.Body, err)
	}
	if strings.Contains(string(got.Body), "555") {
		t.Errorf("the audit log has a text of the attacker: %s", got.Body)
	}
	return page
}

// sendRejectedSignIns sends sixteen sign-ins at once with the id of a passkey, signed by another key. Each has its own IP
// address, and a text of the attacker in every header that a client can choose.
func (s *server) sendRejectedSignIns(t *testing.T, passkeyID string) {
	t.Helper()
	device := authenticator.New(s.origin)
	var begun client.Ceremony
	if err := json.Unmarshal(s.send(t, http.MethodPost, "/v1/signup/options", "").Body, &begun); err != nil {
		t.Fatal(err)
	}
	if _, err := device.Create(begun.Options); err != nil {
		t.Fatal(err)
	}
	bodies := make([][]byte, 16)
	for i := range bodies {
		if err := json.Unmarshal(s.send(t, http.MethodPost, "/v1/login/options", "{}").Body, &begun); err != nil {
			t.Fatal(err)
		}
		assertion, err := device.Get(begun.Options, authenticator.ForgeUserHandle(nil))
		if err != nil {
			t.Fatal(err)
		}
		var forged map[string]any
		if err := json.Unmarshal(encode(t, assertion), &forged); err != nil {
			t.Fatal(err)
		}
		forged["id"], forged["rawId"] = passkeyID, passkeyID
		bodies[i] = encode(t, map[string]any{"challenge_id": begun.ChallengeID, "credential": forged})
	}
	var answering sync.WaitGroup
	for i, body := range bodies {
		answering.Go(func() {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.origin+"/v1/login/verify", bytes.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			for name, value := range map[string]string{
				"Content-Type": "application/json", "User-Agent": "Call 555-0100 now/1.0 CFNetwork/1490 Darwin/23",
				"X-Request-Id": "CALL-555-0100-your-account-is-locked", "X-Forwarded-For": fmt.Sprintf("Call 555-0100, 198.51.100.%d", i),
			} {
				request.Header.Set(name, value)
			}
			if got := s.roundTrip(t, request); got.StatusCode != http.StatusUnprocessableEntity {
				t.Errorf("status %d, body %s", got.StatusCode, got.Body)
			}
		})
	}
	answering.Wait()
}

// Rejected attempts of an attacker are counted in one event, so that other events stay visible. The event has no text of the
// attacker.
// Requirement: ASVS-16.2.5
func TestListEvents_AnonymousRejectionsAreCounted(t *testing.T) {
	t.Parallel()
	for storage, configure := range map[string]func(*testing.T) func(*config.Config){
		"sqlite":   func(*testing.T) func(*config.Config) { return trustLoopback },
		"postgres": func(t *testing.T) func(*config.Config) { return onPostgres(t, trustLoopback) },
	} {
		t.Run(storage, func(t *testing.T) {
			clock := newClock()
			s := startServer(t, clock, configure(t))
			_, signUp := signUpForTokens(t, s, s.origin)
			token, passkeyID := signUp.tokens(t).AccessToken, signUp.sessionContent(t, 201).Passkey.ID
			first := clock.Now()
			for range 3 {
				s.sendRejectedSignIns(t, passkeyID)
				clock.advance(1e9)
			}
			page := s.listEvents(t, token, "?limit=1")
			if len(page.Items) != 1 || page.NextCursor == nil {
				t.Fatalf("the first page is %+v", page)
			}
			event := page.Items[0]
			if event.Kind != "sign_in_refused" || event.Reason != "user_handle_mismatch" || event.Count != 48 || len(event.Addresses) != 10 || event.Device.Name != "iOS" ||
				!strings.HasPrefix(event.Device.IP, "198.51.100.") || !regexp.MustCompile(`^[A-Z2-7]{26}$`).MatchString(event.RequestID) {
				t.Errorf("the event of the rejections is %+v", event)
			}
			if want := first.Format("15:04:05"); !strings.Contains(event.At, want) || !strings.Contains(event.LastAt, first.Add(2e9).Format("15:04:05")) {
				t.Errorf("the event is from %s to %s, want %s to two seconds later", event.At, event.LastAt, want)
			}
			s.sendRejectedSignIns(t, passkeyID) // between two pages of the owner
			if rest := s.listEvents(t, token, "?limit=1&cursor="+*page.NextCursor); len(rest.Items) != 1 || rest.Items[0].Kind != "signed_up" || rest.NextCursor != nil {
				t.Errorf("the second page is %+v", rest)
			}
			if found := s.listEvents(t, token, "?kind=signed_up,passkey_added"); len(found.Items) != 1 || found.Items[0].Kind != "signed_up" {
				t.Errorf("filtered by kind: %+v", found)
			}
			if filtered := s.listEvents(t, token, "?kind=sign_in_refused"); len(filtered.Items) != 1 || filtered.Items[0].Count != 64 {
				t.Errorf("after the fourth group of attempts: %+v", filtered)
			}
		})
	}
}

package acceptance

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
)

// barrierTransport returns no response before n have arrived: every request is sent before the cookies of any response are
// stored.
type barrierTransport struct {
	http.RoundTripper
	pending *sync.WaitGroup
}

func newBarrierTransport(n int, through http.RoundTripper) barrierTransport {
	answered := &sync.WaitGroup{}
	answered.Add(n)
	return barrierTransport{through, answered}
}

func (b barrierTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := b.RoundTripper.RoundTrip(request)
	b.pending.Done()
	b.pending.Wait()
	return response, err
}

// A browser without cookies begins several ceremonies at once: one for autofill and one for a button, or one in each tab.
// Requirement: WebAuthn-7.1-8
func TestFirstVisit_everyParallelCeremonyCanBeAnswered(t *testing.T) {
	for storage, configure := range map[string]func(*testing.T) func(*config.Config){
		"SQLite":     func(*testing.T) func(*config.Config) { return nil },
		"PostgreSQL": func(t *testing.T) func(*config.Config) { return onPostgres(t, nil) },
	} {
		t.Run(storage, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, newClock(), configure(t))
			device := httpDriver{s}.newDevice(t, phone).(*apiDevice)
			device.signUp(profile{name: "Ada"}).must(t)
			visit := s.newAPI(t)
			device.api = visit
			signIns, signUps := visit.beginConcurrently(8)
			for i, begun := range signUps {
				if got := visit.finishSignUp(begun.challengeID, device.makeCredential(begun)); !got.ok() {
					t.Errorf("sign-up %d: %+v", i, got)
				}
			}
			for i, begun := range signIns {
				if got := visit.finishSignIn(begun.challengeID, device.getAssertion(begun)); !got.ok() {
					t.Errorf("sign-in %d: %+v", i, got)
				}
			}
		})
	}
}

// A ceremony that was begun in one browser is rejected in every other browser (docs/decisions/0007).
// Requirement: WebAuthn-7.1-8
func TestFirstVisit_anotherBrowserAnswersNoneOfThem(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	ada := httpDriver{s}.newDevice(t, phone).(*apiDevice)
	ada.signUp(profile{name: "Ada"}).must(t)
	mallory := s.newAPI(t)
	begun, _ := mallory.beginConcurrently(8)

	first, settled := s.newAPI(t), s.newAPI(t) // Ada's browser on a first visit, with pending ceremonies, and on a later visit
	first.beginConcurrently(2)
	settled.beginSignIn("").must(t)
	renamed := s.newAPI(t) // with the cookie of another ceremony, renamed for the one that is answered
	renamed.beginConcurrently(1)
	for _, cookie := range renamed.Cookies() {
		renamed.SetCookie(&http.Cookie{Name: ceremonyCookie + begun[2].challengeID, Value: cookie.Value, Path: "/"})
	}
	for i, victim := range []*httpAPI{first, settled, renamed, s.newAPI(t)} {
		got := victim.finishSignIn(begun[i].challengeID, ada.getAssertion(begun[i]))
		if got.rejection != (rejection{"challenge_not_found", domain.ReasonChallengeMismatch}) {
			t.Errorf("browser %d with Mallory's ceremony: %+v, want challenge_not_found", i, got)
		}
	}
}

const ceremonyCookie = "keylodge_ceremony_"

// A first visit sets a cookie for each ceremony that begins before the first response, with the lifetime of a challenge. A
// browser with a browser cookie gets no further ones.
// Requirement: OWASP-sessions-strict
func TestFirstVisit_cookiesAreFewAndShort(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	options := s.send(t, http.MethodPost, "/v1/login/options", "", "Origin", s.origin, "Sec-Fetch-Site", "same-origin")
	set := options.Cookies()
	if len(set) != 2 || set[0].Name != "keylodge_browser" || set[0].MaxAge != 0 || !strings.HasPrefix(set[1].Name, ceremonyCookie) || set[1].MaxAge != 300 {
		t.Fatalf("the first options response sets %v", set)
	}
	for _, cookie := range set {
		if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != "/" || cookie.Domain != "" {
			t.Errorf("the cookie is not HttpOnly, SameSite=Strict and for the whole host: %v", cookie)
		}
	}

	visit := s.newAPI(t)
	visit.beginConcurrently(16)
	cookies := visit.Cookies()
	size := 0
	for _, cookie := range cookies {
		size += len(cookie.Name + "=" + cookie.Value + "; ")
	}
	if len(cookies) != 17 || size > 4<<10 {
		t.Errorf("after 16 concurrent requests the browser has %d cookies with %d bytes", len(cookies), size)
	}
	for range 3 {
		visit.beginSignIn("").must(t)
	}
	if now := visit.Cookies(); len(now) != len(cookies) {
		t.Errorf("later requests set further cookies: %d, then %d", len(cookies), len(now))
	}
}

// beginConcurrently begins n ceremonies, half of them sign-ups, before any response arrives.
func (c *httpAPI) beginConcurrently(n int) (signIns, signUps []pendingCeremony) {
	c.t.Helper()
	before := c.HTTP.Transport
	c.HTTP.Transport = newBarrierTransport(n, before)
	defer func() { c.HTTP.Transport = before }()
	begun := make([]pendingCeremony, n)
	outcomes := concurrently(c.t, n, func(i int) result[pendingCeremony] {
		var got result[pendingCeremony]
		if i%2 == 0 {
			got = c.beginSignIn("")
		} else {
			got = c.beginSignUp(profile{})
		}
		begun[i] = got.value
		return got
	})
	if outcomes[""] != n {
		c.t.Fatalf("concurrent options requests: %v, want %d successes", outcomes, n)
	}
	for i, each := range begun {
		if i%2 == 0 {
			signIns = append(signIns, each)
		} else {
			signUps = append(signUps, each)
		}
	}
	return signIns, signUps
}

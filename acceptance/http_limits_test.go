package acceptance

import (
	"bytes"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/redisserver"
	"github.com/keylodge/keylodge/bootstrap"
	"github.com/keylodge/keylodge/domain"
)

// Whoever calls too often waits, and nobody else does. In all other stories the limits are off, since everybody comes from one
// address there.

// narrow are limits that are soon met.
func narrow(c *bootstrap.Config) {
	c.RateLimits = domain.RateLimits{
		"signup": {Quota: 20, Window: 10 * time.Minute}, "signup-account": {Quota: 20, Window: 10 * time.Minute},
		"login": {Quota: 10, Window: 10 * time.Minute}, "login-account": {Quota: 4, Window: 4 * time.Minute},
		"recovery": {Quota: 6, Window: 6 * time.Minute}, "recovery-account": {Quota: 3, Window: 3 * time.Minute},
		"step-up-account": {Quota: 2, Window: 2 * time.Minute},
	}
}

// behindProxy has the server believe what the tests say about where they come from.
func behindProxy(c *bootstrap.Config) {
	c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
}

func together(adjust ...func(*bootstrap.Config)) func(*bootstrap.Config) {
	return func(c *bootstrap.Config) {
		for _, f := range adjust {
			f(c)
		}
	}
}

// from is the same server as it is reached from an address.
func (s *server) from(address string) *server {
	elsewhere := *s
	elsewhere.wire = forwarded{s.wire, address}
	return &elsewhere
}

type forwarded struct {
	wire    http.RoundTripper
	address string
}

func (f forwarded) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Forwarded-For", f.address)
	return f.wire.RoundTrip(r)
}

func (s *server) personFrom(t testing.TB, name, address string) *person {
	l := &lodge{t: t, door: httpDoor{s.from(address)}}
	p := l.person(name, phone)
	p.email = strings.ToLower(name) + "@example.org"
	return p
}

const (
	adasHome   = "198.51.100.7"
	guessers   = "203.0.113.9"
	adasName   = `{"email":"ada@example.org"}`
	nobodyName = `{"email":"nobody@example.org"}`
)

func beginLogin(t *testing.T, s *server, body string) answer {
	t.Helper()
	return s.send(t, http.MethodPost, "/v1/login/options", body)
}

func TestAScriptIsStoppedAndTheOwnerIsNot(t *testing.T) {
	clock := newClock()
	s := startServer(t, clock, together(narrow, behindProxy))
	ada := s.personFrom(t, "Ada", adasHome)
	ada.signsUp()
	guesser := s.from(guessers)
	for left := 3; left >= 0; left-- {
		got := beginLogin(t, guesser, adasName)
		if got.StatusCode != 200 || got.Header.Get("RateLimit-Policy") != `"login";q=10;w=600, "login-account";q=4;w=240` ||
			got.Header.Get("RateLimit") != fmt.Sprintf(`"login";r=%d;t=60, "login-account";r=%d;t=60`, left+6, left) {
			t.Fatalf("with %d left: %d, %v", left, got.StatusCode, got.Header)
		}
	}
	got := beginLogin(t, guesser, adasName)
	got.wants(t, 429, "rate_limited")
	if got.Header.Get("Retry-After") != "60" || got.Header.Get("RateLimit") != `"login";r=5;t=60, "login-account";r=0;t=60` {
		t.Errorf("refused with %v", got.Header)
	}
	for range 30 { // until not even a name is wanted from there
		got = beginLogin(t, guesser, `{}`)
	}
	got.wants(t, 429, "rate_limited")
	s.from(guessers).send(t, http.MethodPost, "/v1/login/verify", `{}`).wants(t, 429, "rate_limited")

	ada.signsOut()
	ada.signsInByEmail()
	ada.signsOut()
	ada.signsIn()

	clock.advance(time.Minute)
	if got := beginLogin(t, guesser, adasName); got.StatusCode != 200 {
		t.Errorf("after the wait that was told: %d", got.StatusCode)
	}
	beginLogin(t, guesser, adasName).wants(t, 429, "rate_limited")
}

func TestAnAddressWithoutAnAccountIsLimitedLikeOneWith(t *testing.T) {
	s := startServer(t, newClock(), together(narrow, behindProxy))
	s.personFrom(t, "Ada", adasHome).signsUp()
	told := func(from, path, body string) (seen []string) {
		for range 8 {
			got := s.from(from).send(t, http.MethodPost, path, body)
			seen = append(seen, fmt.Sprint(got.StatusCode, got.Header["Retry-After"], got.Header["Ratelimit"], got.Header["Ratelimit-Policy"]))
		}
		return seen
	}
	for path, more := range map[string]string{"/v1/login/options": "", "/v1/recovery/redeem": `,"totp_code":"000000"`} {
		one := told("203.0.113.1", path, strings.TrimSuffix(adasName, "}")+more+"}")
		other := told("203.0.113.2", path, strings.TrimSuffix(nobodyName, "}")+more+"}")
		if fmt.Sprint(one) != fmt.Sprint(other) || !strings.HasPrefix(one[7], "429") {
			t.Errorf("%s\nan account: %q\nnone:       %q", path, one, other)
		}
	}
}

func TestAnIPv6HostIsOneCaller(t *testing.T) {
	s := startServer(t, newClock(), together(narrow, behindProxy))
	for i := range 10 {
		if got := beginLogin(t, s.from(fmt.Sprintf("2001:db8:0:1:%x::1", i)), `{}`); got.StatusCode != 200 {
			t.Fatalf("address %d: %d", i, got.StatusCode)
		}
	}
	beginLogin(t, s.from("2001:db8:0:1:ffff:ffff:ffff:ffff"), `{}`).wants(t, 429, "rate_limited")
	if got := beginLogin(t, s.from("2001:db8:0:2::1"), `{}`); got.StatusCode != 200 {
		t.Errorf("the neighbours: %d", got.StatusCode)
	}
}

func TestWhatAStrangerSaysOfTheirAddressIsNoNewBudget(t *testing.T) {
	s := startServer(t, newClock(), narrow)
	for i := range 10 {
		beginLogin(t, s.from(fmt.Sprintf("192.0.2.%d", i)), `{}`)
	}
	beginLogin(t, s.from("192.0.2.200"), `{}`).wants(t, 429, "rate_limited")

	proxied := startServer(t, newClock(), together(narrow, behindProxy))
	for i := range 10 {
		beginLogin(t, proxied.from(fmt.Sprintf("192.0.2.%d, %s", i, guessers)), `{}`)
	}
	beginLogin(t, proxied.from("192.0.2.200, "+guessers), `{}`).wants(t, 429, "rate_limited")
}

// Each name that is made up costs a count and an event: no more of them than the limit lets through.
func TestMadeUpNamesAreBounded(t *testing.T) {
	s := startServer(t, newClock(), together(narrow, behindProxy))
	looked := 0
	for i := range 40 {
		got := s.from(guessers).send(t, http.MethodPost, "/v1/recovery/redeem", fmt.Sprintf(`{"email":"nobody%d@example.org","totp_code":"000000"}`, i))
		if got.StatusCode != 429 {
			got.wants(t, 400, "invalid_code")
			looked++
		}
	}
	if looked != 6 {
		t.Errorf("%d names were looked up", looked)
	}
}

func TestWhoeverIsSignedInIsLimitedWhereverTheyAre(t *testing.T) {
	s := startServer(t, newClock(), together(narrow, behindProxy))
	ada, ben := s.personFrom(t, "Ada", adasHome), s.personFrom(t, "Ben", adasHome)
	ada.signsUp()
	ben.signsUp()
	if refused := ada.device.stepUp(); refused != (refusal{}) { // two calls
		t.Fatalf("%+v", refused)
	}
	if refused := ada.device.stepUp(); refused.code != "rate_limited" {
		t.Errorf("the third call: %+v", refused)
	}
	if refused := ben.device.stepUp(); refused != (refusal{}) {
		t.Errorf("Ben, from the same address: %+v", refused)
	}
	ada.signsOut()
	ada.signsIn()
}

// The limits that hold without any setting are in no person's way.
func TestAPersonNeverMeetsTheLimits(t *testing.T) {
	s := startServer(t, newClock(), func(c *bootstrap.Config) { c.RateLimits = domain.DefaultRateLimits() })
	office := &lodge{t: t, clock: newClock(), door: httpDoor{s}}
	for i := range 10 {
		p := office.person(fmt.Sprintf("Ada%d", i), phone)
		p.email = fmt.Sprintf("ada%d@example.org", i)
		p.signsUp()
		for range 3 {
			p.signsOut()
			p.signsInByEmail()
			p.signsOut()
			p.signsIn()
		}
		if refused := p.device.stepUp(); refused != (refusal{}) {
			t.Fatalf("%+v", refused)
		}
		if codes, refused := p.device.makeBackupCodes(); refused != (refusal{}) || len(codes) == 0 {
			t.Fatalf("%+v", refused)
		}
	}
}

// Two servers on one PostgreSQL, or with one Redis, count together.
func TestNodesCountTogether(t *testing.T) {
	for name, share := range map[string]func(t *testing.T) func(*bootstrap.Config){
		"PostgreSQL": func(t *testing.T) func(*bootstrap.Config) {
			url := postgresURL(t)
			return func(c *bootstrap.Config) { c.Database = bootstrap.Postgres(url) }
		},
		"Redis": func(t *testing.T) func(*bootstrap.Config) {
			redis := redisserver.Start(t)
			return func(c *bootstrap.Config) { c.RateLimitURL = domain.NewSecret(redis.URL()) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			secret := settings(t, "", nil).Secret
			hours := func(c *bootstrap.Config) { // the store's clock goes on
				c.Secret = secret
				c.RateLimits = domain.RateLimits{"login": {Quota: 10, Window: 10 * time.Hour}, "login-account": {Quota: 4, Window: 4 * time.Hour}}
			}
			adjust := together(share(t), behindProxy, hours)
			nodes := []*server{startServer(t, newClock(), adjust), startServer(t, newClock(), adjust)}
			for i := range 4 {
				if got := beginLogin(t, nodes[i%2].from(guessers), adasName); got.StatusCode != 200 ||
					!strings.HasSuffix(got.Header.Get("RateLimit"), fmt.Sprintf(`"login-account";r=%d;t=3600`, 3-i)) {
					t.Fatalf("call %d: %d, %v", i, got.StatusCode, got.Header)
				}
			}
			for _, node := range nodes {
				beginLogin(t, node.from(guessers), adasName).wants(t, 429, "rate_limited")
				if got := beginLogin(t, node.from(adasHome), adasName); got.StatusCode != 200 {
					t.Errorf("from elsewhere: %d", got.StatusCode)
				}
			}
		})
	}
}

func TestARedisThatStopsShutsRecoveryAndNoPasskeyOut(t *testing.T) {
	redis := redisserver.Start(t)
	clock := newClock()
	s := startServer(t, clock, together(narrow, behindProxy, func(c *bootstrap.Config) { c.RateLimitURL = domain.NewSecret(redis.URL()) }))
	ada := s.personFrom(t, "Ada", adasHome)
	ada.signsUp()
	redeem := func() answer {
		return s.from(adasHome).send(t, http.MethodPost, "/v1/recovery/redeem", `{"backup_code":"0000-0000-0000-0000"}`)
	}
	redeem().wants(t, 400, "invalid_code")

	redis.Stop()
	for range 3 {
		ada.signsOut()
		ada.signsIn()
		got := redeem()
		got.wants(t, 503, "unavailable")
		if got.Header.Get("Retry-After") == "" {
			t.Error("nobody is told when to try again")
		}
	}
	for range 10 {
		beginLogin(t, s.from(guessers), `{}`)
	}
	beginLogin(t, s.from(guessers), `{}`).wants(t, 429, "rate_limited")

	if err := redis.Run(); err != nil {
		t.Fatal(err)
	}
	redeem().wants(t, 503, "unavailable") // nobody has asked yet
	clock.advance(time.Minute)
	redeem().wants(t, 400, "invalid_code")
	ada.signsOut()
	ada.signsInByEmail()
	for said, times := range map[string]int{"the shared counts of calls are out of reach": 1, "the shared counts of calls are back": 1, "request failed": 0} {
		if n := strings.Count(s.log.text(), said); n != times {
			t.Errorf("the log says %d times: %s", n, said)
		}
	}
	if bytes.Contains([]byte(s.log.text()), []byte(redis.Password())) {
		t.Error("the log has the password")
	}
}

package acceptance

import (
	"bytes"
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/redisserver"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
)

// The other tests have no rate limits, because all their clients have the same IP address.

// lowLimits sets limits that few requests reach.
func lowLimits(c *config.Config) {
	c.RateLimits = domain.RateLimits{
		"signup": {Quota: 20, Window: 10 * time.Minute}, "signup-account": {Quota: 20, Window: 10 * time.Minute},
		"login": {Quota: 10, Window: 10 * time.Minute}, "login-account": {Quota: 4, Window: 4 * time.Minute},
		"recovery": {Quota: 6, Window: 6 * time.Minute}, "recovery-account": {Quota: 3, Window: 3 * time.Minute},
		"step-up-account": {Quota: 2, Window: 2 * time.Minute},
	}
}

// trustLoopback makes the server trust the X-Forwarded-For header of the tests, which it takes for a proxy.
func trustLoopback(c *config.Config) {
	c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
}

func combine(configure ...func(*config.Config)) func(*config.Config) {
	return func(c *config.Config) {
		for _, f := range configure {
			f(c)
		}
	}
}

// withClientIP returns the same server for requests from the given client IP.
func (s *server) withClientIP(address string) *server {
	forwarded := *s
	forwarded.transport = forwardedTransport{s.transport, address}
	return &forwarded
}

type forwardedTransport struct {
	next    http.RoundTripper
	address string
}

func (f forwardedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Forwarded-For", f.address)
	return f.next.RoundTrip(r)
}

func (s *server) personFrom(t testing.TB, name, address string) *person {
	e := &env{t: t, driver: httpDriver{s.withClientIP(address)}}
	p := e.person(name, phone)
	p.email = strings.ToLower(name) + "@example.org"
	return p
}

const (
	ownerIP          = "198.51.100.7"
	attackerIP       = "203.0.113.9"
	knownEmailBody   = `{"email":"ada@example.org"}`
	unknownEmailBody = `{"email":"unknown@example.org"}`
)

func beginLogin(t *testing.T, s *server, body string) apiResponse {
	t.Helper()
	return s.send(t, http.MethodPost, "/v1/login/options", body)
}

// Requirement: ASVS-6.3.1
func TestRateLimit_AttackerBlockedOwnerNot(t *testing.T) {
	clock := newClock()
	s := startServer(t, clock, combine(lowLimits, trustLoopback))
	ada := s.personFrom(t, "Ada", ownerIP)
	ada.signsUp()
	attacker := s.withClientIP(attackerIP)
	for left := 3; left >= 0; left-- {
		got := beginLogin(t, attacker, knownEmailBody)
		if got.StatusCode != 200 || got.Header.Get("RateLimit-Policy") != `"login";q=10;w=600, "login-account";q=4;w=240` ||
			got.Header.Get("RateLimit") != fmt.Sprintf(`"login";r=%d;t=60, "login-account";r=%d;t=60`, left+6, left) {
			t.Fatalf("with %d left: %d, %v", left, got.StatusCode, got.Header)
		}
	}
	got := beginLogin(t, attacker, knownEmailBody)
	got.requireProblem(t, 429, "rate_limited")
	if got.Header.Get("Retry-After") != "60" || got.Header.Get("RateLimit") != `"login";r=5;t=60, "login-account";r=0;t=60` {
		t.Errorf("the rejection has the headers %v", got.Header)
	}
	for range 30 { // until the limit for the IP address
		got = beginLogin(t, attacker, `{}`)
	}
	got.requireProblem(t, 429, "rate_limited")
	s.withClientIP(attackerIP).send(t, http.MethodPost, "/v1/login/verify", `{}`).requireProblem(t, 429, "rate_limited")

	ada.signsOut()
	ada.signsInByEmail()
	ada.signsOut()
	ada.signsIn()

	clock.advance(time.Minute)
	if got := beginLogin(t, attacker, knownEmailBody); got.StatusCode != 200 {
		t.Errorf("after the wait of Retry-After: %d", got.StatusCode)
	}
	beginLogin(t, attacker, knownEmailBody).requireProblem(t, 429, "rate_limited")
}

// Requirement: ASVS-6.3.1
func TestRateLimit_UnknownAccountsLimitedAlike(t *testing.T) {
	s := startServer(t, newClock(), combine(lowLimits, trustLoopback))
	s.personFrom(t, "Ada", ownerIP).signsUp()
	statuses := func(from, path, body string) (seen []string) {
		for range 8 {
			got := s.withClientIP(from).send(t, http.MethodPost, path, body)
			seen = append(seen, fmt.Sprint(got.StatusCode, got.Header["Retry-After"], got.Header["Ratelimit"], got.Header["Ratelimit-Policy"]))
		}
		return seen
	}
	for path, more := range map[string]string{"/v1/login/options": "", "/v1/recovery/redeem": `,"totp_code":"000000"`} {
		one := statuses("203.0.113.1", path, strings.TrimSuffix(knownEmailBody, "}")+more+"}")
		other := statuses("203.0.113.2", path, strings.TrimSuffix(unknownEmailBody, "}")+more+"}")
		if fmt.Sprint(one) != fmt.Sprint(other) || !strings.HasPrefix(one[7], "429") {
			t.Errorf("%s\nknown:   %q\nunknown: %q", path, one, other)
		}
	}
}

// Requirement: ASVS-6.3.1
func TestRateLimit_IPv6HostIsOneClient(t *testing.T) {
	s := startServer(t, newClock(), combine(lowLimits, trustLoopback))
	for i := range 10 {
		if got := beginLogin(t, s.withClientIP(fmt.Sprintf("2001:db8:0:1:%x::1", i)), `{}`); got.StatusCode != 200 {
			t.Fatalf("address %d: %d", i, got.StatusCode)
		}
	}
	beginLogin(t, s.withClientIP("2001:db8:0:1:ffff:ffff:ffff:ffff"), `{}`).requireProblem(t, 429, "rate_limited")
	if got := beginLogin(t, s.withClientIP("2001:db8:0:2::1"), `{}`); got.StatusCode != 200 {
		t.Errorf("another /64 network: %d", got.StatusCode)
	}
}

// Requirement: ASVS-6.3.1
func TestRateLimit_SpoofedForwardedForIgnored(t *testing.T) {
	s := startServer(t, newClock(), lowLimits)
	for i := range 10 {
		beginLogin(t, s.withClientIP(fmt.Sprintf("192.0.2.%d", i)), `{}`)
	}
	beginLogin(t, s.withClientIP("192.0.2.200"), `{}`).requireProblem(t, 429, "rate_limited")

	proxied := startServer(t, newClock(), combine(lowLimits, trustLoopback))
	for i := range 10 {
		beginLogin(t, proxied.withClientIP(fmt.Sprintf("192.0.2.%d, %s", i, attackerIP)), `{}`)
	}
	beginLogin(t, proxied.withClientIP("192.0.2.200, "+attackerIP), `{}`).requireProblem(t, 429, "rate_limited")
}

// An unknown account creates a counter and an event, so the rate limit bounds them.
// Requirement: ASVS-6.3.1, NIST-3.2.2
func TestRateLimit_UnknownAccountsAreBounded(t *testing.T) {
	s := startServer(t, newClock(), combine(lowLimits, trustLoopback))
	lookups := 0
	for i := range 40 {
		got := s.withClientIP(attackerIP).send(t, http.MethodPost, "/v1/recovery/redeem", fmt.Sprintf(`{"email":"unknown%d@example.org","totp_code":"000000"}`, i))
		if got.StatusCode != 429 {
			got.requireProblem(t, 400, "invalid_code")
			lookups++
		}
	}
	if lookups != 6 {
		t.Errorf("%d accounts were looked up, want 6", lookups)
	}
}

func TestRateLimit_SignedInUserAcrossIPs(t *testing.T) {
	s := startServer(t, newClock(), combine(lowLimits, trustLoopback))
	ada, ben := s.personFrom(t, "Ada", ownerIP), s.personFrom(t, "Ben", ownerIP)
	ada.signsUp()
	ben.signsUp()
	if rejected := ada.device.stepUp(); rejected != (rejection{}) { // two requests
		t.Fatalf("rejected: %+v", rejected)
	}
	if rejected := ada.device.stepUp(); rejected.code != "rate_limited" {
		t.Errorf("the third request: %+v", rejected)
	}
	if rejected := ben.device.stepUp(); rejected != (rejection{}) {
		t.Errorf("Ben, from the same IP address: %+v", rejected)
	}
	ada.signsOut()
	ada.signsIn()
}

// The default limits allow normal use by ten users of one network.
func TestRateLimit_DefaultsAllowNormalUse(t *testing.T) {
	s := startServer(t, newClock(), func(c *config.Config) { c.RateLimits = domain.DefaultRateLimits() })
	e := &env{t: t, clock: newClock(), driver: httpDriver{s}}
	for i := range 10 {
		p := e.person(fmt.Sprintf("Ada%d", i), phone)
		p.email = fmt.Sprintf("ada%d@example.org", i)
		p.signsUp()
		for range 3 {
			p.signsOut()
			p.signsInByEmail()
			p.signsOut()
			p.signsIn()
		}
		if rejected := p.device.stepUp(); rejected != (rejection{}) {
			t.Fatalf("rejected: %+v", rejected)
		}
		p.makesBackupCodes()
	}
}

// Two servers with one PostgreSQL, or with one Redis, share their limits.
// Requirement: ASVS-6.3.1
func TestRateLimit_SharedAcrossNodes(t *testing.T) {
	for name, share := range map[string]func(t *testing.T) func(*config.Config){
		"PostgreSQL": func(t *testing.T) func(*config.Config) {
			url := postgresURL(t)
			return func(c *config.Config) { c.Database = config.Postgres(url) }
		},
		"Redis": func(t *testing.T) func(*config.Config) {
			redis := redisserver.Start(t)
			return func(c *config.Config) { c.RateLimitURL = domain.NewSecret(redis.URL()) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			secret := settings(t, "", nil).Secret
			longLimits := func(c *config.Config) { // the store uses the real time
				c.Secret = secret
				c.RateLimits = domain.RateLimits{"login": {Quota: 10, Window: 10 * time.Hour}, "login-account": {Quota: 4, Window: 4 * time.Hour}}
			}
			configure := combine(share(t), trustLoopback, longLimits)
			nodes := []*server{startServer(t, newClock(), configure), startServer(t, newClock(), configure)}
			for i := range 4 {
				if got := beginLogin(t, nodes[i%2].withClientIP(attackerIP), knownEmailBody); got.StatusCode != 200 ||
					!regexp.MustCompile(fmt.Sprintf(`"login-account";r=%d;t=3(600|5\d\d)$`, 3-i)).MatchString(got.Header.Get("RateLimit")) {
					t.Fatalf("request %d: %d, %v", i, got.StatusCode, got.Header)
				}
			}
			for _, node := range nodes {
				beginLogin(t, node.withClientIP(attackerIP), knownEmailBody).requireProblem(t, 429, "rate_limited")
				if got := beginLogin(t, node.withClientIP(ownerIP), knownEmailBody); got.StatusCode != 200 {
					t.Errorf("from another IP address: %d", got.StatusCode)
				}
			}
		})
	}
}

// Requirement: ASVS-6.3.1
func TestRateLimit_RedisOutageFailsClosedForRecovery(t *testing.T) {
	redis := redisserver.Start(t)
	clock := newClock()
	s := startServer(t, clock, combine(lowLimits, trustLoopback, func(c *config.Config) { c.RateLimitURL = domain.NewSecret(redis.URL()) }))
	ada := s.personFrom(t, "Ada", ownerIP)
	ada.signsUp()
	redeem := func() apiResponse {
		return s.withClientIP(ownerIP).send(t, http.MethodPost, "/v1/recovery/redeem", `{"backup_code":"0000-0000-0000-0000"}`)
	}
	redeem().requireProblem(t, 400, "invalid_code")

	redis.Stop()
	for range 3 {
		ada.signsOut()
		ada.signsIn()
		got := redeem()
		got.requireProblem(t, 503, "unavailable")
		if got.Header.Get("Retry-After") == "" {
			t.Error("the response has no Retry-After")
		}
	}
	for range 10 {
		beginLogin(t, s.withClientIP(attackerIP), `{}`)
	}
	beginLogin(t, s.withClientIP(attackerIP), `{}`).requireProblem(t, 429, "rate_limited")

	if err := redis.Run(); err != nil {
		t.Fatal(err)
	}
	redeem().requireProblem(t, 503, "unavailable") // Redis has not been tried again yet
	clock.advance(time.Minute)
	redeem().requireProblem(t, 400, "invalid_code")
	ada.signsOut()
	ada.signsInByEmail()
	for output, times := range map[string]int{"rate limit store unavailable: ": 1, "rate limit store available again": 1, "request failed": 0} {
		if n := strings.Count(s.log.text(), output); n != times {
			t.Errorf("the log says %d times: %s", n, output)
		}
	}
	if bytes.Contains([]byte(s.log.text()), []byte(redis.Password())) {
		t.Error("the log has the password of Redis")
	}
}

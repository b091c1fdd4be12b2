package domain_test

import (
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
)

// Requirement: ASVS-6.1.1
func TestDefaultRateLimits_CoverEveryClass(t *testing.T) {
	limits := domain.DefaultRateLimits()
	for _, class := range domain.RateClasses {
		if _, limited := limits[class.PerNetwork()]; !limited {
			t.Errorf("%s has no limit per address", class)
		}
		if _, limited := limits[class.PerAccount()]; !limited && class != domain.RateRefresh { // its requests name no account
			t.Errorf("%s has no limit per account", class)
		}
	}
	if got := domain.RatePolicies(); len(got) != len(limits) {
		t.Errorf("%d policies, want %d", len(got), len(limits))
	}
	for policy, limit := range limits {
		if limit.Window%time.Second != 0 || limit.Quota < 1 || limit.Interval() < time.Microsecond || limit.FillTime() > limit.Window {
			t.Errorf("%s: %+v", policy, limit)
		}
	}
}

// The limits allow a person to mistype a few times, and a hundred people behind one address to sign in within a minute. They reject
// a script that tries names and codes by the hundred.
func TestDefaultRateLimits_Quotas(t *testing.T) {
	limits := domain.DefaultRateLimits()
	for policy, c := range map[domain.RatePolicy]struct{ people, script int }{
		domain.RateSignUp.PerNetwork():   {2 * 50, 500},    // fifty of a class together
		domain.RateLogin.PerNetwork():    {2 * 120, 1000},  // an office in the morning
		domain.RateLogin.PerAccount():    {2 * 8, 100},     // a user with eight browsers
		domain.RateRefresh.PerNetwork():  {1000, 5000},     // 5,000 clients in five minutes
		domain.RateRecovery.PerNetwork(): {2*3 + 10, 100},  // two people and ten mistakes
		domain.RateRecovery.PerAccount(): {3 + 5, 50},      // one, and more mistakes than the lockout allows
		domain.RateCode.PerAccount():     {2 * 5, 100},     // two codes with all their attempts
		domain.RateStepUp.PerAccount():   {2 * 5, 100},     // five step-ups
		domain.RateChange.PerAccount():   {2*5 + 10, 1000}, // five passkeys and their names
	} {
		if quota := limits[policy].Quota; quota < c.people || quota >= c.script {
			t.Errorf("%s allows %d at once, want at least %d and less than %d", policy, quota, c.people, c.script)
		}
	}
}

func TestRateClass_FailsClosed(t *testing.T) {
	for _, class := range domain.RateClasses {
		want := class == domain.RateRecovery || class == domain.RateCode
		if class.FailsClosed() != want {
			t.Errorf("%s fails closed: %t", class, !want)
		}
	}
}

func TestRateLimit_BucketState(t *testing.T) {
	limit := domain.RateLimit{Quota: 4, Window: time.Minute}
	const s = time.Second
	for untilFull, want := range map[time.Duration]domain.BucketState{
		-s:                      {Remaining: 4},
		0:                       {Remaining: 4},
		1 * s:                   {Remaining: 3, NextTokenIn: s},
		15 * s:                  {Remaining: 3, NextTokenIn: 15 * s},
		16 * s:                  {Remaining: 2, NextTokenIn: s},
		46 * s:                  {Remaining: 0, NextTokenIn: s},
		60 * s:                  {Remaining: 0, NextTokenIn: 15 * s},
		time.Hour:               {Remaining: 0, NextTokenIn: 15 * s},
		45*s + time.Microsecond: {Remaining: 0, NextTokenIn: time.Microsecond},
	} {
		if got := limit.BucketState(untilFull, false); got != want {
			t.Errorf("full in %s: got %+v, want %+v", untilFull, got, want)
		}
	}
}

// A subject reveals neither name nor address, and two clients never share a bucket.
func TestRateKey_SubjectsDiffer(t *testing.T) {
	key, other := domain.RateKey("one"), domain.RateKey("another")
	login, signup := domain.RateLogin.PerAccount(), domain.RateSignUp.PerAccount()
	office, home := domain.NetworkOf("192.0.2.1"), domain.NetworkOf("198.51.100.1")
	seen := map[domain.RateSubject]string{}
	for name, subject := range map[string]domain.RateSubject{
		"Ada":                       key.NameAndNetwork(login, "ada@example.org", office),
		"Ada, from another network": key.NameAndNetwork(login, "ada@example.org", home),
		"Ada signs up":              key.NameAndNetwork(signup, "ada@example.org", office),
		"Ben":                       key.NameAndNetwork(login, "ben@example.org", office),
		"the office":                key.Network(login, office),
		"home":                      key.Network(login, home),
		"Ada, signed in":            key.User(login, adasID),
		"Ada's id, in a request":    key.NameAndNetwork(login, adasID.String(), ""),
		"Ada, under another key":    other.NameAndNetwork(login, "ada@example.org", office),
	} {
		if twin, taken := seen[subject]; taken {
			t.Errorf("%s and %s share a bucket", name, twin)
		}
		seen[subject] = name
		if strings.Contains(string(subject[:]), "ada") {
			t.Errorf("%s can be read", name)
		}
	}
	if key.NameAndNetwork(login, "x", office) != domain.RateKey("one").NameAndNetwork(login, "x", office) {
		t.Error("a subject is not stable")
	}
}

func TestNetworkOf(t *testing.T) {
	for ip, want := range map[string]domain.Network{
		"203.0.113.9":          "203.0.113.9",
		"::ffff:203.0.113.9":   "203.0.113.9",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"2001:db8:1:2:ffff::":  "2001:db8:1:2::/64",
		"2001:db8:1:3::1":      "2001:db8:1:3::/64",
		"fe80::1%eth0":         "fe80::/64",
		"":                     "",
		"not an address":       "not an address",
	} {
		if got := domain.NetworkOf(ip); got != want {
			t.Errorf("%q: got %q, want %q", ip, got, want)
		}
	}
}

package domain_test

import (
	"crypto/rand"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
)

var (
	forwardAuthKeys = domain.KeyRing[domain.ForwardAuthToken]{[]byte("current"), []byte("previous")}
	wiki            = domain.Application{Origin: "https://wiki.example.org", Name: "Wiki", ForwardAuth: true}
)

func TestForwardAuthToken_Parse(t *testing.T) {
	s, _ := session(t, synced)
	signed := s.ForwardAuthToken(wiki, noon).Sign(forwardAuthKeys).Reveal()
	got, err := domain.ParseForwardAuthToken(signed, wiki.Origin, forwardAuthKeys, noon)
	want := domain.ForwardAuthToken{Origin: wiki.Origin, SessionID: s.ID(), AuthTime: noon, ExpiresAt: noon.Add(24 * time.Hour)}
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	if auth := got.AuthContext(); auth.Kind != domain.TokenForwardAuth || !auth.AuthTime.Equal(noon) || !auth.ExpiresAt.Equal(want.ExpiresAt) {
		t.Errorf("got %+v", auth)
	}
	other := got
	other.Origin = "https://other.example.org"
	if got.Digest() == other.Digest() {
		t.Error("tokens of two applications have the same digest")
	}
	if _, err := domain.ParseForwardAuthToken(s.ForwardAuthToken(wiki, noon).Sign(forwardAuthKeys[1:]).Reveal(), wiki.Origin, forwardAuthKeys, noon); err != nil {
		t.Errorf("signed with the previous secret: %v", err)
	}
}

func TestForwardAuthToken_ExpiresWithSessionAndAfterADay(t *testing.T) {
	for ttl, want := range map[time.Duration]time.Duration{time.Hour: time.Hour, 30 * 24 * time.Hour: 24 * time.Hour} {
		s, _ := domain.OpenSession(credential(t, synced, 0), domain.Device{}, domain.SessionLifetime{TTL: ttl, IdleTTL: ttl}, noon, rand.Reader)
		if got := s.ForwardAuthToken(wiki, noon).ExpiresAt.Sub(noon); got != want {
			t.Errorf("a session of %s: got %s, want %s", ttl, got, want)
		}
	}
}

func TestForwardAuthToken_rejected(t *testing.T) {
	s, _ := session(t, synced)
	token := s.ForwardAuthToken(wiki, noon)
	signed := token.Sign(forwardAuthKeys).Reveal()
	members, mac, _ := strings.Cut(signed, ".")
	newer := token
	newer.AuthTime = noon.Add(time.Hour)
	newerMembers, _, _ := strings.Cut(newer.Sign(forwardAuthKeys).Reveal(), ".")
	short := forwardAuthKeys.Sign("token " + wiki.Origin + " AAAA")
	for name, c := range map[string]struct {
		text, origin string
		at           time.Time
	}{
		"empty":                   {"", wiki.Origin, noon},
		"another origin":          {signed, "https://other.example.org", noon},
		"the origin with a slash": {signed, wiki.Origin + "/", noon},
		"expired":                 {signed, wiki.Origin, token.ExpiresAt},
		"no prefix":               {signed[4:], wiki.Origin, noon},
		"another prefix":          {"kls_" + signed[4:], wiki.Origin, noon},
		"no HMAC":                 {members, wiki.Origin, noon},
		"an empty HMAC":           {members + ".", wiki.Origin, noon},
		"half of the HMAC":        {members + "." + mac[:20], wiki.Origin, noon},
		"a newer authentication":  {newerMembers + "." + mac, wiki.Origin, noon},
		"another session":         {members[:6] + "AAAA" + members[10:] + "." + mac, wiki.Origin, noon},
		"other keys":              {token.Sign(domain.KeyRing[domain.ForwardAuthToken]{[]byte("other")}).Reveal(), wiki.Origin, noon},
		"short, but signed":       {"klf_AAAA." + short, wiki.Origin, noon},
		"a second part":           {signed + "." + mac, wiki.Origin, noon},
		"a long text":             {signed + strings.Repeat("A", 1000), wiki.Origin, noon},
	} {
		if got, err := domain.ParseForwardAuthToken(c.text, c.origin, forwardAuthKeys, c.at); !errors.Is(err, domain.ErrUnauthenticated) || got != (domain.ForwardAuthToken{}) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

func TestApplications_ForwardAuthAddress(t *testing.T) {
	apps := domain.Applications{wiki, {Origin: "https://plain.example.org", Name: "Plain"}}
	for uri, want := range map[string]string{
		"/a/b?c=d":                      "/a/b?c=d",
		"":                              "",
		"/":                             "/",
		"//evil.com":                    "//evil.com", // a path of the application, since the origin precedes it
		"/a|b":                          "/",
		"/é":                            "/",
		"@evil.com/":                    "/",
		".evil.com/":                    "/",
		":8443/":                        "/",
		"/\\evil":                       "/",
		"/a#b":                          "/",
		"/" + strings.Repeat("x", 3000): "/",
	} {
		got, err := apps.ForwardAuthAddress(wiki.Origin, uri)
		if err != nil || got.String() != wiki.Origin+want || got.Application() != wiki {
			t.Errorf("%q: got %q, %v; want %q", uri, got, err, wiki.Origin+want)
		}
	}
	for _, origin := range []string{"", "https://plain.example.org", "https://wiki.example.org:443", "https://WIKI.example.org", "http://wiki.example.org", "https://wiki.example.org.evil.com", "https://evil.com"} {
		if got, err := apps.ForwardAuthAddress(origin, "/"); !errors.Is(err, domain.ErrForwardAuthNotAllowed) || got.String() != "" {
			t.Errorf("%q: got %q, %v", origin, got, err)
		}
	}
}

func TestReturnAddress_ForwardAuthCallback(t *testing.T) {
	for _, uri := range []string{"/", "/a/b?c=d&e=%20f&g=%2F", "/?code=x&path=/y", "/" + strings.Repeat("%20", 600)} {
		address, err := domain.Applications{wiki}.ForwardAuthAddress(wiki.Origin, uri)
		if err != nil {
			t.Fatal(err)
		}
		callback := address.ForwardAuthCallback()
		if _, err := (domain.Applications{wiki}).ParseReturnTo(callback.String()); err != nil {
			t.Errorf("%.50q: a user cannot return to %s: %v", uri, callback, err)
		}
		u, err := url.Parse(callback.String())
		if err != nil {
			t.Fatal(err)
		}
		want := uri
		if len(uri) > 1000 {
			want = "/" // its address would be too long
		}
		if u.Host != "wiki.example.org" || u.Path != "/.keylodge/callback" || u.Query().Get("path") != want || len(u.Query()) != 1 {
			t.Errorf("%.50q: got %s", uri, callback)
		}
	}
}

func TestForwardAuthVerifier(t *testing.T) {
	address, err := domain.Applications{wiki}.ForwardAuthAddress(wiki.Origin, "/a")
	if err != nil {
		t.Fatal(err)
	}
	other, err := domain.Applications{wiki}.ForwardAuthAddress(wiki.Origin, "/b")
	if err != nil {
		t.Fatal(err)
	}
	ada, ben := domain.NewSecret("ada"), domain.NewSecret("ben")
	verifier := domain.ForwardAuthVerifier(ada, address, forwardAuthKeys)
	if parsed, err := domain.ParseCodeVerifier(verifier.Reveal()); err != nil || parsed.Challenge() != domain.ForwardAuthVerifier(ada, address, forwardAuthKeys).Challenge() {
		t.Errorf("got %v", err)
	}
	seen := map[string]bool{verifier.Reveal(): true}
	for name, another := range map[string]domain.CodeVerifier{
		"of another browser": domain.ForwardAuthVerifier(ben, address, forwardAuthKeys),
		"of another address": domain.ForwardAuthVerifier(ada, other, forwardAuthKeys),
		"of another key":     domain.ForwardAuthVerifier(ada, address, forwardAuthKeys[1:]),
	} {
		if seen[another.Reveal()] {
			t.Errorf("the verifier %s is not another one", name)
		}
	}
	if without := domain.ForwardAuthVerifier(domain.Secret{}, address, forwardAuthKeys); !without.IsZero() {
		t.Error("there is a verifier without a browser")
	}
}

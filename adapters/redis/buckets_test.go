package redis_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/redisserver"
	"github.com/keylodge/keylodge/adapters/redis"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports/bucketstest"
)

func open(t testing.TB, serverURL string) *redis.Buckets {
	t.Helper()
	b, err := redis.Open(serverURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func TestContract(t *testing.T) {
	server := redisserver.Start(t)
	bucketstest.Run(t, func(t *testing.T) bucketstest.Pair {
		return bucketstest.Pair{First: open(t, server.URL()), Second: open(t, server.URL()), Wait: time.Sleep}
	})
}

// The database has no names or addresses, and its keys expire.
func TestBuckets_ExpireWhenFull(t *testing.T) {
	server := redisserver.Start(t)
	b := open(t, server.URL())
	for _, window := range []time.Duration{time.Second, time.Hour} {
		subject := domain.RateKey("key").NameAndNetwork(domain.RateLogin.PerAccount(), "ada@example.org", domain.NetworkOf("203.0.113.9"))
		subject[0] = byte(window >> 30)
		if _, err := b.Take(t.Context(), domain.Bucket{Subject: subject, Limit: domain.RateLimit{Quota: 1, Window: window}}); err != nil {
			t.Fatal(err)
		}
	}
	size := ""
	for range 15000 {
		var err error
		if size, err = server.Do("DBSIZE"); err != nil {
			t.Fatal(err)
		}
		if size == ":1" {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if size != ":1" {
		t.Errorf("DBSIZE %s, want :1, the bucket with the window of an hour", size)
	}
}

func TestBuckets_RecoverAfterOutage(t *testing.T) {
	server := redisserver.Start(t)
	b := open(t, server.URL())
	one := domain.Bucket{Limit: domain.RateLimit{Quota: 3, Window: time.Hour}}
	if err := b.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.Stop()
	if _, err := b.Take(t.Context(), one); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("without a server: %v", err)
	}
	if err := b.Check(t.Context()); !errors.Is(err, domain.ErrUnavailable) || strings.Contains(err.Error(), server.Password()) {
		t.Errorf("Check without a server: %v", err)
	}
	if err := server.Run(); err != nil {
		t.Fatal(err)
	}
	if states, err := b.Take(t.Context(), one); err != nil || !states[0].Allowed {
		t.Errorf("after the restart: %+v, %v", states, err)
	}
}

// The server has closed the connections in the pool, and the client does not know that.
func TestBuckets_RecoverAfterRestart(t *testing.T) {
	server := redisserver.Start(t)
	b := open(t, server.URL())
	one := domain.Bucket{Limit: domain.RateLimit{Quota: 3, Window: time.Hour}}
	for range 2 {
		if states, err := b.Take(t.Context(), one); err != nil || !states[0].Allowed {
			t.Errorf("got %+v, %v", states, err)
		}
		server.Stop()
		if err := server.Run(); err != nil {
			t.Fatal(err)
		}
	}
}

// The user has no other permissions than those of docs/operations/rate-limits.md.
func TestBuckets_UserAndDatabase(t *testing.T) {
	server := redisserver.Start(t)
	if reply, err := server.Do("ACL SETUSER keylodge on >p@ss/word ~keylodge:rate:* -@all +eval +evalsha +time +get +set +select"); err != nil || reply != "+OK" {
		t.Fatal(reply, err)
	}
	u, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	u.User, u.Path = url.UserPassword("keylodge", "p@ss/word"), "/3"
	one := domain.Bucket{Limit: domain.RateLimit{Quota: 3, Window: time.Hour}}
	if states, err := open(t, u.String()).Take(t.Context(), one); err != nil || !states[0].Allowed {
		t.Errorf("got %+v, %v", states, err)
	}
	if size, err := server.Do("DBSIZE"); err != nil || size != ":0" {
		t.Errorf("database 0 has the size %s, %v", size, err)
	}
	for _, permission := range []string{"evalsha", "time", "get", "set", "select"} {
		if reply, err := server.Do("ACL SETUSER keylodge -" + permission); err != nil || reply != "+OK" {
			t.Fatal(reply, err)
		}
		if err := open(t, u.String()).Check(t.Context()); err == nil || !strings.Contains(err.Error(), "let this user run EVAL") {
			t.Errorf("without %s: %v", permission, err)
		}
		if reply, err := server.Do("ACL SETUSER keylodge +" + permission); err != nil || reply != "+OK" {
			t.Fatal(reply, err)
		}
	}
}

func TestCheck_ErrorsSayWhatToDo(t *testing.T) {
	server := redisserver.Start(t)
	of := func(change func(u *url.URL)) string {
		u, err := url.Parse(server.URL())
		if err != nil {
			t.Fatal(err)
		}
		change(u)
		return u.String()
	}
	for name, c := range map[string]struct {
		url, want string
		temporary bool // the error is domain.ErrUnavailable
	}{
		"another password": {of(func(u *url.URL) { u.User = url.UserPassword("", "hunter2") }), "correct the user and the password", false},
		"no password":      {of(func(u *url.URL) { u.User = nil }), "correct the user and the password", false},
		"no such database": {of(func(u *url.URL) { u.Path = "/4711" }), "a database number", false},
		"no TLS":           {of(func(u *url.URL) { u.Scheme = "rediss" }), "if the server does not use TLS", true},
	} {
		t.Run(name, func(t *testing.T) {
			err := open(t, c.url).Check(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, domain.ErrUnavailable) != c.temporary ||
				strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), server.Password()) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestCheckURL_ErrorOmitsPassword(t *testing.T) {
	for given, want := range map[string]string{
		"redis://:hunter2@localhost:port":         "is not a URL",
		"redis://:hunter2/x@localhost":            "is not a URL",
		"http://:hunter2@localhost":               "redis:// or rediss://",
		"redis://:hunter2@":                       "one host name",
		"redis://localhost/hunter2@localhost":     "is not a database number",
		"redis://:hunter2@localhost/0?timeout=1s": "parameters",
		"redis://:hunter2@localhost/0#1":          "parameters",
	} {
		err := redis.CheckURL(given)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", given, err)
		}
		if name := redis.DisplayName(given); strings.Contains(name, "hunter2") {
			t.Errorf("display name %s", name)
		}
	}
	for given, name := range map[string]string{
		"redis://localhost":                        "Redis at localhost:6379, database 0",
		"rediss://u:hunter2@redis.example:6390/3":  "Redis at redis.example:6390, database 3",
		"redis://:hunter2%2F@[2001:db8::1]:6379/0": "Redis at [2001:db8::1]:6379, database 0",
	} {
		if err := redis.CheckURL(given); err != nil || redis.DisplayName(given) != name {
			t.Errorf("%s: %v, display name %s", given, err, redis.DisplayName(given))
		}
	}
}

func BenchmarkTake(b *testing.B) {
	shared := open(b, redisserver.Start(b).URL())
	one, another := domain.Bucket{Subject: domain.RateSubject{1}}, domain.Bucket{Subject: domain.RateSubject{2}}
	one.Limit = domain.RateLimit{Quota: 1_000_000, Window: time.Second}
	another.Limit = one.Limit
	for b.Loop() {
		if _, err := shared.Take(context.Background(), one, another); err != nil {
			b.Fatal(err)
		}
	}
}

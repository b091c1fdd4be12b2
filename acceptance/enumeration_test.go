package acceptance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/authenticator"
	"github.com/keylodge/keylodge/acceptance/mailserver"
	"github.com/keylodge/keylodge/adapters/sqlite"
	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/bootstrap"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// stranger asks about an address without being signed in, and writes down all that can be seen of the answers but for what is
// drawn anew each time.
type stranger struct {
	t       testing.TB
	server  *server
	network int // of their own, so that no stranger waits for another
	seen    []string
}

func (s *stranger) asks(path string, body map[string]any) answer {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.server.origin+path, bytes.NewReader(encode(s.t, body)))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Forwarded-For", fmt.Sprintf("198.51.%d.7", s.network))
	got := s.server.roundTrip(s.t, request)
	headers := maps.Clone(got.Header)
	for _, drawn := range []string{"Date", "X-Request-Id", "Content-Length"} {
		headers.Del(drawn)
	}
	worn := theList.ReplaceAllString(string(got.body), theList.String())
	for _, drawn := range []*regexp.Regexp{anID, anyDrawn, aText} {
		worn = drawn.ReplaceAllString(worn, drawn.String())
	}
	if address, is := body["email"].(string); is {
		worn = strings.ReplaceAll(worn, address, "the address")
	}
	s.seen = append(s.seen, fmt.Sprintf("%s %d %v %s", path, got.StatusCode, headers, worn))
	return got
}

// theList may differ between accounts, as people do. What it says is looked at by itself.
var theList = regexp.MustCompile(`"allowCredentials":\[.*?\}\]`)

// listed are the passkeys that somebody is asked for who gives the address, in the form that a browser is given them.
func (s *stranger) listed(address string) (attempt, []authenticatorDescriptor) {
	s.t.Helper()
	got := s.asks("/v1/login/options", map[string]any{"email": address})
	var begun ceremonyBody
	var options struct {
		AllowCredentials []map[string]json.RawMessage `json:"allowCredentials"`
	}
	if err := json.Unmarshal(got.body, &begun); err != nil {
		s.t.Fatal(err)
	}
	if err := json.Unmarshal(begun.Options, &options); err != nil {
		s.t.Fatal(err)
	}
	var list []authenticatorDescriptor
	for _, members := range options.AllowCredentials {
		if names := slices.Sorted(maps.Keys(members)); !slices.Equal(names, []string{"id", "transports", "type"}) && !slices.Equal(names, []string{"id", "type"}) {
			s.t.Errorf("a passkey of %s has the members %q", address, names)
		}
		var one authenticatorDescriptor
		if err := json.Unmarshal(encode(s.t, members), &one); err != nil {
			s.t.Fatal(err)
		}
		list = append(list, one)
	}
	if len(list) == 0 {
		s.t.Fatalf("no passkeys are listed for %s", address)
	}
	return attempt{begun.ChallengeID, begun.Options}, list
}

// forges answers with the first passkey that is listed, which nobody here holds.
func (s *stranger) forges(address string, how ...authenticator.Variation) answer {
	s.t.Helper()
	begun, list := s.listed(address)
	l := &lodge{t: s.t}
	how = append([]authenticator.Variation{authenticator.ForgeUserHandle(nil)}, how...)
	made, err := s.device().Get(authenticatorOptionsWithout(l, begun.options), how...)
	if err != nil {
		s.t.Fatal(err)
	}
	made.ID, made.RawID = list[0].ID, list[0].ID
	return s.asks("/v1/login/verify", map[string]any{"challenge_id": begun.challengeID, "credential": made})
}

// device is an authenticator with a passkey that the server never saw.
func (s *stranger) device() *authenticator.Authenticator {
	s.t.Helper()
	device := authenticator.New(s.server.origin)
	var begun ceremonyBody
	got := s.server.post(s.t, "/v1/signup/options", fmt.Sprintf("198.51.%d.7", s.network+100))
	if err := json.Unmarshal(got.body, &begun); err != nil {
		s.t.Fatal(err)
	}
	if _, err := device.Create(begun.Options); err != nil {
		s.t.Fatal(err)
	}
	return device
}

func (s *server) post(t testing.TB, path, from string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.origin+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Forwarded-For", from)
	return s.roundTrip(t, request)
}

// behindAProxy is a server behind a proxy, where each comes from a network of their own.
func behindAProxy(c *bootstrap.Config) {
	c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
}

// withoutPasskeys takes all passkeys of an account away, as nothing in the product does.
func withoutPasskeys(t testing.TB, path, address string) {
	t.Helper()
	store, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	err = store.Update(t.Context(), func(tx ports.Tx) error {
		user, err := tx.Users.ByEmail(t.Context(), domain.Email(address))
		if err != nil {
			return err
		}
		keys, err := tx.Credentials.OfUser(t.Context(), user.ID())
		if err != nil {
			return err
		}
		for _, key := range keys {
			if err := tx.Credentials.Remove(t.Context(), key.ID()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (l *lodge) shuts(address string) {
	l.t.Helper()
	if _, err := l.door.operator().Admin.DisableUser.Execute(l.t.Context(), admin.Who{Email: domain.Email(address)}); err != nil {
		l.t.Fatal(err)
	}
}

// What is behind an address cannot be told from any answer to somebody who is not signed in: an account, one with an
// authenticator app, one that is shut, one without passkeys, one that has claimed it and not shown the code, or none.
func TestStrangersCannotTellAccountsApart(t *testing.T) {
	for _, mail := range []bool{true, false} {
		t.Run(map[bool]string{true: "with mail", false: "without mail"}[mail], func(t *testing.T) {
			clock, path := newClock(), filepath.Join(t.TempDir(), "keylodge.db")
			var post *mailserver.Server
			if mail {
				post = mailserver.Start(t, mailserver.Options{})
			}
			s := startServer(t, clock, func(c *bootstrap.Config) {
				c.Database = bootstrap.SQLite(path)
				behindAProxy(c)
				if mail {
					c.SMTP = sendingTo(t, post, c.PublicURL)
				}
			})
			l := &lodge{t: t, clock: clock, door: httpDoor{s}, post: post}
			settle := func(name, address string) *person {
				if mail {
					return l.confirmed(name, phone, address)
				}
				p := l.person(name, phone)
				p.email = address
				p.signsUp()
				return p
			}
			settle("Ada", "ada@example.org")
			l.setsUpApp(settle("Ben", "ben@example.org"))
			settle("Shut", "shut@example.org")
			l.shuts("shut@example.org")
			settle("Keyless", "keyless@example.org")
			withoutPasskeys(t, path, "keyless@example.org")
			addresses := []string{"ada@example.org", "ben@example.org", "shut@example.org", "keyless@example.org", "nobody@example.org", "noone@example.org"}
			if mail {
				l.person("Claimant", phone).claims("claimed@example.org")
				addresses = append(addresses, "claimed@example.org")
			}
			var want []string
			for i, address := range addresses {
				who := &stranger{t: t, server: s, network: i}
				who.looksAround(address, mail)
				for n, seen := range who.seen {
					if i == 0 {
						want = append(want, seen)
					} else if n >= len(want) || seen != want[n] {
						t.Errorf("%s, request %d: %s\n%s: %s", address, n, seen, addresses[0], want[min(n, len(want)-1)])
					}
				}
				if len(who.seen) < 20 || !strings.Contains(who.seen[len(who.seen)-1], "429") {
					t.Errorf("%s: %d requests, and at last %s", address, len(who.seen), who.seen[len(who.seen)-1])
				}
			}
		})
	}
}

func (s *stranger) looksAround(address string, mail bool) {
	s.t.Helper()
	_, first := s.listed(address)
	if _, again := s.listed(strings.ToUpper(address)); !bytes.Equal(encode(s.t, first), encode(s.t, again)) {
		s.t.Errorf("%s is asked for %v, and then for %v", address, first, again)
	}
	if mail { // elsewhere signing up says whose an address is, as the documentation admits
		s.asks("/v1/signup/options", map[string]any{"email": address})
	}
	for _, how := range [][]authenticator.Variation{
		nil,
		{authenticator.ForgeSignature(flipLastBit)},
		{authenticator.ForgeUserHandle(make([]byte, 32))},
		{authenticator.ForgeFlags(0, authenticator.UserVerified)},
		{authenticator.ForgeFlags(0, authenticator.UserPresent)},
		{authenticator.ForgeOrigin("https://keylodge.example")},
		{authenticator.ForgeRPID("keylodge.example")},
		{authenticator.ForgeSignCount(7)},
	} {
		s.forges(address, how...)
	}
	id := fmt.Sprintf("01a206fa-f19b-71aa-8eee-8e90a9bc70%02x", s.network)
	if account, err := s.server.app.UseCases().Admin.ShowUser.Execute(s.t.Context(), admin.Who{Email: domain.Email(address)}); err == nil {
		id = account.User.ID().String()
	}
	name, value := "email", address
	if !mail { // the two together would say of a real account that they are one: whoever has its id knows that it is there
		name, value = "user_id", id
	}
	for range 4 {
		s.asks("/v1/recovery/redeem", map[string]any{name: value, "totp_code": "abcdef"})
	}
	for range 3 {
		s.asks("/v1/recovery/redeem", map[string]any{name: value, "totp_code": "abcdef", "backup_code": "0000-0000-0000-0000"})
	}
}

func forgetWrongCodes(t testing.TB, store ports.Store) {
	t.Helper()
	err := store.Update(t.Context(), func(tx ports.Tx) error {
		_, err := tx.Lockouts.Sweep(t.Context(), time.Now().AddDate(100, 0, 0), 1000)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// BenchmarkEnumeration is how long a stranger waits for the answer about each kind of address, over HTTP and on SQLite. They take
// turns in one run; the figures are medians, by that of a known address.
func BenchmarkEnumeration(b *testing.B) {
	path := filepath.Join(b.TempDir(), "keylodge.db")
	clock := newClock()
	s := startServer(b, clock, func(c *bootstrap.Config) {
		c.Database = bootstrap.SQLite(path)
		behindAProxy(c)
	})
	l := &lodge{t: b, clock: clock, door: httpDoor{s}}
	classes := []string{"known", "shut", "keyless", "unknown"}
	for _, class := range classes[:3] {
		p := l.person(class, phone)
		p.email = class + "@example.org"
		p.signsUp()
		if class == "known" {
			l.setsUpApp(p)
		}
	}
	l.shuts("shut@example.org")
	withoutPasskeys(b, path, "keyless@example.org")
	store, err := sqlite.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	visitor := &stranger{t: b, server: s}
	device := visitor.device()
	for name, ask := range map[string]func(address string) time.Duration{
		"options": func(address string) time.Duration {
			begun := time.Now()
			visitor.asks("/v1/login/options", map[string]any{"email": address})
			return time.Since(begun)
		},
		"forged answer": func(address string) time.Duration {
			begun, list := visitor.listed(address)
			made, err := device.Get(authenticatorOptionsWithout(l, begun.options), authenticator.ForgeUserHandle(nil))
			if err != nil {
				b.Fatal(err)
			}
			made.ID, made.RawID = list[0].ID, list[0].ID
			sent := time.Now()
			visitor.asks("/v1/login/verify", map[string]any{"challenge_id": begun.challengeID, "credential": made})
			return time.Since(sent)
		},
		"recovery": func(address string) time.Duration {
			begun := time.Now()
			visitor.asks("/v1/recovery/redeem", map[string]any{"email": address, "totp_code": "abcdef"})
			return time.Since(begun)
		},
	} {
		b.Run(name, func(b *testing.B) {
			times := map[string][]time.Duration{}
			for b.Loop() {
				visitor.seen = nil
				visitor.network = rand.IntN(100) // no one network has to wait
				forgetWrongCodes(b, store)       // nor does an account
				for _, i := range rand.Perm(len(classes)) {
					times[classes[i]] = append(times[classes[i]], ask(classes[i]+"@example.org"))
				}
			}
			median := func(class string) float64 {
				slices.Sort(times[class])
				return float64(times[class][len(times[class])/2])
			}
			for _, class := range classes {
				b.ReportMetric(median(class)/median("known"), class+"/known")
			}
		})
	}
}

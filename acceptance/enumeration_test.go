package acceptance

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/authenticator"
	"github.com/keylodge/keylodge/acceptance/mailserver"
	"github.com/keylodge/keylodge/adapters/postgres"
	"github.com/keylodge/keylodge/adapters/sqlite"
	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/bootstrap"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// stranger asks about an address and has nothing of its owner's. They have an account of their own, and write down all that can be
// seen of the answers but for what is drawn anew each time.
type stranger struct {
	t       testing.TB
	server  *server
	network int // of their own, so that no stranger waits for another
	token   string
	codes   []string // backup codes of their own account
	device  *authenticator.Authenticator
	seen    []string
}

func (s *stranger) asks(path string, body map[string]any) answer {
	s.t.Helper()
	return s.calls(http.MethodPost, path, body, "")
}

// asksSignedIn is asks in the stranger's own session.
func (s *stranger) asksSignedIn(method, path string, body map[string]any) answer {
	s.t.Helper()
	return s.calls(method, path, body, s.token)
}

func (s *stranger) calls(method, path string, body map[string]any, token string) answer {
	s.t.Helper()
	var text []byte
	if body != nil {
		text = encode(s.t, body)
	}
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.server.origin+path, bytes.NewReader(text))
	if err != nil {
		s.t.Fatal(err)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	network := fmt.Sprintf("198.51.%d.7", s.network)
	request.Header.Set("X-Forwarded-For", network)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	got := s.server.roundTrip(s.t, request)
	headers := maps.Clone(got.Header)
	for _, drawn := range []string{"Date", "X-Request-Id", "Content-Length"} {
		headers.Del(drawn)
	}
	worn := theList.ReplaceAllString(string(got.body), theList.String())
	for _, drawn := range []*regexp.Regexp{anID, anyDrawn, aText, aTag} {
		worn = drawn.ReplaceAllString(worn, drawn.String())
	}
	worn = strings.ReplaceAll(worn, network, "the stranger's network")
	if address, is := body["email"].(string); is {
		worn = strings.ReplaceAll(worn, address, "the address")
	}
	shown, _, _ := strings.Cut(path, "/me/passkeys/")
	s.seen = append(s.seen, fmt.Sprintf("%s %s %d %s %v", method, shown, got.StatusCode, worn, headers))
	return got
}

// theList may differ between accounts, as people do. What it says is looked at by itself.
var theList = regexp.MustCompile(`"allowCredentials":\[.*?\}\]`)

func (s *stranger) begins(path string, body map[string]any) attempt {
	s.t.Helper()
	return s.begun(s.asks(path, body))
}

func (s *stranger) begun(got answer) attempt {
	s.t.Helper()
	var begun ceremonyBody
	if err := json.Unmarshal(got.body, &begun); err != nil || got.StatusCode != 200 {
		s.t.Fatalf("%d %s", got.StatusCode, got.body)
	}
	return attempt{begun.ChallengeID, begun.Options}
}

// listed are the passkeys of which a sign-in by the address asks for one.
func (s *stranger) listed(address string) (attempt, []authenticatorDescriptor) {
	s.t.Helper()
	begun := s.begins("/v1/login/options", map[string]any{"email": address})
	var options struct {
		AllowCredentials []map[string]json.RawMessage `json:"allowCredentials"`
	}
	if err := json.Unmarshal(begun.options, &options); err != nil {
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
	return begun, list
}

// shows answers with a listed id, whose key no stranger holds.
func (s *stranger) shows(begun attempt, path string, id authenticator.Base64URL, how ...authenticator.Variation) answer {
	s.t.Helper()
	made, err := s.device.Get(authenticatorOptionsWithout(&lodge{t: s.t}, begun.options), how...)
	if err != nil {
		s.t.Fatal(err)
	}
	made.ID, made.RawID = id, id
	return s.calls(http.MethodPost, path, map[string]any{"challenge_id": begun.challengeID, "credential": made}, map[bool]string{true: s.token}[strings.Contains(path, "step-up")])
}

// makes answers with a new passkey of a listed id, or, for none, of a random one.
func (s *stranger) makes(begun attempt, id authenticator.Base64URL) any {
	s.t.Helper()
	device := authenticator.New(s.server.origin)
	made, err := device.Create(begun.options, authenticator.ForgeCredentialID(id))
	if err != nil {
		s.t.Fatal(err)
	}
	if id == nil {
		s.device = device
	}
	return made
}

// settles makes the stranger an account of their own.
func (s *stranger) settles() {
	s.t.Helper()
	begun := s.begins("/v1/signup/options", nil)
	var entered sessionBody
	got := s.asks("/v1/signup/verify", map[string]any{"challenge_id": begun.challengeID, "credential": s.makes(begun, nil), "transport": "bearer"})
	if err := json.Unmarshal(got.body, &entered); err != nil || got.StatusCode != 201 {
		s.t.Fatalf("%d %s", got.StatusCode, got.body)
	}
	s.token = entered.Tokens.AccessToken
	var made struct{ Codes []string }
	if got := s.asksSignedIn(http.MethodPost, "/v1/me/recovery/backup-codes", nil); got.StatusCode < 300 {
		if err := json.Unmarshal(got.body, &made); err != nil {
			s.t.Fatal(err)
		}
	}
	s.codes, s.seen = made.Codes, nil
}

// behindAProxy is a server behind a proxy, where each comes from a network of their own.
func behindAProxy(c *bootstrap.Config) {
	c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
}

// withoutPasskeys takes all passkeys of an account away, as nothing in the product does.
func withoutPasskeys(t testing.TB, store ports.Store, address string) {
	t.Helper()
	err := store.Update(t.Context(), func(tx ports.Tx) error {
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

// locked counts as many wrong codes against the account as close the app's way.
func locked(t testing.TB, store ports.Store, clock ports.Clock, address string) {
	t.Helper()
	err := store.Update(t.Context(), func(tx ports.Tx) error {
		user, err := tx.Users.ByEmail(t.Context(), domain.Email(address))
		if err != nil {
			return err
		}
		lockout := domain.NewLockout(domain.LockoutKey{}.Account(user.ID()))
		for range 20 {
			lockout.Fail(clock.Now())
		}
		return tx.Lockouts.Save(t.Context(), lockout)
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

// asked is what a stranger knows: an address, an id that may be that of its account, and the ids that a sign-in lists.
type asked struct {
	address, id string
	ids         []authenticator.Base64URL
	mail        domain.MailPolicy
	recovery    domain.RecoveryPolicy
}

// forgeries are answers of a passkey that its key did not sign.
var forgeries = map[string][]authenticator.Variation{
	"another key's signature": nil,
	"a bad signature":         {authenticator.ForgeSignature(flipLastBit)},
	"no user handle":          {authenticator.ForgeUserHandle(nil)},
	"another user handle":     {authenticator.ForgeUserHandle(make([]byte, 32))},
	"no user verification":    {authenticator.ForgeFlags(0, authenticator.UserVerified)},
	"no user presence":        {authenticator.ForgeFlags(0, authenticator.UserPresent)},
	"another origin":          {authenticator.ForgeOrigin("https://keylodge.example")},
	"another RP id":           {authenticator.ForgeRPID("keylodge.example")},
	"another counter":         {authenticator.ForgeSignCount(7)},
}

// probes are the calls by which a stranger could ask whether an address has an account. Each row is one in docs/security/account-enumeration.md.
var probes = []struct {
	name string
	when func(asked) bool // nil for always
	asks func(*stranger, asked)
}{
	{"sign-in options, in either case", nil, func(s *stranger, a asked) {
		_, first := s.listed(a.address)
		if _, again := s.listed(strings.ToUpper(a.address)); !bytes.Equal(encode(s.t, first), encode(s.t, again)) {
			s.t.Errorf("%s is asked for %v, and then for %v", a.address, first, again)
		}
	}},
	{"sign-in by address, answered with a listed id", nil, func(s *stranger, a asked) {
		for _, name := range slices.Sorted(maps.Keys(forgeries)) {
			begun, _ := s.listed(a.address)
			s.shows(begun, "/v1/login/verify", a.ids[0], forgeries[name]...)
		}
	}},
	{"sign-in without an address, answered with a listed id", nil, func(s *stranger, a asked) {
		for _, name := range slices.Sorted(maps.Keys(forgeries)) {
			s.shows(s.begins("/v1/login/options", nil), "/v1/login/verify", a.ids[0], forgeries[name]...)
		}
		s.shows(s.begins("/v1/login/options", nil), "/v1/login/verify", a.ids[len(a.ids)-1])
	}},
	{"sign-in by another address, answered with a listed id", nil, func(s *stranger, a asked) {
		begun, _ := s.listed("somewhere.else@example.org")
		s.shows(begun, "/v1/login/verify", a.ids[0], authenticator.ForgeUserHandle(nil))
	}},
	{"sign-up under a listed id", nil, func(s *stranger, a asked) {
		begun := s.begins("/v1/signup/options", nil)
		s.asks("/v1/signup/verify", map[string]any{"challenge_id": begun.challengeID, "credential": s.makes(begun, a.ids[0])})
	}},
	{"further passkey under a listed id", nil, func(s *stranger, a asked) {
		begun := s.begun(s.asksSignedIn(http.MethodPost, "/v1/me/passkeys/options", nil))
		s.asksSignedIn(http.MethodPost, "/v1/me/passkeys/verify", map[string]any{"challenge_id": begun.challengeID, "credential": s.makes(begun, a.ids[0])})
	}},
	{"recovery of the stranger's own account under a listed id", func(a asked) bool { return a.recovery == domain.RecoveryAny }, func(s *stranger, a asked) {
		var granted struct {
			GrantToken string `json:"grant_token"`
		}
		if got := s.asks("/v1/recovery/redeem", map[string]any{"backup_code": s.codes[0]}); json.Unmarshal(got.body, &granted) != nil || granted.GrantToken == "" {
			s.t.Fatalf("%s", got.body)
		}
		begun := s.begins("/v1/recovery/options", map[string]any{"grant_token": granted.GrantToken})
		s.asks("/v1/recovery/verify", map[string]any{"grant_token": granted.GrantToken, "challenge_id": begun.challengeID, "credential": s.makes(begun, a.ids[0])})
	}},
	{"step-up with a listed id", nil, func(s *stranger, a asked) {
		s.shows(s.begun(s.asksSignedIn(http.MethodPost, "/v1/session/step-up/options", nil)), "/v1/session/step-up/verify", a.ids[0])
	}},
	{"renaming and removing a listed id", nil, func(s *stranger, a asked) {
		s.asksSignedIn(http.MethodPatch, "/v1/me/passkeys/"+a.ids[0].String(), map[string]any{"name": "Mine"})
		s.asksSignedIn(http.MethodDelete, "/v1/me/passkeys/"+a.ids[0].String(), nil)
	}},
	// Where no mail is sent, a sign-up and a change say that an address is taken, as the documentation admits.
	{"sign-up with the address", func(a asked) bool { return a.mail == domain.MailOn }, func(s *stranger, a asked) {
		begun := s.begins("/v1/signup/options", map[string]any{"email": a.address})
		answer := s.makes(begun, authenticator.Base64URL(rand.Text()+rand.Text()))
		s.asks("/v1/signup/verify", map[string]any{"challenge_id": begun.challengeID, "credential": answer, "email": a.address, "transport": "bearer"})
	}},
	{"change to the address", func(a asked) bool { return a.mail == domain.MailOn }, func(s *stranger, a asked) {
		s.asksSignedIn(http.MethodPatch, "/v1/me", map[string]any{"email": a.address})
		s.asksSignedIn(http.MethodPost, "/v1/me/email/confirm", map[string]any{"code": "12345678"})
		s.asksSignedIn(http.MethodPatch, "/v1/me", map[string]any{"email": nil})
	}},
	{"recovery codes by address", nil, func(s *stranger, a asked) { s.guesses("email", a.address) }},
	{"recovery codes by id", nil, func(s *stranger, a asked) { s.guesses("user_id", a.id) }},
	{"a backup code alone, and a made-up grant", nil, func(s *stranger, _ asked) {
		s.asks("/v1/recovery/redeem", map[string]any{"backup_code": "0000-0000-0000-0000"})
		s.asks("/v1/recovery/options", map[string]any{"grant_token": "klg_" + strings.Repeat("A", 43)})
	}},
}

// TestTheTableOfProbesIsDocumented holds docs/security/account-enumeration.md to the rows of probes, in their order.
func TestTheTableOfProbesIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/security/account-enumeration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "| --- | --- | --- |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	var rows, want []string
	for line := range strings.Lines(table) {
		rows = append(rows, strings.TrimSpace(strings.Split(line, "|")[1]))
	}
	for _, probe := range probes {
		want = append(want, probe.name)
	}
	if !slices.Equal(rows, want) {
		t.Errorf("the page has the rows %q,\nand the probes are %q", rows, want)
	}
}

// guesses through the waits.
func (s *stranger) guesses(name, value string) {
	s.t.Helper()
	for range 4 {
		s.asks("/v1/recovery/redeem", map[string]any{name: value, "totp_code": "abcdef"})
	}
	for range 3 {
		s.asks("/v1/recovery/redeem", map[string]any{name: value, "totp_code": "abcdef", "backup_code": "0000-0000-0000-0000"})
	}
}

// TestStrangersCannotTellAccountsApart makes every probe about addresses in every state, before and after their owners sign in. Each
// answer must be that about an address without an account.
func TestStrangersCannotTellAccountsApart(t *testing.T) {
	for _, c := range []struct {
		database string
		mail     domain.MailPolicy
		recovery domain.RecoveryPolicy
	}{
		{"SQLite", domain.MailOn, domain.RecoveryAny},
		{"SQLite", domain.MailOff, domain.RecoveryBoth},
		{"SQLite", domain.MailOff, domain.RecoveryOff},
		{"PostgreSQL", domain.MailOn, domain.RecoveryBoth},
		{"PostgreSQL", domain.MailOff, domain.RecoveryAny},
	} {
		t.Run(fmt.Sprintf("%s, mail %s, recovery %s", c.database, map[domain.MailPolicy]string{domain.MailOn: "on", domain.MailOff: "off"}[c.mail], c.recovery), func(t *testing.T) {
			t.Parallel()
			clock, database := newClock(), bootstrap.Database{}
			var store interface {
				ports.Store
				Close() error
			}
			var err error
			if c.database == "SQLite" {
				path := filepath.Join(t.TempDir(), "keylodge.db")
				database = bootstrap.SQLite(path)
				store, err = sqlite.Open(path)
			} else {
				url := postgresURL(t)
				database = bootstrap.Postgres(url)
				store, err = postgres.Open(t.Context(), url)
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = store.Close() })
			var post *mailserver.Server
			if c.mail == domain.MailOn {
				post = mailserver.Start(t, mailserver.Options{})
			}
			s := startServer(t, clock, func(config *bootstrap.Config) {
				config.Database, config.Recovery = database, c.recovery
				behindAProxy(config)
				if post != nil {
					config.SMTP = sendingTo(t, post, config.PublicURL)
				}
			})
			l := &lodge{t: t, clock: clock, door: httpDoor{s}, post: post}
			owners := l.states(store, c.recovery)
			subjects := append([]string{"unknown", "unknown-too"}, slices.Sorted(maps.Keys(owners))...)
			seen := map[string][]string{}
			strangers, asks := map[string]*stranger{}, map[string]asked{}
			for i, state := range subjects {
				who := &stranger{t: t, server: s, network: i}
				who.settles()
				a := asked{address: state + "@example.org", id: fmt.Sprintf("01a206fa-f19b-71aa-8eee-8e90a9bc70%02x", i), mail: c.mail, recovery: c.recovery}
				if account, err := s.app.UseCases().Admin.ShowUser.Execute(t.Context(), admin.Who{Email: domain.Email(a.address)}); err == nil {
					a.id = account.User.ID().String()
				}
				_, list := who.listed(a.address)
				for _, one := range list {
					a.ids = append(a.ids, one.ID)
				}
				strangers[state], asks[state] = who, a
			}
			for _, phase := range []string{"before", "after a sign-in by the owner"} {
				for _, probe := range probes {
					if probe.when != nil && !probe.when(asks["unknown"]) {
						continue
					}
					var asking sync.WaitGroup
					for _, state := range subjects { // each stranger has an account and a network of their own, and waits for most answers
						strangers[state].seen = nil
						asking.Go(func() { probe.asks(strangers[state], asks[state]) })
					}
					asking.Wait()
					if t.Failed() {
						return
					}
					for _, state := range subjects {
						seen[state] = strangers[state].seen
						for at, line := range strangers[state].seen {
							if at >= len(seen["unknown"]) || line != seen["unknown"][at] {
								t.Errorf("%s, %s, about an address that is %s, request %d:\n%s\nunknown:\n%s", phase, probe.name, state, at, line, seen["unknown"][min(at, len(seen["unknown"])-1)])
								break
							}
						}
					}
				}
				for _, state := range slices.Sorted(maps.Keys(owners)) {
					if owner := owners[state]; owner != nil {
						owner.signsIn()
					}
				}
			}
		})
	}
}

// states makes an account in each state that an account can be in, under the address of that name. Owners who can sign in are returned.
func (l *lodge) states(store ports.Store, recovery domain.RecoveryPolicy) map[string]*person {
	l.t.Helper()
	settle := func(state string) *person {
		address := state + "@example.org"
		if l.post != nil {
			return l.confirmed(state, phone, address)
		}
		p := l.person(state, phone)
		p.email = address
		p.signsUp()
		return p
	}
	owners := map[string]*person{"ordinary": settle("ordinary"), "disabled": nil, "keyless": nil, "deleted": nil}
	several := settle("several-passkeys")
	several.addsPasskey("key", securityKey)
	owners["several-passkeys"] = several
	settle("disabled")
	l.shuts("disabled@example.org")
	settle("keyless")
	withoutPasskeys(l.t, store, "keyless@example.org")
	gone := settle("deleted")
	gone.may(gone.device.deleteAccount())
	if recovery != domain.RecoveryOff {
		for _, state := range []string{"with-an-app", "locked"} {
			owners[state] = settle(state)
			l.setsUpApp(owners[state])
			owners[state].writesDownCodes()
		}
		locked(l.t, store, l.clock, "locked@example.org")
	}
	if l.post != nil {
		claimant := l.person("pending", phone)
		claimant.claims("pending@example.org")
		owners["pending"] = claimant
	}
	return owners
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
	store, err := sqlite.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	withoutPasskeys(b, store, "keyless@example.org")
	visitor := &stranger{t: b, server: s}
	visitor.settles()
	for name, ask := range map[string]func(address string) time.Duration{
		"options": func(address string) time.Duration {
			begun := time.Now()
			visitor.asks("/v1/login/options", map[string]any{"email": address})
			return time.Since(begun)
		},
		"forged answer": func(address string) time.Duration {
			begun, list := visitor.listed(address)
			sent := time.Now()
			visitor.shows(begun, "/v1/login/verify", list[0].ID, authenticator.ForgeUserHandle(nil))
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
				visitor.network = mathrand.IntN(100) // no one network has to wait
				forgetWrongCodes(b, store)           // nor does an account
				for _, i := range mathrand.Perm(len(classes)) {
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

// The account's count stops guesses from everywhere and is shown nowhere: each network is answered by what it said itself.
func TestALockedAccountIsShownToNoNetwork(t *testing.T) {
	clock := newClock()
	s := startServer(t, clock, behindAProxy)
	l := &lodge{t: t, clock: clock, door: httpDoor{s}}
	ada := l.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	phoneApp := l.setsUpApp(ada)
	clock.advance(time.Minute)
	here, elsewhere := &stranger{t: t, server: s, network: 1}, &stranger{t: t, server: s, network: 2}
	want := func(who *stranger, code string, status int) {
		t.Helper()
		if got := who.asks("/v1/recovery/redeem", map[string]any{"email": ada.email, "totp_code": code}); got.StatusCode != status {
			t.Errorf("network %d: %d %s, want %d", who.network, got.StatusCode, got.body, status)
		}
	}
	for range 5 {
		want(here, phoneApp.wrong(), 400)
	}
	want(here, phoneApp.wrong(), 429)
	want(here, phoneApp.shows(), 429) // right, and the account is locked
	want(elsewhere, phoneApp.shows(), 400)
	want(elsewhere, phoneApp.wrong(), 400)
	ada.signsIn()
	want(here, phoneApp.wrong(), 429)
	want(here, phoneApp.shows(), 200)
}

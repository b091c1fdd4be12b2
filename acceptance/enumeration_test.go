package acceptance

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/acceptance/testkit/client"
	"github.com/keylodge/keylodge/acceptance/testkit/mailserver"
	"github.com/keylodge/keylodge/adapters/postgres"
	"github.com/keylodge/keylodge/adapters/sqlite"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// anonymousClient probes an address without any secret of its owner. It has an account of its own, and records the responses
// without the values that are random.
type anonymousClient struct {
	t         testing.TB
	network   int            // its own, so that rate limits of other clients do not apply
	api       *client.Client // without a session
	own       *client.Client // in a session of its own account
	codes     []string       // backup codes of its own account
	device    *authenticator.Authenticator
	responses []string
}

func newAnonymousClient(t testing.TB, s *server, network int) *anonymousClient {
	c := &anonymousClient{t: t, api: client.New(s.origin, s.transport), own: client.New(s.origin, s.transport)}
	c.api.OnResponse, c.own.OnResponse = c.record, c.record
	c.moveTo(network)
	return c
}

// moveTo sends the following requests from another network.
func (c *anonymousClient) moveTo(network int) {
	c.network = network
	for _, api := range []*client.Client{c.api, c.own} {
		api.Header.Set("X-Forwarded-For", c.ip())
	}
}

func (c *anonymousClient) ip() string { return fmt.Sprintf("198.51.%d.7", c.network) }

func (c *anonymousClient) post(path string, body any) *client.Response {
	c.t.Helper()
	return c.send(c.api, http.MethodPost, path, body)
}

// sendSignedIn sends a request in the client's own session.
func (c *anonymousClient) sendSignedIn(method, path string, body any) *client.Response {
	c.t.Helper()
	return c.send(c.own, method, path, body)
}

func (c *anonymousClient) send(api *client.Client, method, path string, body any) *client.Response {
	c.t.Helper()
	got, err := api.Do(method, path, body, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return got
}

func (c *anonymousClient) record(got *client.Response) {
	headers := maps.Clone(got.Header)
	for _, header := range []string{"Date", "X-Request-Id", "Content-Length"} {
		headers.Del(header)
	}
	stable := allowCredentialsMember.ReplaceAllString(string(got.Body), allowCredentialsMember.String())
	for _, pattern := range []*regexp.Regexp{uuidPattern, randomPattern, requestIDPattern, accountTagPattern} {
		stable = pattern.ReplaceAllString(stable, pattern.String())
	}
	stable = strings.ReplaceAll(stable, c.ip(), "the client's network")
	var sent struct{ Email string }
	if json.Unmarshal(got.Sent, &sent) == nil && sent.Email != "" {
		stable = strings.ReplaceAll(stable, sent.Email, "the address")
	}
	shown, _, _ := strings.Cut(got.Request.URL.Path, "/me/passkeys/")
	c.responses = append(c.responses, fmt.Sprintf("%s %s %d %s %v", got.Request.Method, shown, got.StatusCode, stable, headers))
}

// allowCredentialsMember may differ between accounts. beginSignIn checks its content.
var allowCredentialsMember = regexp.MustCompile(`"allowCredentials":\[.*?\}\]`)

func (c *anonymousClient) begin(path string, body any) pendingCeremony {
	c.t.Helper()
	return c.parseCeremony(c.post(path, body))
}

func (c *anonymousClient) parseCeremony(got *client.Response) pendingCeremony {
	c.t.Helper()
	var begun client.Ceremony
	if err := got.Decode(&begun); err != nil {
		c.t.Fatal(err)
	}
	return pendingCeremony{begun.ChallengeID, begun.Options}
}

// beginSignIn begins a sign-in by the address, and returns the ceremony with the listed passkeys.
func (c *anonymousClient) beginSignIn(address string) (pendingCeremony, []credentialDescriptor) {
	c.t.Helper()
	c.post("/v1/login/plan", map[string]any{"email": address, "capabilities": map[string]bool{"immediateGet": true}})
	begun := c.begin("/v1/login/options", map[string]any{"email": address})
	var options struct {
		AllowCredentials []map[string]json.RawMessage `json:"allowCredentials"`
	}
	if err := json.Unmarshal(begun.options, &options); err != nil {
		c.t.Fatal(err)
	}
	var list []credentialDescriptor
	for _, members := range options.AllowCredentials {
		if names := slices.Sorted(maps.Keys(members)); !slices.Equal(names, []string{"id", "transports", "type"}) && !slices.Equal(names, []string{"id", "type"}) {
			c.t.Errorf("a listed passkey of %s has the members %q", address, names)
		}
		var one credentialDescriptor
		if err := json.Unmarshal(encode(c.t, members), &one); err != nil {
			c.t.Fatal(err)
		}
		list = append(list, one)
	}
	if len(list) == 0 {
		c.t.Fatalf("the options for %s list no passkeys", address)
	}
	return begun, list
}

// sendAssertion responds with a listed id and a signature by another key.
func (c *anonymousClient) sendAssertion(begun pendingCeremony, path string, id authenticator.Base64URL, how ...authenticator.Variation) *client.Response {
	c.t.Helper()
	assertion, err := c.device.Get(withoutAllowCredentials(c.t, begun.options), how...)
	if err != nil {
		c.t.Fatal(err)
	}
	assertion.ID, assertion.RawID = id, id
	body := client.SignInVerifyRequest{ChallengeID: begun.challengeID, Credential: assertion}
	if strings.Contains(path, "step-up") {
		return c.sendSignedIn(http.MethodPost, path, body)
	}
	return c.post(path, body)
}

// newCredential returns a new passkey with the given id. If id is nil, the id is random, and the client keeps the passkey.
func (c *anonymousClient) newCredential(begun pendingCeremony, id authenticator.Base64URL) any {
	c.t.Helper()
	device := authenticator.New(c.api.URL)
	credential, err := device.Create(begun.options, authenticator.ForgeCredentialID(id))
	if err != nil {
		c.t.Fatal(err)
	}
	if id == nil {
		c.device = device
	}
	return credential
}

// signUp creates the client's own account.
func (c *anonymousClient) signUp() {
	c.t.Helper()
	begun := c.begin("/v1/signup/options", nil)
	request := client.SignUpVerifyRequest{ChallengeID: begun.challengeID, Credential: c.newCredential(begun, nil), Transport: "bearer"}
	session, err := c.own.FinishSignUp(request)
	if err != nil {
		c.t.Fatal(err)
	}
	c.own.Header.Set("Authorization", "Bearer "+session.Tokens.AccessToken)
	c.codes, err = c.own.MakeBackupCodes()
	if problem := (*client.Problem)(nil); err != nil && !errors.As(err, &problem) { // a problem: recovery is off
		c.t.Fatal(err)
	}
	c.responses = nil
}

// deletePasskeys deletes all passkeys of an account, which no use case does.
func deletePasskeys(t testing.TB, store ports.Store, address string) {
	t.Helper()
	err := store.Update(t.Context(), func(tx ports.Tx) error {
		user, err := tx.Users.ByEmail(t.Context(), domain.Email(address))
		if err != nil {
			return err
		}
		keys, err := tx.Credentials.ListByUser(t.Context(), user.ID())
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

// lockTOTP records as many wrong codes as lock the account's TOTP.
func lockTOTP(t testing.TB, store ports.Store, clock ports.Clock, address string) {
	t.Helper()
	err := store.Update(t.Context(), func(tx ports.Tx) error {
		user, err := tx.Users.ByEmail(t.Context(), domain.Email(address))
		if err != nil {
			return err
		}
		lockout := domain.NewLockout(domain.LockoutKey{}.Account(user.ID()))
		for range 20 {
			lockout.RecordFailure(clock.Now())
		}
		return tx.Lockouts.Save(t.Context(), lockout)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (e *env) disableAccount(address string) {
	e.t.Helper()
	if _, err := e.driver.operator().Admin.DisableUser(e.t.Context(), domain.UserRef{Email: domain.Email(address)}); err != nil {
		e.t.Fatal(err)
	}
}

// probeTarget is what an anonymous client knows of an account: the address, possibly the id, and the listed credential ids.
type probeTarget struct {
	address, id string
	ids         []authenticator.Base64URL
	mail        domain.EmailPolicy
	recovery    domain.RecoveryPolicy
}

// forgedAssertions are assertions of a listed passkey that are signed by another key.
var forgedAssertions = map[string][]authenticator.Variation{
	"another key's signature": nil,
	"an invalid signature":    {authenticator.ForgeSignature(flipLastBit)},
	"no user handle":          {authenticator.ForgeUserHandle(nil)},
	"another user handle":     {authenticator.ForgeUserHandle(make([]byte, 32))},
	"no user verification":    {authenticator.ForgeFlags(0, authenticator.UserVerified)},
	"no user presence":        {authenticator.ForgeFlags(0, authenticator.UserPresent)},
	"another origin":          {authenticator.ForgeOrigin("https://keylodge.example")},
	"another RP id":           {authenticator.ForgeRPID("keylodge.example")},
	"another counter":         {authenticator.ForgeSignCount(7)},
}

// probes are the calls whose responses must not reveal whether an address has an account. docs/security/account-enumeration.md
// has the same rows.
var probes = []struct {
	name string
	when func(probeTarget) bool // nil for always
	run  func(*anonymousClient, probeTarget)
}{
	{"sign-in options, in either case", nil, func(c *anonymousClient, target probeTarget) {
		_, first := c.beginSignIn(target.address)
		if _, second := c.beginSignIn(strings.ToUpper(target.address)); !bytes.Equal(encode(c.t, first), encode(c.t, second)) {
			c.t.Errorf("the options for %s list %v, and in upper case %v", target.address, first, second)
		}
	}},
	{"sign-in by address, answered with a listed id", nil, func(c *anonymousClient, target probeTarget) {
		for _, name := range slices.Sorted(maps.Keys(forgedAssertions)) {
			begun, _ := c.beginSignIn(target.address)
			c.sendAssertion(begun, "/v1/login/verify", target.ids[0], forgedAssertions[name]...)
		}
	}},
	{"sign-in without an address, answered with a listed id", nil, func(c *anonymousClient, target probeTarget) {
		for _, name := range slices.Sorted(maps.Keys(forgedAssertions)) {
			c.sendAssertion(c.begin("/v1/login/options", nil), "/v1/login/verify", target.ids[0], forgedAssertions[name]...)
		}
		c.sendAssertion(c.begin("/v1/login/options", nil), "/v1/login/verify", target.ids[len(target.ids)-1])
	}},
	{"sign-in by another address, answered with a listed id", nil, func(c *anonymousClient, target probeTarget) {
		begun, _ := c.beginSignIn("somewhere.else@example.org")
		c.sendAssertion(begun, "/v1/login/verify", target.ids[0], authenticator.ForgeUserHandle(nil))
	}},
	{"sign-up under a listed id", nil, func(c *anonymousClient, target probeTarget) {
		begun := c.begin("/v1/signup/options", nil)
		c.post("/v1/signup/verify", map[string]any{"challenge_id": begun.challengeID, "credential": c.newCredential(begun, target.ids[0])})
	}},
	{"further passkey under a listed id", nil, func(c *anonymousClient, target probeTarget) {
		begun := c.parseCeremony(c.sendSignedIn(http.MethodPost, "/v1/me/passkeys/options", nil))
		c.sendSignedIn(http.MethodPost, "/v1/me/passkeys/verify", map[string]any{"challenge_id": begun.challengeID, "credential": c.newCredential(begun, target.ids[0])})
	}},
	{"recovery of the client's own account under a listed id", func(target probeTarget) bool { return target.recovery == domain.RecoveryAny }, func(c *anonymousClient, target probeTarget) {
		grant, err := c.api.Redeem(client.RedeemRequest{BackupCode: c.codes[0]})
		if err != nil {
			c.t.Fatalf("redeeming a backup code: %v", err)
		}
		begun := c.begin("/v1/recovery/options", client.GrantRequest{GrantToken: grant})
		c.post("/v1/recovery/verify", map[string]any{"grant_token": grant, "challenge_id": begun.challengeID, "credential": c.newCredential(begun, target.ids[0])})
	}},
	{"step-up with a listed id", nil, func(c *anonymousClient, target probeTarget) {
		c.sendAssertion(c.parseCeremony(c.sendSignedIn(http.MethodPost, "/v1/session/step-up/options", nil)), "/v1/session/step-up/verify", target.ids[0])
	}},
	{"renaming and removing a listed id", nil, func(c *anonymousClient, target probeTarget) {
		c.sendSignedIn(http.MethodPatch, "/v1/me/passkeys/"+target.ids[0].String(), map[string]any{"name": "Mine"})
		c.sendSignedIn(http.MethodDelete, "/v1/me/passkeys/"+target.ids[0].String(), nil)
	}},
	// Without e-mail, a sign-up and a change reveal that an address is taken, as the documentation says.
	{"sign-up with the address", func(target probeTarget) bool { return target.mail.Enabled() }, func(c *anonymousClient, target probeTarget) {
		begun := c.begin("/v1/signup/options", map[string]any{"email": target.address})
		response := c.newCredential(begun, authenticator.Base64URL(rand.Text()+rand.Text()))
		c.post("/v1/signup/verify", map[string]any{"challenge_id": begun.challengeID, "credential": response, "email": target.address, "transport": "bearer"})
	}},
	{"change to the address", func(target probeTarget) bool { return target.mail.Enabled() }, func(c *anonymousClient, target probeTarget) {
		c.sendSignedIn(http.MethodPatch, "/v1/me", map[string]any{"email": target.address})
		c.sendSignedIn(http.MethodPost, "/v1/me/email/confirm", map[string]any{"code": "12345678"})
		c.sendSignedIn(http.MethodPatch, "/v1/me", map[string]any{"email": nil})
	}},
	{"recovery codes by address", nil, func(c *anonymousClient, target probeTarget) { c.sendGuesses("email", target.address) }},
	{"recovery codes by id", nil, func(c *anonymousClient, target probeTarget) { c.sendGuesses("user_id", target.id) }},
	{"a backup code alone, and a made-up grant", nil, func(c *anonymousClient, _ probeTarget) {
		c.post("/v1/recovery/redeem", map[string]any{"backup_code": "0000-0000-0000-0000"})
		c.post("/v1/recovery/options", map[string]any{"grant_token": "klg_" + strings.Repeat("A", 43)})
	}},
}

// TestEnumeration_document checks that docs/security/account-enumeration.md has the rows of probes, in their order.
// Requirement: ASVS-6.3.8
func TestEnumeration_document(t *testing.T) {
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
		t.Errorf("the document has the rows %q,\nwant the probes %q", rows, want)
	}
}

// sendGuesses sends wrong recovery codes, more than the rate limit allows.
func (c *anonymousClient) sendGuesses(name, value string) {
	c.t.Helper()
	for range 4 {
		c.post("/v1/recovery/redeem", map[string]any{name: value, "totp_code": "abcdef"})
	}
	for range 3 {
		c.post("/v1/recovery/redeem", map[string]any{name: value, "totp_code": "abcdef", "backup_code": "0000-0000-0000-0000"})
	}
}

// TestEnumeration_AccountsAreIndistinguishable makes every probe for addresses in every state, before and after the owners
// sign in. Each response must be the same as for an address without an account.
// Requirement: WebAuthn-14.6.2, ASVS-6.3.8
func TestEnumeration_AccountsAreIndistinguishable(t *testing.T) {
	for _, c := range []struct {
		database string
		mail     domain.EmailPolicy
		recovery domain.RecoveryPolicy
	}{
		{"SQLite", domain.EmailOn, domain.RecoveryAny},
		{"SQLite", domain.EmailOff, domain.RecoveryBoth},
		{"SQLite", domain.EmailOff, domain.RecoveryOff},
		{"PostgreSQL", domain.EmailOn, domain.RecoveryBoth},
		{"PostgreSQL", domain.EmailOff, domain.RecoveryAny},
	} {
		t.Run(fmt.Sprintf("%s, mail %s, recovery %s", c.database, map[domain.EmailPolicy]string{domain.EmailOn: "on", domain.EmailOff: "off"}[c.mail], c.recovery), func(t *testing.T) {
			t.Parallel()
			clock, database := newClock(), config.Database{}
			var store interface {
				ports.Store
				Close() error
			}
			var err error
			if c.database == "SQLite" {
				path := filepath.Join(t.TempDir(), "keylodge.db")
				database = config.SQLite(path)
				store, err = sqlite.Open(path)
			} else {
				url := postgresURL(t)
				database = config.Postgres(url)
				store, err = postgres.Open(t.Context(), url)
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = store.Close() })
			var mailServer *mailserver.Server
			if c.mail.Enabled() {
				mailServer = mailserver.Start(t, mailserver.Options{})
			}
			s := startServer(t, clock, func(cfg *config.Config) {
				cfg.Database, cfg.Recovery = database, c.recovery
				trustLoopback(cfg)
				if mailServer != nil {
					cfg.SMTP = smtpConfig(t, mailServer, cfg.PublicURL)
				}
			})
			e := &env{t: t, clock: clock, driver: httpDriver{s}, mailServer: mailServer}
			owners := e.createAccountStates(store, c.recovery)
			subjects := append([]string{"unknown", "unknown-too"}, slices.Sorted(maps.Keys(owners))...)
			seen := map[string][]string{}
			clients, targets := map[string]*anonymousClient{}, map[string]probeTarget{}
			for i, state := range subjects {
				probing := newAnonymousClient(t, s, i)
				probing.signUp()
				target := probeTarget{address: state + "@example.org", id: fmt.Sprintf("01a206fa-f19b-71aa-8eee-8e90a9bc70%02x", i), mail: c.mail, recovery: c.recovery}
				if account, err := s.app.UseCases().Admin.ShowUser(t.Context(), domain.UserRef{Email: domain.Email(target.address)}); err == nil {
					target.id = account.User.ID().String()
				}
				_, list := probing.beginSignIn(target.address)
				for _, one := range list {
					target.ids = append(target.ids, one.ID)
				}
				clients[state], targets[state] = probing, target
			}
			for _, phase := range []string{"before", "after a sign-in by the owner"} {
				for _, probe := range probes {
					if probe.when != nil && !probe.when(targets["unknown"]) {
						continue
					}
					var requests sync.WaitGroup
					for _, state := range subjects { // concurrently, because most responses are delayed
						clients[state].responses = nil
						requests.Go(func() { probe.run(clients[state], targets[state]) })
					}
					requests.Wait()
					if t.Failed() {
						return
					}
					for _, state := range subjects {
						seen[state] = clients[state].responses
						for at, line := range clients[state].responses {
							if at >= len(seen["unknown"]) || line != seen["unknown"][at] {
								t.Errorf("%s, %s, an address in state %s, request %d:\n%s\nunknown:\n%s", phase, probe.name, state, at, line, seen["unknown"][min(at, len(seen["unknown"])-1)])
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

// createAccountStates creates an account in each possible state, with an address of that name. It returns the owners who can
// sign in.
func (e *env) createAccountStates(store ports.Store, recovery domain.RecoveryPolicy) map[string]*person {
	e.t.Helper()
	signUp := func(state string) *person {
		address := state + "@example.org"
		if e.mailServer != nil {
			return e.personWithVerifiedEmail(state, phone, address)
		}
		p := e.person(state, phone)
		p.email = address
		p.signsUp()
		return p
	}
	owners := map[string]*person{"ordinary": signUp("ordinary"), "disabled": nil, "keyless": nil, "deleted": nil}
	several := signUp("several-passkeys")
	several.addsPasskey("key", securityKey)
	owners["several-passkeys"] = several
	signUp("disabled")
	e.disableAccount("disabled@example.org")
	signUp("keyless")
	deletePasskeys(e.t, store, "keyless@example.org")
	deleted := signUp("deleted")
	deleted.requireOK(deleted.device.deleteAccount())
	if recovery.Enabled() {
		for _, state := range []string{"with-an-app", "locked"} {
			owners[state] = signUp(state)
			e.enrolTOTP(owners[state])
			owners[state].makesBackupCodes()
		}
		lockTOTP(e.t, store, e.clock, "locked@example.org")
	}
	if e.mailServer != nil {
		pending := e.person("pending", phone)
		pending.signsUpWithEmail("pending@example.org")
		owners["pending"] = pending
	}
	return owners
}

func resetLockouts(t testing.TB, store ports.Store) {
	t.Helper()
	err := store.Update(t.Context(), func(tx ports.Tx) error {
		_, err := tx.Lockouts.DeleteExpired(t.Context(), time.Now().AddDate(100, 0, 0), 1000)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// BenchmarkEnumeration measures the response time for each kind of address, over HTTP and on SQLite. The kinds alternate in
// one run. The results are medians relative to that of a known address.
func BenchmarkEnumeration(b *testing.B) {
	path := filepath.Join(b.TempDir(), "keylodge.db")
	clock := newClock()
	s := startServer(b, clock, func(c *config.Config) {
		c.Database = config.SQLite(path)
		trustLoopback(c)
	})
	e := &env{t: b, clock: clock, driver: httpDriver{s}}
	classes := []string{"known", "disabled", "keyless", "unknown"}
	for _, class := range classes[:3] {
		p := e.person(class, phone)
		p.email = class + "@example.org"
		p.signsUp()
		if class == "known" {
			e.enrolTOTP(p)
		}
	}
	e.disableAccount("disabled@example.org")
	store, err := sqlite.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	deletePasskeys(b, store, "keyless@example.org")
	probing := newAnonymousClient(b, s, 0)
	probing.signUp()
	for name, ask := range map[string]func(address string) time.Duration{
		"options": func(address string) time.Duration {
			begun := time.Now()
			probing.post("/v1/login/options", map[string]any{"email": address})
			return time.Since(begun)
		},
		"forged response": func(address string) time.Duration {
			begun, list := probing.beginSignIn(address)
			sent := time.Now()
			probing.sendAssertion(begun, "/v1/login/verify", list[0].ID, authenticator.ForgeUserHandle(nil))
			return time.Since(sent)
		},
		"recovery": func(address string) time.Duration {
			begun := time.Now()
			probing.post("/v1/recovery/redeem", map[string]any{"email": address, "totp_code": "abcdef"})
			return time.Since(begun)
		},
	} {
		b.Run(name, func(b *testing.B) {
			times := map[string][]time.Duration{}
			for b.Loop() {
				probing.responses = nil
				probing.moveTo(mathrand.IntN(100)) // so that no network is rate-limited
				resetLockouts(b, store)            // so that no account is locked
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

// The account's lockout counts guesses from all networks, and no response reveals it: only a network's own guesses delay its
// responses.
// Requirement: ASVS-6.3.1, ASVS-6.3.8
func TestEnumeration_LockoutIsNotRevealed(t *testing.T) {
	t.Parallel()
	clock := newClock()
	s := startServer(t, clock, trustLoopback)
	e := &env{t: t, clock: clock, driver: httpDriver{s}}
	ada := e.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	phoneApp := e.enrolTOTP(ada)
	clock.advance(time.Minute)
	attacker, other := newAnonymousClient(t, s, 1), newAnonymousClient(t, s, 2)
	requireStatus := func(guesser *anonymousClient, code string, status int) {
		t.Helper()
		if got := guesser.post("/v1/recovery/redeem", map[string]any{"email": ada.email, "totp_code": code}); got.StatusCode != status {
			t.Errorf("network %d: %d %s, want %d", guesser.network, got.StatusCode, got.Body, status)
		}
	}
	for range 5 {
		requireStatus(attacker, phoneApp.wrongCode(), 400)
	}
	requireStatus(attacker, phoneApp.wrongCode(), 429)
	requireStatus(attacker, phoneApp.code(), 429) // the code is valid, but the account is locked
	requireStatus(other, phoneApp.code(), 400)
	requireStatus(other, phoneApp.wrongCode(), 400)
	ada.signsIn()
	requireStatus(attacker, phoneApp.wrongCode(), 429)
	requireStatus(attacker, phoneApp.code(), 200)
}

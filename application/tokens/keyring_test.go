package tokens_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keylodge/keylodge/adapters/jwt"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/adapters/memory"
	"github.com/keylodge/keylodge/application/tokens"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var (
	noon     = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	rotation = domain.KeyRotation{Algorithm: domain.SigningES256, Every: 4 * time.Hour, TokenTTL: 5 * time.Minute}
	policy   = domain.AccessPolicy{Issuer: "https://keylodge.example", Audience: "https://api.example", TTL: 5 * time.Minute}
)

// announcement is how long a key is published before it signs.
const announcement = 2 * time.Hour

// clock stands still until it is told to go on.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// watched is a store that may be down, and where something may happen before the next unit of work that writes.
type watched struct {
	ports.Store
	down    bool
	between func()
}

func (w *watched) View(ctx context.Context, fn func(ports.Tx) error) error {
	if w.down {
		return domain.ErrUnavailable
	}
	return w.Store.View(ctx, fn)
}

func (w *watched) Update(ctx context.Context, fn func(ports.Tx) error) error {
	if w.down {
		return domain.ErrUnavailable
	}
	if between := w.between; between != nil {
		w.between = nil
		between()
	}
	return w.Store.Update(ctx, fn)
}

// installation is a database that several nodes share, each with a keyring of its own.
type installation struct {
	t       *testing.T
	store   *watched
	clock   *clock
	secret  masterkey.Key
	session *domain.Session
}

func newInstallation(t *testing.T) *installation {
	t.Helper()
	key, err := domain.NewCredential(domain.UserID{}, "", domain.Registration{CredentialID: "id", Flags: 1<<0 | 1<<2}, noon)
	if err != nil {
		t.Fatal(err)
	}
	const year = 365 * 24 * time.Hour
	session, _, err := domain.OpenSession(key, domain.Device{}, domain.SessionLifetime{TTL: year, IdleTTL: year}, noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &installation{t: t, store: &watched{Store: memory.New()}, clock: &clock{now: noon}, secret: newSecret(t), session: session}
}

func newSecret(t *testing.T) masterkey.Key {
	t.Helper()
	raw := make([]byte, masterkey.Size)
	rand.Read(raw)
	secret, err := masterkey.Parse(base64.StdEncoding.EncodeToString(raw))
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// node is a server of the installation.
type node struct {
	*installation
	keyring *tokens.Keyring
	issuer  *tokens.Issuer
}

func (i *installation) node() *node { return i.nodeWith(rotation, i.secret) }

// nodeWith rotates as it is told and knows the given secrets, the present one first.
func (i *installation) nodeWith(rotation domain.KeyRotation, present masterkey.Key, previous ...masterkey.Key) *node {
	i.t.Helper()
	sealer, err := masterkey.NewSealer(present, previous)
	if err != nil {
		i.t.Fatal(err)
	}
	return i.nodeOf(tokens.NewKeyring(i.store, jwt.New(), sealer, i.clock, rotation, nil))
}

func (i *installation) nodeOf(keyring *tokens.Keyring) *node {
	return &node{i, keyring, &tokens.Issuer{
		Keyring: keyring, Keys: jwt.New(), Random: rand.Reader, Policy: policy, RefreshKeys: domain.RefreshKeys{make([]byte, 32)},
	}}
}

func (n *node) keeps() error { return (&tokens.KeepKeys{Keyring: n.keyring}).Execute(n.t.Context()) }

func (n *node) mustKeep() {
	n.t.Helper()
	if err := n.keeps(); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) issue() (string, error) {
	pair, err := n.issuer.Pair(n.t.Context(), n.session, domain.RefreshToken{}, n.clock.Now())
	if err != nil {
		return "", err
	}
	return pair.Access.Token.Reveal(), nil
}

func (n *node) issues() string {
	n.t.Helper()
	token, err := n.issue()
	if err != nil {
		n.t.Fatal(err)
	}
	return token
}

func (n *node) believes(token string) error {
	_, err := n.issuer.Read(n.t.Context(), token, n.clock.Now())
	return err
}

// publishes returns the kids of the published keys.
func (n *node) publishes() []string {
	n.t.Helper()
	published, err := (&tokens.Publish{Keyring: n.keyring}).Execute(n.t.Context())
	if err != nil {
		n.t.Fatal(err)
	}
	ids := make([]string, len(published))
	for i, key := range published {
		var jwk map[string]any
		if err := json.Unmarshal(key, &jwk); err != nil {
			n.t.Fatal(err)
		}
		if _, private := jwk["d"]; private {
			n.t.Fatalf("a private key was published: %s", key)
		}
		ids[i], _ = jwk["kid"].(string)
	}
	return ids
}

func (n *node) lists() []tokens.Key {
	n.t.Helper()
	list, err := (&tokens.ListKeys{Keyring: n.keyring}).Execute(n.t.Context())
	if err != nil {
		n.t.Fatal(err)
	}
	return list
}

func (n *node) rotates() ([]tokens.Key, error) {
	return (&tokens.RotateKeys{Keyring: n.keyring}).Execute(n.t.Context())
}

func (n *node) mustRotate() []tokens.Key {
	n.t.Helper()
	list, err := n.rotates()
	if err != nil {
		n.t.Fatal(err)
	}
	return list
}

func states(list []tokens.Key) (states []tokens.KeyState) {
	for _, key := range list {
		states = append(states, key.State)
	}
	return states
}

// signedBy is the kid in a token's header.
func signedBy(t *testing.T, token string) string {
	t.Helper()
	head, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		t.Fatal(err)
	}
	var header struct {
		KeyID string `json:"kid"`
	}
	if err := json.Unmarshal(raw, &header); err != nil {
		t.Fatal(err)
	}
	return header.KeyID
}

func (i *installation) stored() (keys domain.SigningKeys) {
	i.t.Helper()
	err := i.store.Store.View(i.t.Context(), func(tx ports.Tx) (err error) {
		keys, err = tx.SigningKeys.All(i.t.Context())
		return err
	})
	if err != nil {
		i.t.Fatal(err)
	}
	return keys
}

func TestTheFirstKeyIsMadeOnce(t *testing.T) {
	i := newInstallation(t)
	shared := i.node()
	nodes := make([]*node, 16)
	issued := make([]string, len(nodes))
	var starting sync.WaitGroup
	for at := range nodes {
		nodes[at] = shared // half of them are requests to one node, the others nodes of their own
		if at%2 == 0 {
			nodes[at] = i.node()
		}
		starting.Go(func() {
			var err error
			if issued[at], err = nodes[at].issue(); err != nil {
				t.Error(err)
			}
		})
	}
	starting.Wait()
	if t.Failed() {
		return
	}
	if stored := i.stored(); len(stored) != 1 {
		t.Fatalf("%d keys were made", len(stored))
	}
	for _, token := range issued {
		for _, node := range nodes {
			if err := node.believes(token); err != nil {
				t.Errorf("a token of one node at another: %v", err)
			}
		}
	}
}

// The database alone signs nothing.
func TestKeysAreStoredSealed(t *testing.T) {
	i := newInstallation(t)
	i.node().mustKeep()
	stored := i.stored()[0].Snapshot()
	if _, err := jwt.New().Parse(stored.Sealed); err == nil {
		t.Error("the stored key can be read")
	}
	// And nothing opens under another key's name.
	renamed := stored
	renamed.ID = "another"
	err := i.store.Update(t.Context(), func(tx ports.Tx) error {
		return errors.Join(tx.SigningKeys.Remove(t.Context(), stored.ID), tx.SigningKeys.Add(t.Context(), domain.RestoreSigningKey(renamed)))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := i.node().keeps(); err == nil {
		t.Error("a key was opened under another name")
	}
}

// Two nodes look after the keys of one database, at different moments. Tokens of either are believed by both for as long as
// they live, and whoever asked for the published keys five minutes before knows the one that signs.
func TestNoTokenIsRefusedBecauseOfARotation(t *testing.T) {
	i := newInstallation(t)
	nodes := []*node{i.node(), i.node()}
	type token struct {
		text    string
		expires time.Time
	}
	var out []token
	var published [][]string // at each step
	signers := map[string]bool{}
	const step = time.Minute
	for at := range int(12 * time.Hour / step) {
		acting := nodes[at%2]
		acting.mustKeep()
		text := acting.issues()
		out = append(out, token{text, i.clock.Now().Add(policy.TTL)})
		out = slices.DeleteFunc(out, func(each token) bool { return !i.clock.Now().Before(each.expires) })
		published = append(published, acting.publishes())
		known := published[max(0, len(published)-1-int(5*time.Minute/step))]
		signers[signedBy(t, text)] = true
		if !slices.Contains(known, signedBy(t, text)) {
			t.Fatalf("after %s key %s signs, which was not published five minutes before", time.Duration(at)*step, signedBy(t, text))
		}
		for _, each := range out {
			for _, node := range nodes {
				if err := node.believes(each.text); err != nil {
					t.Fatalf("after %s: %v", time.Duration(at)*step, err)
				}
			}
		}
		if stored := i.stored(); len(stored) > 3 {
			t.Fatalf("after %s %d keys are kept", time.Duration(at)*step, len(stored))
		}
		i.clock.advance(step)
	}
	if len(signers) != 3 {
		t.Errorf("%d keys have signed in twelve hours", len(signers))
	}
}

func TestASpentKeyGoesAndItsTokensWithIt(t *testing.T) {
	i := newInstallation(t)
	n := i.node()
	first := signedBy(t, n.issues())
	i.clock.advance(rotation.Every - announcement)
	n.mustKeep()
	if got := states(n.lists()); !slices.Equal(got, []tokens.KeyState{tokens.KeyAnnounced, tokens.KeySigning}) {
		t.Fatalf("announced: %q", got)
	}
	i.clock.advance(announcement)
	if got := states(n.lists()); !slices.Equal(got, []tokens.KeyState{tokens.KeySigning, tokens.KeyRetired}) {
		t.Fatalf("taken over: %q", got)
	}
	if second := signedBy(t, n.issues()); second == first {
		t.Error("the first one signs still")
	}
	i.clock.advance(policy.TTL + 10*time.Minute - time.Microsecond)
	n.mustKeep()
	if !slices.Contains(n.publishes(), first) {
		t.Error("it is gone before its time")
	}
	i.clock.advance(time.Microsecond)
	n.mustKeep()
	if slices.Contains(n.publishes(), first) || len(i.stored()) != 1 {
		t.Errorf("it is still published, or one of %d stored", len(i.stored()))
	}
}

func TestAnOperatorSeesTheKeysLatestFirst(t *testing.T) {
	i := newInstallation(t)
	n := i.node()
	n.mustKeep()
	i.clock.advance(time.Minute)
	list := n.mustRotate()
	want := []tokens.Key{
		{Algorithm: domain.SigningES256, State: tokens.KeyAnnounced, CreatedAt: noon.Add(time.Minute), SignsFrom: noon.Add(time.Minute + announcement)},
		{Algorithm: domain.SigningES256, State: tokens.KeySigning, CreatedAt: noon, SignsFrom: noon},
	}
	if len(list) != len(want) {
		t.Fatalf("listed %+v", list)
	}
	for at := range want {
		want[at].ID = list[at].ID
	}
	if !slices.Equal(list, want) || !slices.Equal(n.lists(), want) {
		t.Errorf("got  %+v, then %+v\nwant %+v", list, n.lists(), want)
	}
	if published := n.publishes(); !slices.Equal(published, []string{list[1].ID, list[0].ID}) {
		t.Errorf("published %q of %+v", published, list)
	}
}

func TestARotationByHandBreaksNoToken(t *testing.T) {
	i := newInstallation(t)
	n, other := i.node(), i.node()
	before := n.issues()
	// Twice in a row: whoever is unsure whether it worked does it again.
	n.mustRotate()
	list := n.mustRotate()
	if got := states(list); !slices.Equal(got, []tokens.KeyState{tokens.KeyAnnounced, tokens.KeyAnnounced, tokens.KeySigning}) {
		t.Fatalf("listed %q", got)
	}
	if still := signedBy(t, n.issues()); still != signedBy(t, before) {
		t.Error("a key signs that nobody can know yet")
	}
	for range int(3 * time.Hour / time.Minute) {
		for _, node := range []*node{n, other} {
			node.mustKeep()
			token := node.issues()
			if err := errors.Join(n.believes(token), other.believes(token)); err != nil {
				t.Fatal(err)
			}
		}
		if now := i.clock.Now(); now.Before(noon.Add(policy.TTL)) {
			if err := errors.Join(n.believes(before), other.believes(before)); err != nil {
				t.Fatal(err)
			}
		} else if now.After(noon.Add(announcement)) && signedBy(t, n.issues()) != list[0].ID {
			t.Fatal("the new key does not sign")
		}
		i.clock.advance(time.Minute)
	}
}

func TestAnotherAlgorithmIsAnnouncedAtOnce(t *testing.T) {
	i := newInstallation(t)
	before := i.node().issues()
	edwards := rotation
	edwards.Algorithm = domain.SigningEdDSA
	n := i.nodeWith(edwards, i.secret)
	n.mustKeep()
	list := n.lists()
	if len(list) != 2 || list[0].Algorithm != domain.SigningEdDSA || list[0].State != tokens.KeyAnnounced || list[1].State != tokens.KeySigning {
		t.Fatalf("listed %+v", list)
	}
	if err := n.believes(before); err != nil {
		t.Errorf("a token of the former algorithm: %v", err)
	}
	i.clock.advance(announcement)
	token := n.issues()
	if err := n.believes(token); err != nil || signedBy(t, token) != list[0].ID {
		t.Errorf("a token of the new one: signed by %s, %v", signedBy(t, token), err)
	}
}

// Nodes have clocks of their own, and a clock is put back now and then. The first key signs from the moment when it was
// made, by the clock of the node that made it.
func TestATokenIsSignedAlsoByAClockThatIsALittleBehind(t *testing.T) {
	i := newInstallation(t)
	i.node().mustKeep()
	for _, behind := range []time.Duration{time.Microsecond, 5 * time.Second} {
		i.clock.advance(-behind)
		n := i.node()
		if err := n.believes(n.issues()); err != nil {
			t.Errorf("%s behind: %v", behind, err)
		}
		if got := states(n.lists()); !slices.Equal(got, []tokens.KeyState{tokens.KeySigning}) {
			t.Errorf("%s behind: listed %q", behind, got)
		}
		i.clock.advance(behind)
	}
}

// ticking is a clock that never says the same twice, as a real one.
type ticking struct{ clock *clock }

func (c ticking) Now() time.Time {
	c.clock.advance(time.Microsecond)
	return c.clock.Now()
}

// A request has begun before the key is made that it needs.
func TestTheRequestThatMakesTheFirstKeyIsAnswered(t *testing.T) {
	i := newInstallation(t)
	sealer, err := masterkey.NewSealer(i.secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	n := i.nodeOf(tokens.NewKeyring(i.store, jwt.New(), sealer, ticking{i.clock}, rotation, nil))
	if err := n.believes(n.issues()); err != nil {
		t.Error(err)
	}
}

func TestAnOutageStopsNobodyWhoKnowsTheKeys(t *testing.T) {
	i := newInstallation(t)
	n, late := i.node(), i.node()
	n.mustKeep()
	i.store.down = true
	if err := n.keeps(); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("keeping the keys: %v", err)
	}
	if err := n.believes(n.issues()); err != nil {
		t.Errorf("a node that knows them: %v", err)
	}
	if _, err := late.issue(); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("a node that does not, issuing: %v", err)
	}
	if err := late.believes("x"); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("a node that does not, reading: %v", err)
	}
	if _, err := (&tokens.Publish{Keyring: late.keyring}).Execute(t.Context()); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("a node that does not, publishing: %v", err)
	}
	if _, err := (&tokens.ListKeys{Keyring: late.keyring}).Execute(t.Context()); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("a node that does not, listing: %v", err)
	}
	if _, err := n.rotates(); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("rotating: %v", err)
	}
	i.store.down = false
	if err := late.believes(late.issues()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// The key was due and could not be made; the present one signs on, and the next look makes it.
func TestARotationThatFailedIsMadeUpFor(t *testing.T) {
	i := newInstallation(t)
	n := i.node()
	first := signedBy(t, n.issues())
	i.clock.advance(rotation.Every)
	i.store.down = true
	if err := n.keeps(); !errors.Is(err, domain.ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
	if still := signedBy(t, n.issues()); still != first {
		t.Error("another key signs")
	}
	i.store.down = false
	n.mustKeep()
	if got := states(n.lists()); !slices.Equal(got, []tokens.KeyState{tokens.KeyAnnounced, tokens.KeySigning}) {
		t.Errorf("listed %q", got)
	}
}

// Every node looks twice a minute. That is a look, as long as no key comes or goes.
func TestNothingIsWrittenWhileNoKeyComesOrGoes(t *testing.T) {
	i := newInstallation(t)
	n, other := i.node(), i.node()
	n.mustKeep()
	i.store.between = func() { t.Error("something is written") }
	for range 10 {
		n.mustKeep()
		other.mustKeep()
		i.clock.advance(time.Minute)
	}
}

func TestAKeyThatCannotBeMadeIsTold(t *testing.T) {
	i := newInstallation(t)
	unknown := rotation
	unknown.Algorithm = "HS256"
	if err := i.nodeWith(unknown, i.secret).keeps(); err == nil || !strings.Contains(err.Error(), "HS256") {
		t.Errorf("of an unknown algorithm: %v", err)
	}
	open := i.nodeOf(tokens.NewKeyring(i.store, jwt.New(), openly{}, i.clock, rotation, nil))
	if err := open.keeps(); !errors.Is(err, errOpen) {
		t.Errorf("that cannot be sealed: %v", err)
	}
	if len(i.stored()) != 0 {
		t.Errorf("%d keys are stored", len(i.stored()))
	}
}

// openly is a sealer that seals nothing.
type openly struct{}

var errOpen = errors.New("it does not close")

func (openly) Seal([]byte, string) ([]byte, error) { return nil, errOpen }
func (openly) Open([]byte, string) ([]byte, error) { return nil, errOpen }

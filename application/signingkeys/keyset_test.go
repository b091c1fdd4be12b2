package signingkeys_test

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

	"github.com/keylodge/keylodge/acceptance/sqlitestore"
	"github.com/keylodge/keylodge/adapters/jwt"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var (
	noon     = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	rotation = domain.KeyRotation{Algorithm: domain.SigningES256, Interval: 4 * time.Hour, TokenTTL: 5 * time.Minute}
	policy   = domain.AccessPolicy{Issuer: "https://keylodge.example", Audience: "https://api.example", TTL: 5 * time.Minute}
)

// announcePeriod is how long a key is published before it signs.
const announcePeriod = 2 * time.Hour

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

// hookedStore is a store that may be down, and where something may happen before the next unit of work that writes.
type hookedStore struct {
	ports.Store
	unavailable  bool
	beforeUpdate func()
}

func (w *hookedStore) View(ctx context.Context, fn func(ports.Tx) error) error {
	if w.unavailable {
		return domain.ErrUnavailable
	}
	return w.Store.View(ctx, fn)
}

func (w *hookedStore) Update(ctx context.Context, fn func(ports.Tx) error) error {
	if w.unavailable {
		return domain.ErrUnavailable
	}
	if between := w.beforeUpdate; between != nil {
		w.beforeUpdate = nil
		between()
	}
	return w.Store.Update(ctx, fn)
}

// fixture is a database that several nodes share, each with a keyring of its own.
type fixture struct {
	t       *testing.T
	store   *hookedStore
	clock   *clock
	secret  masterkey.Key
	session *domain.Session
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	key, err := domain.NewCredential(domain.UserID{}, "", sqlitestore.Registration("id"), noon)
	if err != nil {
		t.Fatal(err)
	}
	const year = 365 * 24 * time.Hour
	session, _ := domain.OpenSession(key, domain.Device{}, domain.SessionLifetime{TTL: year, IdleTTL: year}, noon, rand.Reader)
	return &fixture{t: t, store: &hookedStore{Store: sqlitestore.New(t)}, clock: &clock{now: noon}, secret: newSecret(t), session: session}
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
	*fixture
	service *signingkeys.Service
	issuer  *signingkeys.Issuer
}

func (i *fixture) node() *node { return i.nodeWith(rotation, i.secret) }

// nodeWith rotates as it is told and knows the given secrets, the present one first.
func (i *fixture) nodeWith(rotation domain.KeyRotation, present masterkey.Key, previous ...masterkey.Key) *node {
	i.t.Helper()
	sealer, err := masterkey.NewSealer(present, previous)
	if err != nil {
		i.t.Fatal(err)
	}
	return i.nodeOf(&signingkeys.Service{Store: i.store, TokenKeys: jwt.New(), Sealer: sealer, Clock: i.clock, Rotation: rotation})
}

func (i *fixture) nodeOf(service *signingkeys.Service) *node {
	return &node{i, service, &signingkeys.Issuer{
		SigningKeys: service, Random: rand.Reader, Policy: policy, RefreshKeys: domain.KeyRing[domain.RefreshToken]{make([]byte, 32)},
	}}
}

func (n *node) refresh() error {
	return n.service.Refresh(n.t.Context())
}

func (n *node) mustRefresh() {
	n.t.Helper()
	if err := n.refresh(); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) issue() (string, error) {
	pair, err := n.issuer.IssuePair(n.t.Context(), n.session, domain.RefreshToken{}, n.clock.Now())
	if err != nil {
		return "", err
	}
	return pair.Access.Token.Reveal(), nil
}

func (n *node) mustIssue() string {
	n.t.Helper()
	token, err := n.issue()
	if err != nil {
		n.t.Fatal(err)
	}
	return token
}

func (n *node) verify(token string) error {
	_, err := n.issuer.Verify(n.t.Context(), token, n.clock.Now())
	return err
}

// publishedIDs returns the kids of the published keys.
func (n *node) publishedIDs() []string {
	n.t.Helper()
	published, err := n.service.Publish(n.t.Context())
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

func (n *node) list() []signingkeys.Key {
	n.t.Helper()
	list, err := n.service.List(n.t.Context())
	if err != nil {
		n.t.Fatal(err)
	}
	return list
}

func (n *node) rotate() ([]signingkeys.Key, error) {
	return n.service.Rotate(n.t.Context())
}

func (n *node) mustRotate() []signingkeys.Key {
	n.t.Helper()
	list, err := n.rotate()
	if err != nil {
		n.t.Fatal(err)
	}
	return list
}

func keyStates(list []signingkeys.Key) (states []signingkeys.KeyState) {
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

func (i *fixture) storedKeys() (keys domain.SigningKeys) {
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

func TestKeySet_FirstKeyIsGeneratedOnce(t *testing.T) {
	i := newFixture(t)
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
	if stored := i.storedKeys(); len(stored) != 1 {
		t.Fatalf("%d keys were made", len(stored))
	}
	for _, token := range issued {
		for _, node := range nodes {
			if err := node.verify(token); err != nil {
				t.Errorf("a token of one node at another: %v", err)
			}
		}
	}
}

// The database alone signs nothing.
func TestKeySet_StoresKeysEncrypted(t *testing.T) {
	i := newFixture(t)
	i.node().mustRefresh()
	stored := i.storedKeys()[0].State()
	if _, err := jwt.New().Parse(stored.EncryptedKey); err == nil {
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
	if err := i.node().refresh(); err == nil {
		t.Error("a key was opened under another name")
	}
}

// Two nodes look after the keys of one database, at different moments. Tokens of either are believed by both for as long as
// they live, and whoever asked for the published keys five minutes before knows the one that signs.
func TestKeySet_RotationRejectsNoToken(t *testing.T) {
	i := newFixture(t)
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
		acting.mustRefresh()
		text := acting.mustIssue()
		out = append(out, token{text, i.clock.Now().Add(policy.TTL)})
		out = slices.DeleteFunc(out, func(each token) bool { return !i.clock.Now().Before(each.expires) })
		published = append(published, acting.publishedIDs())
		known := published[max(0, len(published)-1-int(5*time.Minute/step))]
		signers[signedBy(t, text)] = true
		if !slices.Contains(known, signedBy(t, text)) {
			t.Fatalf("after %s key %s signs, which was not published five minutes before", time.Duration(at)*step, signedBy(t, text))
		}
		for _, each := range out {
			for _, node := range nodes {
				if err := node.verify(each.text); err != nil {
					t.Fatalf("after %s: %v", time.Duration(at)*step, err)
				}
			}
		}
		if stored := i.storedKeys(); len(stored) > 3 {
			t.Fatalf("after %s %d keys are kept", time.Duration(at)*step, len(stored))
		}
		i.clock.advance(step)
	}
	if len(signers) != 3 {
		t.Errorf("%d keys have signed in twelve hours", len(signers))
	}
}

func TestKeySet_RemovesExpiredKey(t *testing.T) {
	i := newFixture(t)
	n := i.node()
	first := signedBy(t, n.mustIssue())
	i.clock.advance(rotation.Interval - announcePeriod)
	n.mustRefresh()
	if got := keyStates(n.list()); !slices.Equal(got, []signingkeys.KeyState{signingkeys.KeyAnnounced, signingkeys.KeySigning}) {
		t.Fatalf("announced: %q", got)
	}
	i.clock.advance(announcePeriod)
	if got := keyStates(n.list()); !slices.Equal(got, []signingkeys.KeyState{signingkeys.KeySigning, signingkeys.KeyRetired}) {
		t.Fatalf("taken over: %q", got)
	}
	if second := signedBy(t, n.mustIssue()); second == first {
		t.Error("the first one signs still")
	}
	i.clock.advance(policy.TTL + 10*time.Minute - time.Microsecond)
	n.mustRefresh()
	if !slices.Contains(n.publishedIDs(), first) {
		t.Error("it is gone before its time")
	}
	i.clock.advance(time.Microsecond)
	n.mustRefresh()
	if slices.Contains(n.publishedIDs(), first) || len(i.storedKeys()) != 1 {
		t.Errorf("it is still published, or one of %d stored", len(i.storedKeys()))
	}
}

func TestList_NewestFirst(t *testing.T) {
	i := newFixture(t)
	n := i.node()
	n.mustRefresh()
	i.clock.advance(time.Minute)
	list := n.mustRotate()
	want := []signingkeys.Key{
		{Algorithm: domain.SigningES256, State: signingkeys.KeyAnnounced, CreatedAt: noon.Add(time.Minute), SignsFrom: noon.Add(time.Minute + announcePeriod)},
		{Algorithm: domain.SigningES256, State: signingkeys.KeySigning, CreatedAt: noon, SignsFrom: noon},
	}
	if len(list) != len(want) {
		t.Fatalf("listed %+v", list)
	}
	for at := range want {
		want[at].ID = list[at].ID
	}
	if !slices.Equal(list, want) || !slices.Equal(n.list(), want) {
		t.Errorf("got  %+v, then %+v\nwant %+v", list, n.list(), want)
	}
	if published := n.publishedIDs(); !slices.Equal(published, []string{list[1].ID, list[0].ID}) {
		t.Errorf("published %q of %+v", published, list)
	}
}

func TestRotate_RejectsNoToken(t *testing.T) {
	i := newFixture(t)
	n, other := i.node(), i.node()
	before := n.mustIssue()
	// Twice in a row: whoever is unsure whether it worked does it again.
	n.mustRotate()
	list := n.mustRotate()
	if got := keyStates(list); !slices.Equal(got, []signingkeys.KeyState{signingkeys.KeyAnnounced, signingkeys.KeyAnnounced, signingkeys.KeySigning}) {
		t.Fatalf("listed %q", got)
	}
	if still := signedBy(t, n.mustIssue()); still != signedBy(t, before) {
		t.Error("a key signs that nobody can know yet")
	}
	for range int(3 * time.Hour / time.Minute) {
		for _, node := range []*node{n, other} {
			node.mustRefresh()
			token := node.mustIssue()
			if err := errors.Join(n.verify(token), other.verify(token)); err != nil {
				t.Fatal(err)
			}
		}
		if now := i.clock.Now(); now.Before(noon.Add(policy.TTL)) {
			if err := errors.Join(n.verify(before), other.verify(before)); err != nil {
				t.Fatal(err)
			}
		} else if now.After(noon.Add(announcePeriod)) && signedBy(t, n.mustIssue()) != list[0].ID {
			t.Fatal("the new key does not sign")
		}
		i.clock.advance(time.Minute)
	}
}

func TestKeySet_NewAlgorithmIsAnnouncedAtOnce(t *testing.T) {
	i := newFixture(t)
	before := i.node().mustIssue()
	edwards := rotation
	edwards.Algorithm = domain.SigningEdDSA
	n := i.nodeWith(edwards, i.secret)
	n.mustRefresh()
	list := n.list()
	if len(list) != 2 || list[0].Algorithm != domain.SigningEdDSA || list[0].State != signingkeys.KeyAnnounced || list[1].State != signingkeys.KeySigning {
		t.Fatalf("listed %+v", list)
	}
	if err := n.verify(before); err != nil {
		t.Errorf("a token of the former algorithm: %v", err)
	}
	i.clock.advance(announcePeriod)
	token := n.mustIssue()
	if err := n.verify(token); err != nil || signedBy(t, token) != list[0].ID {
		t.Errorf("a token of the new one: signed by %s, %v", signedBy(t, token), err)
	}
}

// Nodes have clocks of their own, and a clock is put back now and then. The first key signs from the moment when it was
// made, by the clock of the node that made it.
func TestKeySet_ToleratesClockSkew(t *testing.T) {
	i := newFixture(t)
	i.node().mustRefresh()
	for _, behind := range []time.Duration{time.Microsecond, 5 * time.Second} {
		i.clock.advance(-behind)
		n := i.node()
		if err := n.verify(n.mustIssue()); err != nil {
			t.Errorf("%s behind: %v", behind, err)
		}
		if got := keyStates(n.list()); !slices.Equal(got, []signingkeys.KeyState{signingkeys.KeySigning}) {
			t.Errorf("%s behind: listed %q", behind, got)
		}
		i.clock.advance(behind)
	}
}

// tickingClock is a clock that never says the same twice, as a real one.
type tickingClock struct{ clock *clock }

func (c tickingClock) Now() time.Time {
	c.clock.advance(time.Microsecond)
	return c.clock.Now()
}

// A request has begun before the key is made that it needs.
func TestKeySet_FirstKeyServesItsRequest(t *testing.T) {
	i := newFixture(t)
	sealer, err := masterkey.NewSealer(i.secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	n := i.nodeOf(&signingkeys.Service{Store: i.store, TokenKeys: jwt.New(), Sealer: sealer, Clock: tickingClock{i.clock}, Rotation: rotation})
	if err := n.verify(n.mustIssue()); err != nil {
		t.Error(err)
	}
}

func TestKeySet_CachedKeysSurviveStoreError(t *testing.T) {
	i := newFixture(t)
	n, late := i.node(), i.node()
	n.mustRefresh()
	i.store.unavailable = true
	if err := n.refresh(); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("keeping the keys: %v", err)
	}
	if err := n.verify(n.mustIssue()); err != nil {
		t.Errorf("a node that knows them: %v", err)
	}
	if _, err := late.issue(); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("a node that does not, issuing: %v", err)
	}
	if err := late.verify("x"); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("a node that does not, reading: %v", err)
	}
	if _, err := late.service.Publish(t.Context()); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("a node that does not, publishing: %v", err)
	}
	if _, err := late.service.List(t.Context()); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("a node that does not, listing: %v", err)
	}
	if _, err := n.rotate(); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("rotating: %v", err)
	}
	i.store.unavailable = false
	if err := late.verify(late.mustIssue()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// The key was due and could not be made; the present one signs on, and the next look makes it.
func TestKeySet_RetriesFailedRotation(t *testing.T) {
	i := newFixture(t)
	n := i.node()
	first := signedBy(t, n.mustIssue())
	i.clock.advance(rotation.Interval)
	i.store.unavailable = true
	if err := n.refresh(); !errors.Is(err, domain.ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
	if still := signedBy(t, n.mustIssue()); still != first {
		t.Error("another key signs")
	}
	i.store.unavailable = false
	n.mustRefresh()
	if got := keyStates(n.list()); !slices.Equal(got, []signingkeys.KeyState{signingkeys.KeyAnnounced, signingkeys.KeySigning}) {
		t.Errorf("listed %q", got)
	}
}

// Every node looks twice a minute. That is a look, as long as no key comes or goes.
func TestKeySet_RefreshWritesNothingWhenUnchanged(t *testing.T) {
	i := newFixture(t)
	n, other := i.node(), i.node()
	n.mustRefresh()
	i.store.beforeUpdate = func() { t.Error("something is written") }
	for range 10 {
		n.mustRefresh()
		other.mustRefresh()
		i.clock.advance(time.Minute)
	}
}

func TestKeySet_GenerateError(t *testing.T) {
	i := newFixture(t)
	unknown := rotation
	unknown.Algorithm = "HS256"
	if err := i.nodeWith(unknown, i.secret).refresh(); err == nil || !strings.Contains(err.Error(), "HS256") {
		t.Errorf("of an unknown algorithm: %v", err)
	}
	open := i.nodeOf(&signingkeys.Service{Store: i.store, TokenKeys: jwt.New(), Sealer: failingSealer{}, Clock: i.clock, Rotation: rotation})
	if err := open.refresh(); !errors.Is(err, errSealer) {
		t.Errorf("that cannot be sealed: %v", err)
	}
	if len(i.storedKeys()) != 0 {
		t.Errorf("%d keys are stored", len(i.storedKeys()))
	}
}

// failingSealer is a sealer that seals nothing.
type failingSealer struct{}

var errSealer = errors.New("it does not close")

func (failingSealer) Seal([]byte, string) ([]byte, error) { return nil, errSealer }
func (failingSealer) Open([]byte, string) ([]byte, error) { return nil, errSealer }

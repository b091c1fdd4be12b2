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

	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
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

// announcePeriod is the time from the publication of a key until it signs.
const announcePeriod = 2 * time.Hour

// clock moves only by advance.
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

// hookedStore fails while unavailable is set, and runs beforeUpdate once before the next update.
type hookedStore struct {
	ports.Store
	unavailable  bool
	beforeUpdate func()
}

func (s *hookedStore) View(ctx context.Context, fn func(ports.Tx) error) error {
	if s.unavailable {
		return domain.ErrUnavailable
	}
	return s.Store.View(ctx, fn)
}

func (s *hookedStore) Update(ctx context.Context, fn func(ports.Tx) error) error {
	if s.unavailable {
		return domain.ErrUnavailable
	}
	if hook := s.beforeUpdate; hook != nil {
		s.beforeUpdate = nil
		hook()
	}
	return s.Store.Update(ctx, fn)
}

// fixture is a database that several nodes share.
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

// node is a server with its own Service.
type node struct {
	*fixture
	service *signingkeys.Service
	issuer  *signingkeys.Issuer
}

func (f *fixture) node() *node { return f.nodeWith(rotation, f.secret) }

// nodeWith returns a node with the rotation and the secrets.
func (f *fixture) nodeWith(rotation domain.KeyRotation, current masterkey.Key, previous ...masterkey.Key) *node {
	f.t.Helper()
	sealer, err := masterkey.NewSealer(current, previous)
	if err != nil {
		f.t.Fatal(err)
	}
	return f.nodeOf(&signingkeys.Service{Store: f.store, TokenKeys: jwt.New(), Sealer: sealer, Clock: f.clock, Rotation: rotation})
}

func (f *fixture) nodeOf(service *signingkeys.Service) *node {
	return &node{f, service, &signingkeys.Issuer{
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

// signedBy returns the kid of a token.
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

func (f *fixture) storedKeys() (keys domain.SigningKeys) {
	f.t.Helper()
	err := f.store.Store.View(f.t.Context(), func(tx ports.Tx) (err error) {
		keys, err = tx.SigningKeys.All(f.t.Context())
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return keys
}

func TestService_FirstKeyIsGeneratedOnce(t *testing.T) {
	f := newFixture(t)
	shared := f.node()
	nodes := make([]*node, 16)
	issued := make([]string, len(nodes))
	var issuing sync.WaitGroup
	for at := range nodes {
		nodes[at] = shared // half of the requests share a node
		if at%2 == 0 {
			nodes[at] = f.node()
		}
		issuing.Go(func() {
			var err error
			if issued[at], err = nodes[at].issue(); err != nil {
				t.Error(err)
			}
		})
	}
	issuing.Wait()
	if t.Failed() {
		return
	}
	if stored := f.storedKeys(); len(stored) != 1 {
		t.Fatalf("%d keys are stored, want 1", len(stored))
	}
	for _, token := range issued {
		for _, node := range nodes {
			if err := node.verify(token); err != nil {
				t.Errorf("another node rejects a token: %v", err)
			}
		}
	}
}

// The stored keys are useless without the secret.
func TestService_StoresKeysEncrypted(t *testing.T) {
	f := newFixture(t)
	f.node().mustRefresh()
	stored := f.storedKeys()[0].State()
	if _, err := jwt.New().Parse(stored.EncryptedKey); err == nil {
		t.Error("the stored key can be read")
	}
	// The encryption binds a key to its id.
	renamed := stored
	renamed.ID = "another"
	err := f.store.Update(t.Context(), func(tx ports.Tx) error {
		return errors.Join(tx.SigningKeys.Remove(t.Context(), stored.ID), tx.SigningKeys.Add(t.Context(), domain.RestoreSigningKey(renamed)))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.node().refresh(); err == nil {
		t.Error("a key was decrypted with another id")
	}
}

// Two nodes of one database refresh at different times. Each accepts the tokens of both until they expire, and the key that signs was
// published five minutes before.
// Requirement: ASVS-13.3.1
func TestService_RotationRejectsNoToken(t *testing.T) {
	f := newFixture(t)
	nodes := []*node{f.node(), f.node()}
	type token struct {
		text    string
		expires time.Time
	}
	var valid []token
	var published [][]string // at each step
	signers := map[string]bool{}
	const step = time.Minute
	for at := range int(12 * time.Hour / step) {
		node := nodes[at%2]
		node.mustRefresh()
		text := node.mustIssue()
		valid = append(valid, token{text, f.clock.Now().Add(policy.TTL)})
		valid = slices.DeleteFunc(valid, func(tok token) bool { return !f.clock.Now().Before(tok.expires) })
		published = append(published, node.publishedIDs())
		known := published[max(0, len(published)-1-int(5*time.Minute/step))]
		signers[signedBy(t, text)] = true
		if !slices.Contains(known, signedBy(t, text)) {
			t.Fatalf("after %s: key %s signs but was not published five minutes before", time.Duration(at)*step, signedBy(t, text))
		}
		for _, tok := range valid {
			for _, n := range nodes {
				if err := n.verify(tok.text); err != nil {
					t.Fatalf("after %s: %v", time.Duration(at)*step, err)
				}
			}
		}
		if stored := f.storedKeys(); len(stored) > 3 {
			t.Fatalf("after %s: %d stored keys", time.Duration(at)*step, len(stored))
		}
		f.clock.advance(step)
	}
	if len(signers) != 3 {
		t.Errorf("%d keys signed in twelve hours, want 3", len(signers))
	}
}

func TestService_RemovesExpiredKey(t *testing.T) {
	f := newFixture(t)
	n := f.node()
	first := signedBy(t, n.mustIssue())
	f.clock.advance(rotation.Interval - announcePeriod)
	n.mustRefresh()
	if got := keyStates(n.list()); !slices.Equal(got, []signingkeys.KeyState{signingkeys.KeyAnnounced, signingkeys.KeySigning}) {
		t.Fatalf("after the announcement: %q", got)
	}
	f.clock.advance(announcePeriod)
	if got := keyStates(n.list()); !slices.Equal(got, []signingkeys.KeyState{signingkeys.KeySigning, signingkeys.KeyRetired}) {
		t.Fatalf("after the rotation: %q", got)
	}
	if second := signedBy(t, n.mustIssue()); second == first {
		t.Error("the first key still signs")
	}
	f.clock.advance(policy.TTL + 10*time.Minute - time.Microsecond)
	n.mustRefresh()
	if !slices.Contains(n.publishedIDs(), first) {
		t.Error("the first key was removed too early")
	}
	f.clock.advance(time.Microsecond)
	n.mustRefresh()
	if slices.Contains(n.publishedIDs(), first) || len(f.storedKeys()) != 1 {
		t.Errorf("the first key is still published, or stored among %d", len(f.storedKeys()))
	}
}

// A token that was verified before is rejected when its key is no longer accepted.
func TestService_RejectsVerifiedTokenOfRemovedKey(t *testing.T) {
	f := newFixture(t)
	n := f.node()
	token := n.mustIssue()
	n.mustVerifyTwice(token)
	err := f.store.Update(t.Context(), func(tx ports.Tx) error { return tx.SigningKeys.Remove(t.Context(), signedBy(t, token)) })
	if err != nil {
		t.Fatal(err)
	}
	n.mustRefresh()
	if err := n.verify(token); !errors.Is(err, domain.ErrAccessTokenInvalid) {
		t.Errorf("got %v, want %v", err, domain.ErrAccessTokenInvalid)
	}
}

func TestService_RejectsVerifiedTokenAfterExpiry(t *testing.T) {
	f := newFixture(t)
	n := f.node()
	token := n.mustIssue()
	n.mustVerifyTwice(token)
	f.clock.advance(24 * time.Hour)
	if err := n.verify(token); !errors.Is(err, domain.ErrAccessTokenExpired) {
		t.Errorf("got %v, want %v", err, domain.ErrAccessTokenExpired)
	}
}

// mustVerifyTwice verifies the token, the second time from memory.
func (n *node) mustVerifyTwice(token string) {
	n.t.Helper()
	for range 2 {
		if err := n.verify(token); err != nil {
			n.t.Fatal(err)
		}
	}
}

func TestList_NewestFirst(t *testing.T) {
	f := newFixture(t)
	n := f.node()
	n.mustRefresh()
	f.clock.advance(time.Minute)
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
	f := newFixture(t)
	n, other := f.node(), f.node()
	before := n.mustIssue()
	// Twice in a row, as by an operator who repeats the command.
	n.mustRotate()
	list := n.mustRotate()
	if got := keyStates(list); !slices.Equal(got, []signingkeys.KeyState{signingkeys.KeyAnnounced, signingkeys.KeyAnnounced, signingkeys.KeySigning}) {
		t.Fatalf("listed %q", got)
	}
	if still := signedBy(t, n.mustIssue()); still != signedBy(t, before) {
		t.Error("a key signs during its announcement")
	}
	for range int(3 * time.Hour / time.Minute) {
		for _, node := range []*node{n, other} {
			node.mustRefresh()
			token := node.mustIssue()
			if err := errors.Join(n.verify(token), other.verify(token)); err != nil {
				t.Fatal(err)
			}
		}
		if now := f.clock.Now(); now.Before(noon.Add(policy.TTL)) {
			if err := errors.Join(n.verify(before), other.verify(before)); err != nil {
				t.Fatal(err)
			}
		} else if now.After(noon.Add(announcePeriod)) && signedBy(t, n.mustIssue()) != list[0].ID {
			t.Fatal("the new key does not sign")
		}
		f.clock.advance(time.Minute)
	}
}

func TestService_NewAlgorithmIsAnnouncedAtOnce(t *testing.T) {
	f := newFixture(t)
	before := f.node().mustIssue()
	eddsa := rotation
	eddsa.Algorithm = domain.SigningEdDSA
	n := f.nodeWith(eddsa, f.secret)
	n.mustRefresh()
	list := n.list()
	if len(list) != 2 || list[0].Algorithm != domain.SigningEdDSA || list[0].State != signingkeys.KeyAnnounced || list[1].State != signingkeys.KeySigning {
		t.Fatalf("listed %+v", list)
	}
	if err := n.verify(before); err != nil {
		t.Errorf("a token of the previous algorithm: %v", err)
	}
	f.clock.advance(announcePeriod)
	token := n.mustIssue()
	if err := n.verify(token); err != nil || signedBy(t, token) != list[0].ID {
		t.Errorf("a token of the new algorithm: signed by %s, %v", signedBy(t, token), err)
	}
}

// The clocks of nodes differ, and a clock may be set back. The first key signs at once, also on a node whose clock is behind.
func TestService_ToleratesClockSkew(t *testing.T) {
	f := newFixture(t)
	f.node().mustRefresh()
	for _, behind := range []time.Duration{time.Microsecond, 5 * time.Second} {
		f.clock.advance(-behind)
		n := f.node()
		if err := n.verify(n.mustIssue()); err != nil {
			t.Errorf("%s behind: %v", behind, err)
		}
		if got := keyStates(n.list()); !slices.Equal(got, []signingkeys.KeyState{signingkeys.KeySigning}) {
			t.Errorf("%s behind: listed %q", behind, got)
		}
		f.clock.advance(behind)
	}
}

// tickingClock advances with each call, as a real clock does.
type tickingClock struct{ clock *clock }

func (c tickingClock) Now() time.Time {
	c.clock.advance(time.Microsecond)
	return c.clock.Now()
}

// A request may begin before its key is generated.
func TestService_FirstKeyServesItsRequest(t *testing.T) {
	f := newFixture(t)
	sealer, err := masterkey.NewSealer(f.secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	n := f.nodeOf(&signingkeys.Service{Store: f.store, TokenKeys: jwt.New(), Sealer: sealer, Clock: tickingClock{f.clock}, Rotation: rotation})
	if err := n.verify(n.mustIssue()); err != nil {
		t.Error(err)
	}
}

func TestService_CachedKeysSurviveStoreError(t *testing.T) {
	f := newFixture(t)
	n, late := f.node(), f.node()
	n.mustRefresh()
	f.store.unavailable = true
	if err := n.refresh(); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("refresh: %v", err)
	}
	if err := n.verify(n.mustIssue()); err != nil {
		t.Errorf("a node with cached keys: %v", err)
	}
	if _, err := late.issue(); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("issuing without cached keys: %v", err)
	}
	if err := late.verify("x"); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("verifying without cached keys: %v", err)
	}
	if _, err := late.service.Publish(t.Context()); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("publishing without cached keys: %v", err)
	}
	if _, err := late.service.List(t.Context()); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("listing without cached keys: %v", err)
	}
	if _, err := n.rotate(); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("rotation: %v", err)
	}
	f.store.unavailable = false
	if err := late.verify(late.mustIssue()); err != nil {
		t.Errorf("after the outage: %v", err)
	}
}

// If a key is due and cannot be stored, the current one keeps signing, and the next refresh retries.
func TestService_RetriesFailedRotation(t *testing.T) {
	f := newFixture(t)
	n := f.node()
	first := signedBy(t, n.mustIssue())
	f.clock.advance(rotation.Interval)
	f.store.unavailable = true
	if err := n.refresh(); !errors.Is(err, domain.ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
	if signer := signedBy(t, n.mustIssue()); signer != first {
		t.Error("another key signs")
	}
	f.store.unavailable = false
	n.mustRefresh()
	if got := keyStates(n.list()); !slices.Equal(got, []signingkeys.KeyState{signingkeys.KeyAnnounced, signingkeys.KeySigning}) {
		t.Errorf("listed %q", got)
	}
}

// Every node refreshes twice a minute. Without a change, it only reads.
func TestService_RefreshWritesNothingWhenUnchanged(t *testing.T) {
	f := newFixture(t)
	n, other := f.node(), f.node()
	n.mustRefresh()
	f.store.beforeUpdate = func() { t.Error("the refresh wrote to the store") }
	for range 10 {
		n.mustRefresh()
		other.mustRefresh()
		f.clock.advance(time.Minute)
	}
}

func TestService_GenerateError(t *testing.T) {
	f := newFixture(t)
	unknown := rotation
	unknown.Algorithm = "HS256"
	if err := f.nodeWith(unknown, f.secret).refresh(); err == nil || !strings.Contains(err.Error(), "HS256") {
		t.Errorf("unknown algorithm: %v", err)
	}
	failing := f.nodeOf(&signingkeys.Service{Store: f.store, TokenKeys: jwt.New(), Sealer: failingSealer{}, Clock: f.clock, Rotation: rotation})
	if err := failing.refresh(); !errors.Is(err, errSealer) {
		t.Errorf("failing encryption: %v", err)
	}
	if len(f.storedKeys()) != 0 {
		t.Errorf("%d keys are stored", len(f.storedKeys()))
	}
}

// failingSealer is a sealer that returns errors.
type failingSealer struct{}

var errSealer = errors.New("sealer failed")

func (failingSealer) Seal([]byte, string) ([]byte, error) { return nil, errSealer }
func (failingSealer) Open([]byte, string) ([]byte, error) { return nil, errSealer }

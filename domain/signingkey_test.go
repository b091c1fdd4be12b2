package domain_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
)

var monthly = domain.KeyRotation{Algorithm: domain.SigningES256, Interval: 30 * 24 * time.Hour, TokenTTL: 5 * time.Minute}

const (
	leadTime      = 2 * time.Hour    // before a key signs
	gracePeriod   = 10 * time.Minute // after the last token of a key has expired
	jwksCacheTime = 5 * time.Minute  // of services that cache the published keys
)

// signingKey returns a key with the id.
func signingKey(id string, signsFrom time.Time) *domain.SigningKey {
	return domain.RestoreSigningKey(domain.SigningKeyState{ID: id, Algorithm: domain.SigningES256, SignsFrom: signsFrom})
}

func keyIDs(keys domain.SigningKeys) []string {
	list := make([]string, 0, len(keys))
	for _, key := range keys {
		list = append(list, key.ID())
	}
	return list
}

func TestSigningKeys_Signer(t *testing.T) {
	keys := domain.SigningKeys{signingKey("second", noon.Add(time.Hour)), signingKey("first", noon), signingKey("third", noon.Add(2*time.Hour))}
	for after, want := range map[time.Duration]string{
		0:                          "first",
		time.Hour - 1:              "first",
		time.Hour:                  "second",
		2*time.Hour - 1:            "second",
		2 * time.Hour:              "third",
		100 * 365 * 24 * time.Hour: "third",
	} {
		if got := keys.Signer(noon.Add(after)); got.ID() != want {
			t.Errorf("after %s: %s signs", after, got.ID())
		}
	}
	if none := (domain.SigningKeys{}).Signer(noon); none != nil {
		t.Errorf("without keys: %s signs", none.ID())
	}
}

// A node with a slow clock may read a key that another node has just generated, with a SignsFrom in its future.
func TestSigningKeys_Signer_clockBehind(t *testing.T) {
	keys := domain.SigningKeys{signingKey("second", noon.Add(time.Hour)), signingKey("first", noon), signingKey("third", noon.Add(2*time.Hour))}
	for range keys {
		if got := keys.Signer(noon.Add(-time.Microsecond)); got == nil || got.ID() != "first" {
			t.Errorf("of %q: %v signs", keyIDs(keys), got)
		}
		keys = append(keys[1:], keys[0])
	}
}

func TestSigningKeys_Successor(t *testing.T) {
	first := domain.SigningKeys{}.Successor("first", domain.SigningEdDSA, []byte("encrypted"), noon)
	if is := first.State(); is.ID != "first" || is.Algorithm != domain.SigningEdDSA || string(is.EncryptedKey) != "encrypted" || !is.CreatedAt.Equal(noon) || !is.SignsFrom.Equal(noon) {
		t.Errorf("the first key: %+v", is)
	}
	later := noon.Add(time.Hour)
	second := domain.SigningKeys{first}.Successor("second", domain.SigningES256, nil, later)
	if !second.CreatedAt().Equal(later) || !second.SignsFrom().Equal(later.Add(leadTime)) || second.Algorithm() != domain.SigningES256 {
		t.Errorf("the second key: %+v", second.State())
	}
}

// Keys that are generated at the same time sign one after the other: with two latest keys the order of rotation would be undefined.
func TestSigningKeys_Successor_distinctSignsFrom(t *testing.T) {
	keys := domain.SigningKeys{signingKey("0", noon.Add(-time.Hour))}
	for i, now := range []time.Time{noon, noon, noon.Add(-time.Second), noon.Add(time.Microsecond), noon.Add(2 * time.Microsecond), noon.Add(3 * time.Microsecond)} {
		next := keys.Successor(fmt.Sprint(i+1), domain.SigningES256, nil, now)
		for _, key := range keys {
			if !next.SignsFrom().After(key.SignsFrom()) {
				t.Errorf("key %s of %s signs from %s, and %s from %s", next.ID(), now, next.SignsFrom(), key.ID(), key.SignsFrom())
			}
		}
		if lead := next.SignsFrom().Sub(now); lead < leadTime {
			t.Errorf("key %s is published %s before it signs", next.ID(), lead)
		}
		if at := next.SignsFrom(); !at.Equal(at.Truncate(time.Microsecond)) {
			t.Errorf("key %s signs from %s, with a precision that stores do not have", next.ID(), at)
		}
		keys = append(keys, next)
	}
	if t.Failed() {
		return
	}
	if expired := keys.Expired(monthly, noon.Add(leadTime+time.Hour)); len(expired) != len(keys)-1 {
		t.Errorf("an hour later %q of %q have expired", keyIDs(expired), keyIDs(keys))
	}
}

func TestSigningKeys_RotationDue(t *testing.T) {
	one := domain.SigningKeys{signingKey("one", noon)}
	edwards := monthly
	edwards.Algorithm = domain.SigningEdDSA
	for name, c := range map[string]struct {
		keys     domain.SigningKeys
		rotation domain.KeyRotation
		after    time.Duration
		want     bool
	}{
		"no keys":                   {nil, monthly, 0, true},
		"a new key":                 {one, monthly, 0, false},
		"just before the lead time": {one, monthly, monthly.Interval - leadTime - 1, false},
		"at the lead time":          {one, monthly, monthly.Interval - leadTime, true},
		"long after its interval":   {one, monthly, 10 * monthly.Interval, true},
		"the next key is published": {append(slices.Clone(one), signingKey("two", noon.Add(monthly.Interval))), monthly, monthly.Interval - leadTime, false},
		"another algorithm is set":  {one, edwards, 0, true},
		"the next key has the algorithm": {
			append(slices.Clone(one), domain.RestoreSigningKey(domain.SigningKeyState{ID: "two", Algorithm: domain.SigningEdDSA, SignsFrom: noon.Add(time.Hour)})),
			edwards, 0, false,
		},
	} {
		if got := c.keys.RotationDue(c.rotation, noon.Add(c.after)); got != c.want {
			t.Errorf("%s: due %t", name, got)
		}
	}
}

func TestSigningKeys_Expired(t *testing.T) {
	keys := domain.SigningKeys{
		signingKey("third", noon.Add(2*time.Hour)), signingKey("first", noon), signingKey("second", noon.Add(time.Hour)), signingKey("last", noon.Add(24*time.Hour)),
	}
	rest := monthly.TokenTTL + gracePeriod
	for after, want := range map[time.Duration][]string{
		0:                    {},
		time.Hour:            {},
		time.Hour + rest - 1: {},
		time.Hour + rest:     {"first"},
		2 * time.Hour:        {"first"},
		2*time.Hour + rest:   {"first", "second"},
		23 * time.Hour:       {"first", "second"},
		24*time.Hour + rest:  {"third", "first", "second"},
		-time.Hour:           {}, // the clock was put back
	} {
		if got := keyIDs(keys.Expired(monthly, noon.Add(after))); !slices.Equal(got, want) {
			t.Errorf("after %s: expired %q, want %q", after, got, want)
		}
	}
	if expired := (domain.SigningKeys{}).Expired(monthly, noon); len(expired) != 0 {
		t.Errorf("of no keys: expired %q", keyIDs(expired))
	}
}

func TestSigningKey_Equal(t *testing.T) {
	key := signingKey("one", noon)
	if !key.Equal(signingKey("one", noon.Add(time.Hour))) || key.Equal(signingKey("another", noon)) {
		t.Error("keys are not equal by id")
	}
}

func TestSigningKey_StateIsACopy(t *testing.T) {
	given := domain.SigningKeyState{ID: "id", EncryptedKey: []byte("encrypted")}
	key := domain.RestoreSigningKey(given)
	state := key.State()
	given.EncryptedKey[0], state.EncryptedKey[0] = 'g', 't'
	if got := key.State().EncryptedKey; string(got) != "encrypted" {
		t.Errorf("changed to %q", got)
	}
}

// rotationSimulation rotates signing keys, signs a token at every step, and checks the rules of rotation.
type rotationSimulation struct {
	t         *testing.T
	rotation  domain.KeyRotation
	keys      domain.SigningKeys
	generated int
	published map[string]time.Time // when a key was published
	tokens    map[string]time.Time // when the last token of a key expires
	signed    []string             // the signers, in order
}

func newRotationSimulation(t *testing.T, rotation domain.KeyRotation) *rotationSimulation {
	return &rotationSimulation{t: t, rotation: rotation, published: map[string]time.Time{}, tokens: map[string]time.Time{}}
}

func (s *rotationSimulation) addKey(now time.Time) {
	s.generated++
	key := s.keys.Successor(fmt.Sprint(s.generated), s.rotation.Algorithm, nil, now)
	s.keys = append(s.keys, key)
	s.published[key.ID()] = now
}

// rotate generates and removes keys, as a node does at an interval.
func (s *rotationSimulation) rotate(now time.Time) {
	if s.keys.RotationDue(s.rotation, now) {
		s.addKey(now)
	}
	expired := s.keys.Expired(s.rotation, now)
	s.keys = slices.DeleteFunc(s.keys, func(key *domain.SigningKey) bool { return slices.Contains(expired, key) })
}

func (s *rotationSimulation) sign(now time.Time) {
	s.t.Helper()
	signer := s.keys.Signer(now)
	if signer == nil {
		s.t.Fatalf("%s: no key signs; keys are %q", now, keyIDs(s.keys))
	}
	// A store returns keys in any order.
	slices.Reverse(s.keys)
	if other := s.keys.Signer(now); other != signer {
		s.t.Fatalf("%s: both %s and %s sign", now, signer.ID(), other.ID())
	}
	if last := len(s.signed) - 1; last < 0 || s.signed[last] != signer.ID() {
		s.signed = append(s.signed, signer.ID())
	}
	if age := now.Sub(s.published[signer.ID()]); signer.ID() != "1" && age < leadTime {
		s.t.Fatalf("%s: key %s signs, published %s ago", now, signer.ID(), age)
	}
	s.tokens[signer.ID()] = now.Add(s.rotation.TokenTTL)
}

// checkPublished fails the test unless a key is published while its tokens are valid, also for a service with a slow clock and
// cached keys.
func (s *rotationSimulation) checkPublished(now time.Time) {
	s.t.Helper()
	for id, expires := range s.tokens {
		if !now.Before(expires.Add(gracePeriod)) {
			delete(s.tokens, id)
			continue
		}
		if !slices.ContainsFunc(s.keys, func(key *domain.SigningKey) bool { return key.ID() == id }) {
			s.t.Fatalf("%s: key %s was removed, and a token of it expires at %s", now, id, expires)
		}
		if published := s.published[id]; id != "1" && now.Sub(published) < jwksCacheTime {
			s.t.Fatalf("%s: a token of key %s is valid, and a cache may not have the key yet", now, id)
		}
	}
}

func TestSigningKeys_RotationOverAYear(t *testing.T) {
	const day, year = 24 * time.Hour, 365 * 24 * time.Hour
	daily := domain.KeyRotation{Algorithm: domain.SigningES256, Interval: day, TokenTTL: 5 * time.Minute}
	longLived := domain.KeyRotation{Algorithm: domain.SigningES256, Interval: day, TokenTTL: time.Hour}
	edwards := monthly
	edwards.Algorithm = domain.SigningEdDSA
	for name, c := range map[string]struct {
		rotation domain.KeyRotation
		during   time.Duration
		step     time.Duration // between two runs of the job
		events   map[time.Duration]func(*rotationSimulation, time.Time)
		signers  int // keys that have signed
	}{
		"every month": {monthly, year, time.Minute, nil, 13},
		"rare runs":   {monthly, year, 7*time.Minute + time.Second, nil, 13},
		"every day":   {daily, year, time.Minute, nil, 365},
		"long tokens": {longLived, year, time.Minute, nil, 365},
		"the algorithm is changed and restored": {monthly, year, time.Minute, map[time.Duration]func(*rotationSimulation, time.Time){
			100 * day:               func(s *rotationSimulation, _ time.Time) { s.rotation = edwards },
			100*day + 5*time.Minute: func(s *rotationSimulation, _ time.Time) { s.rotation = monthly },
		}, 14},
		"forced twice in a row": {monthly, year, time.Minute, map[time.Duration]func(*rotationSimulation, time.Time){
			100 * day: func(s *rotationSimulation, now time.Time) { s.addKey(now); s.addKey(now.Add(time.Second)) },
		}, 14},
		"forced just before it is due": {monthly, year, time.Minute, map[time.Duration]func(*rotationSimulation, time.Time){
			monthly.Interval - leadTime - time.Minute: func(s *rotationSimulation, now time.Time) { s.addKey(now) },
		}, 13},
	} {
		t.Run(name, func(t *testing.T) {
			s := newRotationSimulation(t, c.rotation)
			maxKeys := 0
			for after := time.Duration(0); after < c.during; after += c.step {
				now := noon.Add(after)
				if event := c.events[after]; event != nil {
					event(s, now)
				}
				s.rotate(now)
				s.sign(now)
				s.checkPublished(now)
				maxKeys = max(maxKeys, len(s.keys))
			}
			if len(s.signed) != c.signers {
				t.Errorf("%d keys have signed, want %d", len(s.signed), c.signers)
			}
			if maxKeys > 4 {
				t.Errorf("%d keys at once", maxKeys)
			}
		})
	}
}

// A clock may be set back by a few seconds at any time of a rotation.
func TestSigningKeys_ClockSetBack(t *testing.T) {
	often := domain.KeyRotation{Algorithm: domain.SigningES256, Interval: 3 * time.Hour, TokenTTL: 5 * time.Minute}
	for _, back := range []time.Duration{time.Microsecond, time.Second, 90 * time.Second} {
		for at := time.Duration(0); at < 4*time.Hour; at += time.Minute {
			s := newRotationSimulation(t, often)
			for after := time.Duration(0); after < 7*time.Hour; after += time.Minute {
				now := noon.Add(after)
				if after > at {
					now = now.Add(-back)
				}
				s.rotate(now)
				if after == at {
					s.rotate(now.Add(-back))
					s.sign(now.Add(-back))
					s.sign(now)
					s.rotate(now.Add(-back))
				}
				s.sign(now)
				s.checkPublished(now)
			}
		}
	}
}

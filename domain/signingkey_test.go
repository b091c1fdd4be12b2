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
	jwksCacheTime = 5 * time.Minute  // by those who ask for the published keys
)

// signingKey is a key called id.
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
			t.Errorf("after %s %s signs", after, got.ID())
		}
	}
	if none := (domain.SigningKeys{}).Signer(noon); none != nil {
		t.Errorf("without keys %s signs", none.ID())
	}
}

// A node whose clock goes a little slow, or was put back, sees a key that another has just made for now.
func TestSigningKeys_Signer_clockBehind(t *testing.T) {
	keys := domain.SigningKeys{signingKey("second", noon.Add(time.Hour)), signingKey("first", noon), signingKey("third", noon.Add(2*time.Hour))}
	for range keys {
		if got := keys.Signer(noon.Add(-time.Microsecond)); got == nil || got.ID() != "first" {
			t.Errorf("of %q %v signs", keyIDs(keys), got)
		}
		keys = append(keys[1:], keys[0])
	}
}

func TestSigningKeys_Successor(t *testing.T) {
	first := domain.SigningKeys{}.Successor("first", domain.SigningEdDSA, []byte("sealed"), noon)
	if is := first.State(); is.ID != "first" || is.Algorithm != domain.SigningEdDSA || string(is.EncryptedKey) != "sealed" || !is.CreatedAt.Equal(noon) || !is.SignsFrom.Equal(noon) {
		t.Errorf("the first key: %+v", is)
	}
	later := noon.Add(time.Hour)
	second := domain.SigningKeys{first}.Successor("second", domain.SigningES256, nil, later)
	if !second.CreatedAt().Equal(later) || !second.SignsFrom().Equal(later.Add(leadTime)) || second.Algorithm() != domain.SigningES256 {
		t.Errorf("the second key: %+v", second.State())
	}
}

// Keys that are made at the same time still sign one after the other: with two latest ones nobody could say whose tokens
// are the last of the other.
func TestSigningKeys_Successor_distinctSignsFrom(t *testing.T) {
	keys := domain.SigningKeys{signingKey("0", noon.Add(-time.Hour))}
	for i, now := range []time.Time{noon, noon, noon.Add(-time.Second), noon.Add(time.Microsecond), noon.Add(2 * time.Microsecond), noon.Add(3 * time.Microsecond)} {
		next := keys.Successor(fmt.Sprint(i+1), domain.SigningES256, nil, now)
		for _, key := range keys {
			if !next.SignsFrom().After(key.SignsFrom()) {
				t.Errorf("key %s, made at %s, signs from %s, and %s from %s", next.ID(), now, next.SignsFrom(), key.ID(), key.SignsFrom())
			}
		}
		if announced := next.SignsFrom().Sub(now); announced < leadTime {
			t.Errorf("key %s is announced for %s", next.ID(), announced)
		}
		if at := next.SignsFrom(); !at.Equal(at.Truncate(time.Microsecond)) {
			t.Errorf("key %s signs from %s, which no store keeps", next.ID(), at)
		}
		keys = append(keys, next)
	}
	if t.Failed() {
		return
	}
	if spent := keys.Expired(monthly, noon.Add(leadTime+time.Hour)); len(spent) != len(keys)-1 {
		t.Errorf("an hour later %q of %q are spent", keyIDs(spent), keyIDs(keys))
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
		"without any":                       {nil, monthly, 0, true},
		"the first is new":                  {one, monthly, 0, false},
		"just before":                       {one, monthly, monthly.Interval - leadTime - 1, false},
		"when the next is to be announced":  {one, monthly, monthly.Interval - leadTime, true},
		"long after":                        {one, monthly, 10 * monthly.Interval, true},
		"the next is announced":             {append(slices.Clone(one), signingKey("two", noon.Add(monthly.Interval))), monthly, monthly.Interval - leadTime, false},
		"it signs otherwise than it should": {one, edwards, 0, true},
		"the next signs as it should": {
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
		-time.Hour:           {}, // a clock that was put back
	} {
		if got := keyIDs(keys.Expired(monthly, noon.Add(after))); !slices.Equal(got, want) {
			t.Errorf("after %s %q are spent, want %q", after, got, want)
		}
	}
	if spent := (domain.SigningKeys{}).Expired(monthly, noon); len(spent) != 0 {
		t.Errorf("of no keys %q are spent", keyIDs(spent))
	}
}

func TestSigningKey_Equal(t *testing.T) {
	key := signingKey("one", noon)
	if !key.Equal(signingKey("one", noon.Add(time.Hour))) || key.Equal(signingKey("another", noon)) {
		t.Error("it is not itself, or it is another")
	}
}

func TestSigningKey_StateIsACopy(t *testing.T) {
	given := domain.SigningKeyState{ID: "id", EncryptedKey: []byte("sealed")}
	key := domain.RestoreSigningKey(given)
	taken := key.State()
	given.EncryptedKey[0], taken.EncryptedKey[0] = 'g', 't'
	if got := key.State().EncryptedKey; string(got) != "sealed" {
		t.Errorf("it became %q", got)
	}
}

// rotationSimulation plays the keys of an installation, with a token signed at every step, and holds them to what is promised.
type rotationSimulation struct {
	t         *testing.T
	rotation  domain.KeyRotation
	keys      domain.SigningKeys
	made      int
	published map[string]time.Time // the first moment when everybody could ask for a key
	tokens    map[string]time.Time // when the last token of a key expires
	signed    []string             // the keys, as they followed each other
}

func newRotationSimulation(t *testing.T, rotation domain.KeyRotation) *rotationSimulation {
	return &rotationSimulation{t: t, rotation: rotation, published: map[string]time.Time{}, tokens: map[string]time.Time{}}
}

func (i *rotationSimulation) addKey(now time.Time) {
	i.made++
	key := i.keys.Successor(fmt.Sprint(i.made), i.rotation.Algorithm, nil, now)
	i.keys = append(i.keys, key)
	i.published[key.ID()] = now
}

// rotate does what is due, as a node does now and then.
func (i *rotationSimulation) rotate(now time.Time) {
	if i.keys.RotationDue(i.rotation, now) {
		i.addKey(now)
	}
	spent := i.keys.Expired(i.rotation, now)
	i.keys = slices.DeleteFunc(i.keys, func(key *domain.SigningKey) bool { return slices.Contains(spent, key) })
}

func (i *rotationSimulation) sign(now time.Time) {
	i.t.Helper()
	signer := i.keys.Signer(now)
	if signer == nil {
		i.t.Fatalf("%s: nobody signs; keys are %q", now, keyIDs(i.keys))
	}
	// The order in which a store returns the keys says nothing.
	slices.Reverse(i.keys)
	if other := i.keys.Signer(now); other != signer {
		i.t.Fatalf("%s: both %s and %s sign", now, signer.ID(), other.ID())
	}
	if last := len(i.signed) - 1; last < 0 || i.signed[last] != signer.ID() {
		i.signed = append(i.signed, signer.ID())
	}
	if known := now.Sub(i.published[signer.ID()]); signer.ID() != "1" && known < leadTime {
		i.t.Fatalf("%s: key %s signs and was published %s ago", now, signer.ID(), known)
	}
	i.tokens[signer.ID()] = now.Add(i.rotation.TokenTTL)
}

// checkPublished holds that a key is published as long as a token of it can be shown, also by the slow clock of a service that
// asked for the keys a while ago.
func (i *rotationSimulation) checkPublished(now time.Time) {
	i.t.Helper()
	for id, expires := range i.tokens {
		if !now.Before(expires.Add(gracePeriod)) {
			delete(i.tokens, id)
			continue
		}
		if !slices.ContainsFunc(i.keys, func(key *domain.SigningKey) bool { return key.ID() == id }) {
			i.t.Fatalf("%s: key %s is gone and a token of it expires at %s", now, id, expires)
		}
		if published := i.published[id]; id != "1" && now.Sub(published) < jwksCacheTime {
			i.t.Fatalf("%s: a token of key %s is out, which not everybody knows yet", now, id)
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
		rotation  domain.KeyRotation
		during    time.Duration
		step      time.Duration // between two looks of a node
		happening map[time.Duration]func(*rotationSimulation, time.Time)
		followed  int // keys that have signed
	}{
		"every month":   {monthly, year, time.Minute, nil, 13},
		"seldom looked": {monthly, year, 7*time.Minute + time.Second, nil, 13},
		"every day":     {daily, year, time.Minute, nil, 365},
		"long tokens":   {longLived, year, time.Minute, nil, 365},
		"the algorithm is changed and changed back": {monthly, year, time.Minute, map[time.Duration]func(*rotationSimulation, time.Time){
			100 * day:               func(i *rotationSimulation, _ time.Time) { i.rotation = edwards },
			100*day + 5*time.Minute: func(i *rotationSimulation, _ time.Time) { i.rotation = monthly },
		}, 14},
		"forced twice in a row": {monthly, year, time.Minute, map[time.Duration]func(*rotationSimulation, time.Time){
			100 * day: func(i *rotationSimulation, now time.Time) { i.addKey(now); i.addKey(now.Add(time.Second)) },
		}, 14},
		"forced just before it is due": {monthly, year, time.Minute, map[time.Duration]func(*rotationSimulation, time.Time){
			monthly.Interval - leadTime - time.Minute: func(i *rotationSimulation, now time.Time) { i.addKey(now) },
		}, 13},
	} {
		t.Run(name, func(t *testing.T) {
			i := newRotationSimulation(t, c.rotation)
			most := 0
			for after := time.Duration(0); after < c.during; after += c.step {
				now := noon.Add(after)
				if happens := c.happening[after]; happens != nil {
					happens(i, now)
				}
				i.rotate(now)
				i.sign(now)
				i.checkPublished(now)
				most = max(most, len(i.keys))
			}
			if len(i.signed) != c.followed {
				t.Errorf("%d keys have signed, want %d", len(i.signed), c.followed)
			}
			if most > 4 {
				t.Errorf("%d keys were kept at once", most)
			}
		})
	}
}

// Clocks are put right by a few seconds now and then, also backwards, at any moment of a rotation.
func TestSigningKeys_ClockSetBack(t *testing.T) {
	often := domain.KeyRotation{Algorithm: domain.SigningES256, Interval: 3 * time.Hour, TokenTTL: 5 * time.Minute}
	for _, back := range []time.Duration{time.Microsecond, time.Second, 90 * time.Second} {
		for at := time.Duration(0); at < 4*time.Hour; at += time.Minute {
			i := newRotationSimulation(t, often)
			for after := time.Duration(0); after < 7*time.Hour; after += time.Minute {
				now := noon.Add(after)
				if after > at {
					now = now.Add(-back)
				}
				i.rotate(now)
				if after == at {
					i.rotate(now.Add(-back))
					i.sign(now.Add(-back))
					i.sign(now)
					i.rotate(now.Add(-back))
				}
				i.sign(now)
				i.checkPublished(now)
			}
		}
	}
}

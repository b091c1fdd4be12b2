package storetest

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

func userByID(t *testing.T, store ports.Store, id domain.UserID) (*domain.User, error) {
	t.Helper()
	return get(t, store, func(ctx context.Context, tx ports.Tx) (*domain.User, error) { return tx.Users.ByID(ctx, id) })
}

func credentialByID(t *testing.T, store ports.Store, id domain.CredentialID) (*domain.Credential, error) {
	t.Helper()
	return get(t, store, func(ctx context.Context, tx ports.Tx) (*domain.Credential, error) {
		return tx.Credentials.ByID(ctx, id)
	})
}

func credentialsOf(t *testing.T, store ports.Store, owner string) ([]*domain.Credential, error) {
	t.Helper()
	return get(t, store, func(ctx context.Context, tx ports.Tx) ([]*domain.Credential, error) {
		return tx.Credentials.ListByUser(ctx, userID(owner))
	})
}

func challengeByID(t *testing.T, store ports.Store, id domain.ChallengeID) (*domain.Challenge, error) {
	t.Helper()
	return get(t, store, func(ctx context.Context, tx ports.Tx) (*domain.Challenge, error) { return tx.Challenges.ByID(ctx, id) })
}

func sessionByToken(t *testing.T, store ports.Store, token domain.TokenDigest) (*domain.Session, error) {
	t.Helper()
	return get(t, store, func(ctx context.Context, tx ports.Tx) (*domain.Session, error) {
		return tx.Sessions.ByToken(ctx, token)
	})
}

func sessionByID(t *testing.T, store ports.Store, id domain.SessionID) (*domain.Session, error) {
	t.Helper()
	return get(t, store, func(ctx context.Context, tx ports.Tx) (*domain.Session, error) { return tx.Sessions.ByID(ctx, id) })
}

func eventByKey(t *testing.T, store ports.Store, key domain.RepetitionKey) (*domain.Event, error) {
	t.Helper()
	return get(t, store, func(ctx context.Context, tx ports.Tx) (*domain.Event, error) { return tx.Events.ByKey(ctx, key) })
}

// eventsOf returns all events of a user, or all anonymous events for the zero id.
func eventsOf(t *testing.T, store ports.Store, id domain.UserID) ([]*domain.Event, error) {
	t.Helper()
	return get(t, store, func(ctx context.Context, tx ports.Tx) ([]*domain.Event, error) {
		return tx.Events.ListByUser(ctx, id, domain.EventID{}, 1000)
	})
}

func allSigningKeys(t *testing.T, store ports.Store) (domain.SigningKeys, error) {
	t.Helper()
	return get(t, store, func(ctx context.Context, tx ports.Tx) (domain.SigningKeys, error) { return tx.SigningKeys.All(ctx) })
}

func totpOf(t *testing.T, store ports.Store, owner string) (*domain.TOTP, error) {
	t.Helper()
	return get(t, store, func(ctx context.Context, tx ports.Tx) (*domain.TOTP, error) { return tx.TOTPs.Get(ctx, userID(owner)) })
}

func recoveryGrantOf(t *testing.T, store ports.Store, owner string) (*domain.RecoveryGrant, error) {
	t.Helper()
	return get(t, store, func(ctx context.Context, tx ports.Tx) (*domain.RecoveryGrant, error) {
		return tx.RecoveryGrants.ByUser(ctx, userID(owner))
	})
}

func recoveryGrantByToken(t *testing.T, store ports.Store, token domain.TokenDigest) (*domain.RecoveryGrant, error) {
	t.Helper()
	return get(t, store, func(ctx context.Context, tx ports.Tx) (*domain.RecoveryGrant, error) {
		return tx.RecoveryGrants.ByToken(ctx, token)
	})
}

func authorizationCodeOf(t *testing.T, store ports.Store, digest domain.TokenDigest) (*domain.AuthorizationCode, error) {
	t.Helper()
	return get(t, store, func(ctx context.Context, tx ports.Tx) (*domain.AuthorizationCode, error) {
		return tx.AuthorizationCodes.ByDigest(ctx, digest)
	})
}

func lockoutOf(t *testing.T, store ports.Store, subject domain.LockoutSubject) (*domain.Lockout, error) {
	t.Helper()
	return get(t, store, func(ctx context.Context, tx ports.Tx) (*domain.Lockout, error) { return tx.Lockouts.Get(ctx, subject) })
}

func dueEmails(t *testing.T, store ports.Store, now time.Time, limit int) ([]*domain.OutboxEmail, error) {
	t.Helper()
	return get(t, store, func(ctx context.Context, tx ports.Tx) ([]*domain.OutboxEmail, error) {
		return tx.OutboxEmails.ListDue(ctx, now, limit)
	})
}

// allEmails returns all e-mails, ordered by id.
func allEmails(t *testing.T, store ports.Store) []*domain.OutboxEmail {
	t.Helper()
	all, err := dueEmails(t, store, hour(9999), 9999)
	wantError(t, err, nil)
	slices.SortFunc(all, func(a, b *domain.OutboxEmail) int { return compareIDs(a.ID(), b.ID()) })
	return all
}

// wantEmails fails the test unless the store contains exactly these e-mails.
func wantEmails(t *testing.T, store ports.Store, want ...domain.OutboxEmailState) {
	t.Helper()
	byID := func(a, b domain.OutboxEmailState) int { return compareIDs(a.ID, b.ID) }
	wantList(t, allEmails(t, store), nil, slices.SortedFunc(slices.Values(want), byID)...)
}

// wantCodeCount fails the test unless the owner has this number of backup codes, in a set created at this time.
func wantCodeCount(t *testing.T, store ports.Store, owner string, count int, created time.Time) {
	t.Helper()
	type codeSet struct {
		count   int
		created time.Time
	}
	got, err := get(t, store, func(ctx context.Context, tx ports.Tx) (s codeSet, err error) {
		s.count, s.created, err = tx.BackupCodes.Count(ctx, userID(owner))
		return s, err
	})
	if want := (codeSet{count, created}); err != nil || got != want {
		t.Fatalf("%s has %d codes of %v, error %v; want %d of %v", owner, got.count, got.created, err, count, created)
	}
}

// wantCodes fails the test unless the owner has exactly these backup codes.
func wantCodes(t *testing.T, store ports.Store, owner string, want ...domain.BackupCodeDigest) {
	t.Helper()
	got, err := get(t, store, func(ctx context.Context, tx ports.Tx) ([]domain.BackupCodeDigest, error) {
		return tx.BackupCodes.List(ctx, userID(owner))
	})
	byBytes := func(a, b domain.BackupCodeDigest) int { return bytes.Compare(a[:], b[:]) }
	slices.SortFunc(got, byBytes)
	if want = slices.SortedFunc(slices.Values(want), byBytes); err != nil || !slices.Equal(got, want) {
		t.Fatalf("%s has the codes %x, error %v; want %x", owner, got, err, want)
	}
}

// wantCodeOwner fails the test unless each of the codes belongs to the owner.
func wantCodeOwner(t *testing.T, store ports.Store, owner string, set ...domain.BackupCodeDigest) {
	t.Helper()
	for i, digest := range set {
		id, found, err := codeOwner(t, store, digest)
		if err != nil || id != userID(owner) || found != digest {
			t.Fatalf("code %d: got %v, %x, %v; want owner %s", i, id, found, err, owner)
		}
	}
}

// wantNoCodeOwner fails the test if any of the codes belongs to a user.
func wantNoCodeOwner(t *testing.T, store ports.Store, set ...domain.BackupCodeDigest) {
	t.Helper()
	for _, digest := range set {
		_, _, err := codeOwner(t, store, digest)
		wantError(t, err, domain.ErrInvalidCode)
	}
}

func codeOwner(t *testing.T, store ports.Store, digests ...domain.BackupCodeDigest) (id domain.UserID, found domain.BackupCodeDigest, err error) {
	t.Helper()
	id, err = get(t, store, func(ctx context.Context, tx ports.Tx) (id domain.UserID, err error) {
		id, found, err = tx.BackupCodes.FindOwner(ctx, digests)
		return id, err
	})
	return id, found, err
}

// wantSame fails the test unless the store returned the state that it was given.
func wantSame[A interface{ State() S }, S any](t *testing.T, got A, err error, want S) {
	t.Helper()
	if err != nil {
		t.Fatalf("reading: %v", err)
	}
	if !reflect.DeepEqual(got.State(), want) {
		t.Fatalf("different state:\n got %+v\nwant %+v", got.State(), want)
	}
}

// wantList fails the test unless the store returned exactly these, in this order.
func wantList[A interface{ State() S }, S any](t *testing.T, got []A, err error, want ...S) {
	t.Helper()
	if err != nil {
		t.Fatalf("listing: %v", err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d of %T listed, want %d", len(got), got, len(want))
	}
	for i := range want {
		wantSame(t, got[i], nil, want[i])
	}
}

// wantPages fails the test unless page returns the wanted list with every limit: in order, without duplicates or gaps, and only the last
// page is incomplete. page returns up to limit ids after the given one in the list's order, or from the start for the zero id.
func wantPages[ID comparable](t *testing.T, want []ID, page func(from ID, limit int) ([]ID, error)) {
	t.Helper()
	for limit := range len(want) + 2 {
		var from ID
		for remaining := want; ; remaining = remaining[min(limit, len(remaining)):] {
			got, err := page(from, limit)
			if err != nil {
				t.Fatalf("a page of %d: %v", limit, err)
			}
			if wanted := remaining[:min(limit, len(remaining))]; !slices.Equal(got, wanted) {
				t.Fatalf("a page of %d after %v:\n got %v\nwant %v", limit, from, got, wanted)
			}
			if len(got) == 0 {
				break
			}
			from = got[len(got)-1]
		}
	}
}

// wantPageFrom fails the test unless a list in descending order of ids can be read from an id that it does not contain.
func wantPageFrom[ID interface {
	comparable
	fmt.Stringer
}](t *testing.T, all []ID, from ID, page func(from ID, limit int) ([]ID, error)) {
	t.Helper()
	want := slices.DeleteFunc(slices.Clone(all), func(id ID) bool { return compareIDs(id, from) >= 0 })
	if got, err := page(from, len(all)); err != nil || !slices.Equal(got, want) || len(got) == 0 {
		t.Fatalf("after %v: got %v, %v; want %v", from, got, err, want)
	}
}

// compareIDs orders ids as lists do: by their bytes, which is the order of their texts.
func compareIDs[ID fmt.Stringer](a, b ID) int { return strings.Compare(a.String(), b.String()) }

func idsOf[A interface{ ID() ID }, ID any](all []A) []ID {
	ids := make([]ID, len(all))
	for i, one := range all {
		ids[i] = one.ID()
	}
	return ids
}

// wantComplete fails the test if any field of a snapshot is zero, so that a new field of the domain gets a value in the fixtures.
func wantComplete(t *testing.T, snapshot any) {
	t.Helper()
	var walk func(path string, v reflect.Value)
	walk = func(path string, v reflect.Value) {
		if v.IsZero() {
			t.Errorf("%s is zero; give it a value in storetest", path)
			return
		}
		if v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		if v.Kind() != reflect.Struct || v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			walk(path+"."+v.Type().Field(i).Name, v.Field(i))
		}
	}
	walk(fmt.Sprintf("%T", snapshot), reflect.ValueOf(snapshot))
}

// wantChanged fails the test unless exactly the fixed fields are unchanged, so that each new field of the domain is either stored by Save
// or listed as fixed.
func wantChanged(t *testing.T, before, after any, fixed ...string) {
	t.Helper()
	isFixed := map[string]bool{}
	for _, name := range fixed {
		isFixed[name] = true
	}
	b, a := reflect.ValueOf(before), reflect.ValueOf(after)
	for i := range b.NumField() {
		name := b.Type().Field(i).Name
		if same := reflect.DeepEqual(b.Field(i).Interface(), a.Field(i).Interface()); same != isFixed[name] {
			t.Errorf("%T.%s: unchanged is %t, want %t", before, name, same, isFixed[name])
		}
	}
}

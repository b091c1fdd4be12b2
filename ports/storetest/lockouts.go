package storetest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var lockouts = rules{
	"every field is stored, even without such a user": func(t *testing.T, store ports.Store) {
		l := lockout("ada")
		wantComplete(t, l)
		saveLockouts(t, store, lockout("ben"), l)
		got, err := lockoutOf(t, store, l.Subject)
		wantSame(t, got, err, l)
	},

	"optional fields stay empty": func(t *testing.T, store ports.Store) {
		l := lockout("ada")
		l.LockedUntil, l.Failures = time.Time{}, 0
		saveLockouts(t, store, l)
		got, err := lockoutOf(t, store, l.Subject)
		wantSame(t, got, err, l)
	},

	"Get returns a new lockout for an unknown subject": func(t *testing.T, store ports.Store) {
		saveLockouts(t, store, lockout("ben"))
		got, err := lockoutOf(t, store, lockout("ada").Subject)
		wantSame(t, got, err, domain.LockoutState{Subject: lockout("ada").Subject})
	},

	"subjects are compared byte for byte": func(t *testing.T, store ports.Store) {
		subjects := []domain.LockoutSubject{{}, {0: 'a'}, {0: 'A'}, {31: 1}, {0: 0xff, 1: 0xc3, 31: 0xfe}}
		of := func(i int) domain.LockoutState {
			l := lockout("ada")
			l.Subject, l.Failures = subjects[i], i
			return l
		}
		for i := range subjects {
			saveLockouts(t, store, of(i))
		}
		for i, subject := range subjects {
			got, err := lockoutOf(t, store, subject)
			wantSame(t, got, err, of(i))
		}
	},

	"List returns all lockouts in pages, by subject": func(t *testing.T, store ports.Store) {
		page := func(after domain.LockoutSubject, limit int) (subjects []domain.LockoutSubject, err error) {
			list, err := get(t, store, func(ctx context.Context, tx ports.Tx) ([]*domain.Lockout, error) {
				return tx.Lockouts.List(ctx, after, limit)
			})
			for _, l := range list {
				subjects = append(subjects, l.State().Subject)
			}
			return subjects, err
		}
		wantPages(t, nil, page)
		want := []domain.LockoutSubject{{0: 0x7f}, {31: 1}, {0: 0xff, 31: 1}, {0: 'a'}, {0: 'A'}, {0: 0xff}, {0: 0x80}}
		for i, subject := range want {
			l := lockout("ada")
			l.Subject, l.Failures = subject, i
			saveLockouts(t, store, l)
		}
		slices.SortFunc(want, func(a, b domain.LockoutSubject) int { return bytes.Compare(a[:], b[:]) })
		wantPages(t, want, page)
		between, err := page(domain.LockoutSubject{0: 'A', 31: 7}, 1)
		if err != nil || len(between) != 1 || between[0] != (domain.LockoutSubject{0: 'a'}) {
			t.Fatalf("after an unknown subject: %x, %v", between, err)
		}
	},

	"List returns every field": func(t *testing.T, store ports.Store) {
		saveLockouts(t, store, lockout("ada"))
		list, err := get(t, store, func(ctx context.Context, tx ports.Tx) ([]*domain.Lockout, error) {
			return tx.Lockouts.List(ctx, domain.LockoutSubject{}, 9)
		})
		wantList(t, list, err, lockout("ada"))
	},

	"Save stores every mutable field": func(t *testing.T, store ports.Store) {
		before := lockout("ada")
		after := domain.LockoutState{Subject: before.Subject, Failures: 1 << 40, UpdatedAt: hour(30)}
		wantChanged(t, before, after, "Subject")
		saveLockouts(t, store, lockout("ben"))
		for _, state := range []domain.LockoutState{before, after, before} {
			saveLockouts(t, store, state)
			got, err := lockoutOf(t, store, before.Subject)
			wantSame(t, got, err, state)
		}
		got, err := lockoutOf(t, store, lockout("ben").Subject)
		wantSame(t, got, err, lockout("ben"))
	},

	"Clear removes one lockout, and a missing one is no error": func(t *testing.T, store ports.Store) {
		saveLockouts(t, store, lockout("ada"), lockout("ben"))
		for range 2 {
			update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.Lockouts.Clear(ctx, lockout("ada").Subject) })
			got, err := lockoutOf(t, store, lockout("ada").Subject)
			wantSame(t, got, err, domain.LockoutState{Subject: lockout("ada").Subject})
			got, err = lockoutOf(t, store, lockout("ben").Subject)
			wantSame(t, got, err, lockout("ben"))
		}
	},

	"returned aggregates are copies": func(t *testing.T, store ports.Store) {
		given := domain.RestoreLockout(lockout("ada"))
		update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.Lockouts.Save(ctx, given) })
		given.RecordFailure(hour(30))
		got, err := lockoutOf(t, store, lockout("ada").Subject)
		wantSame(t, got, err, lockout("ada"))
		got.RecordFailure(hour(31))
		got, err = lockoutOf(t, store, lockout("ada").Subject)
		wantSame(t, got, err, lockout("ada"))
	},

	"DeleteExpired deletes old lockouts, oldest first, up to the limit": func(t *testing.T, store ports.Store) {
		now := hour(50)
		names := []string{"oldest", "older", "just now", "too new", "new"}
		for name, l := range map[string]domain.LockoutState{
			"oldest":   {Failures: 30, UpdatedAt: now.Add(-2 * time.Hour)},
			"older":    {Failures: 1, UpdatedAt: now.Add(-time.Hour)},
			"just now": {Failures: 1, UpdatedAt: now},
			"too new":  {Failures: 1, UpdatedAt: now.Add(time.Microsecond)},
			"new":      {Failures: 1, UpdatedAt: now.Add(time.Hour)},
		} {
			l.Subject = lockout(name).Subject
			saveLockouts(t, store, l)
		}
		for _, step := range []struct{ deleted, remaining string }{
			{"2", "[just now too new new]"},
			{"1", "[too new new]"},
			{"0", "[too new new]"},
		} {
			var deleted int
			update(t, store, func(ctx context.Context, tx ports.Tx) (err error) {
				deleted, err = tx.Lockouts.DeleteExpired(ctx, now, 2)
				return err
			})
			remaining := []string{}
			for _, name := range names {
				if l, err := lockoutOf(t, store, lockout(name).Subject); err == nil && l.State().Failures > 0 {
					remaining = append(remaining, name)
				}
			}
			if fmt.Sprint(deleted) != step.deleted || fmt.Sprint(remaining) != step.remaining {
				t.Fatalf("deleted %d, remaining %v; want %s, %s", deleted, remaining, step.deleted, step.remaining)
			}
		}
	},
}

package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// serializable are the rules of callers that read, decide and write. Update guarantees that what fn has read does not change until its
// commit, so the result is that of some order of the callers (SQL's SERIALIZABLE). It is not enough to lock the rows that fn writes, or
// to give each fn a snapshot: these callers write different rows or add new ones, and each of them alone would be correct.
// Cases of: adapters/postgres.TestContract/Serializable, adapters/sqlite.TestContract/Serializable
// Requirement: ASVS-2.3.3
var serializable = rules{
	"of concurrent callers that remove one of two passkeys, one succeeds": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		addCredentials(t, store, unused(credential("ada", "phone")), unused(credential("ada", "laptop")))
		wantOneWinner(t, concurrently(concurrentCallers, func(i int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				keys, err := tx.Credentials.ListByUser(t.Context(), userID("ada"))
				if err != nil {
					return err
				}
				if len(keys) < 2 {
					return domain.ErrLastPasskey
				}
				yieldToOthers()
				return tx.Credentials.Remove(t.Context(), keys[i%2].ID())
			})
		}), domain.ErrLastPasskey)
		if remaining, err := credentialsOf(t, store, "ada"); err != nil || len(remaining) != 1 {
			t.Fatalf("%d passkeys remain, error %v; want 1", len(remaining), err)
		}
	},

	"concurrent increments that return CommitWith are all counted": func(t *testing.T, store ports.Store) {
		counted := lockout("caller")
		counted.Failures = 0
		saveLockouts(t, store, counted)
		for i, err := range concurrently(concurrentCallers, func(int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				l, err := tx.Lockouts.Get(t.Context(), counted.Subject)
				if err != nil {
					return err
				}
				next := l.State()
				next.Failures++
				yieldToOthers()
				if err := tx.Lockouts.Save(t.Context(), domain.RestoreLockout(next)); err != nil {
					return err
				}
				return ports.CommitWith(errCaller)
			})
		}) {
			if err != errCaller {
				t.Errorf("caller %d got %v, want %v itself", i, err, errCaller)
			}
		}
		counted.Failures = concurrentCallers
		got, err := lockoutOf(t, store, counted.Subject)
		wantSame(t, got, err, counted)
	},

	"concurrent callers do not exceed the passkey limit": func(t *testing.T, store ports.Store) {
		const limit = 3
		addUsers(t, store, user("ada"))
		addCredentials(t, store, credential("ada", "first"))
		added := 0
		for i, err := range concurrently(concurrentCallers, func(i int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				keys, err := tx.Credentials.ListByUser(t.Context(), userID("ada"))
				if err != nil {
					return err
				}
				if err := domain.Passkeys(keys).CheckLimit(limit); err != nil {
					return err
				}
				yieldToOthers()
				return addCredential(t.Context(), tx, credential("ada", fmt.Sprint("further", i)))
			})
		}) {
			if err == nil {
				added++
			} else if !errors.Is(err, domain.ErrPasskeyLimitReached) {
				t.Errorf("caller %d got %v, want %v", i, err, domain.ErrPasskeyLimitReached)
			}
		}
		if stored, err := credentialsOf(t, store, "ada"); err != nil || len(stored) != limit || added != limit-1 {
			t.Fatalf("%d were added and %d are stored, error %v; want %d and %d", added, len(stored), err, limit-1, limit)
		}
	},

	// Requirement: Durability-concurrency
	"of concurrent callers that refresh one token, one rotates it and all get the same successor": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		keys := domain.KeyRing[domain.RefreshToken]{fixedBytes("refresh key", 32)}
		lifetime := domain.SessionLifetime{TTL: 9 * time.Hour, IdleTTL: time.Hour}
		key := domain.RestoreCredential(credential("ada", "key"))
		opened, token := domain.OpenBearerSession(key, domain.Device{}, lifetime, keys, hour(0), randomSource("token"))
		addSessions(t, store, opened.State())

		var successors [concurrentCallers]domain.RefreshToken
		var rotated [concurrentCallers]bool
		for _, err := range concurrently(concurrentCallers, func(i int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				session, err := tx.Sessions.ByID(t.Context(), token.SessionID())
				if err != nil {
					return err
				}
				now := hour(0).Add(time.Duration(1+i) * time.Microsecond)
				if successors[i], rotated[i], err = session.Refresh(token, keys, lifetime, now); err != nil || !rotated[i] {
					return err
				}
				yieldToOthers()
				return tx.Sessions.Save(t.Context(), session)
			})
		}) {
			wantError(t, err, nil)
		}

		won := slices.Index(rotated[:], true)
		for i := range concurrentCallers {
			if successors[i].Reveal() != successors[0].Reveal() || rotated[i] && i != won {
				t.Fatalf("caller %d: rotated %t, first rotated by caller %d; same successor as caller 0: %t",
					i, rotated[i], won, successors[i].Reveal() == successors[0].Reveal())
			}
		}
		want := opened.State()
		want.Token, want.PreviousToken = successors[won].Digest(), token.Digest()
		want.RotatedAt = hour(0).Add(time.Duration(1+won) * time.Microsecond)
		want.LastSeenAt, want.IdleEndsAt = want.RotatedAt, want.RotatedAt.Add(lifetime.IdleTTL)
		got, err := sessionByID(t, store, opened.ID())
		wantSame(t, got, err, want)
	},

	"of concurrent callers that find no signing key, one adds one": func(t *testing.T, store ports.Store) {
		for _, err := range concurrently(concurrentCallers, func(i int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				keys, err := tx.SigningKeys.All(t.Context())
				if err != nil || len(keys) > 0 {
					return err
				}
				yieldToOthers()
				return tx.SigningKeys.Add(t.Context(), domain.RestoreSigningKey(signingKey(fmt.Sprint("key", i))))
			})
		}) {
			wantError(t, err, nil)
		}
		if keys, err := allSigningKeys(t, store); err != nil || len(keys) != 1 {
			t.Fatalf("%d keys were added, error %v; want 1", len(keys), err)
		}
	},

	"concurrent changes of a session are not lost": func(t *testing.T, store ports.Store) {
		want := activeSession("ada", "phone")
		want.AMR = nil
		addUsers(t, store, user("ada"))
		addSessions(t, store, want)
		for _, err := range concurrently(concurrentCallers, func(i int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				session, err := tx.Sessions.ByID(t.Context(), want.ID)
				if err != nil {
					return err
				}
				s := session.State()
				s.AMR = append(s.AMR, fmt.Sprintf("change %02d", i))
				yieldToOthers()
				return tx.Sessions.Save(t.Context(), domain.RestoreSession(s))
			})
		}) {
			wantError(t, err, nil)
		}
		got, err := sessionByID(t, store, want.ID)
		wantError(t, err, nil)
		s := got.State()
		slices.Sort(s.AMR)
		for i := range concurrentCallers {
			want.AMR = append(want.AMR, fmt.Sprintf("change %02d", i))
		}
		wantSame(t, domain.RestoreSession(s), nil, want)
	},

	// Requirement: ASVS-6.5.1, NIST-3.1.4
	"of concurrent callers that use one TOTP code, one is accepted": func(t *testing.T, store ports.Store) {
		want := totp("ada")
		step := want.LastStep + 1
		addUsers(t, store, user("ada"))
		saveTOTPs(t, store, want)
		wantOneWinner(t, concurrently(concurrentCallers, func(int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				app, err := tx.TOTPs.Get(t.Context(), userID("ada"))
				if err != nil {
					return err
				}
				if err := app.Accept(step); err != nil {
					return err
				}
				yieldToOthers()
				return tx.TOTPs.Save(t.Context(), app)
			})
		}), domain.ErrInvalidCode)
		want.LastStep = step
		got, err := totpOf(t, store, "ada")
		wantSame(t, got, err, want)
	},

	// Requirement: ASVS-6.3.1
	"concurrent wrong codes are all counted": func(t *testing.T, store ports.Store) {
		subject := lockout("ada").Subject
		for _, err := range concurrently(concurrentCallers, func(i int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				counted, err := tx.Lockouts.Get(t.Context(), subject)
				if err != nil {
					return err
				}
				counted.RecordFailure(hour(i))
				yieldToOthers()
				return tx.Lockouts.Save(t.Context(), counted)
			})
		}) {
			wantError(t, err, nil)
		}
		got, err := lockoutOf(t, store, subject)
		wantError(t, err, nil)
		if n := got.State().Failures; n != concurrentCallers {
			t.Fatalf("%d wrong codes are counted, want %d", n, concurrentCallers)
		}
	},

	"concurrent callers that take the earliest due e-mail get different ones": func(t *testing.T, store ports.Store) {
		now := hour(50)
		addUsers(t, store, user("ada"))
		for i := range concurrentCallers {
			m := outboxEmail("ada", fmt.Sprint("e-mail", i))
			m.DueAt = hour(i / 4) // four at each time
			addEmails(t, store, m)
		}
		var taken [concurrentCallers]domain.OutboxEmailID
		for _, err := range concurrently(concurrentCallers, func(i int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				due, err := tx.OutboxEmails.ListDue(t.Context(), now, 1)
				if err != nil || len(due) == 0 {
					return errors.Join(err, errors.New("no e-mail is due"))
				}
				due[0].BeginAttempt(now)
				taken[i] = due[0].ID()
				yieldToOthers()
				return tx.OutboxEmails.Save(t.Context(), due[0])
			})
		}) {
			wantError(t, err, nil)
		}
		slices.SortFunc(taken[:], compareIDs)
		if distinct := slices.Compact(slices.Clone(taken[:])); len(distinct) != concurrentCallers {
			t.Fatalf("%d e-mails were taken by %d callers", len(distinct), concurrentCallers)
		}
		remaining, err := dueEmails(t, store, now, 1)
		wantList(t, remaining, err)
	},

	"a backup code that was found can be consumed, even if another caller replaces the set": func(t *testing.T, store ports.Store) {
		before, after := codes("before"), codes("after")
		addUsers(t, store, user("ada"))
		replaceCodes(t, store, "ada", before, hour(24))
		for i, err := range concurrently(concurrentCallers, func(i int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				if i == concurrentCallers/2 {
					return tx.BackupCodes.Replace(t.Context(), userID("ada"), after, hour(25))
				}
				_, digest, err := tx.BackupCodes.FindOwner(t.Context(), before[i%len(before):][:1])
				if err != nil {
					return err
				}
				yieldToOthers()
				if err := tx.BackupCodes.Consume(t.Context(), digest); err != nil {
					return fmt.Errorf("consuming a code that was found: %s", err.Error())
				}
				return nil
			})
		}) {
			if err != nil && i != concurrentCallers/2 {
				wantError(t, err, domain.ErrInvalidCode)
			} else {
				wantError(t, err, nil)
			}
		}
		wantCodeCount(t, store, "ada", len(after), hour(25))
		wantCodeOwner(t, store, "ada", after...)
		wantNoCodeOwner(t, store, before...)
	},

	"a caller that finds a user and adds data commits before the removal of the user, or fails": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		tag := func(i int) string { return fmt.Sprint("tag", i) }
		for i, err := range concurrently(concurrentCallers, func(i int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				ctx := t.Context()
				if i == concurrentCallers/2 {
					return tx.Users.Remove(ctx, userID("ada"))
				}
				if _, err := tx.Users.ByID(ctx, userID("ada")); err != nil {
					return err
				}
				yieldToOthers()
				return errors.Join(addUserData(ctx, tx, "ada", tag(i)), addRecoveryData(ctx, tx, "ada", tag(i)))
			})
		}) {
			if err != nil && i != concurrentCallers/2 {
				wantError(t, err, domain.ErrUserNotFound)
			} else {
				wantError(t, err, nil)
			}
		}
		for i := range concurrentCallers {
			wantNoUserData(t, store, "ada", tag(i))
			wantNoRecoveryData(t, store, "ada", tag(i))
		}
	},
}

// yieldToOthers gives other callers time to read the same data, if the store allows that.
func yieldToOthers() { time.Sleep(time.Millisecond) }

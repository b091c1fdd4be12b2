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

// serializable are what Update's promise is for, that what fn has read stays as it was read until the commit: read, decide,
// write. The outcome is that of callers who came one after another (serializable, in SQL's words). It is not enough to
// guard the rows that fn writes, or to show each fn one state of its own: these callers write different rows, or add what
// nobody else has, and each of them alone would be right.
var serializable = rules{
	"of many who take one of somebody's two passkeys away one does": func(t *testing.T, store ports.Store) {
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
		if left, err := credentialsOf(t, store, "ada"); err != nil || len(left) != 1 {
			t.Fatalf("%d passkeys are left, error %v; want 1", len(left), err)
		}
	},

	"of many who count and return CommitWith each is counted": func(t *testing.T, store ports.Store) {
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

	"as many add a passkey as the limit has room for": func(t *testing.T, store ports.Store) {
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
				return tx.Credentials.Add(t.Context(), domain.RestoreCredential(credential("ada", fmt.Sprint("further", i))))
			})
		}) {
			if err == nil {
				added++
			} else if !errors.Is(err, domain.ErrPasskeyLimitReached) {
				t.Errorf("caller %d got %v, want %v", i, err, domain.ErrPasskeyLimitReached)
			}
		}
		if kept, err := credentialsOf(t, store, "ada"); err != nil || len(kept) != limit || added != limit-1 {
			t.Fatalf("%d were added and %d are kept, error %v; want %d and %d", added, len(kept), err, limit-1, limit)
		}
	},

	"of many who refresh with one token one rotates it, and all get the same successor": func(t *testing.T, store ports.Store) {
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
				t.Fatalf("caller %d: rotated is %t, as it is for caller %d; the same successor as caller 0's: %t",
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

	"of many who find no signing key and make one one does": func(t *testing.T, store ports.Store) {
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
			t.Fatalf("%d keys were made, error %v; want 1", len(keys), err)
		}
	},

	"of many who change one session no change is lost": func(t *testing.T, store ports.Store) {
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

	"of many who show one code of an app one is let in": func(t *testing.T, store ports.Store) {
		want := totp("ada")
		shown := want.LastStep + 1
		addUsers(t, store, user("ada"))
		saveTOTPs(t, store, want)
		wantOneWinner(t, concurrently(concurrentCallers, func(int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				app, err := tx.TOTPs.Get(t.Context(), userID("ada"))
				if err != nil {
					return err
				}
				if err := app.Accept(shown); err != nil {
					return err
				}
				yieldToOthers()
				return tx.TOTPs.Save(t.Context(), app)
			})
		}), domain.ErrInvalidCode)
		want.LastStep = shown
		got, err := totpOf(t, store, "ada")
		wantSame(t, got, err, want)
	},

	"of many wrong codes at once each counts": func(t *testing.T, store ports.Store) {
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

	"of many who take the message that is due for longest each gets another one": func(t *testing.T, store ports.Store) {
		now := hour(50)
		addUsers(t, store, user("ada"))
		for i := range concurrentCallers {
			m := outboxEmail("ada", fmt.Sprint("letter", i))
			m.DueAt = hour(i / 4) // by fours due at one time
			addEmails(t, store, m)
		}
		var taken [concurrentCallers]domain.OutboxEmailID
		for _, err := range concurrently(concurrentCallers, func(i int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				due, err := tx.OutboxEmails.ListDue(t.Context(), now, 1)
				if err != nil || len(due) == 0 {
					return errors.Join(err, errors.New("nothing is due"))
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
			t.Fatalf("%d messages were taken by %d callers", len(distinct), concurrentCallers)
		}
		left, err := dueEmails(t, store, now, 1)
		wantList(t, left, err)
	},

	"a code that was found can be spent, whoever replaces its set meanwhile": func(t *testing.T, store ports.Store) {
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
					return fmt.Errorf("it was found, and now: %s", err.Error())
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

	"whoever finds a user and adds what is theirs is done before the user goes": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		tag := func(i int) string { return fmt.Sprint("visit", i) }
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

// yieldToOthers is time for others to read the same, if the store lets them.
func yieldToOthers() { time.Sleep(time.Millisecond) }

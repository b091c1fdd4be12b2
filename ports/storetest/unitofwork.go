package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var (
	errCaller    = errors.New("the caller's error")
	errCommitted = errors.New("the caller's error to be returned after the commit")
)

// overlapTimeout is how long a rule waits for operations that a store need not run at the same time.
const overlapTimeout = time.Second

// Cases of: adapters/postgres.TestContract/UnitOfWork, adapters/sqlite.TestContract/UnitOfWork
// Requirement: ASVS-2.3.3
var unitOfWork = rules{
	"an error of fn is returned unchanged and rolls back": func(t *testing.T, store ports.Store) {
		seed(t, store)
		err := store.Update(t.Context(), func(tx ports.Tx) error { return errors.Join(writeEverything(t.Context(), tx), errCaller) })
		wantError(t, err, errCaller)
		wantSeedOnly(t, store)
		wantError(t, store.View(t.Context(), func(ports.Tx) error { return errCaller }), errCaller)
	},

	"CommitWith commits and returns its error unchanged": func(t *testing.T, store ports.Store) {
		seed(t, store)
		err := store.Update(t.Context(), func(tx ports.Tx) error {
			if err := writeEverything(t.Context(), tx); err != nil {
				return err
			}
			return ports.CommitWith(errCaller)
		})
		if err != errCaller {
			t.Errorf("got error %v, want %v itself", err, errCaller)
		}
		got, err := userByID(t, store, userID("new"))
		wantSame(t, got, err, user("new"))
		got, err = userByID(t, store, userID("ada"))
		wantSame(t, got, err, renamed(user("ada")))
		_, err = userByID(t, store, userID("leaver"))
		wantError(t, err, domain.ErrUserNotFound)
		update(t, store, func(context.Context, ports.Tx) error { return ports.CommitWith(nil) })
	},

	"CommitWith does not commit after the context has ended": func(t *testing.T, store ports.Store) {
		seed(t, store)
		ctx, cancel := context.WithCancel(t.Context())
		err := store.Update(ctx, func(tx ports.Tx) error {
			if err := writeEverything(ctx, tx); err != nil {
				return err
			}
			cancel()
			return ports.CommitWith(errCaller)
		})
		wantError(t, err, context.Canceled)
		wantSeedOnly(t, store)
	},

	"an Update with an asynchronous commit commits, or rolls back": func(t *testing.T, store ports.Store) {
		seed(t, store)
		ctx := ports.WithAsyncCommit(t.Context())
		err := store.Update(ctx, func(tx ports.Tx) error { return errors.Join(writeEverything(ctx, tx), errCaller) })
		wantError(t, err, errCaller)
		wantSeedOnly(t, store)
		if err := store.Update(ctx, func(tx ports.Tx) error { return writeEverything(ctx, tx) }); err != nil {
			t.Fatal(err)
		}
		got, err := userByID(t, store, userID("new"))
		wantSame(t, got, err, user("new"))
		_, err = userByID(t, store, userID("leaver"))
		wantError(t, err, domain.ErrUserNotFound)
	},

	"an error that fn handles does not roll back": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		duplicate := user("ben")
		duplicate.Email = user("ada").Email
		update(t, store, func(ctx context.Context, tx ports.Tx) error {
			if err := tx.Users.Add(ctx, domain.RestoreUser(duplicate)); !errors.Is(err, domain.ErrEmailTaken) {
				return fmt.Errorf("adding: got %v, want %v", err, domain.ErrEmailTaken)
			}
			if err := tx.Users.Add(ctx, domain.RestoreUser(user("cem"))); err != nil {
				return err
			}
			moved := user("cem")
			moved.Email = user("ada").Email
			if err := tx.Users.Save(ctx, domain.RestoreUser(moved)); !errors.Is(err, domain.ErrEmailTaken) {
				return fmt.Errorf("saving: got %v, want %v", err, domain.ErrEmailTaken)
			}
			return tx.Users.Add(ctx, domain.RestoreUser(user("dua")))
		})
		for _, name := range []string{"ada", "cem", "dua"} {
			got, err := userByID(t, store, userID(name))
			wantSame(t, got, err, user(name))
		}
	},

	"a panic reaches the caller and rolls back": func(t *testing.T, store ports.Store) {
		seed(t, store)
		for name, run := range map[string]func(context.Context, func(ports.Tx) error) error{"Update": store.Update, "View": store.View} {
			recovered := func() (recovered any) {
				defer func() { recovered = recover() }()
				return run(t.Context(), func(tx ports.Tx) error {
					if name == "Update" {
						if err := writeEverything(t.Context(), tx); err != nil {
							return err
						}
					}
					panic(errCaller)
				})
			}()
			if recovered != errCaller {
				t.Fatalf("%s: recovered %v, want the value of panic", name, recovered)
			}
		}
		wantSeedOnly(t, store)
		update(t, store, writeEverything)
	},

	"an Update that fails does not affect concurrent ones": func(t *testing.T, store ports.Store) {
		name := func(i int) string { return fmt.Sprint("user", i) }
		release := holdUpdate(t, store)
		results := make(chan []error)
		var started sync.WaitGroup
		started.Add(concurrentCallers)
		go func() {
			results <- concurrently(concurrentCallers, func(i int) (err error) {
				defer func() {
					if recovered := recover(); recovered != nil {
						err = recovered.(error)
					}
				}()
				started.Done()
				return store.Update(t.Context(), func(tx ports.Tx) error {
					err := tx.Users.Add(t.Context(), domain.RestoreUser(user(name(i))))
					switch i % 4 {
					case 1:
						return errors.Join(err, errCaller)
					case 2:
						if err == nil {
							return ports.CommitWith(errCommitted)
						}
					case 3:
						panic(errCaller)
					}
					return err
				})
			})
		}()
		started.Wait()
		release()
		for i, err := range <-results {
			got, readErr := userByID(t, store, userID(name(i)))
			if i%2 == 1 {
				wantError(t, err, errCaller)
				wantError(t, readErr, domain.ErrUserNotFound)
			} else {
				var want error
				if i%4 == 2 {
					want = errCommitted
				}
				wantError(t, err, want)
				wantSame(t, got, readErr, user(name(i)))
			}
		}
	},

	"an Update sees its own writes": func(t *testing.T, store ports.Store) {
		update(t, store, func(ctx context.Context, tx ports.Tx) error {
			if err := tx.Users.Add(ctx, domain.RestoreUser(user("ada"))); err != nil {
				return err
			}
			_, err := tx.Users.ByEmail(ctx, user("ada").Email)
			return err
		})
	},

	"a View cannot write": func(t *testing.T, store ports.Store) {
		seed(t, store)
		ctx := t.Context()
		for name, write := range map[string]func(tx ports.Tx) error{
			"Users.Add":    func(tx ports.Tx) error { return tx.Users.Add(ctx, domain.RestoreUser(user("new"))) },
			"Users.Save":   func(tx ports.Tx) error { return tx.Users.Save(ctx, domain.RestoreUser(renamed(user("ada")))) },
			"Users.Remove": func(tx ports.Tx) error { return tx.Users.Remove(ctx, userID("leaver")) },
			"Credentials.Add": func(tx ports.Tx) error {
				return addCredential(ctx, tx, credential("ada", "new"))
			},
			"Credentials.Save": func(tx ports.Tx) error {
				return tx.Credentials.Save(ctx, domain.RestoreCredential(unused(credential("ada", "seed"))))
			},
			"Credentials.Remove": func(tx ports.Tx) error { return tx.Credentials.Remove(ctx, "seed") },
			"Challenges.Add":     func(tx ports.Tx) error { return tx.Challenges.Add(ctx, domain.RestoreChallenge(challenge("new"))) },
			"Challenges.Consume": func(tx ports.Tx) error { return tx.Challenges.Consume(ctx, challenge("seed").ID) },
			"Challenges.DeleteExpired": func(tx ports.Tx) error {
				_, err := tx.Challenges.DeleteExpired(ctx, hour(99), 9)
				return err
			},
			"Sessions.Add": func(tx ports.Tx) error { return tx.Sessions.Add(ctx, domain.RestoreSession(session("ada", "new"))) },
			"Sessions.Save": func(tx ports.Tx) error {
				return tx.Sessions.Save(ctx, domain.RestoreSession(activeSession("ada", "seed")))
			},
			"Sessions.DeleteExpired": func(tx ports.Tx) error {
				_, err := tx.Sessions.DeleteExpired(ctx, hour(99), 9)
				return err
			},
			"Events.Add":  func(tx ports.Tx) error { return tx.Events.Add(ctx, domain.RestoreEvent(event("ada", "new"))) },
			"Events.Save": func(tx ports.Tx) error { return tx.Events.Save(ctx, domain.RestoreEvent(event("ada", "seed"))) },
			"Events.DeleteExpired": func(tx ports.Tx) error {
				_, err := tx.Events.DeleteExpired(ctx, hour(99), 9)
				return err
			},
			"SigningKeys.Add": func(tx ports.Tx) error {
				return tx.SigningKeys.Add(ctx, domain.RestoreSigningKey(signingKey("new")))
			},
			"SigningKeys.Remove":  func(tx ports.Tx) error { return tx.SigningKeys.Remove(ctx, "seed") },
			"TOTPs.Save":          func(tx ports.Tx) error { return tx.TOTPs.Save(ctx, domain.NewTOTP(userID("ada"))) },
			"TOTPs.Remove":        func(tx ports.Tx) error { return tx.TOTPs.Remove(ctx, userID("ada")) },
			"BackupCodes.Replace": func(tx ports.Tx) error { return tx.BackupCodes.Replace(ctx, userID("ada"), codes("new"), hour(25)) },
			"BackupCodes.Consume": func(tx ports.Tx) error { return tx.BackupCodes.Consume(ctx, codes("seed")[0]) },
			"RecoveryGrants.Put": func(tx ports.Tx) error {
				return tx.RecoveryGrants.Put(ctx, domain.RestoreRecoveryGrant(recoveryGrant("ada", "new")))
			},
			"RecoveryGrants.Take": func(tx ports.Tx) error {
				_, err := tx.RecoveryGrants.Take(ctx, recoveryGrant("ada", "seed").Token)
				return err
			},
			"RecoveryGrants.DeleteExpired": func(tx ports.Tx) error {
				_, err := tx.RecoveryGrants.DeleteExpired(ctx, hour(99), 9)
				return err
			},
			"AuthorizationCodes.Add": func(tx ports.Tx) error {
				return tx.AuthorizationCodes.Add(ctx, domain.RestoreAuthorizationCode(authorizationCode("ada", "new")))
			},
			"AuthorizationCodes.Redeem": func(tx ports.Tx) error {
				return tx.AuthorizationCodes.Redeem(ctx, domain.RestoreAuthorizationCode(redeemed(authorizationCode("ada", "seed"))))
			},
			"AuthorizationCodes.DeleteExpired": func(tx ports.Tx) error {
				_, err := tx.AuthorizationCodes.DeleteExpired(ctx, hour(99), 9)
				return err
			},
			"Lockouts.Save":         func(tx ports.Tx) error { return tx.Lockouts.Save(ctx, domain.RestoreLockout(lockout("seed"))) },
			"Lockouts.Clear":        func(tx ports.Tx) error { return tx.Lockouts.Clear(ctx, lockout("seed").Subject) },
			"RecoveryGrants.Remove": func(tx ports.Tx) error { return tx.RecoveryGrants.Remove(ctx, userID("ada")) },
			"Lockouts.DeleteExpired": func(tx ports.Tx) error {
				_, err := tx.Lockouts.DeleteExpired(ctx, hour(99), 9)
				return err
			},
			"Leases.Acquire": func(tx ports.Tx) error {
				_, err := tx.Leases.Acquire(ctx, "cleanup", hour(99), hour(100))
				return err
			},
			"OutboxEmails.Add": func(tx ports.Tx) error {
				return tx.OutboxEmails.Add(ctx, domain.RestoreOutboxEmail(outboxEmail("ada", "new")))
			},
			"OutboxEmails.Save": func(tx ports.Tx) error {
				return tx.OutboxEmails.Save(ctx, domain.RestoreOutboxEmail(attempted(outboxEmail("ada", "seed"))))
			},
			"OutboxEmails.Remove": func(tx ports.Tx) error { return tx.OutboxEmails.Remove(ctx, outboxEmail("ada", "seed").ID) },
			"OutboxEmails.DeleteExpired": func(tx ports.Tx) error {
				_, err := tx.OutboxEmails.DeleteExpired(ctx, hour(99), 9)
				return err
			},
		} {
			for kind, viewCtx := range map[string]context.Context{"a View": ctx, "a View without a snapshot": ports.WithoutSnapshot(ctx)} {
				var writeErr error
				if err := store.View(viewCtx, func(tx ports.Tx) error { writeErr = write(tx); return nil }); err != nil {
					t.Errorf("%s around %s: %v", kind, name, err)
				}
				if writeErr == nil {
					t.Errorf("%s succeeded in %s", name, kind)
				}
				wantSeedOnly(t, store)
			}
		}
	},

	"a View without a snapshot reads what is committed": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		ctx := ports.WithoutSnapshot(t.Context())
		for _, name := range []string{"ben", "cem"} {
			var ada, added *domain.User
			addUsers(t, store, user(name))
			err := store.View(ctx, func(tx ports.Tx) (err error) {
				if ada, err = tx.Users.ByID(ctx, userID("ada")); err != nil {
					return err
				}
				added, err = tx.Users.ByID(ctx, userID(name))
				return err
			})
			wantSame(t, ada, err, user("ada"))
			wantSame(t, added, err, user(name))
		}
	},

	"a View sees one state from its first read to its end": func(t *testing.T, store ports.Store) {
		signUp := func(ctx context.Context, tx ports.Tx) error {
			return errors.Join(
				tx.Users.Add(ctx, domain.RestoreUser(user("ada"))),
				addCredential(ctx, tx, credential("ada", "key")))
		}
		written, ended := make(chan error, 1), make(chan struct{})
		_, err := get(t, store, func(ctx context.Context, tx ports.Tx) (any, error) {
			if _, err := tx.Users.ByID(ctx, userID("ada")); !errors.Is(err, domain.ErrUserNotFound) {
				return nil, fmt.Errorf("before: got %v, want %v", err, domain.ErrUserNotFound)
			}
			go func() {
				defer close(ended)
				written <- store.Update(ctx, func(tx ports.Tx) error { return signUp(ctx, tx) })
			}()
			select {
			case <-ended:
			case <-time.After(overlapTimeout): // a store may make Updates wait for Views
			}
			if _, err := tx.Credentials.ByID(ctx, "key"); !errors.Is(err, domain.ErrPasskeyUnknown) {
				return nil, fmt.Errorf("after: got %v, want %v", err, domain.ErrPasskeyUnknown)
			}
			return nil, nil
		})
		wantError(t, err, nil)
		wantError(t, <-written, nil)
		got, err := credentialByID(t, store, "key")
		wantSame(t, got, err, credential("ada", "key"))
	},

	"a View does not see the writes of a running Update": func(t *testing.T, store ports.Store) {
		seed(t, store)
		var views sync.WaitGroup
		update(t, store, func(ctx context.Context, tx ports.Tx) error {
			if err := writeEverything(ctx, tx); err != nil {
				return err
			}
			seen := make(chan error, 1)
			views.Go(func() {
				seen <- store.View(ctx, func(tx ports.Tx) error {
					_, err := tx.Users.ByID(ctx, userID("new"))
					return err
				})
			})
			select {
			case err := <-seen:
				if !errors.Is(err, domain.ErrUserNotFound) {
					return fmt.Errorf("a view during the update: got %v, want %v", err, domain.ErrUserNotFound)
				}
			case <-time.After(overlapTimeout): // a store may make Views wait for Updates
			}
			return nil
		})
		views.Wait()
		got, err := userByID(t, store, userID("new"))
		wantSame(t, got, err, user("new"))
	},
}

// holdUpdate starts an Update that runs until the returned function is called, which waits for its end.
func holdUpdate(t *testing.T, store ports.Store) (release func()) {
	t.Helper()
	running, released, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	var start sync.Once // fn may run again
	go func() {
		ended <- store.Update(t.Context(), func(tx ports.Tx) error {
			start.Do(func() { close(running) })
			<-released
			return tx.Users.Add(t.Context(), domain.RestoreUser(user("holder")))
		})
	}()
	<-running
	return func() {
		t.Helper()
		close(released)
		if err := <-ended; err != nil {
			t.Fatalf("the held Update: %v", err)
		}
		got, err := userByID(t, store, userID("holder"))
		wantSame(t, got, err, user("holder"))
	}
}

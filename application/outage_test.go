package application_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/adapters/jwt"
	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/login"
	"github.com/keylodge/keylodge/application/maintenance"
	"github.com/keylodge/keylodge/application/passkeys"
	"github.com/keylodge/keylodge/application/sessioncache"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/application/signup"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// failing is a store whose call number failAt fails. A commit counts as a call.
type failing struct {
	ports.Store
	failAt, calls int
	record        func(call string) // nil: calls are not recorded
}

func (s *failing) call() error {
	if s.record != nil {
		s.record(callerName())
	}
	if s.calls++; s.calls == s.failAt {
		return fmt.Errorf("call %d: %w", s.failAt, domain.ErrUnavailable)
	}
	return nil
}

func (s *failing) View(ctx context.Context, fn func(ports.Tx) error) error {
	return s.Store.View(ctx, func(tx ports.Tx) error { return fn(s.wrap(tx)) })
}

func (s *failing) Update(ctx context.Context, fn func(ports.Tx) error) error {
	return s.Store.Update(ctx, func(tx ports.Tx) error {
		if err := fn(s.wrap(tx)); err != nil {
			return err
		}
		return s.call()
	})
}

func (s *failing) wrap(tx ports.Tx) ports.Tx {
	return ports.Tx{
		Users: failingUsers{tx.Users, s}, Credentials: failingCredentials{tx.Credentials, s}, Challenges: failingChallenges{tx.Challenges, s},
		Sessions: failingSessions{tx.Sessions, s}, Events: failingEvents{tx.Events, s}, SigningKeys: failingKeys{tx.SigningKeys, s},
		TOTPs: failingTOTPs{tx.TOTPs, s}, BackupCodes: failingCodes{tx.BackupCodes, s}, RecoveryGrants: failingRecoveryGrants{tx.RecoveryGrants, s}, Lockouts: failingLockouts{tx.Lockouts, s},
		OutboxEmails: failingOutboxEmails{tx.OutboxEmails, s}, AuthorizationCodes: failingAuthorizationCodes{tx.AuthorizationCodes, s}, Invites: failingInvites{tx.Invites, s},
	}
}

type (
	failingUsers struct {
		ports.Users
		*failing
	}
	failingCredentials struct {
		ports.Credentials
		*failing
	}
	failingChallenges struct {
		ports.Challenges
		*failing
	}
	failingSessions struct {
		ports.Sessions
		*failing
	}
	failingEvents struct {
		ports.Events
		*failing
	}
	failingKeys struct {
		ports.SigningKeys
		*failing
	}
)

// orFail calls do, unless the call fails.
func orFail(s *failing, do func() error) error {
	if err := s.call(); err != nil {
		return err
	}
	return do()
}

// valueOrFail calls do, unless the call fails.
func valueOrFail[T any](s *failing, do func() (T, error)) (value T, err error) {
	if err := s.call(); err != nil {
		return value, err
	}
	return do()
}

func (u failingUsers) Add(ctx context.Context, user *domain.User) error {
	return orFail(u.failing, func() error { return u.Users.Add(ctx, user) })
}

func (u failingUsers) ByID(ctx context.Context, id domain.UserID) (*domain.User, error) {
	return valueOrFail(u.failing, func() (*domain.User, error) { return u.Users.ByID(ctx, id) })
}

func (u failingUsers) ByEmail(ctx context.Context, email domain.Email) (*domain.User, error) {
	return valueOrFail(u.failing, func() (*domain.User, error) { return u.Users.ByEmail(ctx, email) })
}

func (u failingUsers) List(ctx context.Context, after domain.UserID, limit int) ([]*domain.User, error) {
	return valueOrFail(u.failing, func() ([]*domain.User, error) { return u.Users.List(ctx, after, limit) })
}

func (u failingUsers) Save(ctx context.Context, user *domain.User) error {
	return orFail(u.failing, func() error { return u.Users.Save(ctx, user) })
}

func (u failingUsers) Remove(ctx context.Context, id domain.UserID) error {
	return orFail(u.failing, func() error { return u.Users.Remove(ctx, id) })
}

func (c failingCredentials) Add(ctx context.Context, credential *domain.Credential, attestation domain.Attestation) error {
	return orFail(c.failing, func() error { return c.Credentials.Add(ctx, credential, attestation) })
}

func (c failingCredentials) ByID(ctx context.Context, id domain.CredentialID) (*domain.Credential, error) {
	return valueOrFail(c.failing, func() (*domain.Credential, error) { return c.Credentials.ByID(ctx, id) })
}

func (c failingCredentials) ListByUser(ctx context.Context, id domain.UserID) ([]*domain.Credential, error) {
	return valueOrFail(c.failing, func() ([]*domain.Credential, error) { return c.Credentials.ListByUser(ctx, id) })
}

func (c failingCredentials) ByIDWithOwner(ctx context.Context, id domain.CredentialID, upTo int) (credential *domain.Credential, owner *domain.User, sessions int, err error) {
	err = orFail(c.failing, func() (err error) {
		credential, owner, sessions, err = c.Credentials.ByIDWithOwner(ctx, id, upTo)
		return err
	})
	return credential, owner, sessions, err
}

func (c failingCredentials) ListWithOwner(ctx context.Context, id domain.UserID, subject domain.LockoutSubject) (passkeys domain.Passkeys, owner *domain.User, hasLockout bool, err error) {
	err = orFail(c.failing, func() (err error) {
		passkeys, owner, hasLockout, err = c.Credentials.ListWithOwner(ctx, id, subject)
		return err
	})
	return passkeys, owner, hasLockout, err
}

func (c failingCredentials) Save(ctx context.Context, credential *domain.Credential) error {
	return orFail(c.failing, func() error { return c.Credentials.Save(ctx, credential) })
}

func (c failingCredentials) Remove(ctx context.Context, id domain.CredentialID) error {
	return orFail(c.failing, func() error { return c.Credentials.Remove(ctx, id) })
}

func (c failingChallenges) Add(ctx context.Context, challenge *domain.Challenge) error {
	return orFail(c.failing, func() error { return c.Challenges.Add(ctx, challenge) })
}

func (c failingChallenges) ByID(ctx context.Context, id domain.ChallengeID) (*domain.Challenge, error) {
	return valueOrFail(c.failing, func() (*domain.Challenge, error) { return c.Challenges.ByID(ctx, id) })
}

func (c failingChallenges) Consume(ctx context.Context, id domain.ChallengeID) error {
	return orFail(c.failing, func() error { return c.Challenges.Consume(ctx, id) })
}

func (c failingChallenges) DeleteExpired(ctx context.Context, expired time.Time, limit int) (int, error) {
	return valueOrFail(c.failing, func() (int, error) { return c.Challenges.DeleteExpired(ctx, expired, limit) })
}

func (s failingSessions) Add(ctx context.Context, session *domain.Session) error {
	return orFail(s.failing, func() error { return s.Sessions.Add(ctx, session) })
}

func (s failingSessions) ByToken(ctx context.Context, token domain.TokenDigest) (*domain.Session, error) {
	return valueOrFail(s.failing, func() (*domain.Session, error) { return s.Sessions.ByToken(ctx, token) })
}

func (s failingSessions) ByID(ctx context.Context, id domain.SessionID) (*domain.Session, error) {
	return valueOrFail(s.failing, func() (*domain.Session, error) { return s.Sessions.ByID(ctx, id) })
}

func (s failingSessions) ByTokenWithUser(ctx context.Context, token domain.TokenDigest) (session *domain.Session, user *domain.User, err error) {
	err = orFail(s.failing, func() error {
		session, user, err = s.Sessions.ByTokenWithUser(ctx, token)
		return err
	})
	return session, user, err
}

func (s failingSessions) ByIDWithUser(ctx context.Context, id domain.SessionID) (session *domain.Session, user *domain.User, err error) {
	err = orFail(s.failing, func() error {
		session, user, err = s.Sessions.ByIDWithUser(ctx, id)
		return err
	})
	return session, user, err
}

func (s failingSessions) ListActive(ctx context.Context, user domain.UserID, now time.Time, before domain.SessionID, limit int) ([]*domain.Session, error) {
	return valueOrFail(s.failing, func() ([]*domain.Session, error) { return s.Sessions.ListActive(ctx, user, now, before, limit) })
}

func (s failingSessions) Save(ctx context.Context, session *domain.Session) error {
	return orFail(s.failing, func() error { return s.Sessions.Save(ctx, session) })
}

func (s failingSessions) DeleteExpired(ctx context.Context, ended time.Time, limit int) (int, error) {
	return valueOrFail(s.failing, func() (int, error) { return s.Sessions.DeleteExpired(ctx, ended, limit) })
}

func (e failingEvents) Add(ctx context.Context, event *domain.Event) error {
	return orFail(e.failing, func() error { return e.Events.Add(ctx, event) })
}

func (e failingEvents) ByKey(ctx context.Context, key domain.RepetitionKey) (*domain.Event, error) {
	return valueOrFail(e.failing, func() (*domain.Event, error) { return e.Events.ByKey(ctx, key) })
}

func (e failingEvents) Save(ctx context.Context, event *domain.Event) error {
	return orFail(e.failing, func() error { return e.Events.Save(ctx, event) })
}

func (e failingEvents) ListByUser(ctx context.Context, user domain.UserID, before domain.EventID, limit int, kinds ...domain.EventKind) ([]*domain.Event, error) {
	return valueOrFail(e.failing, func() ([]*domain.Event, error) { return e.Events.ListByUser(ctx, user, before, limit, kinds...) })
}

func (e failingEvents) DeleteExpired(ctx context.Context, before time.Time, limit int) (int, error) {
	return valueOrFail(e.failing, func() (int, error) { return e.Events.DeleteExpired(ctx, before, limit) })
}

func (d failingKeys) Add(ctx context.Context, key *domain.SigningKey) error {
	return orFail(d.failing, func() error { return d.SigningKeys.Add(ctx, key) })
}

func (d failingKeys) All(ctx context.Context) (domain.SigningKeys, error) {
	return valueOrFail(d.failing, func() (domain.SigningKeys, error) { return d.SigningKeys.All(ctx) })
}

func (d failingKeys) Remove(ctx context.Context, id string) error {
	return orFail(d.failing, func() error { return d.SigningKeys.Remove(ctx, id) })
}

// plainSealer does not encrypt.
type plainSealer struct{}

func (plainSealer) Seal(plain []byte, _ string) ([]byte, error)  { return plain, nil }
func (plainSealer) Open(sealed []byte, _ string) ([]byte, error) { return sealed, nil }

func (f *fixture) signingKeys() *signingkeys.Service {
	rotation := domain.KeyRotation{Algorithm: domain.SigningEdDSA, Interval: 30 * 24 * time.Hour, TokenTTL: 5 * time.Minute}
	return &signingkeys.Service{Store: f.store, TokenKeys: jwt.New(), Sealer: plainSealer{}, Clock: f.clock, Rotation: rotation}
}

func (f *fixture) issuer() *signingkeys.Issuer {
	return &signingkeys.Issuer{
		SigningKeys: f.signingKeys(), Random: rand.Reader, RefreshKeys: domain.KeyRing[domain.RefreshToken]{make([]byte, 32)},
		Policy: domain.AccessPolicy{Issuer: origin, Audience: origin, TTL: 5 * time.Minute},
	}
}

func (f *fixture) sessionIssuer() *sessions.SessionIssuer {
	return &sessions.SessionIssuer{Random: rand.Reader, Devices: deviceNames{}, Issuer: f.issuer(), Audit: f.auditLog, Lifetime: lifetime}
}

func (f *fixture) answerSignIn(variations ...authenticator.Variation) login.FinishInput {
	f.t.Helper()
	begun, err := (&login.Service{Store: f.store, RelyingParty: f.relyingParty, Challenges: f.challenges()}).Begin(f.t.Context(), "", domain.Binding{})
	if err != nil {
		f.t.Fatal(err)
	}
	return login.FinishInput{ChallengeID: begun.ChallengeID, Credential: f.getAssertion(begun.Options, variations...), Client: identity.Client{SessionToken: f.cookie}}
}

func (f *fixture) finishSignIn(input login.FinishInput) error {
	finish := &login.Service{
		Store: f.store, RelyingParty: f.relyingParty, Clock: f.clock, Challenges: f.challenges(), SessionIssuer: f.sessionIssuer(), Audit: f.auditLog,
		PasskeyUsage: &ceremony.PasskeyUsage{Policy: f.policy, Audit: f.auditLog},
	}
	_, err := finish.Finish(f.t.Context(), input)
	return err
}

func (f *fixture) beginSignUp(email domain.Email) (ceremony.Begun, error) {
	begin := &signup.Service{
		Policy: domain.RegistrationOpen, EmailVerification: f.verification, Store: f.store, RelyingParty: f.relyingParty, Clock: f.clock, Random: rand.Reader, Challenges: f.challenges(),
	}
	return begin.Begin(f.t.Context(), signup.Input{Email: email, Invite: f.invite}, domain.Binding{})
}

func (f *fixture) signUp(email domain.Email) (execute func() error) {
	f.t.Helper()
	begun, err := f.beginSignUp(email)
	if err != nil {
		f.t.Fatal(err)
	}
	input := signup.FinishInput{ChallengeID: begun.ChallengeID, Credential: f.createCredential(begun.Options), Client: identity.Client{SessionToken: f.cookie}}
	return func() error {
		finish := &signup.Service{Policy: domain.RegistrationOpen, Store: f.store, RelyingParty: f.relyingParty, Clock: f.clock, Challenges: f.challenges(), SessionIssuer: f.sessionIssuer(), EmailVerification: f.verification, Audit: f.auditLog}
		_, err := finish.Finish(f.t.Context(), input)
		return err
	}
}

// otherUseCases are the use cases of anonymous clients, of the operator and of jobs, and those that only read. Each function prepares a
// use case and returns its execution.
var otherUseCases = map[string]func(*fixture) (execute func() error){
	"begin sign-up": func(f *fixture) func() error {
		return func() error { _, err := f.beginSignUp("ben@example.org"); return err }
	},
	"sign up":                      func(f *fixture) func() error { return f.signUp("ben@example.org") },
	"sign up without an address":   func(f *fixture) func() error { return f.signUp("") },
	"sign up with a taken address": func(f *fixture) func() error { return f.signUp("ada@example.org") },
	"begin sign-up without mail": func(f *fixture) func() error {
		f.disableMail()
		return func() error { _, err := f.beginSignUp("ben@example.org"); return err }
	},
	"sign up without mail": func(f *fixture) func() error {
		f.disableMail()
		return f.signUp("ben@example.org")
	},
	"begin sign-in": func(f *fixture) func() error {
		return func() error {
			_, err := (&login.Service{Store: f.store, RelyingParty: f.relyingParty, Challenges: f.challenges(), Decoys: decoys}).Begin(f.t.Context(), "ada@example.org", domain.Binding{})
			return err
		}
	},
	"sign in": func(f *fixture) func() error {
		input := f.answerSignIn()
		return func() error { return f.finishSignIn(input) }
	},
	"sign in with bearer tokens": func(f *fixture) func() error {
		input := f.answerSignIn()
		input.Client.Transport = domain.TransportBearer
		if err := f.signingKeys().Refresh(f.t.Context()); err != nil {
			f.t.Fatal(err)
		}
		return func() error { return f.finishSignIn(input) }
	},
	"sign in with an anomaly": func(f *fixture) func() error {
		f.policy.BackupEligibility = domain.BackupEligibilityAcceptAndRecord
		input := f.answerSignIn(authenticator.ForgeFlags(0, authenticator.BackupEligible|authenticator.BackedUp))
		return func() error { return f.finishSignIn(input) }
	},
	"begin adding a passkey": func(f *fixture) func() error {
		return func() error { _, err := f.beginAddPasskey(); return err }
	},
	"begin step-up": func(f *fixture) func() error {
		return func() error { _, err := f.beginStepUp(); return err }
	},
	"authenticate": func(f *fixture) func() error {
		return func() error {
			_, err := (&sessions.Service{Store: sessioncache.New(f.store), Clock: f.clock, Lifetime: lifetime}).Authenticate(f.t.Context(), sessions.PresentedToken{SessionToken: f.cookie}, identity.Client{})
			return err
		}
	},
	"refresh": func(f *fixture) func() error {
		issuer := f.issuer()
		if err := issuer.SigningKeys.Refresh(f.t.Context()); err != nil {
			f.t.Fatal(err)
		}
		state := f.ada.Session.State()
		key := domain.RestoreCredential(domain.CredentialState{ID: state.CredentialID, UserID: state.UserID})
		session, token := domain.OpenBearerSession(key, domain.Device{}, lifetime, issuer.RefreshKeys, noon, rand.Reader)
		f.update(func(tx ports.Tx) error { return tx.Sessions.Add(f.t.Context(), session) })
		return func() error {
			_, err := (&sessions.Service{Store: sessioncache.New(f.store), Clock: f.clock, Issuer: issuer, Audit: f.auditLog, Lifetime: lifetime}).Refresh(f.t.Context(), token, identity.Client{})
			return err
		}
	},
	"list passkeys": func(f *fixture) func() error {
		return func() error { _, err := (&passkeys.Service{Store: f.store}).List(f.t.Context(), f.ada); return err }
	},
	"list sessions": func(f *fixture) func() error {
		return func() error {
			_, err := (&sessions.Service{Store: sessioncache.New(f.store), Clock: f.clock}).List(f.t.Context(), f.ada, domain.SessionID{}, 10)
			return err
		}
	},
	"list events": func(f *fixture) func() error {
		return func() error {
			_, err := f.accountService().Events(f.t.Context(), f.ada, domain.EventID{}, 10)
			return err
		}
	},
	"generate the first signing key": func(f *fixture) func() error {
		return func() error { return f.signingKeys().Refresh(f.t.Context()) }
	},
	"rotate a due signing key": func(f *fixture) func() error {
		for _, signsFrom := range []time.Duration{-100 * 24 * time.Hour, -60 * 24 * time.Hour} { // the first has expired, the second is due for rotation
			key, err := jwt.New().Generate(domain.SigningEdDSA)
			if err != nil {
				f.t.Fatal(err)
			}
			private, err := key.Private()
			if err != nil {
				f.t.Fatal(err)
			}
			stored := domain.RestoreSigningKey(domain.SigningKeyState{ID: key.ID(), Algorithm: key.Algorithm(), EncryptedKey: private, CreatedAt: noon, SignsFrom: noon.Add(signsFrom)})
			f.update(func(tx ports.Tx) error { return tx.SigningKeys.Add(f.t.Context(), stored) })
		}
		return func() error { return f.signingKeys().Refresh(f.t.Context()) }
	},
	"rotate the signing keys": func(f *fixture) func() error {
		return func() error { _, err := f.signingKeys().Rotate(f.t.Context()); return err }
	},
	"publish the signing keys": func(f *fixture) func() error {
		return func() error { _, err := f.signingKeys().Publish(f.t.Context()); return err }
	},
	"list the signing keys": func(f *fixture) func() error {
		return func() error { _, err := f.signingKeys().List(f.t.Context()); return err }
	},
	"list users": func(f *fixture) func() error {
		return func() error {
			_, err := (&admin.Service{Store: f.store}).ListUsers(f.t.Context(), domain.UserID{}, 10)
			return err
		}
	},
	"show a user": func(f *fixture) func() error {
		return func() error {
			_, err := (&admin.Service{Store: f.store, Clock: f.clock}).ShowUser(f.t.Context(), domain.UserRef{ID: f.ada.User.ID()})
			return err
		}
	},
	"disable a user": func(f *fixture) func() error {
		return func() error {
			_, err := (&admin.Service{Store: f.store, Clock: f.clock, Audit: f.auditLog}).DisableUser(f.t.Context(), domain.UserRef{ID: f.ada.User.ID()})
			return err
		}
	},
	"enable a user": func(f *fixture) func() error {
		f.ada.User.Disable(noon)
		f.update(func(tx ports.Tx) error { return tx.Users.Save(f.t.Context(), f.ada.User) })
		return func() error {
			return (&admin.Service{Store: f.store, Clock: f.clock, Audit: f.auditLog}).EnableUser(f.t.Context(), domain.UserRef{Email: "ada@example.org"})
		}
	},
	"delete a user": func(f *fixture) func() error {
		return func() error {
			return (&admin.Service{Store: f.store, Clock: f.clock, Audit: f.auditLog, Notifier: f.auditLog.Notifier}).DeleteUser(f.t.Context(), domain.UserRef{ID: f.ada.User.ID()})
		}
	},
	"revoke a session as operator": func(f *fixture) func() error {
		return func() error {
			return (&admin.Service{Store: f.store, Clock: f.clock, Audit: f.auditLog}).RevokeSession(f.t.Context(), f.otherSession)
		}
	},
	"revoke all sessions of a user": func(f *fixture) func() error {
		return func() error {
			_, err := (&admin.Service{Store: f.store, Clock: f.clock, Audit: f.auditLog}).RevokeSessions(f.t.Context(), domain.UserRef{ID: f.ada.User.ID()})
			return err
		}
	},
	"write last uses": func(f *fixture) func() error {
		service := &sessions.Service{Store: sessioncache.New(currentStore{f}), Clock: f.clock, Lifetime: lifetime}
		service.RecordUse(f.otherSession, "203.0.113.9", noon.Add(2*time.Minute))
		return func() error { _, err := service.WriteLastSeen(f.t.Context()); return err }
	},
	"delete expired data": func(f *fixture) func() error {
		f.clock.now = noon.Add(1000 * 24 * time.Hour)
		return func() error {
			_, err := (&maintenance.Service{Store: f.store, Clock: f.clock}).DeleteExpired(f.t.Context())
			return err
		}
	},
	"check readiness": func(f *fixture) func() error {
		return func() error { return (&maintenance.Service{Store: f.store}).Ready(f.t.Context()) }
	},
}

// currentStore delegates to the store that the fixture has at the time of the call.
type currentStore struct{ *fixture }

func (s currentStore) View(ctx context.Context, fn func(ports.Tx) error) error {
	return s.store.View(ctx, fn)
}
func (s currentStore) Update(ctx context.Context, fn func(ports.Tx) error) error {
	return s.store.Update(ctx, fn)
}
func (s currentStore) OtherCommits() (uint64, bool) { return s.store.OtherCommits() }

// Whichever call of the store fails, the use case returns the error, stores nothing partially, and succeeds when it is repeated: an
// outage consumes no challenge, token or attempt.
// Requirement: ASVS-2.3.3, ASVS-16.5.1
func TestUseCases_StoreErrorIsReturnedAndRolledBack(t *testing.T) {
	severalTransactions := map[string]bool{"delete expired data": true, "deliver e-mails": true}
	for _, each := range []map[string]func(*fixture) func() error{userUseCases, otherUseCases} {
		for name, prepare := range each {
			t.Run(name, func(t *testing.T) {
				for failAt := 1; ; failAt++ {
					f := newFixture(t)
					execute := prepare(f)
					working, failing := f.store, &failing{Store: f.store, failAt: failAt}
					before := f.dump()
					f.store = failing
					err := execute()
					f.store = working
					if failing.calls < failAt {
						if err != nil || failAt == 1 {
							t.Errorf("after %d calls without a failure: %v", failing.calls, err)
						}
						return
					}
					if !errors.Is(err, domain.ErrUnavailable) {
						t.Errorf("call %d failed: got %v", failAt, err)
					}
					if changed := f.dump().changedFields(before); !severalTransactions[name] && changed != nil {
						t.Errorf("call %d failed: changed %q", failAt, changed)
					}
					if err := execute(); err != nil {
						t.Errorf("repeated after call %d failed: %v", failAt, err)
					}
				}
			})
		}
	}
}

// If the challenge of a rejected response cannot be consumed, the error is that of the store. The repeated response is rejected.
// Requirement: ASVS-16.5.1
func TestLoginFinish_RejectionAfterStoreError(t *testing.T) {
	for failAt := 1; ; failAt++ {
		f := newFixture(t)
		input := f.answerSignIn(authenticator.ForgeSignature(func(valid []byte) []byte { return valid[:len(valid)/2] }))
		working, failing := f.store, &failing{Store: f.store, failAt: failAt}
		f.store = failing
		err := f.finishSignIn(input)
		f.store = working
		if failing.calls < failAt {
			if !errors.Is(err, domain.ErrPasskeyRejected) || failAt == 1 {
				t.Errorf("got %v", err)
			}
			return
		}
		if !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("call %d failed: got %v", failAt, err)
		}
		for _, want := range []error{domain.ErrPasskeyRejected, domain.ErrChallengeNotFound} {
			if err := f.finishSignIn(input); !errors.Is(err, want) {
				t.Errorf("repeated after call %d failed: got %v, want %v", failAt, err, want)
			}
		}
	}
}

// failingRelyingParty is a relying party that returns no options.
type failingRelyingParty struct{ ports.RelyingParty }

var errNoOptions = errors.New("no options")

func (failingRelyingParty) BeginRegistration(domain.UserEntity, []domain.CredentialDescriptor) (ports.CeremonyOptions, error) {
	return ports.CeremonyOptions{}, errNoOptions
}

func (failingRelyingParty) BeginAuthentication([]domain.CredentialDescriptor) (ports.CeremonyOptions, error) {
	return ports.CeremonyOptions{}, errNoOptions
}

func TestBegin_NoChallengeWhenOptionsFail(t *testing.T) {
	for _, name := range []string{"begin sign-up", "begin sign-in", "begin adding a passkey", "begin step-up"} {
		f := newFixture(t)
		f.relyingParty = failingRelyingParty{f.relyingParty}
		if err := otherUseCases[name](f)(); !errors.Is(err, errNoOptions) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

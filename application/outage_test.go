package application_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/authenticator"
	"github.com/keylodge/keylodge/adapters/jwt"
	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/login"
	"github.com/keylodge/keylodge/application/maintenance"
	"github.com/keylodge/keylodge/application/passkeys"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/application/signup"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// breaking is a store that has an outage at one of the things that it is asked, the commit among them. Asked is how many it
// was.
type breaking struct {
	ports.Store
	at, asked int
	note      func(what string) // hears what was asked; nil for nobody
}

func (b *breaking) ask() error {
	if b.note != nil {
		b.note(callerName())
	}
	if b.asked++; b.asked == b.at {
		return fmt.Errorf("thing %d: %w", b.at, domain.ErrUnavailable)
	}
	return nil
}

func (b *breaking) View(ctx context.Context, fn func(ports.Tx) error) error {
	return b.Store.View(ctx, func(tx ports.Tx) error { return fn(b.around(tx)) })
}

func (b *breaking) Update(ctx context.Context, fn func(ports.Tx) error) error {
	return b.Store.Update(ctx, func(tx ports.Tx) error {
		if err := fn(b.around(tx)); err != nil {
			return err
		}
		return b.ask()
	})
}

func (b *breaking) around(tx ports.Tx) ports.Tx {
	return ports.Tx{
		Users: breakingUsers{tx.Users, b}, Credentials: breakingCredentials{tx.Credentials, b}, Challenges: breakingChallenges{tx.Challenges, b},
		Sessions: breakingSessions{tx.Sessions, b}, Events: breakingEvents{tx.Events, b}, SigningKeys: breakingKeys{tx.SigningKeys, b},
		TOTPs: breakingTOTPs{tx.TOTPs, b}, BackupCodes: breakingCodes{tx.BackupCodes, b}, RecoveryGrants: breakingRecoveryGrants{tx.RecoveryGrants, b}, Lockouts: breakingLockouts{tx.Lockouts, b},
		OutboxEmails: breakingOutboxEmails{tx.OutboxEmails, b},
	}
}

type (
	breakingUsers struct {
		ports.Users
		*breaking
	}
	breakingCredentials struct {
		ports.Credentials
		*breaking
	}
	breakingChallenges struct {
		ports.Challenges
		*breaking
	}
	breakingSessions struct {
		ports.Sessions
		*breaking
	}
	breakingEvents struct {
		ports.Events
		*breaking
	}
	breakingKeys struct {
		ports.SigningKeys
		*breaking
	}
)

// orFail is what a method that returns an error alone does.
func orFail(b *breaking, do func() error) error {
	if err := b.ask(); err != nil {
		return err
	}
	return do()
}

// valueOrFail is what a method that returns something does.
func valueOrFail[T any](b *breaking, look func() (T, error)) (found T, err error) {
	if err := b.ask(); err != nil {
		return found, err
	}
	return look()
}

func (u breakingUsers) Add(ctx context.Context, user *domain.User) error {
	return orFail(u.breaking, func() error { return u.Users.Add(ctx, user) })
}

func (u breakingUsers) ByID(ctx context.Context, id domain.UserID) (*domain.User, error) {
	return valueOrFail(u.breaking, func() (*domain.User, error) { return u.Users.ByID(ctx, id) })
}

func (u breakingUsers) ByEmail(ctx context.Context, email domain.Email) (*domain.User, error) {
	return valueOrFail(u.breaking, func() (*domain.User, error) { return u.Users.ByEmail(ctx, email) })
}

func (u breakingUsers) List(ctx context.Context, after domain.UserID, limit int) ([]*domain.User, error) {
	return valueOrFail(u.breaking, func() ([]*domain.User, error) { return u.Users.List(ctx, after, limit) })
}

func (u breakingUsers) Save(ctx context.Context, user *domain.User) error {
	return orFail(u.breaking, func() error { return u.Users.Save(ctx, user) })
}

func (u breakingUsers) Remove(ctx context.Context, id domain.UserID) error {
	return orFail(u.breaking, func() error { return u.Users.Remove(ctx, id) })
}

func (c breakingCredentials) Add(ctx context.Context, credential *domain.Credential) error {
	return orFail(c.breaking, func() error { return c.Credentials.Add(ctx, credential) })
}

func (c breakingCredentials) ByID(ctx context.Context, id domain.CredentialID) (*domain.Credential, error) {
	return valueOrFail(c.breaking, func() (*domain.Credential, error) { return c.Credentials.ByID(ctx, id) })
}

func (c breakingCredentials) ListByUser(ctx context.Context, id domain.UserID) ([]*domain.Credential, error) {
	return valueOrFail(c.breaking, func() ([]*domain.Credential, error) { return c.Credentials.ListByUser(ctx, id) })
}

func (c breakingCredentials) Save(ctx context.Context, credential *domain.Credential) error {
	return orFail(c.breaking, func() error { return c.Credentials.Save(ctx, credential) })
}

func (c breakingCredentials) Remove(ctx context.Context, id domain.CredentialID) error {
	return orFail(c.breaking, func() error { return c.Credentials.Remove(ctx, id) })
}

func (c breakingChallenges) Add(ctx context.Context, challenge *domain.Challenge) error {
	return orFail(c.breaking, func() error { return c.Challenges.Add(ctx, challenge) })
}

func (c breakingChallenges) ByID(ctx context.Context, id domain.ChallengeID) (*domain.Challenge, error) {
	return valueOrFail(c.breaking, func() (*domain.Challenge, error) { return c.Challenges.ByID(ctx, id) })
}

func (c breakingChallenges) Take(ctx context.Context, id domain.ChallengeID) (*domain.Challenge, error) {
	return valueOrFail(c.breaking, func() (*domain.Challenge, error) { return c.Challenges.Take(ctx, id) })
}

func (c breakingChallenges) DeleteExpired(ctx context.Context, expired time.Time, limit int) (int, error) {
	return valueOrFail(c.breaking, func() (int, error) { return c.Challenges.DeleteExpired(ctx, expired, limit) })
}

func (s breakingSessions) Add(ctx context.Context, session *domain.Session) error {
	return orFail(s.breaking, func() error { return s.Sessions.Add(ctx, session) })
}

func (s breakingSessions) ByToken(ctx context.Context, token domain.TokenDigest) (*domain.Session, error) {
	return valueOrFail(s.breaking, func() (*domain.Session, error) { return s.Sessions.ByToken(ctx, token) })
}

func (s breakingSessions) ByID(ctx context.Context, id domain.SessionID) (*domain.Session, error) {
	return valueOrFail(s.breaking, func() (*domain.Session, error) { return s.Sessions.ByID(ctx, id) })
}

func (s breakingSessions) ListActive(ctx context.Context, user domain.UserID, now time.Time, before domain.SessionID, limit int) ([]*domain.Session, error) {
	return valueOrFail(s.breaking, func() ([]*domain.Session, error) { return s.Sessions.ListActive(ctx, user, now, before, limit) })
}

func (s breakingSessions) Save(ctx context.Context, session *domain.Session) error {
	return orFail(s.breaking, func() error { return s.Sessions.Save(ctx, session) })
}

func (s breakingSessions) DeleteExpired(ctx context.Context, ended time.Time, limit int) (int, error) {
	return valueOrFail(s.breaking, func() (int, error) { return s.Sessions.DeleteExpired(ctx, ended, limit) })
}

func (e breakingEvents) Add(ctx context.Context, event *domain.Event) error {
	return orFail(e.breaking, func() error { return e.Events.Add(ctx, event) })
}

func (e breakingEvents) ByKey(ctx context.Context, key domain.RepetitionKey) (*domain.Event, error) {
	return valueOrFail(e.breaking, func() (*domain.Event, error) { return e.Events.ByKey(ctx, key) })
}

func (e breakingEvents) Save(ctx context.Context, event *domain.Event) error {
	return orFail(e.breaking, func() error { return e.Events.Save(ctx, event) })
}

func (e breakingEvents) ListByUser(ctx context.Context, user domain.UserID, before domain.EventID, limit int, kinds ...domain.EventKind) ([]*domain.Event, error) {
	return valueOrFail(e.breaking, func() ([]*domain.Event, error) { return e.Events.ListByUser(ctx, user, before, limit, kinds...) })
}

func (e breakingEvents) DeleteExpired(ctx context.Context, before time.Time, limit int) (int, error) {
	return valueOrFail(e.breaking, func() (int, error) { return e.Events.DeleteExpired(ctx, before, limit) })
}

func (k breakingKeys) Add(ctx context.Context, key *domain.SigningKey) error {
	return orFail(k.breaking, func() error { return k.SigningKeys.Add(ctx, key) })
}

func (k breakingKeys) All(ctx context.Context) (domain.SigningKeys, error) {
	return valueOrFail(k.breaking, func() (domain.SigningKeys, error) { return k.SigningKeys.All(ctx) })
}

func (k breakingKeys) Remove(ctx context.Context, id string) error {
	return orFail(k.breaking, func() error { return k.SigningKeys.Remove(ctx, id) })
}

// plainSealer keeps keys as they are.
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

// sessionIssuer opens sessions, by cookie or with tokens.
func (f *fixture) sessionIssuer() *sessions.SessionIssuer {
	return &sessions.SessionIssuer{Random: rand.Reader, Devices: deviceNames{}, Issuer: f.issuer(), Audit: f.auditLog, Lifetime: lifetime}
}

func (f *fixture) answerSignIn(variations ...authenticator.Variation) login.FinishInput {
	f.t.Helper()
	started, err := (&login.Service{Store: f.store, RelyingParty: f.relyingParty, Challenges: f.challenges()}).Begin(f.t.Context(), "", domain.Binding{})
	if err != nil {
		f.t.Fatal(err)
	}
	return login.FinishInput{ChallengeID: started.ChallengeID, Credential: f.getAssertion(started.Options, variations...), Client: identity.Client{SessionToken: f.cookie}}
}

func (f *fixture) finishSignIn(answer login.FinishInput) error {
	finish := &login.Service{
		Store: f.store, RelyingParty: f.relyingParty, Clock: f.clock, Challenges: f.challenges(), SessionIssuer: f.sessionIssuer(), Audit: f.auditLog,
		PasskeyUsage: &ceremony.PasskeyUsage{Policy: f.policy, Audit: f.auditLog},
	}
	_, err := finish.Finish(f.t.Context(), answer)
	return err
}

func (f *fixture) beginSignUp(email domain.Email) (ceremony.Begun, error) {
	begin := &signup.Service{
		Policy: domain.RegistrationOpen, EmailVerification: f.verification, Store: f.store, RelyingParty: f.relyingParty, Clock: f.clock, Random: rand.Reader, Challenges: f.challenges(),
	}
	return begin.Begin(f.t.Context(), signup.Input{Email: email}, domain.Binding{})
}

func (f *fixture) signUp(email domain.Email) (execute func() error) {
	f.t.Helper()
	started, err := f.beginSignUp(email)
	if err != nil {
		f.t.Fatal(err)
	}
	answer := signup.FinishInput{ChallengeID: started.ChallengeID, Credential: f.createCredential(started.Options), Client: identity.Client{SessionToken: f.cookie}}
	return func() error {
		finish := &signup.Service{Policy: domain.RegistrationOpen, Store: f.store, RelyingParty: f.relyingParty, Clock: f.clock, Challenges: f.challenges(), SessionIssuer: f.sessionIssuer(), EmailVerification: f.verification}
		_, err := finish.Finish(f.t.Context(), answer)
		return err
	}
}

// otherUseCases are what people do who are not signed in, the operator, and the house by itself; and what is only looked at.
var otherUseCases = map[string]func(*fixture) (does func() error){
	"begin to sign up": func(h *fixture) func() error {
		return func() error { _, err := h.beginSignUp("ben@example.org"); return err }
	},
	"sign up":            func(h *fixture) func() error { return h.signUp("ben@example.org") },
	"sign up nameless":   func(h *fixture) func() error { return h.signUp("") },
	"sign up as another": func(h *fixture) func() error { return h.signUp("ada@example.org") },
	"begin to sign up, no mail": func(h *fixture) func() error {
		h.disableMail()
		return func() error { _, err := h.beginSignUp("ben@example.org"); return err }
	},
	"sign up, no mail": func(h *fixture) func() error {
		h.disableMail()
		return h.signUp("ben@example.org")
	},
	"begin to sign in": func(h *fixture) func() error {
		return func() error {
			_, err := (&login.Service{Store: h.store, RelyingParty: h.relyingParty, Challenges: h.challenges(), Decoys: decoys}).Begin(h.t.Context(), "ada@example.org", domain.Binding{})
			return err
		}
	},
	"sign in": func(h *fixture) func() error {
		answer := h.answerSignIn()
		return func() error { return h.finishSignIn(answer) }
	},
	"sign in with a program": func(h *fixture) func() error {
		answer := h.answerSignIn()
		answer.Client.Transport = domain.TransportBearer
		if err := h.signingKeys().Refresh(h.t.Context()); err != nil {
			h.t.Fatal(err)
		}
		return func() error { return h.finishSignIn(answer) }
	},
	"sign in oddly": func(h *fixture) func() error {
		h.policy.BackupEligibility = domain.BackupEligibilityAcceptAndRecord
		answer := h.answerSignIn(authenticator.ForgeFlags(0, authenticator.BackupEligible|authenticator.BackedUp))
		return func() error { return h.finishSignIn(answer) }
	},
	"begin to add a passkey": func(h *fixture) func() error {
		return func() error { _, err := h.beginAddPasskey(); return err }
	},
	"begin to step up": func(h *fixture) func() error {
		return func() error { _, err := h.beginStepUp(); return err }
	},
	"authenticate": func(h *fixture) func() error {
		return func() error {
			_, err := (&sessions.Service{Store: h.store, Clock: h.clock, Lifetime: lifetime}).Authenticate(h.t.Context(), sessions.PresentedToken{SessionToken: h.cookie}, identity.Client{})
			return err
		}
	},
	"refresh": func(h *fixture) func() error {
		issuer := h.issuer()
		if err := issuer.SigningKeys.Refresh(h.t.Context()); err != nil {
			h.t.Fatal(err)
		}
		is := h.ada.Session.State()
		key := domain.RestoreCredential(domain.CredentialState{ID: is.CredentialID, UserID: is.UserID})
		session, token := domain.OpenBearerSession(key, domain.Device{}, lifetime, issuer.RefreshKeys, noon, rand.Reader)
		h.update(func(tx ports.Tx) error { return tx.Sessions.Add(h.t.Context(), session) })
		return func() error {
			_, err := (&sessions.Service{Store: h.store, Clock: h.clock, Issuer: issuer, Audit: h.auditLog, Lifetime: lifetime}).Refresh(h.t.Context(), token, identity.Client{})
			return err
		}
	},
	"list passkeys": func(h *fixture) func() error {
		return func() error { _, err := (&passkeys.Service{Store: h.store}).List(h.t.Context(), h.ada); return err }
	},
	"list sessions": func(h *fixture) func() error {
		return func() error {
			_, err := (&sessions.Service{Store: h.store, Clock: h.clock}).List(h.t.Context(), h.ada, domain.SessionID{}, 10)
			return err
		}
	},
	"read the log": func(h *fixture) func() error {
		return func() error {
			_, err := h.accountService().Events(h.t.Context(), h.ada, domain.EventID{}, 10)
			return err
		}
	},
	"keep the first key": func(h *fixture) func() error {
		return func() error { return h.signingKeys().Refresh(h.t.Context()) }
	},
	"keep the keys": func(h *fixture) func() error {
		for _, signsFrom := range []time.Duration{-100 * 24 * time.Hour, -60 * 24 * time.Hour} { // one spent, another due
			key, err := jwt.New().Generate(domain.SigningEdDSA)
			if err != nil {
				h.t.Fatal(err)
			}
			private, err := key.Private()
			if err != nil {
				h.t.Fatal(err)
			}
			stored := domain.RestoreSigningKey(domain.SigningKeyState{ID: key.ID(), Algorithm: key.Algorithm(), EncryptedKey: private, CreatedAt: noon, SignsFrom: noon.Add(signsFrom)})
			h.update(func(tx ports.Tx) error { return tx.SigningKeys.Add(h.t.Context(), stored) })
		}
		return func() error { return h.signingKeys().Refresh(h.t.Context()) }
	},
	"rotate the keys": func(h *fixture) func() error {
		return func() error { _, err := h.signingKeys().Rotate(h.t.Context()); return err }
	},
	"publish the keys": func(h *fixture) func() error {
		return func() error { _, err := h.signingKeys().Publish(h.t.Context()); return err }
	},
	"list the keys": func(h *fixture) func() error {
		return func() error { _, err := h.signingKeys().List(h.t.Context()); return err }
	},
	"list the users": func(h *fixture) func() error {
		return func() error {
			_, err := (&admin.Service{Store: h.store}).ListUsers(h.t.Context(), domain.UserID{}, 10)
			return err
		}
	},
	"show a user": func(h *fixture) func() error {
		return func() error {
			_, err := (&admin.Service{Store: h.store, Clock: h.clock}).ShowUser(h.t.Context(), domain.UserRef{ID: h.ada.User.ID()})
			return err
		}
	},
	"disable a user": func(h *fixture) func() error {
		return func() error {
			_, err := (&admin.Service{Store: h.store, Clock: h.clock, Audit: h.auditLog}).DisableUser(h.t.Context(), domain.UserRef{ID: h.ada.User.ID()})
			return err
		}
	},
	"enable a user": func(h *fixture) func() error {
		h.ada.User.Disable(noon)
		h.update(func(tx ports.Tx) error { return tx.Users.Save(h.t.Context(), h.ada.User) })
		return func() error {
			return (&admin.Service{Store: h.store, Clock: h.clock, Audit: h.auditLog}).EnableUser(h.t.Context(), domain.UserRef{Email: "ada@example.org"})
		}
	},
	"delete a user": func(h *fixture) func() error {
		return func() error {
			return (&admin.Service{Store: h.store, Clock: h.clock, Audit: h.auditLog, Notifier: h.auditLog.Notifier}).DeleteUser(h.t.Context(), domain.UserRef{ID: h.ada.User.ID()})
		}
	},
	"end anybody's session": func(h *fixture) func() error {
		return func() error {
			return (&admin.Service{Store: h.store, Clock: h.clock, Audit: h.auditLog}).RevokeSession(h.t.Context(), h.otherSession)
		}
	},
	"end all sessions of a user": func(h *fixture) func() error {
		return func() error {
			_, err := (&admin.Service{Store: h.store, Clock: h.clock, Audit: h.auditLog}).RevokeSessions(h.t.Context(), domain.UserRef{ID: h.ada.User.ID()})
			return err
		}
	},
	"write down a use": func(h *fixture) func() error {
		service := &sessions.Service{Store: currentStore{h}, Clock: h.clock, Lifetime: lifetime}
		service.RecordUse(h.otherSession, "203.0.113.9", noon.Add(2*time.Minute))
		return func() error { _, err := service.WriteLastSeen(h.t.Context()); return err }
	},
	"sweep": func(h *fixture) func() error {
		h.clock.now = noon.Add(1000 * 24 * time.Hour)
		return func() error {
			_, err := (&maintenance.Service{Store: h.store, Clock: h.clock}).DeleteExpired(h.t.Context())
			return err
		}
	},
	"look whether it is ready": func(h *fixture) func() error {
		return func() error { return (&maintenance.Service{Store: h.store}).Ready(h.t.Context()) }
	},
}

// currentStore is whatever store the house has at the time.
type currentStore struct{ *fixture }

func (s currentStore) View(ctx context.Context, fn func(ports.Tx) error) error {
	return s.store.View(ctx, fn)
}
func (s currentStore) Update(ctx context.Context, fn func(ports.Tx) error) error {
	return s.store.Update(ctx, fn)
}

// At whatever moment the store fails, whoever asked hears of that, nothing is kept by halves, and the same succeeds
// afterwards: no challenge, no token and no attempt is used up by an outage.
func TestUseCases_StoreErrorIsReturnedAndRolledBack(t *testing.T) {
	inTurn := map[string]bool{"sweep": true, "deliver": true} // a unit of work after another; what was kept before stays
	for _, each := range []map[string]func(*fixture) func() error{userUseCases, otherUseCases} {
		for name, prepare := range each {
			t.Run(name, func(t *testing.T) {
				for at := 1; ; at++ {
					f := newFixture(t)
					execute := prepare(f)
					sound, broken := f.store, &breaking{Store: f.store, at: at}
					before := f.dump()
					f.store = broken
					err := execute()
					f.store = sound
					if broken.asked < at {
						if err != nil || at == 1 {
							t.Errorf("of a store that was asked %d things: %v", broken.asked, err)
						}
						return
					}
					if !errors.Is(err, domain.ErrUnavailable) {
						t.Errorf("thing %d failed: got %v", at, err)
					}
					if changed := f.dump().changedFields(before); !inTurn[name] && changed != nil {
						t.Errorf("thing %d failed, and changed are %q", at, changed)
					}
					if err := execute(); err != nil {
						t.Errorf("after thing %d failed: %v", at, err)
					}
				}
			})
		}
	}
}

// A bad answer whose challenge could not be spent is told as the outage that it is, and is still a bad one afterwards.
func TestLoginFinish_RejectionAfterStoreError(t *testing.T) {
	for at := 1; ; at++ {
		f := newFixture(t)
		answer := f.answerSignIn(authenticator.ForgeSignature(func(honest []byte) []byte { return honest[:len(honest)/2] }))
		sound, broken := f.store, &breaking{Store: f.store, at: at}
		f.store = broken
		err := f.finishSignIn(answer)
		f.store = sound
		if broken.asked < at {
			if !errors.Is(err, domain.ErrPasskeyRejected) || at == 1 {
				t.Errorf("got %v", err)
			}
			return
		}
		if !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("thing %d failed: got %v", at, err)
		}
		for _, want := range []error{domain.ErrPasskeyRejected, domain.ErrChallengeNotFound} {
			if err := f.finishSignIn(answer); !errors.Is(err, want) {
				t.Errorf("after thing %d failed: got %v, want %v", at, err, want)
			}
		}
	}
}

// failingRelyingParty is a relying party that can ask nobody anything.
type failingRelyingParty struct{ ports.RelyingParty }

var errNoOptions = errors.New("no options")

func (failingRelyingParty) BeginRegistration(domain.UserEntity, []domain.CredentialDescriptor) (ports.CeremonyOptions, error) {
	return ports.CeremonyOptions{}, errNoOptions
}

func (failingRelyingParty) BeginAuthentication([]domain.CredentialDescriptor) (ports.CeremonyOptions, error) {
	return ports.CeremonyOptions{}, errNoOptions
}

func TestBegin_NoChallengeWhenOptionsFail(t *testing.T) {
	for _, name := range []string{"begin to sign up", "begin to sign in", "begin to add a passkey", "begin to step up"} {
		f := newFixture(t)
		f.relyingParty = failingRelyingParty{f.relyingParty}
		if err := otherUseCases[name](f)(); !errors.Is(err, errNoOptions) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

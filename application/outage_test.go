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
	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/application/account"
	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/housekeeping"
	"github.com/keylodge/keylodge/application/login"
	"github.com/keylodge/keylodge/application/passkeys"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/application/signup"
	"github.com/keylodge/keylodge/application/tokens"
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
		b.note(caller())
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
		TOTPs: breakingTOTPs{tx.TOTPs, b}, BackupCodes: breakingCodes{tx.BackupCodes, b}, Grants: breakingGrants{tx.Grants, b}, Lockouts: breakingLockouts{tx.Lockouts, b},
		Messages: breakingMessages{tx.Messages, b},
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

// asking is what a method that returns an error alone does.
func asking(b *breaking, do func() error) error {
	if err := b.ask(); err != nil {
		return err
	}
	return do()
}

// looking is what a method that returns something does.
func looking[T any](b *breaking, look func() (T, error)) (found T, err error) {
	if err := b.ask(); err != nil {
		return found, err
	}
	return look()
}

func (u breakingUsers) Add(ctx context.Context, user *domain.User) error {
	return asking(u.breaking, func() error { return u.Users.Add(ctx, user) })
}

func (u breakingUsers) ByID(ctx context.Context, id domain.UserID) (*domain.User, error) {
	return looking(u.breaking, func() (*domain.User, error) { return u.Users.ByID(ctx, id) })
}

func (u breakingUsers) ByEmail(ctx context.Context, email domain.Email) (*domain.User, error) {
	return looking(u.breaking, func() (*domain.User, error) { return u.Users.ByEmail(ctx, email) })
}

func (u breakingUsers) List(ctx context.Context, after domain.UserID, limit int) ([]*domain.User, error) {
	return looking(u.breaking, func() ([]*domain.User, error) { return u.Users.List(ctx, after, limit) })
}

func (u breakingUsers) Save(ctx context.Context, user *domain.User) error {
	return asking(u.breaking, func() error { return u.Users.Save(ctx, user) })
}

func (u breakingUsers) Remove(ctx context.Context, id domain.UserID) error {
	return asking(u.breaking, func() error { return u.Users.Remove(ctx, id) })
}

func (c breakingCredentials) Add(ctx context.Context, credential *domain.Credential) error {
	return asking(c.breaking, func() error { return c.Credentials.Add(ctx, credential) })
}

func (c breakingCredentials) ByID(ctx context.Context, id domain.CredentialID) (*domain.Credential, error) {
	return looking(c.breaking, func() (*domain.Credential, error) { return c.Credentials.ByID(ctx, id) })
}

func (c breakingCredentials) OfUser(ctx context.Context, id domain.UserID) ([]*domain.Credential, error) {
	return looking(c.breaking, func() ([]*domain.Credential, error) { return c.Credentials.OfUser(ctx, id) })
}

func (c breakingCredentials) Save(ctx context.Context, credential *domain.Credential) error {
	return asking(c.breaking, func() error { return c.Credentials.Save(ctx, credential) })
}

func (c breakingCredentials) Remove(ctx context.Context, id domain.CredentialID) error {
	return asking(c.breaking, func() error { return c.Credentials.Remove(ctx, id) })
}

func (c breakingChallenges) Add(ctx context.Context, challenge *domain.Challenge) error {
	return asking(c.breaking, func() error { return c.Challenges.Add(ctx, challenge) })
}

func (c breakingChallenges) ByID(ctx context.Context, id domain.ChallengeID) (*domain.Challenge, error) {
	return looking(c.breaking, func() (*domain.Challenge, error) { return c.Challenges.ByID(ctx, id) })
}

func (c breakingChallenges) Take(ctx context.Context, id domain.ChallengeID) (*domain.Challenge, error) {
	return looking(c.breaking, func() (*domain.Challenge, error) { return c.Challenges.Take(ctx, id) })
}

func (c breakingChallenges) Sweep(ctx context.Context, expired time.Time, limit int) (int, error) {
	return looking(c.breaking, func() (int, error) { return c.Challenges.Sweep(ctx, expired, limit) })
}

func (s breakingSessions) Add(ctx context.Context, session *domain.Session) error {
	return asking(s.breaking, func() error { return s.Sessions.Add(ctx, session) })
}

func (s breakingSessions) ByToken(ctx context.Context, token domain.TokenDigest) (*domain.Session, error) {
	return looking(s.breaking, func() (*domain.Session, error) { return s.Sessions.ByToken(ctx, token) })
}

func (s breakingSessions) ByID(ctx context.Context, id domain.SessionID) (*domain.Session, error) {
	return looking(s.breaking, func() (*domain.Session, error) { return s.Sessions.ByID(ctx, id) })
}

func (s breakingSessions) Live(ctx context.Context, user domain.UserID, now time.Time, before domain.SessionID, limit int) ([]*domain.Session, error) {
	return looking(s.breaking, func() ([]*domain.Session, error) { return s.Sessions.Live(ctx, user, now, before, limit) })
}

func (s breakingSessions) Save(ctx context.Context, session *domain.Session) error {
	return asking(s.breaking, func() error { return s.Sessions.Save(ctx, session) })
}

func (s breakingSessions) Sweep(ctx context.Context, ended time.Time, limit int) (int, error) {
	return looking(s.breaking, func() (int, error) { return s.Sessions.Sweep(ctx, ended, limit) })
}

func (e breakingEvents) Add(ctx context.Context, event *domain.Event) error {
	return asking(e.breaking, func() error { return e.Events.Add(ctx, event) })
}

func (e breakingEvents) ByKey(ctx context.Context, key domain.RepetitionKey) (*domain.Event, error) {
	return looking(e.breaking, func() (*domain.Event, error) { return e.Events.ByKey(ctx, key) })
}

func (e breakingEvents) Save(ctx context.Context, event *domain.Event) error {
	return asking(e.breaking, func() error { return e.Events.Save(ctx, event) })
}

func (e breakingEvents) OfUser(ctx context.Context, user domain.UserID, before domain.EventID, limit int, kinds ...domain.EventKind) ([]*domain.Event, error) {
	return looking(e.breaking, func() ([]*domain.Event, error) { return e.Events.OfUser(ctx, user, before, limit, kinds...) })
}

func (e breakingEvents) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	return looking(e.breaking, func() (int, error) { return e.Events.Sweep(ctx, before, limit) })
}

func (k breakingKeys) Add(ctx context.Context, key *domain.SigningKey) error {
	return asking(k.breaking, func() error { return k.SigningKeys.Add(ctx, key) })
}

func (k breakingKeys) All(ctx context.Context) (domain.SigningKeys, error) {
	return looking(k.breaking, func() (domain.SigningKeys, error) { return k.SigningKeys.All(ctx) })
}

func (k breakingKeys) Remove(ctx context.Context, id string) error {
	return asking(k.breaking, func() error { return k.SigningKeys.Remove(ctx, id) })
}

// unsealed keeps keys as they are.
type unsealed struct{}

func (unsealed) Seal(plain []byte, _ string) ([]byte, error)  { return plain, nil }
func (unsealed) Open(sealed []byte, _ string) ([]byte, error) { return sealed, nil }

func (h *house) keyring() *tokens.Keyring {
	rotation := domain.KeyRotation{Algorithm: domain.SigningEdDSA, Every: 30 * 24 * time.Hour, TokenTTL: 5 * time.Minute}
	return tokens.NewKeyring(h.store, jwt.New(), unsealed{}, h.clock, rotation, nil)
}

func (h *house) issuer() *tokens.Issuer {
	return &tokens.Issuer{
		Keyring: h.keyring(), Keys: jwt.New(), Random: h.random, RefreshKeys: domain.RefreshKeys{make([]byte, 32)},
		Policy: domain.AccessPolicy{Issuer: origin, Audience: origin, TTL: 5 * time.Minute},
	}
}

// door opens sessions, by cookie or with tokens.
func (h *house) door() *access.Door {
	return &access.Door{Random: h.random, Issuer: h.issuer(), Log: h.log, Lifetime: lifetime}
}

func (h *house) begunSignIn(variations ...authenticator.Variation) login.Answer {
	h.t.Helper()
	started, err := (&login.Begin{Store: h.store, RelyingParty: h.relyingParty, Desk: h.desk()}).Execute(h.t.Context(), "", domain.Binding{})
	if err != nil {
		h.t.Fatal(err)
	}
	return login.Answer{ChallengeID: started.ChallengeID, Credential: h.gets(started.Options, variations...), Visitor: access.Visitor{Session: h.cookie}}
}

func (h *house) signsIn(answer login.Answer) error {
	finish := &login.Finish{
		Store: h.store, RelyingParty: h.relyingParty, Clock: h.clock, Desk: h.desk(), Door: h.door(), Log: h.log,
		Examiner: &access.Examiner{Policy: h.policy, Log: h.log},
	}
	_, err := finish.Execute(h.t.Context(), answer)
	return err
}

func (h *house) beginsToSignUp(email domain.Email) (ceremony.Started, error) {
	begin := &signup.Begin{
		Policy: domain.RegistrationOpen, Mail: h.claims.Policy, Store: h.store, RelyingParty: h.relyingParty, Clock: h.clock, Random: h.random, Desk: h.desk(),
	}
	return begin.Execute(h.t.Context(), signup.Application{Email: email}, domain.Binding{})
}

func (h *house) signsUp(email domain.Email) (does func() error) {
	h.t.Helper()
	started, err := h.beginsToSignUp(email)
	if err != nil {
		h.t.Fatal(err)
	}
	answer := signup.Answer{ChallengeID: started.ChallengeID, Credential: h.creates(started.Options), Visitor: access.Visitor{Session: h.cookie}}
	return func() error {
		finish := &signup.Finish{Policy: domain.RegistrationOpen, Store: h.store, RelyingParty: h.relyingParty, Clock: h.clock, Desk: h.desk(), Door: h.door(), Claims: h.claims}
		_, err := finish.Execute(h.t.Context(), answer)
		return err
	}
}

// others are what people do who are not signed in, the operator, and the house by itself; and what is only looked at.
var others = map[string]func(*house) (does func() error){
	"begin to sign up": func(h *house) func() error {
		return func() error { _, err := h.beginsToSignUp("ben@example.org"); return err }
	},
	"sign up":            func(h *house) func() error { return h.signsUp("ben@example.org") },
	"sign up nameless":   func(h *house) func() error { return h.signsUp("") },
	"sign up as another": func(h *house) func() error { return h.signsUp("ada@example.org") },
	"begin to sign up, no mail": func(h *house) func() error {
		h.sendsNoMail()
		return func() error { _, err := h.beginsToSignUp("ben@example.org"); return err }
	},
	"sign up, no mail": func(h *house) func() error {
		h.sendsNoMail()
		return h.signsUp("ben@example.org")
	},
	"begin to sign in": func(h *house) func() error {
		return func() error {
			_, err := (&login.Begin{Store: h.store, RelyingParty: h.relyingParty, Desk: h.desk(), Decoys: decoys}).Execute(h.t.Context(), "ada@example.org", domain.Binding{})
			return err
		}
	},
	"sign in": func(h *house) func() error {
		answer := h.begunSignIn()
		return func() error { return h.signsIn(answer) }
	},
	"sign in with a program": func(h *house) func() error {
		answer := h.begunSignIn()
		answer.Visitor.Transport = domain.TransportBearer
		if err := (&tokens.KeepKeys{Keyring: h.keyring()}).Execute(h.t.Context()); err != nil {
			h.t.Fatal(err)
		}
		return func() error { return h.signsIn(answer) }
	},
	"sign in oddly": func(h *house) func() error {
		h.policy.BackupEligibility = domain.BackupEligibilityAcceptAndRecord
		answer := h.begunSignIn(authenticator.ForgeFlags(0, authenticator.BackupEligible|authenticator.BackedUp))
		return func() error { return h.signsIn(answer) }
	},
	"begin to add a passkey": func(h *house) func() error {
		return func() error { _, err := h.beginsToAdd(); return err }
	},
	"begin to step up": func(h *house) func() error {
		return func() error { _, err := h.beginsToStepUp(); return err }
	},
	"authenticate": func(h *house) func() error {
		return func() error {
			authenticate := &sessions.Authenticate{Store: h.store, Clock: h.clock, LastSeen: sessions.NewLastSeen(h.store, h.clock, lifetime), Lifetime: lifetime}
			_, err := authenticate.Execute(h.t.Context(), sessions.Proof{Session: h.cookie}, access.Visitor{})
			return err
		}
	},
	"refresh": func(h *house) func() error {
		issuer := h.issuer()
		if err := (&tokens.KeepKeys{Keyring: issuer.Keyring}).Execute(h.t.Context()); err != nil {
			h.t.Fatal(err)
		}
		is := h.ada.Session.Snapshot()
		key := domain.RestoreCredential(domain.CredentialSnapshot{ID: is.CredentialID, UserID: is.UserID})
		session, token, err := domain.OpenBearerSession(key, domain.Device{}, lifetime, issuer.RefreshKeys, noon, rand.Reader)
		if err != nil {
			h.t.Fatal(err)
		}
		h.update(func(tx ports.Tx) error { return tx.Sessions.Add(h.t.Context(), session) })
		return func() error {
			refresh := &sessions.Refresh{Store: h.store, Clock: h.clock, Issuer: issuer, Log: h.log, Lifetime: lifetime}
			_, err := refresh.Execute(h.t.Context(), token, access.Visitor{})
			return err
		}
	},
	"list passkeys": func(h *house) func() error {
		return func() error { _, err := (&passkeys.List{Store: h.store}).Execute(h.t.Context(), h.ada); return err }
	},
	"list sessions": func(h *house) func() error {
		return func() error {
			_, err := (&sessions.List{Store: h.store, Clock: h.clock}).Execute(h.t.Context(), h.ada, domain.SessionID{}, 10)
			return err
		}
	},
	"read the log": func(h *house) func() error {
		return func() error {
			_, err := (&account.Events{Store: h.store}).Execute(h.t.Context(), h.ada, domain.EventID{}, 10)
			return err
		}
	},
	"keep the first key": func(h *house) func() error {
		return func() error { return (&tokens.KeepKeys{Keyring: h.keyring()}).Execute(h.t.Context()) }
	},
	"keep the keys": func(h *house) func() error {
		for _, signsFrom := range []time.Duration{-100 * 24 * time.Hour, -60 * 24 * time.Hour} { // one spent, another due
			key, err := jwt.New().Generate(domain.SigningEdDSA)
			if err != nil {
				h.t.Fatal(err)
			}
			private, err := key.Private()
			if err != nil {
				h.t.Fatal(err)
			}
			stored := domain.RestoreSigningKey(domain.SigningKeySnapshot{ID: key.ID(), Algorithm: key.Algorithm(), Sealed: private, SignsFrom: noon.Add(signsFrom)})
			h.update(func(tx ports.Tx) error { return tx.SigningKeys.Add(h.t.Context(), stored) })
		}
		return func() error { return (&tokens.KeepKeys{Keyring: h.keyring()}).Execute(h.t.Context()) }
	},
	"rotate the keys": func(h *house) func() error {
		return func() error { _, err := (&tokens.RotateKeys{Keyring: h.keyring()}).Execute(h.t.Context()); return err }
	},
	"publish the keys": func(h *house) func() error {
		return func() error { _, err := (&tokens.Publish{Keyring: h.keyring()}).Execute(h.t.Context()); return err }
	},
	"list the keys": func(h *house) func() error {
		return func() error { _, err := (&tokens.ListKeys{Keyring: h.keyring()}).Execute(h.t.Context()); return err }
	},
	"list the users": func(h *house) func() error {
		return func() error {
			_, err := (&admin.ListUsers{Store: h.store}).Execute(h.t.Context(), domain.UserID{}, 10)
			return err
		}
	},
	"show a user": func(h *house) func() error {
		return func() error {
			_, err := (&admin.ShowUser{Store: h.store, Clock: h.clock}).Execute(h.t.Context(), admin.Who{ID: h.ada.User.ID()})
			return err
		}
	},
	"disable a user": func(h *house) func() error {
		return func() error {
			_, err := (&admin.DisableUser{Store: h.store, Clock: h.clock, Log: h.log}).Execute(h.t.Context(), admin.Who{ID: h.ada.User.ID()})
			return err
		}
	},
	"enable a user": func(h *house) func() error {
		h.ada.User.Disable(noon)
		h.update(func(tx ports.Tx) error { return tx.Users.Save(h.t.Context(), h.ada.User) })
		return func() error {
			return (&admin.EnableUser{Store: h.store, Clock: h.clock, Log: h.log}).Execute(h.t.Context(), admin.Who{Email: "ada@example.org"})
		}
	},
	"delete a user": func(h *house) func() error {
		return func() error {
			return (&admin.DeleteUser{Store: h.store, Clock: h.clock, Log: h.log}).Execute(h.t.Context(), admin.Who{ID: h.ada.User.ID()})
		}
	},
	"end anybody's session": func(h *house) func() error {
		return func() error {
			return (&admin.RevokeSession{Store: h.store, Clock: h.clock, Log: h.log}).Execute(h.t.Context(), h.other)
		}
	},
	"end all sessions of a user": func(h *house) func() error {
		return func() error {
			_, err := (&admin.RevokeSessions{Store: h.store, Clock: h.clock, Log: h.log}).Execute(h.t.Context(), admin.Who{ID: h.ada.User.ID()})
			return err
		}
	},
	"write down a use": func(h *house) func() error {
		lastSeen := sessions.NewLastSeen(switching{h}, h.clock, lifetime)
		lastSeen.Note(h.other, "203.0.113.9", noon.Add(2*time.Minute))
		return func() error { _, err := lastSeen.Execute(h.t.Context()); return err }
	},
	"sweep": func(h *house) func() error {
		h.clock.now = noon.Add(1000 * 24 * time.Hour)
		return func() error {
			_, err := (&housekeeping.Sweep{Store: h.store, Clock: h.clock}).Execute(h.t.Context())
			return err
		}
	},
	"look whether it is ready": func(h *house) func() error {
		return func() error { return (&housekeeping.Ready{Store: h.store}).Execute(h.t.Context()) }
	},
}

// switching is whatever store the house has at the time.
type switching struct{ *house }

func (s switching) View(ctx context.Context, fn func(ports.Tx) error) error {
	return s.store.View(ctx, fn)
}
func (s switching) Update(ctx context.Context, fn func(ports.Tx) error) error {
	return s.store.Update(ctx, fn)
}

// At whatever moment the store fails, whoever asked hears of that, nothing is kept by halves, and the same succeeds
// afterwards: no challenge, no token and no attempt is used up by an outage.
func TestAnOutageIsToldKeepsNothingAndCanBeGotOver(t *testing.T) {
	inTurn := map[string]bool{"sweep": true, "deliver": true} // a unit of work after another; what was kept before stays
	for _, each := range []map[string]func(*house) func() error{deeds, others} {
		for name, prepare := range each {
			t.Run(name, func(t *testing.T) {
				for at := 1; ; at++ {
					h := newHouse(t)
					does := prepare(h)
					sound, broken := h.store, &breaking{Store: h.store, at: at}
					before := h.keeps()
					h.store = broken
					err := does()
					h.store = sound
					if broken.asked < at {
						if err != nil || at == 1 {
							t.Errorf("of a store that was asked %d things: %v", broken.asked, err)
						}
						return
					}
					if !errors.Is(err, domain.ErrUnavailable) {
						t.Errorf("thing %d failed: got %v", at, err)
					}
					if changed := h.keeps().changed(before); !inTurn[name] && changed != nil {
						t.Errorf("thing %d failed, and changed are %q", at, changed)
					}
					if err := does(); err != nil {
						t.Errorf("after thing %d failed: %v", at, err)
					}
				}
			})
		}
	}
}

// A bad answer whose challenge could not be spent is told as the outage that it is, and is still a bad one afterwards.
func TestAnOutageDoesNotHideARefusal(t *testing.T) {
	for at := 1; ; at++ {
		h := newHouse(t)
		answer := h.begunSignIn(authenticator.ForgeSignature(func(honest []byte) []byte { return honest[:len(honest)/2] }))
		sound, broken := h.store, &breaking{Store: h.store, at: at}
		h.store = broken
		err := h.signsIn(answer)
		h.store = sound
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
			if err := h.signsIn(answer); !errors.Is(err, want) {
				t.Errorf("after thing %d failed: got %v, want %v", at, err, want)
			}
		}
	}
}

// What should have been random is zeros then, which anybody could guess.
func TestWithoutRandomnessNothingIsKept(t *testing.T) {
	afterwards := map[string]bool{"refresh": true} // tokens are signed after the commit; the same one may be shown again
	for _, each := range []map[string]func(*house) func() error{deeds, others} {
		for name, prepare := range each {
			t.Run(name, func(t *testing.T) {
				for at := 1; ; at++ {
					h := newHouse(t)
					does := prepare(h)
					before := h.keeps()
					h.random.at, h.random.reads = at, 0
					err := does()
					if h.random.reads < at {
						if err != nil {
							t.Errorf("got %v", err)
						}
						return
					}
					if !errors.Is(err, errStumbled) {
						t.Errorf("read %d failed: got %v", at, err)
					}
					if changed := h.keeps().changed(before); !afterwards[name] && changed != nil {
						t.Errorf("read %d failed, and changed are %q", at, changed)
					}
				}
			})
		}
	}
}

// speechless is a relying party that can ask nobody anything.
type speechless struct{ ports.RelyingParty }

var errSpeechless = errors.New("no options")

func (speechless) BeginRegistration(domain.UserEntity, []domain.CredentialDescriptor) (ports.Ceremony, error) {
	return ports.Ceremony{}, errSpeechless
}

func (speechless) BeginAuthentication([]domain.CredentialDescriptor) (ports.Ceremony, error) {
	return ports.Ceremony{}, errSpeechless
}

func TestNothingBeginsWithoutOptions(t *testing.T) {
	for _, name := range []string{"begin to sign up", "begin to sign in", "begin to add a passkey", "begin to step up"} {
		h := newHouse(t)
		h.relyingParty = speechless{h.relyingParty}
		if err := others[name](h)(); !errors.Is(err, errSpeechless) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

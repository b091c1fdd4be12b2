package application_test

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/authenticator"
	"github.com/keylodge/keylodge/acceptance/sqlitestore"
	"github.com/keylodge/keylodge/adapters/totp"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/login"
	"github.com/keylodge/keylodge/application/passkeys"
	"github.com/keylodge/keylodge/application/recovery"
	"github.com/keylodge/keylodge/application/signup"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Whether an address has an account is not to be told by the time that an answer takes. That is not measured here but
// counted: for each kind of account the same things are asked of the store, in the same order, and the same cryptography is done.
// acceptance.BenchmarkEnumeration measures.

// recordingStore is a store, and the parts that do cryptography, which write down what they are asked.
type recordingStore struct {
	breaking
	ports.RelyingParty
	ports.TOTPCodes
	asked []string
}

// newRecordingStore wraps the house's store.
func (f *fixture) newRecordingStore() *recordingStore {
	c := &recordingStore{breaking: breaking{Store: f.store}, RelyingParty: f.relyingParty}
	c.note = func(what string) { c.asked = append(c.asked, what) }
	return c
}

func (c *recordingStore) BeginAuthentication(allowed []domain.CredentialDescriptor) (ports.CeremonyOptions, error) {
	c.asked = append(c.asked, "options")
	return c.RelyingParty.BeginAuthentication(allowed)
}

func (c *recordingStore) BeginRegistration(user domain.UserEntity, excluded []domain.CredentialDescriptor) (ports.CeremonyOptions, error) {
	c.asked = append(c.asked, "options")
	return c.RelyingParty.BeginRegistration(user, excluded)
}

func (c *recordingStore) VerifyAuthentication(state []byte, answer ports.AuthenticationAnswer, owner *domain.User, credential *domain.Credential) (domain.Assertion, error) {
	c.asked = append(c.asked, "verification")
	return c.RelyingParty.VerifyAuthentication(state, answer, owner, credential)
}

func (c *recordingStore) RejectUnknown(state []byte, answer ports.AuthenticationAnswer, decoy bool) error {
	c.asked = append(c.asked, "verification")
	return c.RelyingParty.RejectUnknown(state, answer, decoy)
}

func (c *recordingStore) VerifyRegistration(state []byte, answer ports.RegistrationAnswer) (domain.Registration, error) {
	c.asked = append(c.asked, "verification")
	return c.RelyingParty.VerifyRegistration(state, answer)
}

func (c *recordingStore) FindStep(secret domain.Secret, code domain.TOTPCode, now time.Time) (domain.TOTPStep, error) {
	c.asked = append(c.asked, "code")
	return c.TOTPCodes.FindStep(secret, code, now)
}

// callerName names the method of the store that is asked.
func callerName() string {
	var frames [8]uintptr
	callers := runtime.CallersFrames(frames[:runtime.Callers(3, frames[:])])
	for {
		frame, more := callers.Next()
		_, name, _ := strings.Cut(frame.Function, "_test.breaking")
		if name != "" && !strings.Contains(name, "func") {
			return name
		}
		if !more {
			return "commit"
		}
	}
}

var decoys = domain.Decoys{Keys: [][]byte{[]byte("key")}, Limit: 20}

// accountClasses are the addresses that are to look alike, by what is behind them.
func (f *fixture) accountClasses() map[string]domain.Email {
	f.t.Helper()
	add := func(address domain.Email, change func(*domain.User)) {
		applicant := domain.NewPendingUser(address, "Ben", noon, rand.Reader)
		user := applicant.ToUser(noon)
		change(user)
		f.update(func(tx ports.Tx) error {
			if err := tx.Users.Add(f.t.Context(), user); err != nil || address == "keyless@example.org" {
				return err
			}
			adas, err := tx.Credentials.ListByUser(f.t.Context(), f.ada.User.ID())
			if err != nil {
				return err
			}
			state := adas[0].State()
			state.ID, state.UserID = domain.CredentialID(address), user.ID()
			return tx.Credentials.Add(f.t.Context(), domain.RestoreCredential(state))
		})
	}
	add("disabled@example.org", func(u *domain.User) { u.Disable(noon) })
	add("keyless@example.org", func(*domain.User) {})
	add("locked@example.org", func(u *domain.User) {
		lockout := domain.NewLockout(f.verification.Lockout.Account(u.ID()))
		for range 20 {
			lockout.RecordFailure(noon)
		}
		f.update(func(tx ports.Tx) error { return tx.Lockouts.Save(f.t.Context(), lockout) })
	})
	return map[string]domain.Email{
		"known": "ada@example.org", "unknown": "nobody@example.org", "disabled": "disabled@example.org", "without a passkey": "keyless@example.org", "locked": "locked@example.org",
	}
}

// requireSameCalls fails for each class that has something else done than a known one.
func requireSameCalls(t *testing.T, classes map[string]domain.Email, execute func(email domain.Email) []string) {
	t.Helper()
	want := execute(classes["known"])
	if len(want) < 3 {
		t.Errorf("hardly anything was asked: %q", want)
	}
	for class, email := range classes {
		if class == "known" {
			continue
		}
		got := execute(email)
		for at := range max(len(got), len(want)) {
			if at >= len(got) || at >= len(want) || got[at] != want[at] {
				t.Errorf("%s, from step %d: %q\nknown: %q", class, at, got[min(at, len(got)):], want[min(at, len(want)):])
				break
			}
		}
	}
}

func TestLoginBegin_SameCallsForEveryAddress(t *testing.T) {
	f := newFixture(t)
	requireSameCalls(t, f.accountClasses(), func(email domain.Email) []string {
		c := f.newRecordingStore()
		desk := *f.challenges()
		desk.Store = c
		if _, err := (&login.Service{Store: c, RelyingParty: c, Challenges: &desk, Decoys: decoys}).Begin(t.Context(), email, domain.Binding{}); err != nil {
			t.Fatal(err)
		}
		return c.asked
	})
}

// A stranger who answers with a listed id does not hold its key, whether it is a passkey's or a decoy's, and whether the sign-in was
// begun with the address or without one.
func TestLoginFinish_ForgedResponseSameCallsForEveryAddress(t *testing.T) {
	for name, forge := range map[string][]authenticator.Variation{
		"a bad signature":   {},
		"another handle":    {authenticator.ForgeUserHandle(make([]byte, 32))},
		"no verification":   {authenticator.ForgeFlags(0, authenticator.UserVerified)},
		"another origin":    {authenticator.ForgeOrigin("https://evil.example")},
		"another challenge": {authenticator.ForgeChallenge(make([]byte, 32))},
		"no client data":    {authenticator.ForgeClientDataJSON(func([]byte) []byte { return nil })},
	} {
		for _, named := range []bool{true, false} {
			f := newFixture(t)
			var codes []string
			requireSameCalls(t, f.accountClasses(), func(email domain.Email) []string {
				c := f.newRecordingStore()
				desk := *f.challenges()
				desk.Store = c
				begun := f.beginSignIn(email)
				listed := firstAllowedID(t, begun.Options)
				if !named {
					begun = f.beginSignIn("")
				}
				answer := f.getAssertion(withoutAllowCredentials(t, begun.Options), append([]authenticator.Variation{authenticator.ForgeUserHandle(nil), authenticator.ForgeSignature(flipSignature)}, forge...)...)
				answer.ID = listed
				_, err := (&login.Service{Store: c, RelyingParty: c, Clock: f.clock, Challenges: &desk, Audit: f.auditLog, Decoys: decoys}).Finish(t.Context(), login.FinishInput{ChallengeID: begun.ChallengeID, Credential: answer})
				var refused *domain.Error
				if !errors.As(err, &refused) || refused.Kind != domain.KindRejected {
					t.Errorf("%s, %s, by address %t: %v", email, name, named, err)
					return c.asked
				}
				codes = append(codes, refused.Code)
				return c.asked
			})
			slices.Sort(codes)
			if len(slices.Compact(codes)) != 1 {
				t.Errorf("%s, by address %t: refused as %q", name, named, codes)
			}
		}
	}
}

func (f *fixture) beginSignIn(email domain.Email) ceremony.Begun {
	f.t.Helper()
	begun, err := (&login.Service{Store: f.store, RelyingParty: f.relyingParty, Challenges: f.challenges(), Decoys: decoys}).Begin(f.t.Context(), email, domain.Binding{})
	if err != nil {
		f.t.Fatal(err)
	}
	return begun
}

// Without attestation a client chooses the id of its new passkey: it may be one that was listed.
func TestRegister_ListedIDIsTakenForEveryAddress(t *testing.T) {
	for name, registers := range map[string]func(f *fixture, c *recordingStore, desk *ceremony.Service, listed []byte) error{
		"sign up": func(f *fixture, c *recordingStore, desk *ceremony.Service, listed []byte) error {
			begun, err := f.beginSignUp("")
			if err != nil {
				return err
			}
			finish := &signup.Service{Policy: domain.RegistrationOpen, Store: c, RelyingParty: c, Clock: f.clock, Challenges: desk, SessionIssuer: f.sessionIssuer(), EmailVerification: f.verification, Decoys: decoys}
			_, err = finish.Finish(f.t.Context(), signup.FinishInput{ChallengeID: begun.ChallengeID, Credential: f.createCredential(begun.Options, authenticator.ForgeCredentialID(listed))})
			return err
		},
		"add a passkey": func(f *fixture, c *recordingStore, desk *ceremony.Service, listed []byte) error {
			ben := f.addSignedInUser("Ben")
			begun, err := (&passkeys.Service{Store: f.store, RelyingParty: f.relyingParty, Clock: f.clock, Challenges: f.challenges(), StepUp: stepUp, Limit: 20}).BeginAdd(f.t.Context(), ben, domain.Binding{})
			if err != nil {
				return err
			}
			finish := &passkeys.Service{Store: c, RelyingParty: c, Clock: f.clock, Challenges: desk, Audit: f.auditLog, Limit: 20, Decoys: decoys}
			_, err = finish.FinishAdd(f.t.Context(), ben, passkeys.FinishAddInput{ChallengeID: begun.ChallengeID, Credential: f.createCredential(begun.Options, authenticator.ForgeCredentialID(listed))})
			return err
		},
		"recover": func(f *fixture, c *recordingStore, desk *ceremony.Service, listed []byte) error {
			ben := f.addSignedInUser("Ben")
			signIn, token := domain.NewRecoveryGrant(ben.User.ID(), []domain.RecoveryFactor{domain.FactorTOTP}, domain.BackupCodeDigest{}, domain.KeyRing[domain.RecoveryGrantToken]{make([]byte, 32)}, noon, rand.Reader)
			f.update(func(tx ports.Tx) error { return tx.RecoveryGrants.Put(f.t.Context(), signIn) })
			begun, err := (&recovery.Service{Policy: domain.RecoveryAny, Store: f.store, RelyingParty: f.relyingParty, Clock: f.clock, Challenges: f.challenges()}).Begin(f.t.Context(), token, domain.Binding{})
			if err != nil {
				return err
			}
			finish := &recovery.Service{Policy: domain.RecoveryAny, Store: c, RelyingParty: c, Clock: f.clock, Challenges: desk, SessionIssuer: f.sessionIssuer(), Audit: f.auditLog, Decoys: decoys}
			_, err = finish.Finish(f.t.Context(), recovery.FinishInput{Token: token, ChallengeID: begun.ChallengeID, Credential: f.createCredential(begun.Options, authenticator.ForgeCredentialID(listed))})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			requireSameCalls(t, f.accountClasses(), func(email domain.Email) []string {
				listed := firstAllowedID(t, f.beginSignIn(email).Options)
				c := f.newRecordingStore()
				desk := *f.challenges()
				desk.Store = c
				if err := registers(f, c, &desk, listed); !errors.Is(err, domain.ErrPasskeyAlreadyRegistered) {
					t.Errorf("%s: %v", email, err)
				}
				return c.asked
			})
		})
	}
}

// addSignedInUser makes another account, signed in.
func (f *fixture) addSignedInUser(name domain.DisplayName) identity.Principal {
	f.t.Helper()
	applicant := domain.NewPendingUser("", name, noon, rand.Reader)
	user := applicant.ToUser(noon)
	key, err := domain.NewCredential(user.ID(), "", sqlitestore.Registration(domain.CredentialID(user.Handle())), noon)
	if err != nil {
		f.t.Fatal(err)
	}
	f.update(func(tx ports.Tx) error {
		return errors.Join(tx.Users.Add(f.t.Context(), user), tx.Credentials.Add(f.t.Context(), key))
	})
	session, _ := f.addSession(key)
	return identity.Principal{User: user, Session: session, AuthContext: session.AuthContext()}
}

func TestRedeem_SameCallsForEveryAccount(t *testing.T) {
	for _, policy := range []domain.RecoveryPolicy{domain.RecoveryAny, domain.RecoveryBoth} {
		f := newFixture(t)
		classes := f.accountClasses()
		f.update(func(tx ports.Tx) error {
			for _, class := range []string{"known", "disabled", "locked"} { // those have an app
				user, err := tx.Users.ByEmail(t.Context(), classes[class])
				if err != nil {
					return err
				}
				app := domain.RestoreTOTP(domain.TOTPState{UserID: user.ID(), Secret: []byte("JBSWY3DPEHPK3PXP"), ConfirmedAt: noon})
				if err := tx.TOTPs.Save(t.Context(), app); err != nil {
					return err
				}
			}
			return nil
		})
		requireSameCalls(t, classes, func(email domain.Email) []string {
			c := f.newRecordingStore()
			c.TOTPCodes = totp.New("Keylodge")
			redeem := &recovery.Service{
				Policy: policy, Store: c, Codes: c, Sealer: plainSealer{}, Clock: f.clock, Random: rand.Reader, Audit: f.auditLog,
				Peppers: domain.KeyRing[domain.BackupCode]{make([]byte, 32)}, Keys: domain.KeyRing[domain.RecoveryGrantToken]{make([]byte, 32)}, Lockout: make([]byte, 32),
			}
			for try := range 14 { // through the waits as well
				if try == 7 && email == "ada@example.org" { // which an owner's sign-in ends
					if err := f.finishSignIn(f.answerSignIn()); err != nil {
						t.Fatal(err)
					}
				}
				claim := recovery.Proof{User: domain.UserRef{Email: email}, TOTPCode: "000000"}
				if policy == domain.RecoveryBoth {
					claim.BackupCode = "0000-0000-0000-0000"
				}
				_, err := redeem.Redeem(t.Context(), claim, identity.Client{IP: "192.0.2.7"})
				c.asked = append(c.asked, reflect.TypeOf(err).String()+" "+err.Error())
			}
			return c.asked
		})
	}
}

func TestSignUpBegin_SameCallsForEveryAddressWithMail(t *testing.T) {
	f := newFixture(t)
	requireSameCalls(t, f.accountClasses(), func(email domain.Email) []string {
		c := f.newRecordingStore()
		desk := *f.challenges()
		desk.Store = c
		begin := &signup.Service{Store: c, RelyingParty: c, Clock: f.clock, Random: rand.Reader, Challenges: &desk, Policy: domain.RegistrationOpen, EmailVerification: f.verification}
		if _, err := begin.Begin(t.Context(), signup.Input{Email: email}, domain.Binding{}); err != nil {
			t.Fatal(err)
		}
		return c.asked
	})
}

func flipSignature(signature []byte) []byte {
	signature[len(signature)-1] ^= 1
	return signature
}

// withoutAllowCredentials are the options for a device that has none of the passkeys asked for.
func withoutAllowCredentials(t *testing.T, options []byte) []byte {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal(options, &members); err != nil {
		t.Fatal(err)
	}
	delete(members, "allowCredentials")
	stripped, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return stripped
}

func firstAllowedID(t *testing.T, options []byte) []byte {
	t.Helper()
	var listed struct {
		AllowCredentials []struct{ ID authenticator.Base64URL }
	}
	if err := json.Unmarshal(options, &listed); err != nil || len(listed.AllowCredentials) == 0 {
		t.Fatalf("%v: %s", err, options)
	}
	return listed.AllowCredentials[0].ID
}

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

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
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

// The duration of a response must not reveal whether an address has an account. These tests do not measure durations: they compare the
// calls of the store and of the cryptography for each class of account. acceptance.BenchmarkEnumeration measures.

// recordingStore records the calls of a store and of the ports that do cryptography.
type recordingStore struct {
	failing
	ports.RelyingParty
	ports.TOTPCodes
	calls []string
}

func (f *fixture) newRecordingStore() *recordingStore {
	c := &recordingStore{failing: failing{Store: f.store}, RelyingParty: f.relyingParty}
	c.record = func(call string) { c.calls = append(c.calls, call) }
	return c
}

func (c *recordingStore) BeginAuthentication(allowed []domain.CredentialDescriptor) (ports.CeremonyOptions, error) {
	c.calls = append(c.calls, "options")
	return c.RelyingParty.BeginAuthentication(allowed)
}

func (c *recordingStore) BeginRegistration(user domain.UserEntity, excluded []domain.CredentialDescriptor) (ports.CeremonyOptions, error) {
	c.calls = append(c.calls, "options")
	return c.RelyingParty.BeginRegistration(user, excluded)
}

func (c *recordingStore) VerifyAuthentication(state []byte, input ports.AuthenticationAnswer, owner *domain.User, credential *domain.Credential) (domain.Assertion, error) {
	c.calls = append(c.calls, "verification")
	return c.RelyingParty.VerifyAuthentication(state, input, owner, credential)
}

func (c *recordingStore) RejectUnknown(state []byte, input ports.AuthenticationAnswer, decoy bool) error {
	c.calls = append(c.calls, "verification")
	return c.RelyingParty.RejectUnknown(state, input, decoy)
}

func (c *recordingStore) VerifyRegistration(state []byte, input ports.RegistrationAnswer) (domain.Registration, error) {
	c.calls = append(c.calls, "verification")
	return c.RelyingParty.VerifyRegistration(state, input)
}

func (c *recordingStore) FindStep(secret domain.Secret, code domain.TOTPCode, now time.Time) (domain.TOTPStep, error) {
	c.calls = append(c.calls, "code")
	return c.TOTPCodes.FindStep(secret, code, now)
}

// callerName returns the method of the failing store that called it.
func callerName() string {
	var frames [8]uintptr
	callers := runtime.CallersFrames(frames[:runtime.Callers(3, frames[:])])
	for {
		frame, more := callers.Next()
		_, name, _ := strings.Cut(frame.Function, "_test.failing")
		if name != "" && !strings.Contains(name, "func") {
			return name
		}
		if !more {
			return "commit"
		}
	}
}

var decoys = domain.Decoys{Keys: [][]byte{[]byte("key")}, Limit: 20}

// accountClasses returns an address of each class that a client must not be able to distinguish.
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
			passkeys, err := tx.Credentials.ListByUser(f.t.Context(), f.ada.User.ID())
			if err != nil {
				return err
			}
			state := passkeys[0].State()
			state.ID, state.UserID = domain.CredentialID(address), user.ID()
			return tx.Credentials.Add(f.t.Context(), domain.RestoreCredential(state), sqlitestore.Attestation())
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
		"known": "ada@example.org", "unknown": "unknown@example.org", "disabled": "disabled@example.org", "without a passkey": "keyless@example.org", "locked": "locked@example.org",
	}
}

// requireSameCalls fails the test for each class with other calls than the known one.
func requireSameCalls(t *testing.T, classes map[string]domain.Email, execute func(email domain.Email) []string) {
	t.Helper()
	want := execute(classes["known"])
	if len(want) < 3 {
		t.Errorf("too few calls: %q", want)
	}
	for class, email := range classes {
		if class == "known" {
			continue
		}
		got := execute(email)
		for at := range max(len(got), len(want)) {
			if at >= len(got) || at >= len(want) || got[at] != want[at] {
				t.Errorf("%s, from call %d: %q\nknown: %q", class, at, got[min(at, len(got)):], want[min(at, len(want)):])
				break
			}
		}
	}
}

// Requirement: ASVS-6.3.8
func TestLoginBegin_SameCallsForEveryAddress(t *testing.T) {
	f := newFixture(t)
	requireSameCalls(t, f.accountClasses(), func(email domain.Email) []string {
		c := f.newRecordingStore()
		service := *f.challenges()
		service.Store = c
		if _, err := (&login.Service{Store: c, RelyingParty: c, Challenges: &service, Decoys: decoys}).Begin(t.Context(), email, domain.Binding{}); err != nil {
			t.Fatal(err)
		}
		return c.calls
	})
}

// An attacker without the private key responds with an id that the options listed, of a passkey or a decoy, to a challenge for the address
// or for no address.
// Requirement: ASVS-6.3.8
func TestLoginFinish_ForgedResponseSameCallsForEveryAddress(t *testing.T) {
	for name, forge := range map[string][]authenticator.Variation{
		"bad signature":        {},
		"other user handle":    {authenticator.ForgeUserHandle(make([]byte, 32))},
		"no user verification": {authenticator.ForgeFlags(0, authenticator.UserVerified)},
		"other origin":         {authenticator.ForgeOrigin("https://evil.example")},
		"other challenge":      {authenticator.ForgeChallenge(make([]byte, 32))},
		"no client data":       {authenticator.ForgeClientDataJSON(func([]byte) []byte { return nil })},
	} {
		for _, withAddress := range []bool{true, false} {
			f := newFixture(t)
			var codes []string
			requireSameCalls(t, f.accountClasses(), func(email domain.Email) []string {
				c := f.newRecordingStore()
				service := *f.challenges()
				service.Store = c
				begun := f.beginSignIn(email)
				allowedID := firstAllowedID(t, begun.Options)
				if !withAddress {
					begun = f.beginSignIn("")
				}
				input := f.getAssertion(withoutAllowCredentials(t, begun.Options), append([]authenticator.Variation{authenticator.ForgeUserHandle(nil), authenticator.ForgeSignature(flipSignature)}, forge...)...)
				input.ID = allowedID
				_, err := (&login.Service{Store: c, RelyingParty: c, Clock: f.clock, Challenges: &service, Audit: f.auditLog, Decoys: decoys}).Finish(t.Context(), login.FinishInput{ChallengeID: begun.ChallengeID, Credential: input})
				var rejection *domain.Error
				if !errors.As(err, &rejection) || rejection.Kind != domain.KindRejected {
					t.Errorf("%s, %s, with address %t: %v", email, name, withAddress, err)
					return c.calls
				}
				codes = append(codes, rejection.Code)
				return c.calls
			})
			slices.Sort(codes)
			if len(slices.Compact(codes)) != 1 {
				t.Errorf("%s, with address %t: rejected with %q", name, withAddress, codes)
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

// Without attestation, a client can choose the id of its new passkey: it may choose a listed one.
// Requirement: WebAuthn-14.6.2
func TestRegister_ListedIDIsTakenForEveryAddress(t *testing.T) {
	for name, register := range map[string]func(f *fixture, c *recordingStore, service *ceremony.Service, allowedID []byte) error{
		"sign up": func(f *fixture, c *recordingStore, service *ceremony.Service, allowedID []byte) error {
			begun, err := f.beginSignUp("")
			if err != nil {
				return err
			}
			finish := &signup.Service{Policy: domain.RegistrationOpen, Store: c, RelyingParty: c, Clock: f.clock, Challenges: service, SessionIssuer: f.sessionIssuer(), EmailVerification: f.verification, Decoys: decoys}
			_, err = finish.Finish(f.t.Context(), signup.FinishInput{ChallengeID: begun.ChallengeID, Credential: f.createCredential(begun.Options, authenticator.ForgeCredentialID(allowedID))})
			return err
		},
		"add a passkey": func(f *fixture, c *recordingStore, service *ceremony.Service, allowedID []byte) error {
			ben := f.addSignedInUser("Ben")
			begun, err := (&passkeys.Service{Store: f.store, RelyingParty: f.relyingParty, Clock: f.clock, Challenges: f.challenges(), StepUp: stepUp, Limit: 20}).BeginAdd(f.t.Context(), ben, domain.Binding{})
			if err != nil {
				return err
			}
			finish := &passkeys.Service{Store: c, RelyingParty: c, Clock: f.clock, Challenges: service, Audit: f.auditLog, Limit: 20, Decoys: decoys}
			_, err = finish.FinishAdd(f.t.Context(), ben, passkeys.FinishAddInput{ChallengeID: begun.ChallengeID, Credential: f.createCredential(begun.Options, authenticator.ForgeCredentialID(allowedID))})
			return err
		},
		"recover": func(f *fixture, c *recordingStore, service *ceremony.Service, allowedID []byte) error {
			ben := f.addSignedInUser("Ben")
			grant, token := domain.NewRecoveryGrant(ben.User.ID(), []domain.RecoveryFactor{domain.FactorTOTP}, domain.BackupCodeDigest{}, domain.KeyRing[domain.RecoveryGrantToken]{make([]byte, 32)}, noon, rand.Reader)
			f.update(func(tx ports.Tx) error { return tx.RecoveryGrants.Put(f.t.Context(), grant) })
			begun, err := (&recovery.Service{Policy: domain.RecoveryAny, Store: f.store, RelyingParty: f.relyingParty, Clock: f.clock, Challenges: f.challenges()}).Begin(f.t.Context(), token, domain.Binding{})
			if err != nil {
				return err
			}
			finish := &recovery.Service{Policy: domain.RecoveryAny, Store: c, RelyingParty: c, Clock: f.clock, Challenges: service, SessionIssuer: f.sessionIssuer(), Audit: f.auditLog, Decoys: decoys}
			_, err = finish.Finish(f.t.Context(), recovery.FinishInput{Token: token, ChallengeID: begun.ChallengeID, Credential: f.createCredential(begun.Options, authenticator.ForgeCredentialID(allowedID))})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			requireSameCalls(t, f.accountClasses(), func(email domain.Email) []string {
				allowedID := firstAllowedID(t, f.beginSignIn(email).Options)
				c := f.newRecordingStore()
				service := *f.challenges()
				service.Store = c
				if err := register(f, c, &service, allowedID); !errors.Is(err, domain.ErrPasskeyAlreadyRegistered) {
					t.Errorf("%s: %v", email, err)
				}
				return c.calls
			})
		})
	}
}

// addSignedInUser stores another user with a session.
func (f *fixture) addSignedInUser(name domain.DisplayName) identity.Principal {
	f.t.Helper()
	applicant := domain.NewPendingUser("", name, noon, rand.Reader)
	user := applicant.ToUser(noon)
	key, err := domain.NewCredential(user.ID(), "", sqlitestore.Registration(domain.CredentialID(user.Handle())), noon)
	if err != nil {
		f.t.Fatal(err)
	}
	f.update(func(tx ports.Tx) error {
		return errors.Join(tx.Users.Add(f.t.Context(), user), tx.Credentials.Add(f.t.Context(), key, sqlitestore.Attestation()))
	})
	session, _ := f.addSession(key)
	return identity.Principal{User: user, Session: session, AuthContext: session.AuthContext()}
}

// Requirement: ASVS-6.3.8
func TestRedeem_SameCallsForEveryAccount(t *testing.T) {
	for _, policy := range []domain.RecoveryPolicy{domain.RecoveryAny, domain.RecoveryBoth} {
		f := newFixture(t)
		classes := f.accountClasses()
		f.update(func(tx ports.Tx) error {
			for _, class := range []string{"known", "disabled", "locked"} { // users with TOTP
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
			service := &recovery.Service{
				Policy: policy, Store: c, Codes: c, Sealer: plainSealer{}, Clock: f.clock, Random: rand.Reader, Audit: f.auditLog,
				Peppers: domain.KeyRing[domain.BackupCode]{make([]byte, 32)}, Keys: domain.KeyRing[domain.RecoveryGrantToken]{make([]byte, 32)}, Lockout: make([]byte, 32),
			}
			for attempt := range 14 { // beyond the lockouts
				if attempt == 7 && email == "ada@example.org" { // a sign-in of the owner ends the lockout
					if err := f.finishSignIn(f.answerSignIn()); err != nil {
						t.Fatal(err)
					}
				}
				proof := recovery.Proof{User: domain.UserRef{Email: email}, TOTPCode: "000000"}
				if policy == domain.RecoveryBoth {
					proof.BackupCode = "0000-0000-0000-0000"
				}
				_, err := service.Redeem(t.Context(), proof, identity.Client{IP: "192.0.2.7"})
				c.calls = append(c.calls, reflect.TypeOf(err).String()+" "+err.Error())
			}
			return c.calls
		})
	}
}

func TestSignUpBegin_SameCallsForEveryAddressWithMail(t *testing.T) {
	f := newFixture(t)
	requireSameCalls(t, f.accountClasses(), func(email domain.Email) []string {
		c := f.newRecordingStore()
		service := *f.challenges()
		service.Store = c
		begin := &signup.Service{Store: c, RelyingParty: c, Clock: f.clock, Random: rand.Reader, Challenges: &service, Policy: domain.RegistrationOpen, EmailVerification: f.verification}
		if _, err := begin.Begin(t.Context(), signup.Input{Email: email}, domain.Binding{}); err != nil {
			t.Fatal(err)
		}
		return c.calls
	})
}

func flipSignature(signature []byte) []byte {
	signature[len(signature)-1] ^= 1
	return signature
}

// withoutAllowCredentials removes allowCredentials, so that the device of another passkey responds.
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
	var allowedID struct {
		AllowCredentials []struct{ ID authenticator.Base64URL }
	}
	if err := json.Unmarshal(options, &allowedID); err != nil || len(allowedID.AllowCredentials) == 0 {
		t.Fatalf("%v: %s", err, options)
	}
	return allowedID.AllowCredentials[0].ID
}

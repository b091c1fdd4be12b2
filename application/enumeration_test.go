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
func (h *fixture) newRecordingStore() *recordingStore {
	c := &recordingStore{breaking: breaking{Store: h.store}, RelyingParty: h.relyingParty}
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
func (h *fixture) accountClasses() map[string]domain.Email {
	h.t.Helper()
	add := func(address domain.Email, change func(*domain.User)) {
		applicant := domain.NewPendingUser(address, "Ben", noon, rand.Reader)
		user := applicant.ToUser(noon)
		change(user)
		h.update(func(tx ports.Tx) error {
			if err := tx.Users.Add(h.t.Context(), user); err != nil || address == "keyless@example.org" {
				return err
			}
			adas, err := tx.Credentials.ListByUser(h.t.Context(), h.ada.User.ID())
			if err != nil {
				return err
			}
			is := adas[0].State()
			is.ID, is.UserID = domain.CredentialID(address), user.ID()
			return tx.Credentials.Add(h.t.Context(), domain.RestoreCredential(is))
		})
	}
	add("disabled@example.org", func(u *domain.User) { u.Disable(noon) })
	add("keyless@example.org", func(*domain.User) {})
	add("locked@example.org", func(u *domain.User) {
		lockout := domain.NewLockout(h.verification.Lockout.Account(u.ID()))
		for range 20 {
			lockout.RecordFailure(noon)
		}
		h.update(func(tx ports.Tx) error { return tx.Lockouts.Save(h.t.Context(), lockout) })
	})
	return map[string]domain.Email{
		"known": "ada@example.org", "unknown": "nobody@example.org", "disabled": "disabled@example.org", "without a passkey": "keyless@example.org", "locked": "locked@example.org",
	}
}

// requireSameCalls fails for each class that has something else done than a known one.
func requireSameCalls(t *testing.T, classes map[string]domain.Email, does func(email domain.Email) []string) {
	t.Helper()
	want := does(classes["known"])
	if len(want) < 3 {
		t.Errorf("hardly anything was asked: %q", want)
	}
	for class, email := range classes {
		if class == "known" {
			continue
		}
		got := does(email)
		for at := range max(len(got), len(want)) {
			if at >= len(got) || at >= len(want) || got[at] != want[at] {
				t.Errorf("%s, from step %d: %q\nknown: %q", class, at, got[min(at, len(got)):], want[min(at, len(want)):])
				break
			}
		}
	}
}

func TestLoginBegin_SameCallsForEveryAddress(t *testing.T) {
	h := newFixture(t)
	requireSameCalls(t, h.accountClasses(), func(email domain.Email) []string {
		c := h.newRecordingStore()
		desk := *h.challenges()
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
			h := newFixture(t)
			var codes []string
			requireSameCalls(t, h.accountClasses(), func(email domain.Email) []string {
				c := h.newRecordingStore()
				desk := *h.challenges()
				desk.Store = c
				begun := h.beginSignIn(email)
				listed := firstAllowedID(t, begun.Options)
				if !named {
					begun = h.beginSignIn("")
				}
				answer := h.getAssertion(withoutAllowCredentials(t, begun.Options), append([]authenticator.Variation{authenticator.ForgeUserHandle(nil), authenticator.ForgeSignature(flipSignature)}, forge...)...)
				answer.ID = listed
				_, err := (&login.Service{Store: c, RelyingParty: c, Clock: h.clock, Challenges: &desk, Audit: h.auditLog, Decoys: decoys}).Finish(t.Context(), login.FinishInput{ChallengeID: begun.ChallengeID, Credential: answer})
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

func (h *fixture) beginSignIn(email domain.Email) ceremony.Begun {
	h.t.Helper()
	begun, err := (&login.Service{Store: h.store, RelyingParty: h.relyingParty, Challenges: h.challenges(), Decoys: decoys}).Begin(h.t.Context(), email, domain.Binding{})
	if err != nil {
		h.t.Fatal(err)
	}
	return begun
}

// Without attestation a client chooses the id of its new passkey: it may be one that was listed.
func TestRegister_ListedIDIsTakenForEveryAddress(t *testing.T) {
	for name, registers := range map[string]func(h *fixture, c *recordingStore, desk *ceremony.Service, listed []byte) error{
		"sign up": func(h *fixture, c *recordingStore, desk *ceremony.Service, listed []byte) error {
			begun, err := h.beginSignUp("")
			if err != nil {
				return err
			}
			finish := &signup.Service{Policy: domain.RegistrationOpen, Store: c, RelyingParty: c, Clock: h.clock, Challenges: desk, SessionIssuer: h.sessionIssuer(), EmailVerification: h.verification, Decoys: decoys}
			_, err = finish.Finish(h.t.Context(), signup.FinishInput{ChallengeID: begun.ChallengeID, Credential: h.createCredential(begun.Options, authenticator.ForgeCredentialID(listed))})
			return err
		},
		"add a passkey": func(h *fixture, c *recordingStore, desk *ceremony.Service, listed []byte) error {
			ben := h.addSignedInUser("Ben")
			begun, err := (&passkeys.Service{Store: h.store, RelyingParty: h.relyingParty, Clock: h.clock, Challenges: h.challenges(), StepUp: stepUp, Limit: 20}).BeginAdd(h.t.Context(), ben, domain.Binding{})
			if err != nil {
				return err
			}
			finish := &passkeys.Service{Store: c, RelyingParty: c, Clock: h.clock, Challenges: desk, Audit: h.auditLog, Limit: 20, Decoys: decoys}
			_, err = finish.FinishAdd(h.t.Context(), ben, passkeys.FinishAddInput{ChallengeID: begun.ChallengeID, Credential: h.createCredential(begun.Options, authenticator.ForgeCredentialID(listed))})
			return err
		},
		"recover": func(h *fixture, c *recordingStore, desk *ceremony.Service, listed []byte) error {
			ben := h.addSignedInUser("Ben")
			grant, token := domain.NewRecoveryGrant(ben.User.ID(), []domain.RecoveryFactor{domain.FactorTOTP}, domain.BackupCodeDigest{}, domain.KeyRing[domain.RecoveryGrantToken]{make([]byte, 32)}, noon, rand.Reader)
			h.update(func(tx ports.Tx) error { return tx.RecoveryGrants.Put(h.t.Context(), grant) })
			begun, err := (&recovery.Service{Policy: domain.RecoveryAny, Store: h.store, RelyingParty: h.relyingParty, Clock: h.clock, Challenges: h.challenges()}).Begin(h.t.Context(), token, domain.Binding{})
			if err != nil {
				return err
			}
			finish := &recovery.Service{Policy: domain.RecoveryAny, Store: c, RelyingParty: c, Clock: h.clock, Challenges: desk, SessionIssuer: h.sessionIssuer(), Audit: h.auditLog, Decoys: decoys}
			_, err = finish.Finish(h.t.Context(), recovery.FinishInput{Token: token, ChallengeID: begun.ChallengeID, Credential: h.createCredential(begun.Options, authenticator.ForgeCredentialID(listed))})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t)
			requireSameCalls(t, h.accountClasses(), func(email domain.Email) []string {
				listed := firstAllowedID(t, h.beginSignIn(email).Options)
				c := h.newRecordingStore()
				desk := *h.challenges()
				desk.Store = c
				if err := registers(h, c, &desk, listed); !errors.Is(err, domain.ErrPasskeyAlreadyRegistered) {
					t.Errorf("%s: %v", email, err)
				}
				return c.asked
			})
		})
	}
}

// addSignedInUser makes another account, signed in.
func (h *fixture) addSignedInUser(name domain.DisplayName) identity.Principal {
	h.t.Helper()
	applicant := domain.NewPendingUser("", name, noon, rand.Reader)
	user := applicant.ToUser(noon)
	key, err := domain.NewCredential(user.ID(), "", sqlitestore.Registration(domain.CredentialID(user.Handle())), noon)
	if err != nil {
		h.t.Fatal(err)
	}
	h.update(func(tx ports.Tx) error {
		return errors.Join(tx.Users.Add(h.t.Context(), user), tx.Credentials.Add(h.t.Context(), key))
	})
	session, _ := h.addSession(key)
	return identity.Principal{User: user, Session: session, AuthContext: session.AuthContext()}
}

func TestRedeem_SameCallsForEveryAccount(t *testing.T) {
	for _, policy := range []domain.RecoveryPolicy{domain.RecoveryAny, domain.RecoveryBoth} {
		h := newFixture(t)
		classes := h.accountClasses()
		h.update(func(tx ports.Tx) error {
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
			c := h.newRecordingStore()
			c.TOTPCodes = totp.New("Keylodge")
			redeem := &recovery.Service{
				Policy: policy, Store: c, Codes: c, Sealer: plainSealer{}, Clock: h.clock, Random: rand.Reader, Audit: h.auditLog,
				Peppers: domain.KeyRing[domain.BackupCode]{make([]byte, 32)}, Keys: domain.KeyRing[domain.RecoveryGrantToken]{make([]byte, 32)}, Lockout: make([]byte, 32),
			}
			for try := range 14 { // through the waits as well
				if try == 7 && email == "ada@example.org" { // which an owner's sign-in ends
					if err := h.finishSignIn(h.answerSignIn()); err != nil {
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
	h := newFixture(t)
	requireSameCalls(t, h.accountClasses(), func(email domain.Email) []string {
		c := h.newRecordingStore()
		desk := *h.challenges()
		desk.Store = c
		begin := &signup.Service{Store: c, RelyingParty: c, Clock: h.clock, Random: rand.Reader, Challenges: &desk, Policy: domain.RegistrationOpen, EmailVerification: h.verification}
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

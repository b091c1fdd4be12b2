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
	"github.com/keylodge/keylodge/adapters/totp"
	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/application/login"
	"github.com/keylodge/keylodge/application/recovery"
	"github.com/keylodge/keylodge/application/signup"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Whether an address has an account is not to be told by the time that an answer takes. That is not measured here but
// counted: for each kind of account the same things are asked of the store, in the same order, and the same cryptography is done.
// acceptance.BenchmarkEnumeration measures.

// counting is a store, and the parts that do cryptography, which write down what they are asked.
type counting struct {
	breaking
	ports.RelyingParty
	ports.TOTPCodes
	asked []string
}

// observed wraps the house's store.
func (h *house) observed() *counting {
	c := &counting{breaking: breaking{Store: h.store}, RelyingParty: h.relyingParty}
	c.note = func(what string) { c.asked = append(c.asked, what) }
	return c
}

func (c *counting) BeginAuthentication(allowed []domain.CredentialDescriptor) (ports.Ceremony, error) {
	c.asked = append(c.asked, "options")
	return c.RelyingParty.BeginAuthentication(allowed)
}

func (c *counting) BeginRegistration(user domain.UserEntity, excluded []domain.CredentialDescriptor) (ports.Ceremony, error) {
	c.asked = append(c.asked, "options")
	return c.RelyingParty.BeginRegistration(user, excluded)
}

func (c *counting) VerifyAuthentication(state []byte, answer ports.AuthenticationAnswer, owner *domain.User, credential *domain.Credential) (domain.Assertion, error) {
	c.asked = append(c.asked, "verification")
	return c.RelyingParty.VerifyAuthentication(state, answer, owner, credential)
}

func (c *counting) RejectUnknown(state []byte, answer ports.AuthenticationAnswer) error {
	c.asked = append(c.asked, "verification")
	return c.RelyingParty.RejectUnknown(state, answer)
}

func (c *counting) Step(secret domain.Secret, code string, now time.Time) (domain.TOTPStep, error) {
	c.asked = append(c.asked, "code")
	return c.TOTPCodes.Step(secret, code, now)
}

// caller names the method of the store that is asked.
func caller() string {
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

// classes are the addresses that are to look alike, by what is behind them.
func (h *house) classes() map[string]domain.Email {
	h.t.Helper()
	add := func(address domain.Email, change func(*domain.User)) {
		applicant, err := domain.NewApplicant(address, "Ben", noon, rand.Reader)
		if err != nil {
			h.t.Fatal(err)
		}
		user := applicant.Admit(noon)
		change(user)
		h.update(func(tx ports.Tx) error {
			if err := tx.Users.Add(h.t.Context(), user); err != nil || address == "keyless@example.org" {
				return err
			}
			adas, err := tx.Credentials.OfUser(h.t.Context(), h.ada.User.ID())
			if err != nil {
				return err
			}
			is := adas[0].Snapshot()
			is.ID, is.UserID = domain.CredentialID(address), user.ID()
			return tx.Credentials.Add(h.t.Context(), domain.RestoreCredential(is))
		})
	}
	add("disabled@example.org", func(u *domain.User) { u.Disable(noon) })
	add("keyless@example.org", func(*domain.User) {})
	return map[string]domain.Email{"known": "ada@example.org", "unknown": "nobody@example.org", "disabled": "disabled@example.org", "without a passkey": "keyless@example.org"}
}

// alike fails for each class that has something else done than a known one.
func alike(t *testing.T, classes map[string]domain.Email, does func(email domain.Email) []string) {
	t.Helper()
	want := does(classes["known"])
	if len(want) < 3 {
		t.Errorf("hardly anything was asked: %q", want)
	}
	for class, email := range classes {
		if class == "known" {
			continue
		}
		if got := does(email); !slices.Equal(got, want) {
			t.Errorf("%s: %q\nknown: %q", class, got, want)
		}
	}
}

func TestASignInBeginsAlikeForEveryAddress(t *testing.T) {
	h := newHouse(t)
	alike(t, h.classes(), func(email domain.Email) []string {
		c := h.observed()
		desk := *h.desk()
		desk.Store = c
		if _, err := (&login.Begin{Store: c, RelyingParty: c, Desk: &desk, DecoyKey: []byte("key")}).Execute(t.Context(), email, domain.Binding{}); err != nil {
			t.Fatal(err)
		}
		return c.asked
	})
}

// Whoever answers with the id of a passkey that was listed holds no key of it, be it real or a decoy.
func TestAForgedSignInEndsAlikeForEveryAddress(t *testing.T) {
	for name, forge := range map[string][]authenticator.Variation{
		"a bad signature":   {},
		"another handle":    {authenticator.ForgeUserHandle(make([]byte, 32))},
		"no verification":   {authenticator.ForgeFlags(0, authenticator.UserVerified)},
		"another origin":    {authenticator.ForgeOrigin("https://evil.example")},
		"another challenge": {authenticator.ForgeChallenge(make([]byte, 32))},
		"no client data":    {authenticator.ForgeClientDataJSON(func([]byte) []byte { return nil })},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			var codes []string
			alike(t, h.classes(), func(email domain.Email) []string {
				c := h.observed()
				desk := *h.desk()
				desk.Store = c
				begun, err := (&login.Begin{Store: h.store, RelyingParty: h.relyingParty, Desk: h.desk(), DecoyKey: []byte("key")}).Execute(t.Context(), email, domain.Binding{})
				if err != nil {
					t.Fatal(err)
				}
				answer := h.gets(withoutList(t, begun.Options), append([]authenticator.Variation{authenticator.ForgeUserHandle(nil), authenticator.ForgeSignature(flipped)}, forge...)...)
				answer.ID = firstListed(t, begun.Options)
				_, err = (&login.Finish{Store: c, RelyingParty: c, Clock: h.clock, Desk: &desk, Log: h.log}).Execute(t.Context(), login.Answer{ChallengeID: begun.ChallengeID, Credential: answer})
				var refused *domain.Error
				if !errors.As(err, &refused) || refused.Kind != domain.KindRejected {
					t.Errorf("%s: %v", email, err)
					return c.asked
				}
				codes = append(codes, refused.Code)
				return c.asked
			})
			slices.Sort(codes)
			if len(slices.Compact(codes)) != 1 {
				t.Errorf("refused as %q", codes)
			}
		})
	}
}

func TestARecoveryIsRefusedAlikeForEveryName(t *testing.T) {
	for _, policy := range []domain.RecoveryPolicy{domain.RecoveryAny, domain.RecoveryBoth} {
		h := newHouse(t)
		classes := h.classes()
		h.update(func(tx ports.Tx) error {
			for _, class := range []string{"known", "disabled"} { // those have an app
				user, err := tx.Users.ByEmail(t.Context(), classes[class])
				if err != nil {
					return err
				}
				app := domain.RestoreTOTP(domain.TOTPSnapshot{UserID: user.ID(), Secret: []byte("JBSWY3DPEHPK3PXP"), ConfirmedAt: noon})
				if err := tx.TOTPs.Save(t.Context(), app); err != nil {
					return err
				}
			}
			return nil
		})
		alike(t, classes, func(email domain.Email) []string {
			c := h.observed()
			c.TOTPCodes = totp.New("Keylodge")
			redeem := &recovery.Redeem{
				Policy: policy, Store: c, Codes: c, Sealer: unsealed{}, Clock: h.clock, Random: rand.Reader, Log: h.log,
				Peppers: domain.CodePeppers{make([]byte, 32)}, Keys: domain.GrantKeys{make([]byte, 32)}, Lockout: make([]byte, 32),
			}
			for range 7 { // through the waits as well
				claim := recovery.Claim{Name: recovery.Name{Email: email}, TOTPCode: "000000"}
				if policy == domain.RecoveryBoth {
					claim.BackupCode = "0000-0000-0000-0000"
				}
				_, err := redeem.Execute(t.Context(), claim, access.Visitor{IP: "192.0.2.7"})
				c.asked = append(c.asked, reflect.TypeOf(err).String()+" "+err.Error())
			}
			return c.asked
		})
	}
}

func TestWhereMailIsSentASignUpBeginsAlikeForEveryAddress(t *testing.T) {
	h := newHouse(t)
	alike(t, h.classes(), func(email domain.Email) []string {
		c := h.observed()
		desk := *h.desk()
		desk.Store = c
		begin := &signup.Begin{Store: c, RelyingParty: c, Clock: h.clock, Random: rand.Reader, Desk: &desk, Policy: domain.RegistrationOpen, Mail: domain.MailOn}
		if _, err := begin.Execute(t.Context(), signup.Application{Email: email}, domain.Binding{}); err != nil {
			t.Fatal(err)
		}
		return c.asked
	})
}

func flipped(signature []byte) []byte {
	signature[len(signature)-1] ^= 1
	return signature
}

// withoutList are the options for a device that has none of the passkeys asked for.
func withoutList(t *testing.T, options []byte) []byte {
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

func firstListed(t *testing.T, options []byte) []byte {
	t.Helper()
	var listed struct {
		AllowCredentials []struct{ ID authenticator.Base64URL }
	}
	if err := json.Unmarshal(options, &listed); err != nil || len(listed.AllowCredentials) == 0 {
		t.Fatalf("%v: %s", err, options)
	}
	return listed.AllowCredentials[0].ID
}

package storetest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// hour returns a moment that differs from every other one in each of its parts, down to the microsecond that a store
// keeps.
func hour(n int) time.Time {
	return time.Date(2026, time.March, 1, 12, 0, 0, 123_456_000, time.UTC).Add(time.Duration(n) * (time.Hour + time.Second + time.Microsecond))
}

// noise returns bytes that are the same for the same name in every run.
func noise(name string, length int) []byte {
	bytes := make([]byte, length)
	rand.NewChaCha8(sha256.Sum256([]byte(name))).Read(bytes) // never fails
	return bytes
}

func source(name string) *rand.ChaCha8 { return rand.NewChaCha8(sha256.Sum256([]byte(name))) }

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func userID(name string) domain.UserID {
	return must(domain.NewUserID(hour(0), source(name+"'s user id")))
}

// handle returns bytes that no text column and no C string would keep.
func handle(name string) domain.UserHandle {
	return domain.UserHandle("\x00\xff\xc3\x28" + string(noise(name+"'s handle", 27)) + "\x00")
}

// user is a person of that name with an e-mail address, every field set.
func user(name string) domain.UserSnapshot {
	return domain.UserSnapshot{
		ID:              userID(name),
		Handle:          handle(name),
		Email:           domain.Email(name + "@example.org"),
		EmailVerifiedAt: hour(1),
		DisplayName:     domain.DisplayName("Žofie ☺ " + name),
		CreatedAt:       hour(2),
	}
}

// credential is a passkey of that owner, every field set.
func credential(owner, id string) domain.CredentialSnapshot {
	return domain.CredentialSnapshot{
		ID:           domain.CredentialID(id),
		UserID:       userID(owner),
		Name:         domain.PasskeyName("Klíč ☺ of " + owner),
		Status:       domain.CredentialSuspended,
		RPID:         "example.org",
		PublicKey:    noise(id+" public key", 77),
		Algorithm:    -257,
		AAGUID:       [16]byte(noise(id+" aaguid", 16)),
		Attachment:   "cross-platform",
		Transports:   []string{"hybrid", "an, \"odd\" one", "usb"},
		Flags:        0b1101_1101,
		SignCount:    1<<32 - 1,
		CloneWarning: true,
		Attestation: domain.Attestation{
			Type:              "basic_full",
			Format:            "packed",
			Object:            noise(id+" attestation object", 2000),
			AuthenticatorData: noise(id+" authenticator data", 180),
			ClientDataJSON:    []byte(`{"type":"webauthn.create"}` + "\x00\xff"),
		},
		Extensions: []byte(`{"credProps": {"rk":true}}`),
		CreatedAt:  hour(3),
		LastUsedAt: hour(4),
	}
}

// challenge is the sign-up of somebody of that name, every field set.
func challenge(name string) domain.ChallengeSnapshot {
	return domain.ChallengeSnapshot{
		ID:       must(domain.NewChallengeID(hour(0), source(name+"'s challenge id"))),
		Purpose:  domain.PurposeSignUp,
		Binding:  domain.Binding(noise(name+"'s binding", 32)),
		Ceremony: append([]byte("\x00\xff{"), noise(name+"'s ceremony", 300)...),
		Applicant: &domain.Applicant{
			UserID:      userID(name),
			Handle:      handle(name),
			Email:       domain.Email(name + "@example.net"),
			DisplayName: domain.DisplayName("Applicant " + name),
		},
		CreatedAt: hour(5),
		ExpiresAt: hour(6),
	}
}

// session is a sign-in of that owner, told from their others by its tag, every field set.
func session(owner, tag string) domain.SessionSnapshot {
	return domain.SessionSnapshot{
		ID:           must(domain.NewSessionID(hour(0), source(owner+tag+" session id"))),
		UserID:       userID(owner),
		CredentialID: domain.CredentialID("\x00\xff" + owner + tag),
		Token:        domain.TokenDigest(noise(owner+tag+" token", 32)),
		Assurance:    domain.AssurancePasskey,
		AMR:          []string{"hwk", "an, \"odd\" one", "mfa"},
		Device:       domain.Device{Name: "Firefox on Linux ☺", UserAgent: "Mozilla/5.0 (X11; Linux x86_64)", IP: "2001:db8::7"},
		CreatedAt:    hour(7),
		AuthTime:     hour(8),
		LastSeenAt:   hour(9),
		IdleEndsAt:   hour(10),
		ExpiresAt:    hour(11),
		RevokedAt:    hour(12),
	}
}

// live is session while it lasts.
func live(owner, tag string) domain.SessionSnapshot {
	s := session(owner, tag)
	s.RevokedAt = time.Time{}
	return s
}

func addUsers(t *testing.T, store ports.Store, all ...domain.UserSnapshot) {
	t.Helper()
	update(t, store, func(ctx context.Context, tx ports.Tx) error {
		return each(all, func(s domain.UserSnapshot) error { return tx.Users.Add(ctx, domain.RestoreUser(s)) })
	})
}

func addCredentials(t *testing.T, store ports.Store, all ...domain.CredentialSnapshot) {
	t.Helper()
	update(t, store, func(ctx context.Context, tx ports.Tx) error {
		return each(all, func(s domain.CredentialSnapshot) error { return tx.Credentials.Add(ctx, domain.RestoreCredential(s)) })
	})
}

func addChallenges(t *testing.T, store ports.Store, all ...domain.ChallengeSnapshot) {
	t.Helper()
	update(t, store, func(ctx context.Context, tx ports.Tx) error {
		return each(all, func(s domain.ChallengeSnapshot) error { return tx.Challenges.Add(ctx, domain.RestoreChallenge(s)) })
	})
}

func addSessions(t *testing.T, store ports.Store, all ...domain.SessionSnapshot) {
	t.Helper()
	update(t, store, func(ctx context.Context, tx ports.Tx) error {
		return each(all, func(s domain.SessionSnapshot) error { return tx.Sessions.Add(ctx, domain.RestoreSession(s)) })
	})
}

func each[T any](all []T, do func(T) error) error {
	for _, one := range all {
		if err := do(one); err != nil {
			return err
		}
	}
	return nil
}

func userByID(t *testing.T, store ports.Store, id domain.UserID) (*domain.User, error) {
	t.Helper()
	return get(t, store, func(ctx context.Context, tx ports.Tx) (*domain.User, error) { return tx.Users.ByID(ctx, id) })
}

func credentialByID(t *testing.T, store ports.Store, id domain.CredentialID) (*domain.Credential, error) {
	t.Helper()
	return get(t, store, func(ctx context.Context, tx ports.Tx) (*domain.Credential, error) {
		return tx.Credentials.ByID(ctx, id)
	})
}

func challengeByID(t *testing.T, store ports.Store, id domain.ChallengeID) (*domain.Challenge, error) {
	t.Helper()
	return get(t, store, func(ctx context.Context, tx ports.Tx) (*domain.Challenge, error) { return tx.Challenges.ByID(ctx, id) })
}

func sessionByToken(t *testing.T, store ports.Store, token domain.TokenDigest) (*domain.Session, error) {
	t.Helper()
	return get(t, store, func(ctx context.Context, tx ports.Tx) (*domain.Session, error) {
		return tx.Sessions.ByToken(ctx, token)
	})
}

// wantSame fails the test unless what a store returned is what it was given.
func wantSame[A interface{ Snapshot() S }, S any](t *testing.T, got A, err error, want S) {
	t.Helper()
	if err != nil {
		t.Fatalf("reading back: %v", err)
	}
	if !reflect.DeepEqual(got.Snapshot(), want) {
		t.Fatalf("came back different:\n got %+v\nwant %+v", got.Snapshot(), want)
	}
}

// wantComplete fails the test if any field of a snapshot is zero, so that a field that is added to the domain cannot be
// forgotten by a store.
func wantComplete(t *testing.T, snapshot any) {
	t.Helper()
	var walk func(path string, v reflect.Value)
	walk = func(path string, v reflect.Value) {
		if v.IsZero() {
			t.Errorf("%s is zero; give it a value in storetest", path)
			return
		}
		if v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		if v.Kind() != reflect.Struct || v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			walk(path+"."+v.Type().Field(i).Name, v.Field(i))
		}
	}
	walk(fmt.Sprintf("%T", snapshot), reflect.ValueOf(snapshot))
}

// wantChanged fails the test unless every field but the fixed ones differs, so that a field that is added to the domain
// is one that Save keeps, or one that somebody decided it does not.
func wantChanged(t *testing.T, before, after any, fixed ...string) {
	t.Helper()
	isFixed := map[string]bool{}
	for _, name := range fixed {
		isFixed[name] = true
	}
	b, a := reflect.ValueOf(before), reflect.ValueOf(after)
	for i := range b.NumField() {
		name := b.Type().Field(i).Name
		if same := reflect.DeepEqual(b.Field(i).Interface(), a.Field(i).Interface()); same != isFixed[name] {
			t.Errorf("%T.%s: unchanged is %t, want %t", before, name, same, isFixed[name])
		}
	}
}

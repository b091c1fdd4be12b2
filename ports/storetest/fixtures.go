package storetest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
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

// user is a person of that name with an e-mail address and a claim to another one, every field set.
func user(name string) domain.UserSnapshot {
	return domain.UserSnapshot{
		ID:              userID(name),
		Handle:          handle(name),
		Email:           domain.Email(name + "@example.org"),
		EmailVerifiedAt: hour(1),
		Claim: domain.EmailClaim{
			Email:     domain.Email(name + "@example.com"),
			Code:      domain.EmailCodeDigest(noise(name+"'s e-mail code", 32)),
			Failures:  3,
			ExpiresAt: hour(24),
		},
		DisplayName: domain.DisplayName("Žofie ☺ " + name),
		DisabledAt:  hour(13),
		CreatedAt:   hour(2),
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

// challenge is the sign-up of somebody of that name, bound to no session and no recovery, every other field set.
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

// bound is the challenge as begun in a session.
func bound(s domain.ChallengeSnapshot, in domain.SessionSnapshot) domain.ChallengeSnapshot {
	s.SessionID = in.ID
	return s
}

// under is the challenge as begun under a grant.
func under(s domain.ChallengeSnapshot, g domain.GrantSnapshot) domain.ChallengeSnapshot {
	s.Grant = g.Token
	return s
}

// session is a sign-in of that owner, told from their others by its tag, every field set.
func session(owner, tag string) domain.SessionSnapshot {
	return domain.SessionSnapshot{
		ID:           must(domain.NewSessionID(hour(0), source(owner+tag+" session id"))),
		UserID:       userID(owner),
		CredentialID: domain.CredentialID("\x00\xff" + owner + tag),
		Transport:    domain.TransportBearer,
		Token:        domain.TokenDigest(noise(owner+tag+" token", 32)),
		Previous:     domain.TokenDigest(noise(owner+tag+" token before it", 32)),
		RotatedAt:    hour(14),
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

// event is an entry of that owner's log, told from their others by its tag, every field set.
func event(owner, tag string) domain.EventSnapshot {
	return domain.EventSnapshot{
		ID:           must(domain.NewEventID(hour(0), source(owner+tag+" event id"))),
		UserID:       userID(owner),
		Kind:         domain.EventPasskeySuspended,
		At:           hour(15),
		By:           domain.ByOperator,
		SessionID:    session(owner, tag).ID,
		CredentialID: domain.CredentialID("\x00\xff" + owner + tag),
		PasskeyName:  domain.PasskeyName("Klíč ☺ of " + owner),
		DeviceName:   "Firefox on Linux ☺",
		IP:           "2001:db8::7",
		Reason:       string(domain.FindingCounterRegressed),
		Changed:      []string{"display_name", "an, \"odd\" one"},
		RequestID:    "the request of " + owner + tag,
		Key:          repetitionKey(owner + tag),
		Repeats:      1<<31 + 1,
		LastAt:       hour(29),
		OtherIPs:     []string{"2001:db8::8", "192.0.2.7"},
	}
}

func repetitionKey(name string) domain.RepetitionKey {
	return domain.RepetitionKey(noise(name+" key", len(domain.RepetitionKey{})))
}

// disowned is what stays of an event when its user goes.
func disowned(s domain.EventSnapshot) domain.EventSnapshot {
	return domain.EventSnapshot{ID: s.ID, Kind: s.Kind, At: s.At, By: s.By, Reason: s.Reason, Repeats: s.Repeats, LastAt: s.LastAt}
}

// ofDisowned names the fields that disowned leaves.
var ofDisowned = []string{"ID", "Kind", "At", "By", "Reason", "Repeats", "LastAt"}

// signingKey is a key of that id, every field set.
func signingKey(id string) domain.SigningKeySnapshot {
	return domain.SigningKeySnapshot{
		ID:        id,
		Algorithm: domain.SigningEdDSA,
		Sealed:    append([]byte("\x00\xff{"), noise(id+" sealed", 150)...),
		CreatedAt: hour(16),
		SignsFrom: hour(17),
	}
}

// totp is that owner's authenticator app with another one beside it, every field set.
func totp(owner string) domain.TOTPSnapshot {
	return domain.TOTPSnapshot{
		UserID:      userID(owner),
		Secret:      append([]byte("\x00\xff{"), noise(owner+" secret", 60)...),
		ConfirmedAt: hour(18),
		Step:        1<<40 + 7,
		Pending:     append([]byte("\x00\xff{"), noise(owner+" pending", 60)...),
		PendingAt:   hour(19),
	}
}

// codes is a set of backup codes, told from others by its tag.
func codes(tag string) []domain.CodeDigest {
	set := make([]domain.CodeDigest, domain.BackupCodes)
	for i := range set {
		set[i] = domain.CodeDigest(noise(fmt.Sprint(tag, " code ", i), 32))
	}
	return set
}

// grant is a recovery of that owner, told from their others by its tag, every field set.
func grant(owner, tag string) domain.GrantSnapshot {
	return domain.GrantSnapshot{
		UserID:    userID(owner),
		Token:     domain.TokenDigest(noise(owner+tag+" grant", 32)),
		Nonce:     append([]byte("\x00\xff"), noise(owner+tag+" nonce", 30)...),
		Code:      domain.CodeDigest(noise(owner+tag+" code that paid", 32)),
		By:        []domain.RecoveryFactor{domain.ByTOTP, domain.ByBackupCode, "an, \"odd\" one"},
		CreatedAt: hour(20),
		ExpiresAt: hour(21),
	}
}

// lockout is that of whoever goes by that name, every field set.
func lockout(name string) domain.LockoutSnapshot {
	return domain.LockoutSnapshot{
		Subject:     domain.LockoutSubject(noise(name+"'s subject", 32)),
		Failures:    7,
		LockedUntil: hour(22),
		UpdatedAt:   hour(23),
	}
}

// message is a letter of that owner's, told from their others by its tag, every field set.
func message(owner, tag string) domain.MessageSnapshot {
	return domain.MessageSnapshot{
		ID:     must(domain.NewMessageID(hour(0), source(owner+tag+" message id"))),
		UserID: userID(owner),
		To:     domain.Email(owner + "@example.com"),
		Kind:   domain.MessageEmailCode,
		About: domain.MessageFacts{
			At:          hour(25),
			By:          domain.ByOperator,
			PasskeyName: domain.PasskeyName("Klíč ☺ of " + owner),
			DeviceName:  "Firefox on Linux ☺",
			IP:          "2001:db8::7",
		},
		Code:      append([]byte("\x00\xff{"), noise(owner+tag+" sealed code", 40)...),
		Attempts:  5,
		DueAt:     hour(26),
		ExpiresAt: hour(27),
	}
}

// farewell is a letter to that owner, who is not there any more or never was: a message of nobody.
func farewell(owner string) domain.MessageSnapshot {
	m := message(owner, "farewell")
	m.UserID, m.Kind, m.Code = domain.UserID{}, domain.MessageAccountDeleted, nil
	return m
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

func addEvents(t *testing.T, store ports.Store, all ...domain.EventSnapshot) {
	t.Helper()
	update(t, store, func(ctx context.Context, tx ports.Tx) error {
		return each(all, func(s domain.EventSnapshot) error { return tx.Events.Add(ctx, domain.RestoreEvent(s)) })
	})
}

func addSigningKeys(t *testing.T, store ports.Store, all ...domain.SigningKeySnapshot) {
	t.Helper()
	update(t, store, func(ctx context.Context, tx ports.Tx) error {
		return each(all, func(s domain.SigningKeySnapshot) error { return tx.SigningKeys.Add(ctx, domain.RestoreSigningKey(s)) })
	})
}

func saveTOTPs(t *testing.T, store ports.Store, all ...domain.TOTPSnapshot) {
	t.Helper()
	update(t, store, func(ctx context.Context, tx ports.Tx) error {
		return each(all, func(s domain.TOTPSnapshot) error { return tx.TOTPs.Save(ctx, domain.RestoreTOTP(s)) })
	})
}

func replaceCodes(t *testing.T, store ports.Store, owner string, set []domain.CodeDigest, now time.Time) {
	t.Helper()
	update(t, store, func(ctx context.Context, tx ports.Tx) error {
		return tx.BackupCodes.Replace(ctx, userID(owner), set, now)
	})
}

func putGrants(t *testing.T, store ports.Store, all ...domain.GrantSnapshot) {
	t.Helper()
	update(t, store, func(ctx context.Context, tx ports.Tx) error {
		return each(all, func(s domain.GrantSnapshot) error { return tx.Grants.Put(ctx, domain.RestoreGrant(s)) })
	})
}

func saveLockouts(t *testing.T, store ports.Store, all ...domain.LockoutSnapshot) {
	t.Helper()
	update(t, store, func(ctx context.Context, tx ports.Tx) error {
		return each(all, func(s domain.LockoutSnapshot) error { return tx.Lockouts.Save(ctx, domain.RestoreLockout(s)) })
	})
}

func addMessages(t *testing.T, store ports.Store, all ...domain.MessageSnapshot) {
	t.Helper()
	update(t, store, func(ctx context.Context, tx ports.Tx) error {
		return each(all, func(s domain.MessageSnapshot) error { return tx.Messages.Add(ctx, domain.RestoreMessage(s)) })
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

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

// hour returns a time that differs from every other hour in each of its parts, down to the microsecond that a store stores.
func hour(n int) time.Time {
	return time.Date(2026, time.March, 1, 12, 0, 0, 123_456_000, time.UTC).Add(time.Duration(n) * (time.Hour + time.Second + time.Microsecond))
}

// fixedBytes returns the same bytes for a name in every run.
func fixedBytes(name string, length int) []byte {
	bytes := make([]byte, length)
	rand.NewChaCha8(sha256.Sum256([]byte(name))).Read(bytes) // never fails
	return bytes
}

func randomSource(name string) *rand.ChaCha8 { return rand.NewChaCha8(sha256.Sum256([]byte(name))) }

func userID(name string) domain.UserID {
	return domain.NewUserID(hour(0), randomSource(name+"'s user id"))
}

// handle returns bytes that a text column or a C string would not preserve.
func handle(name string) domain.UserHandle {
	return domain.UserHandle("\x00\xff\xc3\x28" + string(fixedBytes(name+"'s handle", 27)) + "\x00")
}

// user returns a user with an e-mail address and a pending one. Every field is set.
func user(name string) domain.UserState {
	return domain.UserState{
		ID:              userID(name),
		Handle:          handle(name),
		Email:           domain.Email(name + "@example.org"),
		EmailVerifiedAt: hour(1),
		PendingEmail: domain.PendingEmail{
			Email:     domain.Email(name + "@example.com"),
			Code:      domain.EmailCodeDigest(fixedBytes(name+"'s e-mail code", 32)),
			Failures:  3,
			ExpiresAt: hour(24),
		},
		DisplayName: domain.DisplayName("Žofie ☺ " + name),
		Locale:      "cs-CZ",
		Groups:      domain.Groups{"staff", "admin:" + domain.Group(name)},
		DisabledAt:  hour(13),
		CreatedAt:   hour(2),
	}
}

// credential returns a passkey of the owner. Every field is set.
func credential(owner, id string) domain.CredentialState {
	return domain.CredentialState{
		ID:           domain.CredentialID(id),
		UserID:       userID(owner),
		Name:         domain.PasskeyName("Klíč ☺ of " + owner),
		Status:       domain.CredentialSuspended,
		RPID:         "example.org",
		PublicKey:    fixedBytes(id+" public key", 77),
		Algorithm:    -257,
		AAGUID:       [16]byte(fixedBytes(id+" aaguid", 16)),
		Attachment:   "cross-platform",
		Transports:   []string{"hybrid", "an, \"odd\" one", "usb"},
		Flags:        0b1101_1101,
		SignCount:    1<<32 - 1,
		CloneWarning: true,
		Extensions:   []byte(`{"credProps": {"rk":true}}`),
		CreatedAt:    hour(3),
		LastUsedAt:   hour(4),
	}
}

// attestation returns the attestation of the passkey of credential. Every field is set.
func attestation(id domain.CredentialID) domain.Attestation {
	return domain.Attestation{
		Type:              "basic_full",
		Format:            "packed",
		Object:            fixedBytes(string(id)+" attestation object", 2000),
		AuthenticatorData: fixedBytes(string(id)+" authenticator data", 180),
		ClientDataJSON:    []byte(`{"type":"webauthn.create"}` + "\x00\xff"),
	}
}

// challenge returns a sign-up challenge without a session or recovery grant. Every other field is set.
func challenge(name string) domain.ChallengeState {
	return domain.ChallengeState{
		ID:            domain.NewChallengeID(hour(0), randomSource(name+"'s challenge id")),
		Purpose:       domain.PurposeSignUp,
		Binding:       domain.Binding(fixedBytes(name+"'s binding", 32)),
		CeremonyState: append([]byte("\x00\xff{"), fixedBytes(name+"'s ceremony", 300)...),
		PendingUser: &domain.PendingUser{
			UserID:      userID(name),
			Handle:      handle(name),
			Email:       domain.Email(name + "@example.net"),
			DisplayName: domain.DisplayName("Pending " + name),
			Locale:      "sr-Latn-RS",
			Invite:      invite(name).ID,
		},
		CreatedAt: hour(5),
		ExpiresAt: hour(6),
	}
}

// inSession returns the challenge bound to a session.
func inSession(s domain.ChallengeState, in domain.SessionState) domain.ChallengeState {
	s.SessionID = in.ID
	return s
}

// underGrant returns the challenge bound to a recovery grant.
func underGrant(s domain.ChallengeState, g domain.RecoveryGrantState) domain.ChallengeState {
	s.RecoveryGrant = g.Token
	return s
}

// session returns a revoked session of the owner, distinguished from the others by its tag. Every field is set.
func session(owner, tag string) domain.SessionState {
	return domain.SessionState{
		ID:            domain.NewSessionID(hour(0), randomSource(owner+tag+" session id")),
		UserID:        userID(owner),
		CredentialID:  domain.CredentialID("\x00\xff" + owner + tag),
		Transport:     domain.TransportBearer,
		Token:         domain.TokenDigest(fixedBytes(owner+tag+" token", 32)),
		PreviousToken: domain.TokenDigest(fixedBytes(owner+tag+" token before it", 32)),
		RotatedAt:     hour(14),
		Assurance:     domain.AssurancePasskey,
		AMR:           []string{"hwk", "an, \"odd\" one", "mfa"},
		Device:        domain.Device{Name: "Firefox on Linux ☺", UserAgent: "Mozilla/5.0 (X11; Linux x86_64)", IP: "2001:db8::7"},
		CreatedAt:     hour(7),
		AuthTime:      hour(8),
		LastSeenAt:    hour(9),
		IdleEndsAt:    hour(10),
		ExpiresAt:     hour(11),
		RevokedAt:     hour(12),
	}
}

// activeSession is session, not revoked.
func activeSession(owner, tag string) domain.SessionState {
	s := session(owner, tag)
	s.RevokedAt = time.Time{}
	return s
}

// event returns an event of the owner, distinguished from the others by its tag. Every field is set.
func event(owner, tag string) domain.EventState {
	return domain.EventState{
		ID:           domain.NewEventID(hour(0), randomSource(owner+tag+" event id")),
		UserID:       userID(owner),
		Kind:         domain.EventPasskeySuspended,
		At:           hour(15),
		Actor:        domain.ActorOperator,
		SessionID:    session(owner, tag).ID,
		CredentialID: domain.CredentialID("\x00\xff" + owner + tag),
		PasskeyName:  domain.PasskeyName("Klíč ☺ of " + owner),
		DeviceName:   "Firefox on Linux ☺",
		IP:           "2001:db8::7",
		Reason:       string(domain.AnomalyCounterRegressed),
		Changed:      []string{"display_name", "an, \"odd\" one"},
		RequestID:    "the request of " + owner + tag,
		APIKey:       apiKey(owner + tag).ID,
		Invite:       invite(owner + tag).ID,
		Key:          repetitionKey(owner + tag),
		Repeats:      1<<31 + 1,
		LastAt:       hour(29),
		OtherIPs:     []string{"2001:db8::8", "192.0.2.7"},
	}
}

func repetitionKey(name string) domain.RepetitionKey {
	return domain.RepetitionKey(fixedBytes(name+" key", len(domain.RepetitionKey{})))
}

// anonymized returns what remains of an event after its user is removed.
func anonymized(s domain.EventState) domain.EventState {
	return domain.EventState{ID: s.ID, Kind: s.Kind, At: s.At, Actor: s.Actor, APIKey: s.APIKey, Invite: s.Invite, Reason: s.Reason, Repeats: s.Repeats, LastAt: s.LastAt}
}

// anonymizedFields names the fields that anonymized keeps.
var anonymizedFields = []string{"ID", "Kind", "At", "Actor", "APIKey", "Invite", "Reason", "Repeats", "LastAt"}

// signingKey returns a key with this id. Every field is set.
func signingKey(id string) domain.SigningKeyState {
	return domain.SigningKeyState{
		ID:           id,
		Algorithm:    domain.SigningEdDSA,
		EncryptedKey: append([]byte("\x00\xff{"), fixedBytes(id+" encrypted", 150)...),
		CreatedAt:    hour(16),
		SignsFrom:    hour(17),
	}
}

// apiKey returns a revoked key, distinguished from the others by its name. Every field is set.
func apiKey(name string) domain.APIKeyState {
	return domain.APIKeyState{
		ID:         domain.NewAPIKeyID(hour(0), randomSource(name+" API key id")),
		Name:       "Clé ☺ of " + name,
		Token:      domain.TokenDigest(fixedBytes(name+" API key", 32)),
		Scopes:     []domain.Scope{domain.ScopeEventsRead, domain.ScopeUsersRead, "an, \"odd\" one"},
		CreatedAt:  hour(50),
		ExpiresAt:  hour(53),
		LastUsedAt: hour(51),
		RevokedAt:  hour(52),
	}
}

// unusedAPIKey returns the key before its first use and without a revocation.
func unusedAPIKey(name string) domain.APIKeyState {
	key := apiKey(name)
	key.LastUsedAt, key.RevokedAt = time.Time{}, time.Time{}
	return key
}

// invite returns an invite that is neither used nor revoked, distinguished from the others by its name. Every other field is set.
func invite(name string) domain.InviteState {
	return domain.InviteState{
		ID:        domain.NewInviteID(hour(0), randomSource(name+" invite id")),
		Token:     domain.TokenDigest(fixedBytes(name+" invite", 32)),
		Email:     domain.Email(name + "@example.net"),
		Groups:    domain.Groups{"admin:" + domain.Group(name), "staff"},
		CreatedAt: hour(60),
		ExpiresAt: hour(62),
	}
}

// usedInvite returns the invite with which the owner signed up.
func usedInvite(owner string) domain.InviteState {
	i := invite(owner)
	i.UsedAt, i.UserID = hour(61), userID(owner)
	return i
}

// totp returns the owner's confirmed authenticator app and a pending one. Every field is set.
func totp(owner string) domain.TOTPState {
	return domain.TOTPState{
		UserID:        userID(owner),
		Secret:        append([]byte("\x00\xff{"), fixedBytes(owner+" secret", 60)...),
		ConfirmedAt:   hour(18),
		LastStep:      1<<40 + 7,
		PendingSecret: append([]byte("\x00\xff{"), fixedBytes(owner+" pending", 60)...),
		PendingAt:     hour(19),
	}
}

// codes returns a set of backup codes, distinguished from others by its tag.
func codes(tag string) []domain.BackupCodeDigest {
	set := make([]domain.BackupCodeDigest, domain.BackupCodeCount)
	for i := range set {
		set[i] = domain.BackupCodeDigest(fixedBytes(fmt.Sprint(tag, " code ", i), 32))
	}
	return set
}

// recoveryGrant returns a recovery grant of the owner, distinguished from the others by its tag. Every field is set.
func recoveryGrant(owner, tag string) domain.RecoveryGrantState {
	return domain.RecoveryGrantState{
		UserID:     userID(owner),
		Token:      domain.TokenDigest(fixedBytes(owner+tag+" grant", 32)),
		Nonce:      append([]byte("\x00\xff"), fixedBytes(owner+tag+" nonce", 30)...),
		BackupCode: domain.BackupCodeDigest(fixedBytes(owner+tag+" backup code", 32)),
		Factors:    []domain.RecoveryFactor{domain.FactorTOTP, domain.FactorBackupCode, "an, \"odd\" one"},
		CreatedAt:  hour(20),
		ExpiresAt:  hour(21),
	}
}

// authorizationCode returns a code that a session of the owner issued, distinguished from the others by its tag. It is not redeemed;
// every other field is set.
func authorizationCode(owner, tag string) domain.AuthorizationCodeState {
	return domain.AuthorizationCodeState{
		Digest:    domain.TokenDigest(fixedBytes(owner+tag+" authorization code", 32)),
		SessionID: session(owner, tag).ID,
		AuthTime:  hour(8),
		ReturnTo:  "https://app.example.org/?name=" + owner,
		Challenge: domain.CodeChallenge(fixedBytes(owner+tag+" code challenge", 32)),
		CreatedAt: hour(40),
		ExpiresAt: hour(41),
	}
}

// redeemed returns the code after it was redeemed for a session. Every field is set.
func redeemed(s domain.AuthorizationCodeState) domain.AuthorizationCodeState {
	s.RedeemedAt = hour(42)
	s.IssuedSession = session("ada", "issued").ID
	return s
}

// lockout returns the lockout of a name. Every field is set.
func lockout(name string) domain.LockoutState {
	return domain.LockoutState{
		Subject:     domain.LockoutSubject(fixedBytes(name+"'s subject", 32)),
		Failures:    7,
		LockedUntil: hour(22),
		UpdatedAt:   hour(23),
	}
}

// outboxEmail returns an e-mail to the owner, distinguished from the others by its tag. Every field is set.
func outboxEmail(owner, tag string) domain.OutboxEmailState {
	return domain.OutboxEmailState{
		ID:     domain.NewOutboxEmailID(hour(0), randomSource(owner+tag+" e-mail id")),
		UserID: userID(owner),
		To:     domain.Email(owner + "@example.com"),
		Locale: "pt-BR",
		Kind:   domain.EmailKindVerificationCode,
		Details: domain.EmailDetails{
			At:          hour(25),
			Actor:       domain.ActorOperator,
			PasskeyName: domain.PasskeyName("Klíč ☺ of " + owner),
			DeviceName:  "Firefox on Linux ☺",
			IP:          "2001:db8::7",
		},
		Code:      append([]byte("\x00\xff{"), fixedBytes(owner+tag+" encrypted code", 40)...),
		Attempts:  5,
		DueAt:     hour(26),
		ExpiresAt: hour(27),
	}
}

// emailWithoutUser returns an e-mail to the owner that refers to no user.
func emailWithoutUser(owner string) domain.OutboxEmailState {
	m := outboxEmail(owner, "account deleted")
	m.UserID, m.Kind, m.Code = domain.UserID{}, domain.EmailKindAccountDeleted, nil
	return m
}

func addUsers(t *testing.T, store ports.Store, all ...domain.UserState) {
	t.Helper()
	update(t, store, func(ctx context.Context, tx ports.Tx) error {
		return each(all, func(s domain.UserState) error { return tx.Users.Add(ctx, domain.RestoreUser(s)) })
	})
}

func addCredential(ctx context.Context, tx ports.Tx, s domain.CredentialState) error {
	return tx.Credentials.Add(ctx, domain.RestoreCredential(s), attestation(s.ID))
}

func addCredentials(t *testing.T, store ports.Store, all ...domain.CredentialState) {
	t.Helper()
	update(t, store, func(ctx context.Context, tx ports.Tx) error {
		return each(all, func(s domain.CredentialState) error { return addCredential(ctx, tx, s) })
	})
}

func addChallenges(t *testing.T, store ports.Store, all ...domain.ChallengeState) {
	t.Helper()
	update(t, store, func(ctx context.Context, tx ports.Tx) error {
		return each(all, func(s domain.ChallengeState) error { return tx.Challenges.Add(ctx, domain.RestoreChallenge(s)) })
	})
}

func addSessions(t *testing.T, store ports.Store, all ...domain.SessionState) {
	t.Helper()
	update(t, store, func(ctx context.Context, tx ports.Tx) error {
		return each(all, func(s domain.SessionState) error { return tx.Sessions.Add(ctx, domain.RestoreSession(s)) })
	})
}

func addEvents(t *testing.T, store ports.Store, all ...domain.EventState) {
	t.Helper()
	update(t, store, func(ctx context.Context, tx ports.Tx) error {
		return each(all, func(s domain.EventState) error { return tx.Events.Add(ctx, domain.RestoreEvent(s)) })
	})
}

func addSigningKeys(t *testing.T, store ports.Store, all ...domain.SigningKeyState) {
	t.Helper()
	update(t, store, func(ctx context.Context, tx ports.Tx) error {
		return each(all, func(s domain.SigningKeyState) error { return tx.SigningKeys.Add(ctx, domain.RestoreSigningKey(s)) })
	})
}

func addAPIKeys(t *testing.T, store ports.Store, all ...domain.APIKeyState) {
	t.Helper()
	update(t, store, func(ctx context.Context, tx ports.Tx) error {
		return each(all, func(s domain.APIKeyState) error { return tx.APIKeys.Add(ctx, domain.RestoreAPIKey(s)) })
	})
}

func addInvites(t *testing.T, store ports.Store, all ...domain.InviteState) {
	t.Helper()
	update(t, store, func(ctx context.Context, tx ports.Tx) error {
		return each(all, func(s domain.InviteState) error { return tx.Invites.Add(ctx, domain.RestoreInvite(s)) })
	})
}

func saveTOTPs(t *testing.T, store ports.Store, all ...domain.TOTPState) {
	t.Helper()
	update(t, store, func(ctx context.Context, tx ports.Tx) error {
		return each(all, func(s domain.TOTPState) error { return tx.TOTPs.Save(ctx, domain.RestoreTOTP(s)) })
	})
}

func replaceCodes(t *testing.T, store ports.Store, owner string, set []domain.BackupCodeDigest, now time.Time) {
	t.Helper()
	update(t, store, func(ctx context.Context, tx ports.Tx) error {
		return tx.BackupCodes.Replace(ctx, userID(owner), set, now)
	})
}

func putRecoveryGrants(t *testing.T, store ports.Store, all ...domain.RecoveryGrantState) {
	t.Helper()
	update(t, store, func(ctx context.Context, tx ports.Tx) error {
		return each(all, func(s domain.RecoveryGrantState) error {
			return tx.RecoveryGrants.Put(ctx, domain.RestoreRecoveryGrant(s))
		})
	})
}

func addAuthorizationCodes(t *testing.T, store ports.Store, all ...domain.AuthorizationCodeState) {
	t.Helper()
	update(t, store, func(ctx context.Context, tx ports.Tx) error {
		return each(all, func(s domain.AuthorizationCodeState) error {
			return tx.AuthorizationCodes.Add(ctx, domain.RestoreAuthorizationCode(s))
		})
	})
}

func saveLockouts(t *testing.T, store ports.Store, all ...domain.LockoutState) {
	t.Helper()
	update(t, store, func(ctx context.Context, tx ports.Tx) error {
		return each(all, func(s domain.LockoutState) error { return tx.Lockouts.Save(ctx, domain.RestoreLockout(s)) })
	})
}

func addEmails(t *testing.T, store ports.Store, all ...domain.OutboxEmailState) {
	t.Helper()
	update(t, store, func(ctx context.Context, tx ports.Tx) error {
		return each(all, func(s domain.OutboxEmailState) error { return tx.OutboxEmails.Add(ctx, domain.RestoreOutboxEmail(s)) })
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

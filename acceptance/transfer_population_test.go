package acceptance

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// userGenerator generates users, the same ones in every run.
type userGenerator struct {
	t      testing.TB
	random *rand.ChaCha8
	now    time.Time
}

func (g userGenerator) bytes(n int) []byte {
	b := make([]byte, n)
	g.random.Read(b)
	return b
}

// generateUsers adds users to a store: most with little data, some with much, some disabled, some without an address, with
// unusual names. It also adds events, lockouts and e-mails without a user.
func generateUsers(t testing.TB, store ports.Store, now time.Time, users int) {
	t.Helper()
	g := userGenerator{t, rand.NewChaCha8([32]byte{7}), now}
	const perUpdate = 250
	for first := 0; first < users; first += perUpdate {
		g.update(store, func(ctx context.Context, tx ports.Tx) error {
			for i := first; i < min(first+perUpdate, users); i++ {
				if err := g.addUser(ctx, tx, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	g.update(store, func(ctx context.Context, tx ports.Tx) error {
		for i := range 1200 {
			e := domain.RestoreEvent(domain.EventState{
				ID: domain.NewEventID(now, g.random), Kind: domain.EventSignedIn, At: now.Add(-time.Duration(i) * time.Hour), Actor: domain.ActorUser,
			})
			l := domain.RestoreLockout(domain.LockoutState{
				Subject: domain.LockoutSubject(g.bytes(32)), Failures: i % 25, LockedUntil: g.nowEvery(i, 2), UpdatedAt: now,
			})
			m := domain.RestoreOutboxEmail(domain.OutboxEmailState{
				ID: domain.NewOutboxEmailID(now, g.random), To: "user@example.org", Kind: domain.EmailKindAccountDeleted,
				Details: domain.EmailDetails{At: now, Actor: domain.ActorOperator}, DueAt: now, ExpiresAt: now.Add(day),
			})
			if err := errors.Join(tx.Events.Add(ctx, e), tx.Lockouts.Save(ctx, l), tx.OutboxEmails.Add(ctx, m)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (g userGenerator) update(store ports.Store, fn func(ctx context.Context, tx ports.Tx) error) {
	g.t.Helper()
	if err := store.Update(g.t.Context(), func(tx ports.Tx) error { return fn(g.t.Context(), tx) }); err != nil {
		g.t.Fatal(err)
	}
}

// nowEvery returns now if i is a multiple of n, else the zero time.
func (g userGenerator) nowEvery(i, n int) time.Time {
	if i%n != 0 {
		return time.Time{}
	}
	return g.now
}

var unusualNames = []domain.DisplayName{"", "Ωmega 👩‍🚀", `"Quote" \ </script> & 'O''Brien'`, "محمد", "\u2028 \u200d \ufffd", "{}", "null", "田中さん"}

func (g userGenerator) addUser(ctx context.Context, tx ports.Tx, i int) error {
	u := domain.UserState{
		ID: domain.NewUserID(g.now.Add(-time.Duration(i)*time.Second), g.random), Handle: domain.NewUserHandle(g.random),
		DisplayName: unusualNames[i%len(unusualNames)], DisabledAt: g.nowEvery(i, 97), CreatedAt: g.now.Add(-time.Duration(i) * time.Second),
	}
	if i%7 != 0 {
		u.Email, u.EmailVerifiedAt = domain.Email(fmt.Sprintf("user%d@example.org", i)), g.nowEvery(i, 2)
	}
	if i%11 == 0 {
		u.PendingEmail = domain.PendingEmail{Email: "wanted@example.org", Code: domain.EmailCodeDigest(g.bytes(32)), Failures: i % 5, ExpiresAt: g.now}
	}
	if err := tx.Users.Add(ctx, domain.RestoreUser(u)); err != nil {
		return err
	}
	passkeys, sessions, events := 1, i%2, 2
	switch i {
	case 3:
		passkeys = 20
	case 5:
		sessions = 1100
	case 7:
		events = 1700
	}
	return errors.Join(g.addPasskeys(ctx, tx, u.ID, passkeys), g.addSessions(ctx, tx, u.ID, sessions), g.addEvents(ctx, tx, u.ID, events), g.addRecoveryFactors(ctx, tx, u.ID, i))
}

func (g userGenerator) addPasskeys(ctx context.Context, tx ports.Tx, owner domain.UserID, n int) error {
	for i := range n {
		key := domain.CredentialState{
			ID: domain.CredentialID(g.bytes(32)), UserID: owner, Name: domain.PasskeyName(unusualNames[i%len(unusualNames)]), Status: domain.CredentialActive,
			RPID: "localhost", PublicKey: g.bytes(77), Algorithm: -7, AAGUID: [16]byte(g.bytes(16)), Attachment: "platform",
			Transports: []string{"hybrid", "internal"}, Flags: 0b1_1101, SignCount: uint32(i),
			Extensions: []byte(`{"credProps": {"rk":true}}`), CreatedAt: g.now, LastUsedAt: g.nowEvery(i, 2),
		}
		attestation := domain.Attestation{
			Type: "none", Format: "none", Object: g.bytes(230), AuthenticatorData: g.bytes(164), ClientDataJSON: []byte(`{"type":"webauthn.create"}`),
		}
		if err := tx.Credentials.Add(ctx, domain.RestoreCredential(key), attestation); err != nil {
			return err
		}
	}
	return nil
}

func (g userGenerator) addSessions(ctx context.Context, tx ports.Tx, owner domain.UserID, n int) error {
	for i := range n {
		s := domain.SessionState{
			ID: domain.NewSessionID(g.now, g.random), UserID: owner, CredentialID: domain.CredentialID(g.bytes(32)),
			Transport: domain.TransportBearer, Token: domain.TokenDigest(g.bytes(32)), Assurance: domain.AssurancePasskey,
			AMR: []string{"swk", "user", "mfa"}, Device: domain.Device{Name: "Firefox on Linux", UserAgent: "Mozilla/5.0 (X11)", IP: "2001:db8::7"},
			CreatedAt: g.now, AuthTime: g.now, LastSeenAt: g.now, IdleEndsAt: g.now.Add(day), ExpiresAt: g.now.Add(30 * day),
		}
		if i%3 == 1 {
			s.PreviousToken, s.RotatedAt = domain.TokenDigest(g.bytes(32)), g.now
		}
		if err := tx.Sessions.Add(ctx, domain.RestoreSession(s)); err != nil {
			return err
		}
	}
	return nil
}

func (g userGenerator) addEvents(ctx context.Context, tx ports.Tx, owner domain.UserID, n int) error {
	for range n {
		e := domain.EventState{
			ID: domain.NewEventID(g.now, g.random), UserID: owner, Kind: domain.EventSignedIn, At: g.now, Actor: domain.ActorUser,
			CredentialID: domain.CredentialID(g.bytes(32)), DeviceName: "Firefox on Linux", IP: "192.0.2.7", RequestID: "0123456789abcdef",
		}
		if err := tx.Events.Add(ctx, domain.RestoreEvent(e)); err != nil {
			return err
		}
	}
	return nil
}

func (g userGenerator) addRecoveryFactors(ctx context.Context, tx ports.Tx, owner domain.UserID, i int) error {
	if i%5 == 0 {
		app := domain.TOTPState{UserID: owner, Secret: g.bytes(60), ConfirmedAt: g.now, LastStep: 59_000_000}
		if err := tx.TOTPs.Save(ctx, domain.RestoreTOTP(app)); err != nil {
			return err
		}
	}
	if i%4 == 0 {
		set := make([]domain.BackupCodeDigest, i/4%(domain.BackupCodeCount+1)) // some codes are used
		for j := range set {
			set[j] = domain.BackupCodeDigest(g.bytes(32))
		}
		if err := tx.BackupCodes.Replace(ctx, owner, set, g.now); err != nil {
			return err
		}
	}
	if i%50 == 0 {
		m := domain.OutboxEmailState{
			ID: domain.NewOutboxEmailID(g.now, g.random), UserID: owner, To: "user@example.org", Kind: domain.EmailKindVerificationCode,
			Code: g.bytes(50), Attempts: 1, DueAt: g.now, ExpiresAt: g.now.Add(time.Hour),
		}
		return tx.OutboxEmails.Add(ctx, domain.RestoreOutboxEmail(m))
	}
	return nil
}

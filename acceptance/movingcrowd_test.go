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

// crowd makes people up, the same ones in every run.
type crowd struct {
	t      testing.TB
	random *rand.ChaCha8
	now    time.Time
}

func made[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func (c crowd) bytes(n int) []byte {
	b := make([]byte, n)
	c.random.Read(b)
	return b
}

// fill brings so many users into a store: most with little, some with a lot, some shut, some without an address, with odd
// names, and what is nobody's beside them.
func fill(t testing.TB, store ports.Store, now time.Time, users int) {
	t.Helper()
	c := crowd{t, rand.NewChaCha8([32]byte{7}), now}
	const perUpdate = 250
	for first := 0; first < users; first += perUpdate {
		c.update(store, func(ctx context.Context, tx ports.Tx) error {
			for i := first; i < min(first+perUpdate, users); i++ {
				if err := c.bringIn(ctx, tx, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	c.update(store, func(ctx context.Context, tx ports.Tx) error {
		for i := range 1200 {
			e := domain.RestoreEvent(domain.EventSnapshot{
				ID: made(domain.NewEventID(now, c.random)), Kind: domain.EventSignedIn, At: now.Add(-time.Duration(i) * time.Hour), By: domain.ByUser,
			})
			l := domain.RestoreLockout(domain.LockoutSnapshot{
				Subject: domain.LockoutSubject(c.bytes(32)), Failures: i % 25, LockedUntil: c.sometimes(i, 2), UpdatedAt: now,
			})
			m := domain.RestoreMessage(domain.MessageSnapshot{
				ID: made(domain.NewMessageID(now, c.random)), To: "somebody@example.org", Kind: domain.MessageAccountDeleted,
				About: domain.MessageFacts{At: now, By: domain.ByOperator}, DueAt: now, ExpiresAt: now.Add(day),
			})
			if err := errors.Join(tx.Events.Add(ctx, e), tx.Lockouts.Save(ctx, l), tx.Messages.Add(ctx, m)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c crowd) update(store ports.Store, fn func(ctx context.Context, tx ports.Tx) error) {
	c.t.Helper()
	if err := store.Update(c.t.Context(), func(tx ports.Tx) error { return fn(c.t.Context(), tx) }); err != nil {
		c.t.Fatal(err)
	}
}

// sometimes is now for one in so many, and the zero time for the others.
func (c crowd) sometimes(i, of int) time.Time {
	if i%of != 0 {
		return time.Time{}
	}
	return c.now
}

var oddNames = []domain.DisplayName{"", "Ωmega 👩‍🚀", `"Quote" \ </script> & 'O''Brien'`, "محمد", "\u2028 \u200d \ufffd", "{}", "null", "田中さん"}

func (c crowd) bringIn(ctx context.Context, tx ports.Tx, i int) error {
	u := domain.UserSnapshot{
		ID: made(domain.NewUserID(c.now.Add(-time.Duration(i)*time.Second), c.random)), Handle: made(domain.NewUserHandle(c.random)),
		DisplayName: oddNames[i%len(oddNames)], DisabledAt: c.sometimes(i, 97), CreatedAt: c.now.Add(-time.Duration(i) * time.Second),
	}
	if i%7 != 0 {
		u.Email, u.EmailVerifiedAt = domain.Email(fmt.Sprintf("user%d@example.org", i)), c.sometimes(i, 2)
	}
	if i%11 == 0 {
		u.Claim = domain.EmailClaim{Email: "wanted@example.org", Code: domain.EmailCodeDigest(c.bytes(32)), Failures: i % 5, ExpiresAt: c.now}
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
	return errors.Join(c.passkeys(ctx, tx, u.ID, passkeys), c.sessions(ctx, tx, u.ID, sessions), c.events(ctx, tx, u.ID, events), c.waysBack(ctx, tx, u.ID, i))
}

func (c crowd) passkeys(ctx context.Context, tx ports.Tx, owner domain.UserID, n int) error {
	for i := range n {
		key := domain.CredentialSnapshot{
			ID: domain.CredentialID(c.bytes(32)), UserID: owner, Name: domain.PasskeyName(oddNames[i%len(oddNames)]), Status: domain.CredentialActive,
			RPID: "localhost", PublicKey: c.bytes(77), Algorithm: -7, AAGUID: [16]byte(c.bytes(16)), Attachment: "platform",
			Transports: []string{"hybrid", "internal"}, Flags: 0b1_1101, SignCount: uint32(i),
			Attestation: domain.Attestation{
				Type: "none", Format: "none", Object: c.bytes(230), AuthenticatorData: c.bytes(164), ClientDataJSON: []byte(`{"type":"webauthn.create"}`),
			},
			Extensions: []byte(`{"credProps": {"rk":true}}`), CreatedAt: c.now, LastUsedAt: c.sometimes(i, 2),
		}
		if err := tx.Credentials.Add(ctx, domain.RestoreCredential(key)); err != nil {
			return err
		}
	}
	return nil
}

func (c crowd) sessions(ctx context.Context, tx ports.Tx, owner domain.UserID, n int) error {
	for i := range n {
		s := domain.SessionSnapshot{
			ID: made(domain.NewSessionID(c.now, c.random)), UserID: owner, CredentialID: domain.CredentialID(c.bytes(32)),
			Transport: domain.TransportBearer, Token: domain.TokenDigest(c.bytes(32)), Assurance: domain.AssurancePasskey,
			AMR: []string{"swk", "user", "mfa"}, Device: domain.Device{Name: "Firefox on Linux", UserAgent: "Mozilla/5.0 (X11)", IP: "2001:db8::7"},
			CreatedAt: c.now, AuthTime: c.now, LastSeenAt: c.now, IdleEndsAt: c.now.Add(day), ExpiresAt: c.now.Add(30 * day),
		}
		if i%3 == 1 {
			s.Previous, s.RotatedAt = domain.TokenDigest(c.bytes(32)), c.now
		}
		if err := tx.Sessions.Add(ctx, domain.RestoreSession(s)); err != nil {
			return err
		}
	}
	return nil
}

func (c crowd) events(ctx context.Context, tx ports.Tx, owner domain.UserID, n int) error {
	for range n {
		e := domain.EventSnapshot{
			ID: made(domain.NewEventID(c.now, c.random)), UserID: owner, Kind: domain.EventSignedIn, At: c.now, By: domain.ByUser,
			CredentialID: domain.CredentialID(c.bytes(32)), DeviceName: "Firefox on Linux", IP: "192.0.2.7", RequestID: "0123456789abcdef",
		}
		if err := tx.Events.Add(ctx, domain.RestoreEvent(e)); err != nil {
			return err
		}
	}
	return nil
}

func (c crowd) waysBack(ctx context.Context, tx ports.Tx, owner domain.UserID, i int) error {
	if i%5 == 0 {
		app := domain.TOTPSnapshot{UserID: owner, Secret: c.bytes(60), ConfirmedAt: c.now, Step: 59_000_000}
		if err := tx.TOTPs.Save(ctx, domain.RestoreTOTP(app)); err != nil {
			return err
		}
	}
	if i%4 == 0 {
		set := make([]domain.CodeDigest, i/4%(domain.BackupCodes+1)) // some are used up
		for j := range set {
			set[j] = domain.CodeDigest(c.bytes(32))
		}
		if err := tx.BackupCodes.Replace(ctx, owner, set, c.now); err != nil {
			return err
		}
	}
	if i%50 == 0 {
		m := domain.MessageSnapshot{
			ID: made(domain.NewMessageID(c.now, c.random)), UserID: owner, To: "user@example.org", Kind: domain.MessageEmailCode,
			Code: c.bytes(50), Attempts: 1, DueAt: c.now, ExpiresAt: c.now.Add(time.Hour),
		}
		return tx.Messages.Add(ctx, domain.RestoreMessage(m))
	}
	return nil
}

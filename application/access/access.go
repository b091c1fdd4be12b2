// Package access opens sessions: what every way of signing in ends with.
package access

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Visitor is who is calling, as far as the transport knows.
type Visitor struct {
	UserAgent string
	IP        string
	// Session is the token that the visitor brought, if any. Signing in replaces it: a token that was known before a
	// sign-in is worth nothing after it, so that nobody can plant one (session fixation).
	Session domain.SessionToken
}

// Grant is a session just opened, with what its owner is told once.
type Grant struct {
	User       *domain.User
	Session    *domain.Session
	Token      domain.SessionToken
	Credential *domain.Credential
	// Accepted are all passkeys of the user, for the client to bring its password manager in line (Signal API,
	// WebAuthn Level 3, section 5.1.10).
	Accepted []*domain.Credential
	// Finding is what was odd about the passkey's use and allowed by policy.
	Finding domain.Finding
}

// Door opens sessions.
type Door struct {
	Random   io.Reader
	Devices  ports.DeviceNames
	Lifetime domain.SessionLifetime
}

// Open makes the session that credential, just verified, has earned. Nothing is stored yet: Admit does that.
func (d *Door) Open(credential *domain.Credential, visitor Visitor, now time.Time) (*domain.Session, domain.SessionToken, error) {
	device := domain.NewDevice(visitor.UserAgent, visitor.IP)
	device.Name = d.Devices.NameOf(device.UserAgent)
	return domain.OpenSession(credential, device, d.Lifetime, now, d.Random)
}

// Admit stores the session, ends the one that it replaces, and lists the user's passkeys, inside the unit of work that
// spends the challenge.
func (d *Door) Admit(ctx context.Context, tx ports.Tx, session *domain.Session, visitor Visitor, now time.Time) ([]*domain.Credential, error) {
	if err := endReplaced(ctx, tx, visitor.Session, now); err != nil {
		return nil, err
	}
	if err := tx.Sessions.Add(ctx, session); err != nil {
		return nil, err
	}
	return tx.Credentials.OfUser(ctx, session.UserID())
}

func endReplaced(ctx context.Context, tx ports.Tx, token domain.SessionToken, now time.Time) error {
	if token.IsZero() {
		return nil
	}
	replaced, err := tx.Sessions.ByToken(ctx, token.Digest())
	if errors.Is(err, domain.ErrUnauthenticated) {
		return nil
	}
	if err != nil {
		return err
	}
	replaced.Revoke(now)
	return tx.Sessions.Save(ctx, replaced)
}

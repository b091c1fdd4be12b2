// Package access is what letting people in has in common: sessions are opened, their holders known, and what they do kept
// in their security log.
package access

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/keylodge/keylodge/application/tokens"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Grant is a session just opened, with what its owner is told once.
type Grant struct {
	User    *domain.User
	Session *domain.Session
	// Token carries the session of a browser; zero for a program's.
	Token domain.SessionToken
	// Tokens carry the session of a program; nil for a browser's.
	Tokens     *tokens.Pair
	Credential *domain.Credential
	// Accepted are all passkeys of the user, for the client to bring its password manager in line (Signal API,
	// WebAuthn Level 3, section 5.1.10).
	Accepted domain.Keyring
	// Finding is what was odd about the passkey's use and allowed by policy.
	Finding domain.Finding
	// NearLimit says that the account may have as many sessions as it is allowed: Admit ends the least recently used ones beyond.
	NearLimit bool
}

// Door opens sessions.
type Door struct {
	Random   io.Reader
	Issuer   *tokens.Issuer
	Log      *SecurityLog
	Lifetime domain.SessionLifetime
	Limit    domain.SessionLimit
}

// Open makes the session that credential, just verified, has earned its owner. Nothing is stored yet: Admit does that.
func (d *Door) Open(ctx context.Context, owner *domain.User, credential *domain.Credential, visitor Visitor, now time.Time) (Grant, error) {
	return d.open(ctx, owner, credential, visitor, func(*domain.Session) {}, now)
}

func (d *Door) open(ctx context.Context, owner *domain.User, credential *domain.Credential, visitor Visitor, mark func(*domain.Session), now time.Time) (Grant, error) {
	grant := Grant{User: owner, Credential: credential}
	device := d.Log.device(visitor)
	var err error
	if visitor.Transport != domain.TransportBearer {
		if grant.Session, grant.Token, err = domain.OpenSession(credential, device, d.Lifetime, now, d.Random); err == nil {
			mark(grant.Session)
		}
		return grant, err
	}
	var refresh domain.RefreshToken
	grant.Session, refresh, err = domain.OpenBearerSession(credential, device, d.Lifetime, d.Issuer.RefreshKeys, now, d.Random)
	if err != nil {
		return Grant{}, err
	}
	mark(grant.Session)
	// Signed now and not after the commit: a session without its tokens would be no use to anybody.
	grant.Tokens, err = d.Issuer.Pair(ctx, grant.Session, refresh, now)
	return grant, err
}

// OpenRecovered makes the session of somebody who has just enrolled a passkey by recovery. It is one of recovery's assurance
// until they step up.
func (d *Door) OpenRecovered(ctx context.Context, owner *domain.User, credential *domain.Credential, visitor Visitor, now time.Time) (Grant, error) {
	return d.open(ctx, owner, credential, visitor, (*domain.Session).Recovered, now)
}

// Admit stores the session, ends the one that it replaces, enters both in the log, and lists the user's passkeys, inside
// the unit of work that spends the challenge.
func (d *Door) Admit(ctx context.Context, tx ports.Tx, grant *Grant, visitor Visitor, how domain.EventKind, now time.Time) error {
	if grant.Tokens == nil { // a program's session replaces no browser's
		if err := d.endReplaced(ctx, tx, visitor, how, now); err != nil {
			return err
		}
	}
	if grant.NearLimit {
		if err := d.endExcess(ctx, tx, grant.User.ID(), visitor, now); err != nil {
			return err
		}
	}
	if err := tx.Sessions.Add(ctx, grant.Session); err != nil {
		return err
	}
	err := d.Log.Enter(ctx, tx, visitor, now, domain.EventSnapshot{
		Kind: how, UserID: grant.User.ID(), SessionID: grant.Session.ID(), CredentialID: grant.Credential.ID(), PasskeyName: grant.Credential.Name(),
	})
	if err != nil {
		return err
	}
	grant.Accepted, err = tx.Credentials.OfUser(ctx, grant.User.ID())
	return err
}

// endReplaced ends the session that the visitor's browser was in, whoever's it was, and tells its owner.
func (d *Door) endReplaced(ctx context.Context, tx ports.Tx, visitor Visitor, how domain.EventKind, now time.Time) error {
	if visitor.Session.IsZero() {
		return nil
	}
	replaced, err := tx.Sessions.ByToken(ctx, visitor.Session.Digest())
	if errors.Is(err, domain.ErrUnauthenticated) {
		return nil
	}
	if err != nil || replaced.Usable(now) != nil {
		return err
	}
	return d.Log.End(ctx, tx, replaced, visitor, domain.EventSnapshot{Kind: domain.EventSessionRevoked, Reason: string(how)}, now)
}

// maxEnded bounds how many sessions a single sign-in ends after the limit was lowered.
const maxEnded = 1000

// endExcess ends what exceeds the limit together with one more session, and tells their owner in the log.
func (d *Door) endExcess(ctx context.Context, tx ports.Tx, user domain.UserID, visitor Visitor, now time.Time) error {
	active, err := tx.Sessions.Live(ctx, user, now, domain.SessionID{}, int(d.Limit)+maxEnded)
	if err != nil {
		return err
	}
	for _, session := range d.Limit.Excess(active) {
		if err := d.Log.End(ctx, tx, session, visitor, domain.EventSnapshot{Kind: domain.EventSessionRevoked, Reason: domain.ReasonSessionLimit}, now); err != nil {
			return err
		}
	}
	return nil
}

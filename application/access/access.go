// Package access is what letting people in has in common: sessions are opened, their holders known, and what they do kept
// in their security log.
package access

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// SignIn is a session just opened, with what its owner is told once.
type SignIn struct {
	User    *domain.User
	Session *domain.Session
	// Token carries the session of a browser; zero for a program's.
	Token domain.SessionToken
	// Tokens carry the session of a program; nil for a browser's.
	Tokens     *signingkeys.TokenPair
	Credential *domain.Credential
	// AcceptedCredentials are all passkeys of the user, for the client to bring its password manager in line (Signal API,
	// WebAuthn Level 3, section 5.1.10).
	AcceptedCredentials domain.Passkeys
	// Anomaly is what was odd about the passkey's use and allowed by policy.
	Anomaly domain.Anomaly
	// NearLimit says that the account may have as many sessions as it is allowed: Admit ends the least recently used ones beyond.
	NearLimit bool
}

// SessionIssuer opens sessions.
type SessionIssuer struct {
	Random   io.Reader
	Issuer   *signingkeys.Issuer
	Audit    *AuditLog
	Lifetime domain.SessionLifetime
	Limit    domain.SessionLimit
}

// New makes the session that credential, just verified, has earned its owner. Nothing is stored yet: Admit does that.
func (d *SessionIssuer) New(ctx context.Context, owner *domain.User, credential *domain.Credential, visitor Client, now time.Time) (SignIn, error) {
	return d.create(ctx, owner, credential, visitor, func(*domain.Session) {}, now)
}

func (d *SessionIssuer) create(ctx context.Context, owner *domain.User, credential *domain.Credential, visitor Client, mark func(*domain.Session), now time.Time) (SignIn, error) {
	grant := SignIn{User: owner, Credential: credential}
	device := d.Audit.device(visitor)
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
		return SignIn{}, err
	}
	mark(grant.Session)
	// Signed now and not after the commit: a session without its tokens would be no use to anybody.
	grant.Tokens, err = d.Issuer.IssuePair(ctx, grant.Session, refresh, now)
	return grant, err
}

// NewRecovered makes the session of somebody who has just enrolled a passkey by recovery. It is one of recovery's assurance
// until they step up.
func (d *SessionIssuer) NewRecovered(ctx context.Context, owner *domain.User, credential *domain.Credential, visitor Client, now time.Time) (SignIn, error) {
	return d.create(ctx, owner, credential, visitor, (*domain.Session).MarkRecovered, now)
}

// Store stores the session, ends the one that it replaces, enters both in the log, and lists the user's passkeys, inside
// the unit of work that spends the challenge.
func (d *SessionIssuer) Store(ctx context.Context, tx ports.Tx, grant *SignIn, visitor Client, how domain.EventKind, now time.Time) error {
	if grant.Tokens == nil { // a program's session replaces no browser's
		if err := d.revokeReplaced(ctx, tx, visitor, how, now); err != nil {
			return err
		}
	}
	if grant.NearLimit {
		if err := d.revokeExcess(ctx, tx, grant.User.ID(), visitor, now); err != nil {
			return err
		}
	}
	if err := tx.Sessions.Add(ctx, grant.Session); err != nil {
		return err
	}
	err := d.Audit.Record(ctx, tx, visitor, now, domain.EventState{
		Kind: how, UserID: grant.User.ID(), SessionID: grant.Session.ID(), CredentialID: grant.Credential.ID(), PasskeyName: grant.Credential.Name(),
	})
	if err != nil {
		return err
	}
	grant.AcceptedCredentials, err = tx.Credentials.ListByUser(ctx, grant.User.ID())
	return err
}

// revokeReplaced ends the session that the visitor's browser was in, whoever's it was, and tells its owner.
func (d *SessionIssuer) revokeReplaced(ctx context.Context, tx ports.Tx, visitor Client, how domain.EventKind, now time.Time) error {
	if visitor.SessionToken.IsZero() {
		return nil
	}
	replaced, err := tx.Sessions.ByToken(ctx, visitor.SessionToken.Digest())
	if errors.Is(err, domain.ErrUnauthenticated) {
		return nil
	}
	if err != nil || !replaced.Active(now) {
		return err
	}
	return d.Audit.RevokeSession(ctx, tx, replaced, visitor, domain.EventState{Kind: domain.EventSessionRevoked, Reason: string(how)}, now)
}

// maxRevoked bounds how many sessions a single sign-in ends after the limit was lowered.
const maxRevoked = 1000

// revokeExcess ends what exceeds the limit together with one more session, and tells their owner in the log.
func (d *SessionIssuer) revokeExcess(ctx context.Context, tx ports.Tx, user domain.UserID, visitor Client, now time.Time) error {
	active, err := tx.Sessions.ListActive(ctx, user, now, domain.SessionID{}, int(d.Limit)+maxRevoked)
	if err != nil {
		return err
	}
	for _, session := range d.Limit.Excess(active) {
		if err := d.Audit.RevokeSession(ctx, tx, session, visitor, domain.EventState{Kind: domain.EventSessionRevoked, Reason: domain.ReasonSessionLimit}, now); err != nil {
			return err
		}
	}
	return nil
}

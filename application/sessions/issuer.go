package sessions

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// SignIn is a new session and what its client receives with it.
type SignIn struct {
	User    *domain.User
	Session *domain.Session
	// Token is the session token of a browser; zero for a session by bearer tokens.
	Token domain.SessionToken
	// Tokens are the first tokens of a session by bearer tokens; nil for a browser.
	Tokens *signingkeys.TokenPair
	// Credential is the passkey of the sign-in; nil for a session that continues another.
	Credential *domain.Credential
	// AcceptedCredentials are all passkeys of the user, set by the caller of Store for the client to update its password manager (Signal API,
	// WebAuthn Level 3, section 5.1.10).
	AcceptedCredentials domain.Passkeys
	// Anomaly is what was unusual about the use of the passkey and allowed by policy.
	Anomaly domain.Anomaly
	// NearLimit reports that the user may have as many sessions as allowed: Store then revokes the least recently used ones
	// beyond the limit.
	NearLimit bool
}

// SessionIssuer creates sessions.
type SessionIssuer struct {
	Random   io.Reader
	Devices  ports.DeviceNames
	Issuer   *signingkeys.Issuer
	Audit    *audit.Log
	Lifetime domain.SessionLifetime
	Limit    domain.SessionLimit
}

// New returns a new session for the owner of credential, which has just been verified. Store stores it.
func (i *SessionIssuer) New(ctx context.Context, owner *domain.User, credential *domain.Credential, client identity.Client, now time.Time) (SignIn, error) {
	return i.create(ctx, owner, credential, client, func(*domain.Session) {}, now)
}

// NewRecovered returns a new session for a user who has just enrolled credential by recovery. It has the assurance of the
// recovery until the user steps up.
func (i *SessionIssuer) NewRecovered(ctx context.Context, owner *domain.User, credential *domain.Credential, client identity.Client, now time.Time) (SignIn, error) {
	return i.create(ctx, owner, credential, client, (*domain.Session).MarkRecovered, now)
}

func (i *SessionIssuer) create(ctx context.Context, owner *domain.User, credential *domain.Credential, client identity.Client, mark func(*domain.Session), now time.Time) (SignIn, error) {
	signIn := SignIn{User: owner, Credential: credential}
	device := client.Device(i.Devices)
	if client.Transport != domain.TransportBearer {
		signIn.Session, signIn.Token = domain.OpenSession(credential, device, i.Lifetime, now, i.Random)
		mark(signIn.Session)
		return signIn, nil
	}
	var refresh domain.RefreshToken
	signIn.Session, refresh = domain.OpenBearerSession(credential, device, i.Lifetime, i.Issuer.RefreshKeys, now, i.Random)
	mark(signIn.Session)
	// Signed before the commit: a stored session whose tokens could not be signed would be unusable.
	var err error
	signIn.Tokens, err = i.Issuer.IssuePair(ctx, signIn.Session, refresh, now)
	return signIn, err
}

// NewContinued returns a new session by bearer tokens for an application, which continues the given session of the owner. Store stores
// it.
func (i *SessionIssuer) NewContinued(ctx context.Context, session *domain.Session, owner *domain.User, client identity.Client, now time.Time) (SignIn, error) {
	continued, refresh := session.Continue(client.Device(i.Devices), i.Lifetime, i.Issuer.RefreshKeys, now, i.Random)
	tokens, err := i.Issuer.IssuePair(ctx, continued, refresh, now)
	return SignIn{User: owner, Session: continued, Tokens: tokens}, err
}

// Store stores the session, revokes the one that it replaces and those beyond the limit, and records an event of the given kind,
// inside the transaction that consumes the challenge.
func (i *SessionIssuer) Store(ctx context.Context, tx ports.Tx, signIn *SignIn, client identity.Client, kind domain.EventKind, now time.Time) error {
	if signIn.Tokens == nil { // a session by bearer tokens replaces no session of a browser
		if err := i.revokeReplaced(ctx, tx, client, kind, now); err != nil {
			return err
		}
	}
	if signIn.NearLimit {
		if err := i.revokeExcess(ctx, tx, signIn.User.ID(), client, now); err != nil {
			return err
		}
	}
	if err := tx.Sessions.Add(ctx, signIn.Session); err != nil {
		return err
	}
	e := domain.EventState{Kind: kind, UserID: signIn.User.ID(), SessionID: signIn.Session.ID()}
	if signIn.Credential != nil {
		e.CredentialID, e.PasskeyName = signIn.Credential.ID(), signIn.Credential.Name()
	}
	return i.Audit.Record(ctx, tx, client, now, e)
}

// revokeReplaced revokes the session in the browser's cookie, whichever user it belongs to.
func (i *SessionIssuer) revokeReplaced(ctx context.Context, tx ports.Tx, client identity.Client, kind domain.EventKind, now time.Time) error {
	if client.SessionToken.IsZero() {
		return nil
	}
	replaced, err := tx.Sessions.ByToken(ctx, client.SessionToken.Digest())
	if errors.Is(err, domain.ErrUnauthenticated) {
		return nil
	}
	if err != nil || !replaced.Active(now) {
		return err
	}
	return RevokeSession(ctx, tx, i.Audit, replaced, client, domain.EventState{Kind: domain.EventSessionRevoked, Reason: string(kind)}, now)
}

// maxRevoked bounds how many sessions a single sign-in revokes after the limit was lowered.
const maxRevoked = 1000

// revokeExcess revokes the sessions that exceed the limit together with one more.
func (i *SessionIssuer) revokeExcess(ctx context.Context, tx ports.Tx, user domain.UserID, client identity.Client, now time.Time) error {
	active, err := tx.Sessions.ListActive(ctx, user, now, domain.SessionID{}, int(i.Limit)+maxRevoked)
	if err != nil {
		return err
	}
	e := domain.EventState{Kind: domain.EventSessionRevoked, Reason: domain.ReasonSessionLimit}
	for _, session := range i.Limit.Excess(active) {
		if err := RevokeSession(ctx, tx, i.Audit, session, client, e, now); err != nil {
			return err
		}
	}
	return nil
}

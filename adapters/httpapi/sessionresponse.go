package httpapi

import (
	"log/slog"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/application/timestamp"
	"github.com/keylodge/keylodge/domain"
)

// sessionResponse is the response of sign-up, sign-in and recovery.
type sessionResponse struct {
	User    user     `json:"user"`
	Session session  `json:"session"`
	Passkey passkey  `json:"passkey"`
	Signals *signals `json:"signals"`
	// One of the two, depending on the transport.
	CSRFToken string     `json:"csrf_token,omitempty"`
	Tokens    *tokenPair `json:"tokens,omitempty"`
}

type user struct {
	ID            string         `json:"id"`
	Email         *string        `json:"email"`
	EmailVerified bool           `json:"email_verified"`
	PendingEmail  *string        `json:"pending_email"`
	DisplayName   *string        `json:"display_name"`
	Locale        *string        `json:"locale"`
	Groups        []string       `json:"groups"`
	CreatedAt     timestamp.Time `json:"created_at"`
}

// session is a session of the user, who sees which one is the current one.
type session struct {
	sessionDetails

	Current bool `json:"current"`
}

type sessionDetails struct {
	ID         string          `json:"id"`
	CreatedAt  timestamp.Time  `json:"created_at"`
	LastSeenAt timestamp.Time  `json:"last_seen_at"`
	ExpiresAt  timestamp.Time  `json:"expires_at"`
	AuthTime   *timestamp.Time `json:"auth_time"`
	AMR        []string        `json:"amr"`
	Assurance  string          `json:"assurance"`
	Transport  string          `json:"transport"`
	PasskeyID  string          `json:"passkey_id"`
	Device     device          `json:"device"`
}

type device struct {
	Name      string `json:"name"`
	UserAgent string `json:"user_agent"`
	IP        string `json:"ip"`
}

type passkey struct {
	ID             string          `json:"id"`
	Name           *string         `json:"name"`
	Authenticator  authenticator   `json:"authenticator"`
	Transports     []string        `json:"transports"`
	BackupEligible bool            `json:"backup_eligible"`
	BackedUp       bool            `json:"backed_up"`
	SignCount      uint32          `json:"sign_count"`
	CreatedAt      timestamp.Time  `json:"created_at"`
	LastUsedAt     *timestamp.Time `json:"last_used_at"`
	Status         string          `json:"status"`
}

type authenticator struct {
	AAGUID string  `json:"aaguid"`
	Name   *string `json:"name"`
}

// signals are the arguments of PublicKeyCredential.signalAllAcceptedCredentials and signalCurrentUserDetails (WebAuthn
// Level 3, section 5.1.10).
type signals struct {
	RPID        string   `json:"rp_id"`
	UserID      string   `json:"user_id"`
	Accepted    []string `json:"accepted_credential_ids"`
	Name        string   `json:"name"`
	DisplayName string   `json:"display_name"`
}

// answerSignIn answers with a new session. A cookie session's token is set as a cookie and never in the body, which scripts can
// read; a bearer session's tokens are in the body.
func (s *server) answerSignIn(c *fiber.Ctx, signIn sessions.SignIn) error {
	s.meter.CountSignIn()
	s.recordAnomaly(c, signIn.Anomaly, signIn.Credential, "allowed")
	// Meaning: A user signed in, signed up, or recovered the account. passkey_id is the passkey that was used or registered.
	s.log.Info("signed in", slog.String("request_id", stateOf(c).id), slog.String("user_id", signIn.User.ID().String()),
		slog.String("session_id", signIn.Session.ID().String()), slog.String("passkey_id", signIn.Credential.ID().String()))
	response := sessionResponse{
		User: userOf(signIn.User), Session: sessionOf(signIn.Session, identity.Principal{Session: signIn.Session}), Passkey: s.passkeyOf(signIn.Credential),
		Signals: s.signalsFor(signIn.User, signIn.AcceptedCredentials), Tokens: tokensOf(signIn.Tokens),
	}
	if signIn.Tokens == nil {
		s.cookies.setSession(c, signIn.Token, s.config.SessionTTL)
		response.CSRFToken = s.csrf.issue(signIn.Session.ID())
	}
	return c.JSON(response)
}

func userOf(u *domain.User) user {
	return user{
		ID: u.ID().String(), Email: optional(string(u.Email())), EmailVerified: u.EmailVerified(),
		PendingEmail: optional(string(u.PendingEmail())),
		DisplayName:  optional(string(u.DisplayName())), Locale: optional(string(u.Locale())), Groups: u.Groups().Strings(), CreatedAt: timestamp.Of(u.CreatedAt()),
	}
}

// sessionOf returns a session of the principal, which may be the current one or another.
func sessionOf(stored *domain.Session, principal identity.Principal) session {
	return session{sessionDetailsOf(stored), stored.ID() == principal.Session.ID()}
}

func sessionDetailsOf(stored *domain.Session) sessionDetails {
	state := stored.State()
	return sessionDetails{
		ID: state.ID.String(), CreatedAt: timestamp.Of(state.CreatedAt), LastSeenAt: timestamp.Of(state.LastSeenAt), ExpiresAt: timestamp.Of(state.ExpiresAt), AuthTime: authTime(state.AuthTime),
		AMR: state.AMR, Assurance: string(state.Assurance), Transport: string(state.Transport), PasskeyID: state.CredentialID.String(),
		Device: device{Name: state.Device.Name, UserAgent: state.Device.UserAgent, IP: state.Device.IP},
	}
}

func (s *server) passkeyOf(c *domain.Credential) passkey {
	state := c.State()
	return passkey{
		ID: state.ID.String(), Name: optional(string(state.Name)), Authenticator: authenticator{state.AAGUID.String(), optional(s.config.AuthenticatorName(state.AAGUID))},
		Transports: notNil(state.Transports), BackupEligible: c.BackupEligible(), BackedUp: c.BackedUp(), SignCount: state.SignCount,
		CreatedAt: timestamp.Of(state.CreatedAt), LastUsedAt: timestamp.Optional(state.LastUsedAt), Status: string(state.Status),
	}
}

func (s *server) signalsFor(u *domain.User, accepted domain.Passkeys) *signals {
	entity := u.Entity()
	return &signals{
		RPID: s.config.RPID, UserID: entity.Handle.String(), Accepted: mapSlice(accepted, func(c *domain.Credential) string { return c.ID().String() }),
		Name: entity.Name, DisplayName: entity.DisplayName,
	}
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// authTime returns nil for a session without a passkey assertion.
func authTime(t time.Time) *timestamp.Time {
	if !t.After(domain.NoAuthTime) {
		return nil
	}
	return timestamp.Optional(t)
}

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

// sessionResponse is what every way of signing in ends with.
type sessionResponse struct {
	User    user     `json:"user"`
	Session session  `json:"session"`
	Passkey passkey  `json:"passkey"`
	Signals *signals `json:"signals"`
	// One of the two, by transport.
	CSRFToken string     `json:"csrf_token,omitempty"`
	Tokens    *tokenPair `json:"tokens,omitempty"`
}

type user struct {
	ID            string         `json:"id"`
	Email         *string        `json:"email"`
	EmailVerified bool           `json:"email_verified"`
	PendingEmail  *string        `json:"pending_email"`
	DisplayName   *string        `json:"display_name"`
	CreatedAt     timestamp.Time `json:"created_at"`
}

type session struct {
	ID         string          `json:"id"`
	CreatedAt  timestamp.Time  `json:"created_at"`
	LastSeenAt timestamp.Time  `json:"last_seen_at"`
	ExpiresAt  timestamp.Time  `json:"expires_at"`
	AuthTime   *timestamp.Time `json:"auth_time"`
	AMR        []string        `json:"amr"`
	Assurance  string          `json:"assurance"`
	Transport  string          `json:"transport"`
	Device     device          `json:"device"`
	Current    bool            `json:"current"`
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
	s.log.Info("signed in", slog.String("request_id", requestID(c)), slog.String("user_id", signIn.User.ID().String()),
		slog.String("session_id", signIn.Session.ID().String()), slog.String("passkey_id", signIn.Credential.ID().String()))
	answer := sessionResponse{
		User: userOf(signIn.User), Session: sessionOf(signIn.Session, identity.Principal{Session: signIn.Session}), Passkey: s.passkeyOf(signIn.Credential),
		Signals: s.signalsFor(signIn.User, signIn.AcceptedCredentials), Tokens: tokensOf(signIn.Tokens),
	}
	if signIn.Tokens == nil {
		s.cookies.setSession(c, signIn.Token)
		answer.CSRFToken = s.csrf.issue(signIn.Session.ID())
	}
	return c.JSON(answer)
}

func userOf(u *domain.User) user {
	return user{
		ID: u.ID().String(), Email: optional(string(u.Email())), EmailVerified: u.EmailVerified(),
		PendingEmail: optional(string(u.PendingEmail())),
		DisplayName:  optional(string(u.DisplayName())), CreatedAt: timestamp.Of(u.CreatedAt()),
	}
}

// sessionOf shows a session to the actor, who is in it or not.
func sessionOf(sn *domain.Session, actor identity.Principal) session {
	is := sn.State()
	return session{
		ID: is.ID.String(), CreatedAt: timestamp.Of(is.CreatedAt), LastSeenAt: timestamp.Of(is.LastSeenAt), ExpiresAt: timestamp.Of(is.ExpiresAt), AuthTime: authTime(is.AuthTime),
		AMR: is.AMR, Assurance: string(is.Assurance), Transport: string(is.Transport), Current: is.ID == actor.Session.ID(),
		Device: device{Name: is.Device.Name, UserAgent: is.Device.UserAgent, IP: is.Device.IP},
	}
}

func (s *server) passkeyOf(c *domain.Credential) passkey {
	is := c.State()
	return passkey{
		ID: is.ID.String(), Name: optional(string(is.Name)), Authenticator: authenticator{is.AAGUID.String(), optional(s.config.AuthenticatorName(is.AAGUID))},
		Transports: notNil(is.Transports), BackupEligible: c.BackupEligible(), BackedUp: c.BackedUp(), SignCount: is.SignCount,
		CreatedAt: timestamp.Of(is.CreatedAt), LastUsedAt: timestamp.Optional(is.LastUsedAt), Status: string(is.Status),
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

// authTime is null in a session in which no passkey has been shown.
func authTime(t time.Time) *timestamp.Time {
	if !t.After(domain.NoAuthTime) {
		return nil
	}
	return timestamp.Optional(t)
}

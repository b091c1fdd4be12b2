package cli

import (
	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/application/timestamp"
	"github.com/keylodge/keylodge/domain"
)

// What programs read. Members are named as in the HTTP API; what is absent is null.
type (
	user struct {
		ID            string          `json:"id"`
		Email         *string         `json:"email"`
		EmailVerified bool            `json:"email_verified"`
		PendingEmail  *string         `json:"pending_email"`
		DisplayName   *string         `json:"display_name"`
		CreatedAt     timestamp.Time  `json:"created_at"`
		DisabledAt    *timestamp.Time `json:"disabled_at"`
	}

	account struct {
		User     user      `json:"user"`
		Passkeys []passkey `json:"passkeys"`
		Sessions []session `json:"sessions"`
		Events   []event   `json:"events"`
	}

	passkey struct {
		ID             string          `json:"id"`
		Name           *string         `json:"name"`
		Authenticator  authenticator   `json:"authenticator"`
		Transports     []string        `json:"transports"`
		BackupEligible bool            `json:"backup_eligible"`
		BackedUp       bool            `json:"backed_up"`
		SignCount      uint32          `json:"sign_count"`
		CloneWarning   bool            `json:"clone_warning"`
		CreatedAt      timestamp.Time  `json:"created_at"`
		LastUsedAt     *timestamp.Time `json:"last_used_at"`
		Status         string          `json:"status"`
	}

	authenticator struct {
		AAGUID string  `json:"aaguid"`
		Name   *string `json:"name"`
	}

	session struct {
		ID         string         `json:"id"`
		CreatedAt  timestamp.Time `json:"created_at"`
		LastSeenAt timestamp.Time `json:"last_seen_at"`
		ExpiresAt  timestamp.Time `json:"expires_at"`
		AuthTime   timestamp.Time `json:"auth_time"`
		AMR        []string       `json:"amr"`
		Assurance  string         `json:"assurance"`
		Transport  string         `json:"transport"`
		Device     device         `json:"device"`
	}

	device struct {
		Name      string `json:"name"`
		UserAgent string `json:"user_agent"`
		IP        string `json:"ip"`
	}

	event struct {
		ID        string         `json:"id"`
		Kind      string         `json:"kind"`
		At        timestamp.Time `json:"at"`
		Count     int            `json:"count"`
		LastAt    timestamp.Time `json:"last_at"`
		Actor     string         `json:"actor"`
		SessionID *string        `json:"session_id"`
		Passkey   *namedPasskey  `json:"passkey"`
		Device    *namedDevice   `json:"device"`
		Addresses []string       `json:"addresses"`
		Reason    *string        `json:"reason"`
		Changed   []string       `json:"changed"`
		RequestID *string        `json:"request_id"`
	}

	namedPasskey struct {
		ID   string  `json:"id"`
		Name *string `json:"name"`
	}

	namedDevice struct {
		Name string `json:"name"`
		IP   string `json:"ip"`
	}

	key struct {
		ID        string          `json:"id"`
		Algorithm string          `json:"algorithm"`
		State     string          `json:"state"`
		CreatedAt *timestamp.Time `json:"created_at"`
		SignsFrom *timestamp.Time `json:"signs_from"`
	}

	// changeResult names what was changed.
	changeResult struct {
		UserID          string `json:"user_id,omitempty"`
		SessionID       string `json:"session_id,omitempty"`
		SessionsRevoked *int   `json:"sessions_revoked,omitempty"`
	}
)

func userOf(u *domain.User) user {
	return user{
		ID: u.ID().String(), Email: optional(string(u.Email())), EmailVerified: u.EmailVerified(),
		PendingEmail: optional(string(u.PendingEmail())),
		DisplayName:  optional(string(u.DisplayName())), CreatedAt: timestamp.Of(u.CreatedAt()), DisabledAt: timestamp.Optional(u.DisabledAt()),
	}
}

func accountOf(a admin.AccountDetails, nameOf func(domain.AAGUID) string) account {
	return account{
		User:     userOf(a.User),
		Passkeys: mapSlice(a.Passkeys, func(c *domain.Credential) passkey { return passkeyOf(c, nameOf) }),
		Sessions: mapSlice(a.Sessions, sessionOf),
		Events:   mapSlice(a.Events, eventOf),
	}
}

func passkeyOf(c *domain.Credential, nameOf func(domain.AAGUID) string) passkey {
	is := c.State()
	return passkey{
		ID: is.ID.String(), Name: optional(string(is.Name)), Authenticator: authenticator{is.AAGUID.String(), optional(nameOf(is.AAGUID))},
		Transports: nonNil(is.Transports), BackupEligible: c.BackupEligible(), BackedUp: c.BackedUp(), SignCount: is.SignCount,
		CloneWarning: is.CloneWarning, CreatedAt: timestamp.Of(is.CreatedAt), LastUsedAt: timestamp.Optional(is.LastUsedAt), Status: string(is.Status),
	}
}

func sessionOf(s *domain.Session) session {
	is := s.State()
	return session{
		ID: is.ID.String(), CreatedAt: timestamp.Of(is.CreatedAt), LastSeenAt: timestamp.Of(is.LastSeenAt), ExpiresAt: timestamp.Of(is.ExpiresAt), AuthTime: timestamp.Of(is.AuthTime),
		AMR: is.AMR, Assurance: string(is.Assurance), Transport: string(is.Transport),
		Device: device{is.Device.Name, is.Device.UserAgent, is.Device.IP},
	}
}

func eventOf(e *domain.Event) event {
	is := e.State()
	shown := event{
		ID: is.ID.String(), Kind: string(is.Kind), At: timestamp.Of(is.At), Count: e.Count(), LastAt: timestamp.Of(e.LastAt()), Actor: string(is.Actor),
		Addresses: nonNil(e.IPs()), Reason: optional(is.Reason), Changed: nonNil(is.Changed), RequestID: optional(is.RequestID),
	}
	if !is.SessionID.IsZero() {
		shown.SessionID = optional(is.SessionID.String())
	}
	if is.CredentialID != "" {
		shown.Passkey = &namedPasskey{is.CredentialID.String(), optional(string(is.PasskeyName))}
	}
	if is.DeviceName != "" || is.IP != "" {
		shown.Device = &namedDevice{is.DeviceName, is.IP}
	}
	return shown
}

func keyOf(k signingkeys.Key) key {
	return key{
		ID: k.ID, Algorithm: string(k.Algorithm), State: string(k.State),
		CreatedAt: timestamp.Optional(k.CreatedAt), SignsFrom: timestamp.Optional(k.SignsFrom),
	}
}

// optional is nil for the zero value.
func optional[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// nonNil is empty rather than null.
func nonNil(items []string) []string { return append([]string{}, items...) }

func mapSlice[T, U any](items []T, turn func(T) U) []U {
	turned := make([]U, len(items))
	for i, item := range items {
		turned[i] = turn(item)
	}
	return turned
}

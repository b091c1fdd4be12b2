package cli

import (
	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/application/apikeys"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/application/timestamp"
	"github.com/keylodge/keylodge/domain"
)

// Documents of --json. Members have the names of the HTTP API, and absent values are null.
type (
	user struct {
		ID            string          `json:"id"`
		Email         *string         `json:"email"`
		EmailVerified bool            `json:"email_verified"`
		PendingEmail  *string         `json:"pending_email"`
		DisplayName   *string         `json:"display_name"`
		Locale        *string         `json:"locale"`
		Groups        []string        `json:"groups"`
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
		ID         string          `json:"id"`
		CreatedAt  timestamp.Time  `json:"created_at"`
		LastSeenAt timestamp.Time  `json:"last_seen_at"`
		ExpiresAt  timestamp.Time  `json:"expires_at"`
		AuthTime   *timestamp.Time `json:"auth_time"` // null without a passkey assertion
		AMR        []string        `json:"amr"`
		Assurance  string          `json:"assurance"`
		Transport  string          `json:"transport"`
		Device     device          `json:"device"`
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
		APIKeyID  *string        `json:"api_key_id"` // of the operator's program
		InviteID  *string        `json:"invite_id"`
		RequestID *string        `json:"request_id"`
	}

	// managedEvent is an event in a list of the events of all users.
	managedEvent struct {
		event

		UserID *string `json:"user_id"`
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

	apiKey struct {
		ID         string          `json:"id"`
		Name       string          `json:"name"`
		Scopes     []string        `json:"scopes"`
		Status     string          `json:"status"`
		CreatedAt  timestamp.Time  `json:"created_at"`
		ExpiresAt  timestamp.Time  `json:"expires_at"`
		LastUsedAt *timestamp.Time `json:"last_used_at"`
		RevokedAt  *timestamp.Time `json:"revoked_at"`
	}

	invite struct {
		ID        string          `json:"id"`
		Status    string          `json:"status"`
		Email     *string         `json:"email"`
		Groups    []string        `json:"groups"`
		CreatedAt timestamp.Time  `json:"created_at"`
		ExpiresAt timestamp.Time  `json:"expires_at"`
		UsedAt    *timestamp.Time `json:"used_at"`
		UserID    *string         `json:"user_id"`
		RevokedAt *timestamp.Time `json:"revoked_at"`
	}

	inviteLink struct {
		invite

		Token string `json:"token"`
		Link  string `json:"link"`
	}

	setting struct {
		Name   string  `json:"name"`
		Value  *string `json:"value"`
		From   string  `json:"from"`
		Hidden bool    `json:"hidden"`
	}

	// changeResult is the document of a command that changes users or sessions.
	changeResult struct {
		UserID          string `json:"user_id,omitempty"`
		SessionID       string `json:"session_id,omitempty"`
		SessionsRevoked *int   `json:"sessions_revoked,omitempty"`
		SessionsMatched *int   `json:"sessions_matched,omitempty"` // of `sessions revoke --address`
		// Of `users groups`; the list of a user without groups is empty, and not left out.
		Groups *[]string `json:"groups,omitempty"`
	}
)

func userOf(u *domain.User) user {
	return user{
		ID: u.ID().String(), Email: optional(string(u.Email())), EmailVerified: u.EmailVerified(),
		PendingEmail: optional(string(u.PendingEmail())),
		DisplayName:  optional(string(u.DisplayName())), Locale: optional(string(u.Locale())), Groups: u.Groups().Strings(), CreatedAt: timestamp.Of(u.CreatedAt()), DisabledAt: timestamp.Optional(u.DisabledAt()),
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
	state := c.State()
	return passkey{
		ID: state.ID.String(), Name: optional(string(state.Name)), Authenticator: authenticator{state.AAGUID.String(), optional(nameOf(state.AAGUID))},
		Transports: nonNil(state.Transports), BackupEligible: c.BackupEligible(), BackedUp: c.BackedUp(), SignCount: state.SignCount,
		CloneWarning: state.CloneWarning, CreatedAt: timestamp.Of(state.CreatedAt), LastUsedAt: timestamp.Optional(state.LastUsedAt), Status: string(state.Status),
	}
}

func sessionOf(s *domain.Session) session {
	state := s.State()
	document := session{
		ID: state.ID.String(), CreatedAt: timestamp.Of(state.CreatedAt), LastSeenAt: timestamp.Of(state.LastSeenAt), ExpiresAt: timestamp.Of(state.ExpiresAt),
		AMR: state.AMR, Assurance: string(state.Assurance), Transport: string(state.Transport),
		Device: device{state.Device.Name, state.Device.UserAgent, state.Device.IP},
	}
	if state.AuthTime.After(domain.NoAuthTime) {
		document.AuthTime = timestamp.Optional(state.AuthTime)
	}
	return document
}

func eventOf(e *domain.Event) event {
	state := e.State()
	document := event{
		ID: state.ID.String(), Kind: string(state.Kind), At: timestamp.Of(state.At), Count: e.Count(), LastAt: timestamp.Of(e.LastAt()), Actor: string(state.Actor),
		Addresses: nonNil(e.IPs()), Reason: optional(state.Reason), Changed: nonNil(state.Changed), RequestID: optional(state.RequestID),
	}
	if !state.SessionID.IsZero() {
		document.SessionID = optional(state.SessionID.String())
	}
	if !state.APIKey.IsZero() {
		document.APIKeyID = optional(state.APIKey.String())
	}
	if !state.Invite.IsZero() {
		document.InviteID = optional(state.Invite.String())
	}
	if state.CredentialID != "" {
		document.Passkey = &namedPasskey{state.CredentialID.String(), optional(string(state.PasskeyName))}
	}
	if state.DeviceName != "" || state.IP != "" {
		document.Device = &namedDevice{state.DeviceName, state.IP}
	}
	return document
}

func managedEventOf(e *domain.Event) managedEvent {
	document := managedEvent{event: eventOf(e)}
	if user := e.UserID(); !user.IsZero() {
		document.UserID = optional(user.String())
	}
	return document
}

func keyOf(k signingkeys.Key) key {
	return key{
		ID: k.ID, Algorithm: string(k.Algorithm), State: string(k.State),
		CreatedAt: timestamp.Optional(k.CreatedAt), SignsFrom: timestamp.Optional(k.SignsFrom),
	}
}

func apiKeyOf(k apikeys.Key) apiKey {
	state := k.State()
	return apiKey{
		ID: state.ID.String(), Name: state.Name, Scopes: domain.ScopeTexts(state.Scopes), Status: string(k.Status), CreatedAt: timestamp.Of(state.CreatedAt),
		ExpiresAt: timestamp.Of(state.ExpiresAt), LastUsedAt: timestamp.Optional(state.LastUsedAt), RevokedAt: timestamp.Optional(state.RevokedAt),
	}
}

func inviteOf(i admin.Invite) invite {
	state := i.State()
	document := invite{
		ID: state.ID.String(), Status: string(i.Status), Email: optional(string(state.Email)), Groups: state.Groups.Strings(), CreatedAt: timestamp.Of(state.CreatedAt),
		ExpiresAt: timestamp.Of(state.ExpiresAt), UsedAt: timestamp.Optional(state.UsedAt), RevokedAt: timestamp.Optional(state.RevokedAt),
	}
	if !state.UserID.IsZero() {
		document.UserID = optional(state.UserID.String())
	}
	return document
}

func inviteLinkOf(i admin.InviteLink) inviteLink {
	return inviteLink{inviteOf(i.Invite), i.Token.Reveal(), i.Link.Reveal()}
}

// optional returns nil for the zero value.
func optional[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// nonNil returns an empty list for nil, which would be null in JSON.
func nonNil(items []string) []string { return append([]string{}, items...) }

func mapSlice[T, U any](items []T, convert func(T) U) []U {
	converted := make([]U, len(items))
	for i, item := range items {
		converted[i] = convert(item)
	}
	return converted
}

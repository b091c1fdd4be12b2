package domain

import (
	"io"
	"slices"
	"strings"
	"time"
)

// User is a person with an account.
type User struct{ state UserState }

// UserState is the state of a user as it is stored.
type UserState struct {
	ID              UserID       `export:"id"`
	Handle          UserHandle   `export:"handle"`
	Email           Email        `export:"email,omitempty"`            // "" if none
	EmailVerifiedAt time.Time    `export:"email_verified_at,omitzero"` // zero if not verified
	PendingEmail    PendingEmail `export:"pending_email,omitzero"`     // zero if none
	DisplayName     DisplayName  `export:"display_name,omitempty"`     // "" if none
	Locale          Locale       `export:"locale,omitempty"`           // "" if none
	Groups          Groups       `export:"groups,omitempty"`           // in alphabetical order
	DisabledAt      time.Time    `export:"disabled_at,omitzero"`       // zero unless disabled
	CreatedAt       time.Time    `export:"created_at"`
}

// PendingUser is a person who began to sign up: their input, and the ids that WebAuthn needs before the account exists. It is stored
// in the challenge, so that an abandoned sign-up creates no user.
type PendingUser struct {
	UserID      UserID
	Handle      UserHandle
	Email       Email
	DisplayName DisplayName
	Locale      Locale
	Invite      InviteID // zero without an invite
}

// NewPendingUser returns a pending user with new random ids.
func NewPendingUser(email Email, name DisplayName, now time.Time, random io.Reader) *PendingUser {
	return &PendingUser{UserID: NewUserID(now, random), Handle: NewUserHandle(random), Email: email, DisplayName: name}
}

// Invited reports whether the person signs up with an invite.
func (p *PendingUser) Invited() bool { return !p.Invite.IsZero() }

// Entity returns the user entity for the registration of the passkey.
func (p *PendingUser) Entity() UserEntity { return entity(p.UserID, p.Handle, p.Email, p.DisplayName) }

// ToUser returns the user after the registration is verified.
func (p *PendingUser) ToUser(now time.Time) *User {
	return &User{UserState{ID: p.UserID, Handle: p.Handle, Email: p.Email, DisplayName: p.DisplayName, Locale: p.Locale, CreatedAt: now}}
}

// RestoreUser returns the user with the given state.
func RestoreUser(s UserState) *User { return &User{s.clone()} }

// State returns a copy of the state, for storage.
func (u *User) State() UserState { return u.state.clone() }

func (s UserState) clone() UserState {
	s.Groups = slices.Clone(s.Groups)
	return s
}

// Clone returns a copy.
func (u *User) Clone() *User { return RestoreUser(u.state) }

func (u *User) ID() UserID               { return u.state.ID }
func (u *User) Handle() UserHandle       { return u.state.Handle }
func (u *User) Email() Email             { return u.state.Email }
func (u *User) EmailVerified() bool      { return !u.state.EmailVerifiedAt.IsZero() }
func (u *User) DisplayName() DisplayName { return u.state.DisplayName }
func (u *User) Locale() Locale           { return u.state.Locale }
func (u *User) CreatedAt() time.Time     { return u.state.CreatedAt }

// Disabled reports whether the operator has disabled the account.
func (u *User) Disabled() bool { return !u.state.DisabledAt.IsZero() }

// RequireEnabled returns ErrUserDisabled if the account is disabled. Return it only to a caller who has proved that the account
// is theirs: to others it would reveal that the account exists.
func (u *User) RequireEnabled() error {
	if u.Disabled() {
		return ErrUserDisabled
	}
	return nil
}

// DisabledAt returns the time when the account was disabled; zero if it is enabled.
func (u *User) DisabledAt() time.Time { return u.state.DisabledAt }

// Disable disables the account and reports whether it was enabled.
func (u *User) Disable(now time.Time) bool {
	if u.Disabled() {
		return false
	}
	u.state.DisabledAt = now
	return true
}

// Enable enables the account and reports whether it was disabled.
func (u *User) Enable() bool {
	wasDisabled := u.Disabled()
	u.state.DisabledAt = time.Time{}
	return wasDisabled
}

// Rename sets or removes the display name and reports whether it changed.
func (u *User) Rename(name DisplayName) bool {
	changed := u.state.DisplayName != name
	u.state.DisplayName = name
	return changed
}

// SetLocale sets or removes the language of the user's e-mails and reports whether it changed.
func (u *User) SetLocale(locale Locale) bool {
	changed := u.state.Locale != locale
	u.state.Locale = locale
	return changed
}

// SetEmail sets or removes the e-mail address, without verification, and reports whether it changed.
func (u *User) SetEmail(email Email) bool {
	if u.state.Email == email {
		return false
	}
	u.state.Email, u.state.EmailVerifiedAt = email, time.Time{}
	return true
}

// Entity returns the user entity for the registration of another passkey.
func (u *User) Entity() UserEntity {
	email := u.state.Email
	if email == "" {
		email = u.state.PendingEmail.Email // only the user sees it here
	}
	return entity(u.state.ID, u.state.Handle, email, u.state.DisplayName)
}

// UserEntity is the user in a registration: PublicKeyCredentialUserEntity (WebAuthn Level 3, section 5.4.3).
type UserEntity struct {
	Handle UserHandle
	// Name is the passkey's label: the address, else the display name, else a short tag that differs between accounts.
	Name string
	// DisplayName is the user's display name, or else Name.
	DisplayName string
}

func entity(id UserID, handle UserHandle, email Email, name DisplayName) UserEntity {
	e := UserEntity{Handle: handle}
	switch {
	case email != "":
		e.Name = string(email)
	case name != "":
		e.Name = string(name)
	default:
		text := id.String()
		e.Name = "account " + strings.ToUpper(text[len(text)-6:])
	}
	if e.DisplayName = string(name); e.DisplayName == "" {
		e.DisplayName = e.Name
	}
	return e
}

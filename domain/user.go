package domain

import (
	"io"
	"strings"
	"time"
)

// User is a person with an account.
type User struct{ state UserState }

// UserState is a user's state as storage keeps it.
type UserState struct {
	ID              UserID       `export:"id"`
	Handle          UserHandle   `export:"handle"`
	Email           Email        `export:"email,omitempty"`            // "" if none
	EmailVerifiedAt time.Time    `export:"email_verified_at,omitzero"` // zero if not verified
	PendingEmail    PendingEmail `export:"claim,omitzero"`             // zero if none
	DisplayName     DisplayName  `export:"display_name,omitempty"`     // "" if none
	DisabledAt      time.Time    `export:"disabled_at,omitzero"`       // zero unless the operator shut the account
	CreatedAt       time.Time    `export:"created_at"`
}

// PendingUser is somebody in the middle of signing up: what they said, and the names that WebAuthn needs before there is
// an account. It lives in the challenge, so that an abandoned sign-up leaves no user behind.
type PendingUser struct {
	UserID      UserID
	Handle      UserHandle
	Email       Email
	DisplayName DisplayName
}

// NewPendingUser prepares a sign-up.
func NewPendingUser(email Email, name DisplayName, now time.Time, random io.Reader) *PendingUser {
	return &PendingUser{UserID: NewUserID(now, random), Handle: NewUserHandle(random), Email: email, DisplayName: name}
}

// Entity is how a new passkey will name its owner.
func (a *PendingUser) Entity() UserEntity { return entity(a.UserID, a.Handle, a.Email, a.DisplayName) }

// ToUser turns the applicant into a user, once their passkey is verified.
func (a *PendingUser) ToUser(now time.Time) *User {
	return &User{UserState{ID: a.UserID, Handle: a.Handle, Email: a.Email, DisplayName: a.DisplayName, CreatedAt: now}}
}

// RestoreUser is storage's way back from a snapshot.
func RestoreUser(s UserState) *User { return &User{s} }

// State is storage's way in.
func (u *User) State() UserState { return u.state }

func (u *User) ID() UserID               { return u.state.ID }
func (u *User) Handle() UserHandle       { return u.state.Handle }
func (u *User) Email() Email             { return u.state.Email }
func (u *User) EmailVerified() bool      { return !u.state.EmailVerifiedAt.IsZero() }
func (u *User) DisplayName() DisplayName { return u.state.DisplayName }
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

// DisabledAt is the time when the account was disabled; zero if it is enabled.
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

// Rename gives the user another display name, or none, and reports whether that changed anything.
func (u *User) Rename(name DisplayName) bool {
	changed := u.state.DisplayName != name
	u.state.DisplayName = name
	return changed
}

// SetEmail gives the user another e-mail address at their word, or none, and reports whether that changed anything. A new
// address is not verified.
func (u *User) SetEmail(email Email) bool {
	if u.state.Email == email {
		return false
	}
	u.state.Email, u.state.EmailVerifiedAt = email, time.Time{}
	return true
}

// Entity is how the user's passkeys name their owner.
func (u *User) Entity() UserEntity {
	email := u.state.Email
	if email == "" {
		email = u.state.PendingEmail.Email // nobody but its owner sees it here
	}
	return entity(u.state.ID, u.state.Handle, email, u.state.DisplayName)
}

// UserEntity is a user as authenticators know them: PublicKeyCredentialUserEntity (WebAuthn Level 3, section 5.4.3).
type UserEntity struct {
	Handle UserHandle
	// Name is what the passkey is listed under: the address, else the display name, else a short tag that keeps two
	// nameless accounts apart.
	Name string
	// DisplayName is what the person is called: their display name, or Name for want of one.
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

package domain

import (
	"io"
	"strings"
	"time"
)

// User is a person with an account.
type User struct{ state UserSnapshot }

// UserSnapshot is a user's state as storage keeps it.
type UserSnapshot struct {
	ID              UserID
	Handle          UserHandle
	Email           Email       // "" if none
	EmailVerifiedAt time.Time   // zero if not verified
	DisplayName     DisplayName // "" if none
	CreatedAt       time.Time
}

// Applicant is somebody in the middle of signing up: what they said, and the names that WebAuthn needs before there is
// an account. It lives in the challenge, so that an abandoned sign-up leaves no user behind.
type Applicant struct {
	UserID      UserID
	Handle      UserHandle
	Email       Email
	DisplayName DisplayName
}

// NewApplicant prepares a sign-up.
func NewApplicant(email Email, name DisplayName, now time.Time, random io.Reader) (*Applicant, error) {
	id, err := NewUserID(now, random)
	if err != nil {
		return nil, err
	}
	handle, err := NewUserHandle(random)
	if err != nil {
		return nil, err
	}
	return &Applicant{UserID: id, Handle: handle, Email: email, DisplayName: name}, nil
}

// AccountName is what an authenticator lists the passkey under: the address, else the display name, else a short tag
// that keeps two nameless accounts apart.
func (a *Applicant) AccountName() string { return accountName(a.UserID, a.Email, a.DisplayName) }

// ShownName is what an authenticator calls the person: their display name, or the account's for want of one.
func (a *Applicant) ShownName() string { return shownName(a.DisplayName, a.AccountName()) }

// Admit turns the applicant into a user, once their passkey is verified.
func (a *Applicant) Admit(now time.Time) *User {
	return &User{UserSnapshot{ID: a.UserID, Handle: a.Handle, Email: a.Email, DisplayName: a.DisplayName, CreatedAt: now}}
}

// RestoreUser is storage's way back from a snapshot.
func RestoreUser(s UserSnapshot) *User { return &User{s} }

// Snapshot is storage's way in.
func (u *User) Snapshot() UserSnapshot { return u.state }

func (u *User) ID() UserID               { return u.state.ID }
func (u *User) Handle() UserHandle       { return u.state.Handle }
func (u *User) Email() Email             { return u.state.Email }
func (u *User) EmailVerified() bool      { return !u.state.EmailVerifiedAt.IsZero() }
func (u *User) DisplayName() DisplayName { return u.state.DisplayName }
func (u *User) CreatedAt() time.Time     { return u.state.CreatedAt }

// AccountName is what an authenticator lists the user's passkeys under.
func (u *User) AccountName() string {
	return accountName(u.state.ID, u.state.Email, u.state.DisplayName)
}

// ShownName is what an authenticator calls the person.
func (u *User) ShownName() string { return shownName(u.state.DisplayName, u.AccountName()) }

func shownName(name DisplayName, account string) string {
	if name != "" {
		return string(name)
	}
	return account
}

func accountName(id UserID, email Email, name DisplayName) string {
	switch {
	case email != "":
		return string(email)
	case name != "":
		return string(name)
	}
	text := id.String()
	return "account " + strings.ToUpper(text[len(text)-6:])
}

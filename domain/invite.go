package domain

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Invite lets one person sign up, also where registration requires an invite. It expires, and may be bound to an e-mail address.
type Invite struct{ state InviteState }

// InviteState is the state of an invite as it is stored. The token is stored as its digest only.
type InviteState struct {
	ID        InviteID    `export:"id"`
	Token     TokenDigest `export:"token"`
	Email     Email       `export:"email,omitempty"`  // the only address that can sign up with it; "" for any, or none
	Groups    Groups      `export:"groups,omitempty"` // of the user who signs up, in alphabetical order
	CreatedAt time.Time   `export:"created_at"`
	ExpiresAt time.Time   `export:"expires_at"`
	UsedAt    time.Time   `export:"used_at,omitzero"`    // zero unless used
	UserID    UserID      `export:"user,omitzero"`       // who signed up with it; zero unless used
	RevokedAt time.Time   `export:"revoked_at,omitzero"` // zero unless revoked
}

// InviteToken is the secret of an invite.
type InviteToken struct{ Secret }

const (
	inviteTokenPrefix  = "kli_" // lets secret scanners find a leaked token
	inviteSecretLength = 32
)

// MaxInviteTTL is the longest time after which an invite expires.
const MaxInviteTTL = 90 * 24 * time.Hour

// NewInvite returns an invite that expires after ttl, and its token. With an address, only a sign-up with that address can use it. It
// returns an *InvalidInput for too many groups, and for a ttl that is not positive or above 90 days.
func NewInvite(email Email, groups []Group, ttl time.Duration, now time.Time, random io.Reader) (*Invite, InviteToken, error) {
	groups = slices.Compact(slices.Sorted(slices.Values(groups)))
	var badGroups, badTTL error
	if len(groups) > maxGroupsPerUser {
		badGroups = tooManyGroups()
	}
	if ttl <= 0 || ttl > MaxInviteTTL {
		badTTL = Invalid("expires_in", "out_of_range", fmt.Sprintf("an invite expires after at most %d days", MaxInviteTTL/(24*time.Hour)))
	}
	if err := JoinInvalid(badGroups, badTTL); err != nil {
		return nil, InviteToken{}, err
	}
	secret := make([]byte, inviteSecretLength)
	readRandom(random, secret)
	token := InviteToken{NewSecret(inviteTokenPrefix + base64.RawURLEncoding.EncodeToString(secret))}
	return &Invite{InviteState{ID: NewInviteID(now, random), Token: token.Digest(), Email: email, Groups: groups, CreatedAt: now, ExpiresAt: now.Add(ttl)}}, token, nil
}

// ParseInviteToken parses a token. People copy it from links, so that it is normalized as ParseRecoveryGrantToken does. It returns
// ErrInviteInvalid for a malformed token.
func ParseInviteToken(s string) (InviteToken, error) {
	s = foldCode(s, func(rune) bool { return false })
	encoded, found := strings.CutPrefix(s, inviteTokenPrefix)
	if !found || len(encoded) != base64.RawURLEncoding.EncodedLen(inviteSecretLength) {
		return InviteToken{}, ErrInviteInvalid
	}
	return InviteToken{NewSecret(s)}, nil
}

func (t InviteToken) Digest() TokenDigest { return sha256.Sum256([]byte(t.Reveal())) }

// RestoreInvite returns the invite with the given state.
func RestoreInvite(s InviteState) *Invite { return &Invite{s.clone()} }

// State returns a copy of the state, for storage.
func (i *Invite) State() InviteState { return i.state.clone() }

func (s InviteState) clone() InviteState {
	s.Groups = slices.Clone(s.Groups)
	return s
}

func (i *Invite) ID() InviteID         { return i.state.ID }
func (i *Invite) ExpiresAt() time.Time { return i.state.ExpiresAt }

// InviteStatus says whether an invite can be used.
type InviteStatus string

const (
	InviteActive  InviteStatus = "active"
	InviteUsed    InviteStatus = "used"
	InviteRevoked InviteStatus = "revoked" // also after its expiry
	InviteExpired InviteStatus = "expired"
)

// Status returns the status at the given time.
func (i *Invite) Status(now time.Time) InviteStatus {
	switch {
	case !i.state.UsedAt.IsZero():
		return InviteUsed
	case !i.state.RevokedAt.IsZero():
		return InviteRevoked
	case !now.Before(i.state.ExpiresAt):
		return InviteExpired
	}
	return InviteActive
}

// RequireActive returns ErrInviteUsed, ErrInviteRevoked or ErrInviteExpired unless the invite can be used.
func (i *Invite) RequireActive(now time.Time) error {
	return map[InviteStatus]error{InviteUsed: ErrInviteUsed, InviteRevoked: ErrInviteRevoked, InviteExpired: ErrInviteExpired}[i.Status(now)]
}

// EmailFor returns the address of a sign-up in which the user entered the given one, or none. It returns ErrInviteEmailMismatch if the
// invite is for another address.
func (i *Invite) EmailFor(entered Email) (Email, error) {
	switch {
	case i.state.Email == "" || entered == i.state.Email:
		return entered, nil
	case entered == "":
		return i.state.Email, nil
	}
	return "", ErrInviteEmailMismatch
}

// Use consumes the invite for the sign-up of user, who gets its groups. It returns the errors of RequireActive. The store must save the
// invite in the transaction that adds the user: see ports.Invites.End.
func (i *Invite) Use(user *User, now time.Time) error {
	if err := i.RequireActive(now); err != nil {
		return err
	}
	if _, err := user.ChangeGroups(i.state.Groups, nil); err != nil {
		return err
	}
	i.state.UsedAt, i.state.UserID = now, user.ID()
	return nil
}

// Revoke revokes the invite, and reports whether that changed it. It returns ErrInviteAlreadyUsed for a used one.
func (i *Invite) Revoke(now time.Time) (changed bool, err error) {
	switch i.Status(now) {
	case InviteUsed:
		return false, ErrInviteAlreadyUsed
	case InviteRevoked:
		return false, nil
	}
	i.state.RevokedAt = now
	return true, nil
}

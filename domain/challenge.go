package domain

import (
	"crypto/subtle"
	"io"
	"slices"
	"time"
)

// Purpose is the ceremony that a challenge was issued for. The challenge can be redeemed for no other.
type Purpose string

const (
	PurposeSignUp     Purpose = "signup"
	PurposeLogin      Purpose = "login"
	PurposeStepUp     Purpose = "step-up"
	PurposeAddPasskey Purpose = "add-passkey"
	PurposeRecovery   Purpose = "recovery"
)

// ChallengeContext is the context that begins or answers a ceremony: a browser, and the session or the recovery grant in it.
type ChallengeContext struct {
	Browser       Binding     // zero for clients without cookies
	SessionID     SessionID   // zero for ceremonies that open a session
	RecoveryGrant TokenDigest // zero for ceremonies other than recovery
}

// Challenge is the server-side state of a ceremony. The store returns it for consumption once (ports.Challenges.Consume); Redeem
// checks whether the answer may consume it.
type Challenge struct{ state ChallengeState }

// ChallengeState is the state of a challenge as it is stored.
type ChallengeState struct {
	ID            ChallengeID
	Purpose       Purpose
	Binding       Binding      // zero if not bound to a browser
	SessionID     SessionID    // zero if not bound to a session
	RecoveryGrant TokenDigest  // zero if not bound to a recovery
	CeremonyState []byte       // opaque; the relying party verifies the answer with it
	PendingUser   *PendingUser // nil unless the purpose is sign-up
	CreatedAt     time.Time
	ExpiresAt     time.Time
}

// NewChallenge returns a challenge that expires after ttl.
func NewChallenge(purpose Purpose, from ChallengeContext, state []byte, user *PendingUser, ttl time.Duration, now time.Time, random io.Reader) *Challenge {
	return &Challenge{ChallengeState{
		ID: NewChallengeID(now, random), Purpose: purpose, Binding: from.Browser, SessionID: from.SessionID, RecoveryGrant: from.RecoveryGrant, CeremonyState: state, PendingUser: user,
		CreatedAt: now, ExpiresAt: now.Add(ttl),
	}}
}

// RestoreChallenge returns the challenge with the given state.
func RestoreChallenge(s ChallengeState) *Challenge { return &Challenge{s.clone()} }

// State returns a copy of the state, for storage.
func (c *Challenge) State() ChallengeState { return c.state.clone() }

func (s ChallengeState) clone() ChallengeState {
	s.CeremonyState = slices.Clone(s.CeremonyState)
	if s.PendingUser != nil {
		user := *s.PendingUser
		s.PendingUser = &user
	}
	return s
}

func (c *Challenge) ID() ChallengeID           { return c.state.ID }
func (c *Challenge) ExpiresAt() time.Time      { return c.state.ExpiresAt }
func (c *Challenge) PendingUser() *PendingUser { return c.state.PendingUser }

// Redeem returns the ceremony's state if the answer has the challenge's purpose and comes from its browser, in its session or
// recovery, before it expires (WebAuthn Level 3, section 13.4.3). It returns ErrChallengeExpired, or a *Rejection of
// ErrChallengeNotFound for any other mismatch.
func (c *Challenge) Redeem(purpose Purpose, from ChallengeContext, now time.Time) ([]byte, error) {
	if c.state.Purpose != purpose {
		return nil, c.mismatch("issued for " + string(c.state.Purpose) + ", answered for " + string(purpose))
	}
	if !c.state.Binding.IsZero() && subtle.ConstantTimeCompare(c.state.Binding[:], from.Browser[:]) != 1 {
		return nil, c.mismatch("answered by another browser")
	}
	if c.state.SessionID != from.SessionID {
		return nil, c.mismatch("answered in another session")
	}
	if c.state.RecoveryGrant != from.RecoveryGrant {
		return nil, c.mismatch("answered in another recovery")
	}
	if !now.Before(c.state.ExpiresAt) {
		return nil, ErrChallengeExpired
	}
	return c.state.CeremonyState, nil
}

func (c *Challenge) mismatch(detail string) error {
	return &Rejection{Reason: ReasonChallengeMismatch, Detail: detail, err: ErrChallengeNotFound}
}

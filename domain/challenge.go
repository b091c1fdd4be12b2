package domain

import (
	"crypto/subtle"
	"io"
	"slices"
	"time"
)

// Purpose is the kind of ceremony that a challenge was issued for. It can be redeemed for no other.
type Purpose string

const (
	PurposeSignUp     Purpose = "signup"
	PurposeLogin      Purpose = "login"
	PurposeStepUp     Purpose = "step-up"
	PurposeAddPasskey Purpose = "add-passkey"
	PurposeRecovery   Purpose = "recovery"
)

// ChallengeContext is who answers a ceremony, and who it was begun for: a browser, and the session in it if somebody is signed
// in there.
type ChallengeContext struct {
	Browser       Binding     // zero for clients that keep no cookies
	SessionID     SessionID   // zero for ceremonies that open one
	RecoveryGrant TokenDigest // of a recovery; zero for other ceremonies
}

// Challenge is the server's side of a ceremony under way. Storage gives it out once (ports.Challenges.Take); Redeem
// says whether that once may be now.
type Challenge struct{ state ChallengeState }

// ChallengeState is a challenge's state as storage keeps it.
type ChallengeState struct {
	ID            ChallengeID
	Purpose       Purpose
	Binding       Binding      // zero if bound to no browser
	SessionID     SessionID    // zero if bound to no session
	RecoveryGrant TokenDigest  // zero if bound to no recovery
	CeremonyState []byte       // what the relying party needs to verify the answer; opaque
	PendingUser   *PendingUser // who is signing up; nil for other purposes
	CreatedAt     time.Time
	ExpiresAt     time.Time
}

// NewChallenge opens a ceremony that may be answered until ttl has passed.
func NewChallenge(purpose Purpose, by ChallengeContext, ceremony []byte, applicant *PendingUser, ttl time.Duration, now time.Time, random io.Reader) *Challenge {
	return &Challenge{ChallengeState{
		ID: NewChallengeID(now, random), Purpose: purpose, Binding: by.Browser, SessionID: by.SessionID, RecoveryGrant: by.RecoveryGrant, CeremonyState: ceremony, PendingUser: applicant,
		CreatedAt: now, ExpiresAt: now.Add(ttl),
	}}
}

// RestoreChallenge is storage's way back from a snapshot.
func RestoreChallenge(s ChallengeState) *Challenge { return &Challenge{s.clone()} }

// State is storage's way in.
func (c *Challenge) State() ChallengeState { return c.state.clone() }

func (s ChallengeState) clone() ChallengeState {
	s.CeremonyState = slices.Clone(s.CeremonyState)
	if s.PendingUser != nil {
		applicant := *s.PendingUser
		s.PendingUser = &applicant
	}
	return s
}

func (c *Challenge) ID() ChallengeID           { return c.state.ID }
func (c *Challenge) ExpiresAt() time.Time      { return c.state.ExpiresAt }
func (c *Challenge) PendingUser() *PendingUser { return c.state.PendingUser }

// Redeem returns the ceremony state if the challenge may be answered now: for the purpose it was issued for, by the
// browser and in the session it was issued to, before it expires (WebAuthn Level 3, section 13.4.3). To anybody else it
// does not exist.
func (c *Challenge) Redeem(purpose Purpose, by ChallengeContext, now time.Time) ([]byte, error) {
	if c.state.Purpose != purpose {
		return nil, c.mismatch("issued for " + string(c.state.Purpose) + ", answered for " + string(purpose))
	}
	if !c.state.Binding.IsZero() && subtle.ConstantTimeCompare(c.state.Binding[:], by.Browser[:]) != 1 {
		return nil, c.mismatch("answered by another browser than it was issued to")
	}
	if c.state.SessionID != by.SessionID {
		return nil, c.mismatch("answered in another session than it was issued in")
	}
	if c.state.RecoveryGrant != by.RecoveryGrant {
		return nil, c.mismatch("answered in another recovery than it was issued in")
	}
	if !now.Before(c.state.ExpiresAt) {
		return nil, ErrChallengeExpired
	}
	return c.state.CeremonyState, nil
}

func (c *Challenge) mismatch(detail string) error {
	return &Rejection{Reason: ReasonChallengeMismatch, Detail: detail, err: ErrChallengeNotFound}
}

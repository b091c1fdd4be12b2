package domain_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func challenge(t *testing.T, by domain.ChallengeContext) *domain.Challenge {
	t.Helper()
	c := domain.NewChallenge(domain.PurposeLogin, by, []byte("state"), nil, 5*time.Minute, noon, rand.Reader)
	return c
}

func sessionID(t *testing.T) domain.SessionID {
	t.Helper()
	id := domain.NewSessionID(noon, rand.Reader)
	return id
}

// Requirement: WebAuthn-7.1-8
func TestChallenge_Redeem(t *testing.T) {
	adas, bens := domain.BindTo(domain.NewSecret("ada")), domain.BindTo(domain.NewSecret("ben"))
	similar := adas
	similar[len(similar)-1] ^= 1
	ada, ben, noCookie := domain.ChallengeContext{Browser: adas}, domain.ChallengeContext{Browser: bens}, domain.ChallengeContext{}
	signedIn := domain.ChallengeContext{Browser: adas, SessionID: sessionID(t)}
	recovering := domain.ChallengeContext{Browser: adas, RecoveryGrant: domain.TokenDigest{31: 1}}
	for name, c := range map[string]struct {
		issued, by domain.ChallengeContext
		purpose    domain.Purpose
		after      time.Duration
		want       error
		reason     domain.Reason
	}{
		"immediately":                 {ada, ada, domain.PurposeLogin, 0, nil, ""},
		"in the last microsecond":     {ada, ada, domain.PurposeLogin, 5*time.Minute - time.Microsecond, nil, ""},
		"when it expires":             {ada, ada, domain.PurposeLogin, 5 * time.Minute, domain.ErrChallengeExpired, ""},
		"by another browser":          {ada, ben, domain.PurposeLogin, 0, domain.ErrChallengeNotFound, domain.ReasonChallengeMismatch},
		"by a similar browser":        {ada, domain.ChallengeContext{Browser: similar}, domain.PurposeLogin, 0, domain.ErrChallengeNotFound, domain.ReasonChallengeMismatch},
		"by a client without cookies": {ada, noCookie, domain.PurposeLogin, 0, domain.ErrChallengeNotFound, domain.ReasonChallengeMismatch},
		"not bound to a browser":      {noCookie, ben, domain.PurposeLogin, 0, nil, ""},
		"for another purpose":         {ada, ada, domain.PurposeSignUp, 0, domain.ErrChallengeNotFound, domain.ReasonChallengeMismatch},

		"in its session":            {signedIn, signedIn, domain.PurposeLogin, 0, nil, ""},
		"in another session":        {signedIn, domain.ChallengeContext{Browser: adas, SessionID: sessionID(t)}, domain.PurposeLogin, 0, domain.ErrChallengeNotFound, domain.ReasonChallengeMismatch},
		"without its session":       {signedIn, ada, domain.PurposeLogin, 0, domain.ErrChallengeNotFound, domain.ReasonChallengeMismatch},
		"in a session, not its own": {ada, signedIn, domain.PurposeLogin, 0, domain.ErrChallengeNotFound, domain.ReasonChallengeMismatch},
		"in another browser":        {signedIn, domain.ChallengeContext{Browser: bens, SessionID: signedIn.SessionID}, domain.PurposeLogin, 0, domain.ErrChallengeNotFound, domain.ReasonChallengeMismatch},
		"in its session, by an app": {domain.ChallengeContext{SessionID: signedIn.SessionID}, domain.ChallengeContext{SessionID: signedIn.SessionID}, domain.PurposeLogin, 0, nil, ""},

		"in its recovery":            {recovering, recovering, domain.PurposeLogin, 0, nil, ""},
		"in another recovery":        {recovering, domain.ChallengeContext{Browser: adas, RecoveryGrant: domain.TokenDigest{31: 2}}, domain.PurposeLogin, 0, domain.ErrChallengeNotFound, domain.ReasonChallengeMismatch},
		"without its recovery":       {recovering, ada, domain.PurposeLogin, 0, domain.ErrChallengeNotFound, domain.ReasonChallengeMismatch},
		"in a recovery, not its own": {ada, recovering, domain.PurposeLogin, 0, domain.ErrChallengeNotFound, domain.ReasonChallengeMismatch},
		"in its recovery elsewhere":  {recovering, domain.ChallengeContext{Browser: bens, RecoveryGrant: recovering.RecoveryGrant}, domain.PurposeLogin, 0, domain.ErrChallengeNotFound, domain.ReasonChallengeMismatch},
		"in its recovery, by an app": {domain.ChallengeContext{RecoveryGrant: recovering.RecoveryGrant}, domain.ChallengeContext{RecoveryGrant: recovering.RecoveryGrant}, domain.PurposeLogin, 0, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			state, err := challenge(t, c.issued).Redeem(c.purpose, c.by, noon.Add(c.after))
			if !errors.Is(err, c.want) || domain.ReasonOf(err) != c.reason {
				t.Fatalf("got %v (reason %q), want %v (reason %q)", err, domain.ReasonOf(err), c.want, c.reason)
			}
			if err == nil != bytes.Equal(state, []byte("state")) {
				t.Errorf("state %q with error %v", state, err)
			}
			var rejection *domain.Rejection
			if errors.As(err, &rejection) && rejection.Detail == "" {
				t.Error("the rejection has no detail")
			}
		})
	}
}

func TestChallenge_StateIsACopy(t *testing.T) {
	ada := domain.PendingUser{DisplayName: "Ada"}
	c := domain.NewChallenge(domain.PurposeSignUp, domain.ChallengeContext{}, []byte("state"), &ada, 5*time.Minute, noon, rand.Reader)
	taken := c.State()
	if !taken.CreatedAt.Equal(noon) || !taken.ExpiresAt.Equal(noon.Add(5*time.Minute)) || !c.ExpiresAt().Equal(taken.ExpiresAt) {
		t.Errorf("valid from %s to %s", taken.CreatedAt, taken.ExpiresAt)
	}
	restored := domain.RestoreChallenge(taken)
	taken.CeremonyState[0], taken.PendingUser.DisplayName = 'X', "Mallory"
	for _, c := range []*domain.Challenge{c, restored} {
		if state, _ := c.Redeem(domain.PurposeSignUp, domain.ChallengeContext{}, noon); string(state) != "state" || c.PendingUser().DisplayName != "Ada" {
			t.Errorf("the challenge became %q of %s", state, c.PendingUser().DisplayName)
		}
	}
}

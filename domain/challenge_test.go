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

func challenge(t *testing.T, by domain.Binding) *domain.Challenge {
	t.Helper()
	c, err := domain.NewChallenge(domain.PurposeLogin, by, []byte("state"), nil, 5*time.Minute, noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAChallengeIsRedeemedInTimeByItsBrowserForItsPurpose(t *testing.T) {
	adas, bens := domain.BindTo(domain.NewSecret("ada")), domain.BindTo(domain.NewSecret("ben"))
	almostAdas := adas
	almostAdas[len(almostAdas)-1] ^= 1
	for name, c := range map[string]struct {
		bound, by domain.Binding
		purpose   domain.Purpose
		after     time.Duration
		want      error
		reason    domain.Reason
	}{
		"at once":                     {adas, adas, domain.PurposeLogin, 0, nil, ""},
		"in the last microsecond":     {adas, adas, domain.PurposeLogin, 5*time.Minute - time.Microsecond, nil, ""},
		"when the time is over":       {adas, adas, domain.PurposeLogin, 5 * time.Minute, domain.ErrChallengeExpired, ""},
		"by another browser":          {adas, bens, domain.PurposeLogin, 0, domain.ErrChallengeNotFound, domain.ReasonChallengeMismatch},
		"by one that is almost it":    {adas, almostAdas, domain.PurposeLogin, 0, domain.ErrChallengeNotFound, domain.ReasonChallengeMismatch},
		"by a client without cookies": {adas, domain.Binding{}, domain.PurposeLogin, 0, domain.ErrChallengeNotFound, domain.ReasonChallengeMismatch},
		"bound to nobody, by anybody": {domain.Binding{}, bens, domain.PurposeLogin, 0, nil, ""},
		"for another purpose":         {adas, adas, domain.PurposeSignUp, 0, domain.ErrChallengeNotFound, domain.ReasonChallengeMismatch},
	} {
		t.Run(name, func(t *testing.T) {
			state, err := challenge(t, c.bound).Redeem(c.purpose, c.by, noon.Add(c.after))
			if !errors.Is(err, c.want) || domain.ReasonOf(err) != c.reason {
				t.Fatalf("got %v (reason %q), want %v (reason %q)", err, domain.ReasonOf(err), c.want, c.reason)
			}
			if err == nil != bytes.Equal(state, []byte("state")) {
				t.Errorf("state %q came with error %v", state, err)
			}
		})
	}
}

func TestASnapshotSharesNothingWithItsChallenge(t *testing.T) {
	ada := domain.Applicant{DisplayName: "Ada"}
	c, err := domain.NewChallenge(domain.PurposeSignUp, domain.Binding{}, []byte("state"), &ada, 5*time.Minute, noon, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	taken := c.Snapshot()
	restored := domain.RestoreChallenge(taken)
	taken.Ceremony[0], taken.Applicant.DisplayName = 'X', "Mallory"
	for _, c := range []*domain.Challenge{c, restored} {
		if state, _ := c.Redeem(domain.PurposeSignUp, domain.Binding{}, noon); string(state) != "state" || c.Applicant().DisplayName != "Ada" {
			t.Errorf("the challenge became %q of %s", state, c.Applicant().DisplayName)
		}
	}
}

package access_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/keylodge/keylodge/adapters/memory"
	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

func TestAnEntrySaysWhereFromUnlessTheOperatorMadeIt(t *testing.T) {
	visitor := access.Visitor{UserAgent: "curl/8.5.0", IP: "127.0.0.1", RequestID: "request-17"}
	ada := newPerson(t, memory.New(), "Ada")
	for party, want := range map[domain.Party]domain.EventSnapshot{
		domain.ByUser:     {By: domain.ByUser, DeviceName: "curl/8.5.0", IP: "127.0.0.1", RequestID: "request-17"},
		domain.ByOperator: {By: domain.ByOperator},
	} {
		ada.update(func(tx ports.Tx) error {
			return securityLog().Enter(t.Context(), tx, visitor, noon, domain.EventSnapshot{UserID: ada.user.ID(), By: party, Kind: domain.EventSessionRevoked, Reason: string(party)})
		})
		var got domain.EventSnapshot
		for _, e := range ada.log() {
			if e.Reason == string(party) {
				got = e
			}
		}
		want.ID, want.UserID, want.At, want.Kind, want.Reason = got.ID, ada.user.ID(), noon, domain.EventSessionRevoked, string(party)
		if !equal(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
}

// An owner hears of answers that were not accepted, not of outages and latecomers.
func TestARefusalIsEnteredIfItIsForTheOwnerToKnow(t *testing.T) {
	ada := newPerson(t, memory.New(), "Ada").user.ID()
	for name, c := range map[string]struct {
		owner  domain.UserID
		cause  error
		reason string // "" if it is not entered
	}{
		"a bad signature":            {ada, domain.Reject(domain.ReasonSignatureInvalid, "detail"), "signature_invalid"},
		"a bad signature, wrapped":   {ada, fmt.Errorf("verifying: %w", domain.Reject(domain.ReasonSignatureInvalid, "")), "signature_invalid"},
		"nobody was verified":        {ada, domain.Reject(domain.ReasonUserVerificationMissing, ""), "user_verification_missing"},
		"a suspended passkey":        {ada, domain.ErrPasskeySuspended, "passkey_suspended"},
		"a shut account":             {ada, fmt.Errorf("reading: %w", domain.ErrUserDisabled), "user_disabled"},
		"an outage":                  {ada, domain.ErrUnavailable, ""},
		"a fault":                    {ada, errors.New("disk on fire"), ""},
		"it was too late":            {ada, domain.ErrChallengeExpired, ""},
		"it was taken already":       {ada, domain.ErrChallengeNotFound, ""},
		"a session that ended":       {ada, domain.ErrSessionRevoked, ""},
		"as many as there may be":    {ada, domain.ErrPasskeyLimitReached, ""},
		"a bad signature of nobody":  {domain.UserID{}, domain.Reject(domain.ReasonSignatureInvalid, ""), ""},
		"a shut account of nobody's": {domain.UserID{}, domain.ErrUserDisabled, ""},
	} {
		t.Run(name, func(t *testing.T) {
			visitor := access.Visitor{IP: "127.0.0.1"}
			event, err := securityLog().Refused(visitor, noon, domain.EventSnapshot{Kind: domain.EventSignInRefused, UserID: c.owner, CredentialID: "id"}, c.cause)
			if err != nil || (event != nil) != (c.reason != "") {
				t.Fatalf("got %+v, %v", event, err)
			}
			if event == nil {
				return
			}
			want := domain.EventSnapshot{
				ID: event.ID(), UserID: c.owner, Kind: domain.EventSignInRefused, At: noon, By: domain.ByUser, CredentialID: "id", IP: "127.0.0.1", Reason: c.reason,
			}
			if got := event.Snapshot(); !equal(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestALogReadsInTheOrderInWhichItWasWritten(t *testing.T) {
	ada := newPerson(t, memory.New(), "Ada")
	log := securityLog()
	for i := range 100 {
		ada.update(func(tx ports.Tx) error {
			return log.Enter(t.Context(), tx, access.Visitor{}, noon.Add(-time.Duration(i%3)*time.Microsecond), domain.EventSnapshot{UserID: ada.user.ID(), Kind: domain.EventSignedIn, Reason: fmt.Sprint(99 - i)})
		})
	}
	entries := ada.log()
	if len(entries) != 100 {
		t.Fatalf("%d entries", len(entries))
	}
	for i, e := range entries {
		if e.Reason != fmt.Sprint(i) {
			t.Fatalf("at %d stands %s", i, e.Reason)
		}
	}
}

func TestNoTwoEntriesShareAnIDHoweverManyAreWrittenAtOnce(t *testing.T) {
	ada := newPerson(t, memory.New(), "Ada")
	log := securityLog()
	const entries = 64
	var writing sync.WaitGroup
	for range entries {
		writing.Go(func() {
			err := ada.store.Update(t.Context(), func(tx ports.Tx) error { // which refuses an id twice
				return log.Enter(t.Context(), tx, access.Visitor{}, noon, domain.EventSnapshot{UserID: ada.user.ID(), Kind: domain.EventSignedIn})
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	writing.Wait()
	if n := len(ada.log()); n != entries {
		t.Errorf("%d entries, want %d", n, entries)
	}
}

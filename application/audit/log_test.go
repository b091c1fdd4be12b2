package audit_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/sqlitestore"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

func TestLog_RecordsClientUnlessOperator(t *testing.T) {
	visitor := identity.Client{UserAgent: "curl/8.5.0", IP: "127.0.0.1", RequestID: "request-17"}
	ada := newPerson(t, sqlitestore.New(t), "Ada")
	for party, want := range map[domain.Actor]domain.EventState{
		domain.ActorUser:     {Actor: domain.ActorUser, DeviceName: "curl/8.5.0", IP: "127.0.0.1", RequestID: "request-17"},
		domain.ActorOperator: {Actor: domain.ActorOperator},
	} {
		ada.Update(func(tx ports.Tx) error {
			return newLog().Record(t.Context(), tx, visitor, noon, domain.EventState{UserID: ada.User.ID(), Actor: party, Kind: domain.EventSessionRevoked, Reason: string(party)})
		})
		var got domain.EventState
		for _, e := range ada.Events() {
			if e.Reason == string(party) {
				got = e
			}
		}
		want.ID, want.UserID, want.At, want.Kind, want.Reason = got.ID, ada.User.ID(), noon, domain.EventSessionRevoked, string(party)
		if !equal(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
}

// An owner hears of answers that were not accepted, not of outages and latecomers.
func TestLog_FailureOnlyForOwnerRelevantCauses(t *testing.T) {
	ada := newPerson(t, sqlitestore.New(t), "Ada").User.ID()
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
			visitor := identity.Client{IP: "127.0.0.1"}
			event := newLog().Failure(visitor, noon, domain.EventState{Kind: domain.EventSignInRefused, UserID: c.owner, CredentialID: "id"}, c.cause)
			if (event != nil) != (c.reason != "") {
				t.Fatalf("got %+v", event)
			}
			if event == nil {
				return
			}
			want := domain.EventState{
				ID: event.ID(), UserID: c.owner, Kind: domain.EventSignInRefused, At: noon, Actor: domain.ActorUser, CredentialID: "id", IP: "127.0.0.1", Reason: c.reason,
			}
			if got := event.State(); !equal(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestLog_KeepsOrder(t *testing.T) {
	ada := newPerson(t, sqlitestore.New(t), "Ada")
	log := newLog()
	for i := range 100 {
		ada.Update(func(tx ports.Tx) error {
			return log.Record(t.Context(), tx, identity.Client{}, noon.Add(-time.Duration(i%3)*time.Microsecond), domain.EventState{UserID: ada.User.ID(), Kind: domain.EventSignedIn, Reason: fmt.Sprint(99 - i)})
		})
	}
	entries := ada.Events()
	if len(entries) != 100 {
		t.Fatalf("%d entries", len(entries))
	}
	for i, e := range entries {
		if e.Reason != fmt.Sprint(i) {
			t.Fatalf("at %d stands %s", i, e.Reason)
		}
	}
}

func TestLog_UniqueIDsUnderConcurrency(t *testing.T) {
	ada := newPerson(t, sqlitestore.New(t), "Ada")
	log := newLog()
	const entries = 64
	var writing sync.WaitGroup
	for range entries {
		writing.Go(func() {
			err := ada.Store.Update(t.Context(), func(tx ports.Tx) error { // which refuses an id twice
				return log.Record(t.Context(), tx, identity.Client{}, noon, domain.EventState{UserID: ada.User.ID(), Kind: domain.EventSignedIn})
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	writing.Wait()
	if n := len(ada.Events()); n != entries {
		t.Errorf("%d entries, want %d", n, entries)
	}
}

// However often a stranger tries, what changed the account stays in sight.
func TestLog_CountsRepetitions(t *testing.T) {
	ada := newPerson(t, sqlitestore.New(t), "Ada")
	log := newLog()
	enter := func(e domain.EventState, ip string) {
		e.UserID = ada.User.ID()
		visitor := identity.Client{IP: ip, RequestID: "request-" + ip}
		ada.Update(func(tx ports.Tx) error { return log.Record(t.Context(), tx, visitor, noon, e) })
	}
	enter(domain.EventState{Kind: domain.EventPasskeyAdded}, "192.0.2.7")
	for i := range 156 {
		enter(domain.EventState{Kind: domain.EventSignInRefused, Reason: []string{"signature_invalid", "malformed"}[i%2]}, fmt.Sprint("203.0.113.", i%20))
		enter(domain.EventState{Kind: domain.EventRecoveryRefused, Reason: "invalid_code"}, "203.0.113.9")
	}
	enter(domain.EventState{Kind: domain.EventPasskeyAdded}, "192.0.2.7")
	entries := ada.Events()
	want := []string{"passkey_added", "passkey_added", "recovery_refused invalid_code", "sign_in_refused malformed", "sign_in_refused signature_invalid"}
	if got := sqlitestore.KindsAndReasons(entries); !slices.Equal(got, want) {
		t.Fatalf("logged %q, want %q", got, want)
	}
	for _, e := range entries {
		if times := map[domain.EventKind]int{domain.EventSignInRefused: 77, domain.EventRecoveryRefused: 155}[e.Kind]; e.Repeats != times {
			t.Errorf("%s %s: %d repetitions, want %d", e.Kind, e.Reason, e.Repeats, times)
		}
	}
}

// Names that belong to no account share their entries: making them up fills no table.
func TestLog_CountsAnonymousRepetitions(t *testing.T) {
	ada := newPerson(t, sqlitestore.New(t), "Ada")
	for i := range 600 {
		about := domain.LockoutKey("key").UnknownName(fmt.Sprint("name", i))
		ada.Update(func(tx ports.Tx) error {
			return newLog().RecordAnonymous(t.Context(), tx, identity.Client{IP: "203.0.113.9"}, noon, domain.EventState{Kind: domain.EventRecoveryRefused, Reason: "invalid_code"}, about)
		})
	}
	ada.Update(func(tx ports.Tx) error {
		entries, err := tx.Events.ListByUser(t.Context(), domain.UserID{}, domain.EventID{}, 1000)
		times := 0
		for _, e := range entries {
			times += e.Count()
			if len(e.IPs()) != 0 {
				t.Errorf("an entry says where it came from: %v", e.IPs())
			}
		}
		if len(entries) > 256 || times != 600 {
			t.Errorf("%d entries for %d attempts", len(entries), times)
		}
		return err
	})
}

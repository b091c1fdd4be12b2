package audit_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

func TestLog_RecordsClientUnlessOperator(t *testing.T) {
	client := identity.Client{UserAgent: "curl/8.5.0", IP: "127.0.0.1", RequestID: "request-17", APIKey: domain.NewAPIKeyID(noon, rand.Reader)}
	ada := newPerson(t, sqlitestore.New(t), "Ada")
	for actor, want := range map[domain.Actor]domain.EventState{
		domain.ActorUser:     {Actor: domain.ActorUser, DeviceName: "curl/8.5.0", IP: "127.0.0.1", RequestID: "request-17"},
		domain.ActorOperator: {Actor: domain.ActorOperator, RequestID: "request-17", APIKey: client.APIKey},
	} {
		ada.Update(func(tx ports.Tx) error {
			return newLog().Record(t.Context(), tx, client, noon, domain.EventState{UserID: ada.User.ID(), Actor: actor, Kind: domain.EventSessionRevoked, Reason: string(actor)})
		})
		var got domain.EventState
		for _, e := range ada.Events() {
			if e.Reason == string(actor) {
				got = e
			}
		}
		want.ID, want.UserID, want.At, want.Kind, want.Reason = got.ID, ada.User.ID(), noon, domain.EventSessionRevoked, string(actor)
		if !equal(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
}

// Rejected responses are recorded for the owner; outages and expired challenges are not.
func TestLog_FailureOnlyForOwnerRelevantCauses(t *testing.T) {
	ada := newPerson(t, sqlitestore.New(t), "Ada").User.ID()
	for name, c := range map[string]struct {
		owner  domain.UserID
		cause  error
		reason string // "" if no event is recorded
	}{
		"a bad signature":             {ada, domain.Reject(domain.ReasonSignatureInvalid, "detail"), "signature_invalid"},
		"a bad signature, wrapped":    {ada, fmt.Errorf("verifying: %w", domain.Reject(domain.ReasonSignatureInvalid, "")), "signature_invalid"},
		"user not verified":           {ada, domain.Reject(domain.ReasonUserVerificationMissing, ""), "user_verification_missing"},
		"a suspended passkey":         {ada, domain.ErrPasskeySuspended, "passkey_suspended"},
		"a disabled account":          {ada, fmt.Errorf("reading: %w", domain.ErrUserDisabled), "user_disabled"},
		"an outage":                   {ada, domain.ErrUnavailable, ""},
		"any other error":             {ada, errors.New("disk error"), ""},
		"an expired challenge":        {ada, domain.ErrChallengeExpired, ""},
		"a consumed challenge":        {ada, domain.ErrChallengeNotFound, ""},
		"a revoked session":           {ada, domain.ErrSessionRevoked, ""},
		"the passkey limit":           {ada, domain.ErrPasskeyLimitReached, ""},
		"a bad signature, no user":    {domain.UserID{}, domain.Reject(domain.ReasonSignatureInvalid, ""), ""},
		"a disabled account, no user": {domain.UserID{}, domain.ErrUserDisabled, ""},
	} {
		t.Run(name, func(t *testing.T) {
			client := identity.Client{IP: "127.0.0.1"}
			event := newLog().Failure(client, noon, domain.EventState{Kind: domain.EventSignInRefused, UserID: c.owner, CredentialID: "id"}, c.cause)
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
	events := ada.Events()
	if len(events) != 100 {
		t.Fatalf("%d events, want 100", len(events))
	}
	for i, e := range events {
		if e.Reason != fmt.Sprint(i) {
			t.Fatalf("event %d has the reason %s", i, e.Reason)
		}
	}
}

func TestLog_UniqueIDsUnderConcurrency(t *testing.T) {
	ada := newPerson(t, sqlitestore.New(t), "Ada")
	log := newLog()
	const events = 64
	var writers sync.WaitGroup
	for range events {
		writers.Go(func() {
			err := ada.Store.Update(t.Context(), func(tx ports.Tx) error { // fails for a duplicate id
				return log.Record(t.Context(), tx, identity.Client{}, noon, domain.EventState{UserID: ada.User.ID(), Kind: domain.EventSignedIn})
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	writers.Wait()
	if n := len(ada.Events()); n != events {
		t.Errorf("%d events, want %d", n, events)
	}
}

// Repeated failed attempts do not displace the events that changed the account.
func TestLog_CountsRepetitions(t *testing.T) {
	ada := newPerson(t, sqlitestore.New(t), "Ada")
	log := newLog()
	record := func(e domain.EventState, ip string) {
		e.UserID = ada.User.ID()
		client := identity.Client{IP: ip, RequestID: "request-" + ip}
		ada.Update(func(tx ports.Tx) error { return log.Record(t.Context(), tx, client, noon, e) })
	}
	record(domain.EventState{Kind: domain.EventPasskeyAdded}, "192.0.2.7")
	for i := range 156 {
		record(domain.EventState{Kind: domain.EventSignInRefused, Reason: []string{"signature_invalid", "malformed"}[i%2]}, fmt.Sprint("203.0.113.", i%20))
		record(domain.EventState{Kind: domain.EventRecoveryRefused, Reason: "invalid_code"}, "203.0.113.9")
	}
	record(domain.EventState{Kind: domain.EventPasskeyAdded}, "192.0.2.7")
	events := ada.Events()
	want := []string{"passkey_added", "passkey_added", "recovery_refused invalid_code", "sign_in_refused malformed", "sign_in_refused signature_invalid"}
	if got := sqlitestore.KindsAndReasons(events); !slices.Equal(got, want) {
		t.Fatalf("logged %q, want %q", got, want)
	}
	for _, e := range events {
		if repeats := map[domain.EventKind]int{domain.EventSignInRefused: 77, domain.EventRecoveryRefused: 155}[e.Kind]; e.Repeats != repeats {
			t.Errorf("%s %s: %d repetitions, want %d", e.Kind, e.Reason, e.Repeats, repeats)
		}
	}
}

// Events about unknown names share rows, so that made-up names do not fill the table.
// Requirement: ASVS-16.2.5
func TestLog_CountsAnonymousRepetitions(t *testing.T) {
	ada := newPerson(t, sqlitestore.New(t), "Ada")
	for i := range 600 {
		about := domain.LockoutKey("key").UnknownName(fmt.Sprint("name", i))
		ada.Update(func(tx ports.Tx) error {
			return newLog().RecordAnonymous(t.Context(), tx, identity.Client{IP: "203.0.113.9"}, noon, domain.EventState{Kind: domain.EventRecoveryRefused, Reason: "invalid_code"}, about)
		})
	}
	ada.Update(func(tx ports.Tx) error {
		events, err := tx.Events.ListByUser(t.Context(), domain.UserID{}, domain.EventID{}, 1000)
		attempts := 0
		for _, e := range events {
			attempts += e.Count()
			if len(e.IPs()) != 0 {
				t.Errorf("an anonymous event has IP addresses: %v", e.IPs())
			}
		}
		if len(events) > 256 || attempts != 600 {
			t.Errorf("%d events with %d attempts, want at most 256 with 600", len(events), attempts)
		}
		return err
	})
}

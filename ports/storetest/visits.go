package storetest

import (
	"context"
	"slices"
	"testing"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// addVisit adds all that a user may have: a passkey, a session with a ceremony under way in it, an event, and a message.
func addVisit(ctx context.Context, tx ports.Tx, owner, tag string) error {
	for _, add := range []func() error{
		func() error { return tx.Credentials.Add(ctx, domain.RestoreCredential(credential(owner, owner+tag))) },
		func() error { return tx.Sessions.Add(ctx, domain.RestoreSession(live(owner, tag))) },
		func() error {
			return tx.Challenges.Add(ctx, domain.RestoreChallenge(bound(challenge(owner+tag), live(owner, tag))))
		},
		func() error { return tx.Events.Add(ctx, domain.RestoreEvent(event(owner, tag))) },
		func() error { return tx.Messages.Add(ctx, domain.RestoreMessage(message(owner, tag))) },
	} {
		if err := add(); err != nil {
			return err
		}
	}
	return nil
}

// wantVisit fails the test unless all of the visit is there.
func wantVisit(t *testing.T, store ports.Store, owner, tag string) {
	t.Helper()
	key, err := credentialByID(t, store, domain.CredentialID(owner+tag))
	wantSame(t, key, err, credential(owner, owner+tag))
	s, err := sessionByToken(t, store, live(owner, tag).Token)
	wantSame(t, s, err, live(owner, tag))
	c, err := challengeByID(t, store, challenge(owner+tag).ID)
	wantSame(t, c, err, bound(challenge(owner+tag), live(owner, tag)))
	logged, err := eventsOf(t, store, userID(owner))
	wantError(t, err, nil)
	if !slices.Contains(idsOf(logged), event(owner, tag).ID) {
		t.Fatalf("the event of %s is gone", owner+tag)
	}
	if !slices.Contains(idsOf(allMessages(t, store)), message(owner, tag).ID) {
		t.Fatalf("the message of %s is gone", owner+tag)
	}
}

// wantNoVisit fails the test if anything of the visit is there.
func wantNoVisit(t *testing.T, store ports.Store, owner, tag string) {
	t.Helper()
	_, err := credentialByID(t, store, domain.CredentialID(owner+tag))
	wantError(t, err, domain.ErrPasskeyUnknown)
	_, err = sessionByToken(t, store, live(owner, tag).Token)
	wantError(t, err, domain.ErrUnauthenticated)
	_, err = sessionByID(t, store, live(owner, tag).ID)
	wantError(t, err, domain.ErrSessionNotFound)
	_, err = challengeByID(t, store, challenge(owner+tag).ID)
	wantError(t, err, domain.ErrChallengeNotFound)
	logged, err := eventsOf(t, store, userID(owner))
	wantList(t, logged, err)
	if slices.Contains(idsOf(allMessages(t, store)), message(owner, tag).ID) {
		t.Fatalf("the message of %s is there", owner+tag)
	}
}

package storetest

import (
	"context"
	"slices"
	"testing"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// addUserData adds everything that a user may have, except recovery data: a passkey, a session with a challenge and an authorization code, an event and an e-mail.
func addUserData(ctx context.Context, tx ports.Tx, owner, tag string) error {
	for _, add := range []func() error{
		func() error { return addCredential(ctx, tx, credential(owner, owner+tag)) },
		func() error { return tx.Sessions.Add(ctx, domain.RestoreSession(activeSession(owner, tag))) },
		func() error {
			return tx.Challenges.Add(ctx, domain.RestoreChallenge(inSession(challenge(owner+tag), activeSession(owner, tag))))
		},
		func() error {
			return tx.AuthorizationCodes.Add(ctx, domain.RestoreAuthorizationCode(authorizationCode(owner, tag)))
		},
		func() error { return tx.Events.Add(ctx, domain.RestoreEvent(event(owner, tag))) },
		func() error { return tx.OutboxEmails.Add(ctx, domain.RestoreOutboxEmail(outboxEmail(owner, tag))) },
	} {
		if err := add(); err != nil {
			return err
		}
	}
	return nil
}

// wantUserData fails the test unless the store contains all of it.
func wantUserData(t *testing.T, store ports.Store, owner, tag string) {
	t.Helper()
	key, err := credentialByID(t, store, domain.CredentialID(owner+tag))
	wantSame(t, key, err, credential(owner, owner+tag))
	s, err := sessionByToken(t, store, activeSession(owner, tag).Token)
	wantSame(t, s, err, activeSession(owner, tag))
	c, err := challengeByID(t, store, challenge(owner+tag).ID)
	wantSame(t, c, err, inSession(challenge(owner+tag), activeSession(owner, tag)))
	code, err := authorizationCodeOf(t, store, authorizationCode(owner, tag).Digest)
	wantSame(t, code, err, authorizationCode(owner, tag))
	logged, err := eventsOf(t, store, userID(owner))
	wantError(t, err, nil)
	if !slices.Contains(idsOf(logged), event(owner, tag).ID) {
		t.Fatalf("the event of %s is missing", owner+tag)
	}
	if !slices.Contains(idsOf(allEmails(t, store)), outboxEmail(owner, tag).ID) {
		t.Fatalf("the e-mail of %s is missing", owner+tag)
	}
}

// wantNoUserData fails the test if the store contains any of it.
func wantNoUserData(t *testing.T, store ports.Store, owner, tag string) {
	t.Helper()
	_, err := credentialByID(t, store, domain.CredentialID(owner+tag))
	wantError(t, err, domain.ErrPasskeyUnknown)
	_, err = sessionByToken(t, store, activeSession(owner, tag).Token)
	wantError(t, err, domain.ErrUnauthenticated)
	_, err = sessionByID(t, store, activeSession(owner, tag).ID)
	wantError(t, err, domain.ErrSessionNotFound)
	_, err = challengeByID(t, store, challenge(owner+tag).ID)
	wantError(t, err, domain.ErrChallengeNotFound)
	_, err = authorizationCodeOf(t, store, authorizationCode(owner, tag).Digest)
	wantError(t, err, domain.ErrAuthorizationCodeInvalid)
	logged, err := eventsOf(t, store, userID(owner))
	wantList(t, logged, err)
	if slices.Contains(idsOf(allEmails(t, store)), outboxEmail(owner, tag).ID) {
		t.Fatalf("the e-mail of %s still exists", owner+tag)
	}
}

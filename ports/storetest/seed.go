package storetest

import (
	"context"
	"errors"
	"testing"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// seed keeps one of each: Ada, her passkey and session, a challenge in it, an event and a signing key; and somebody who is
// about to leave, with as much.
func seed(t *testing.T, store ports.Store) {
	t.Helper()
	addUsers(t, store, user("ada"), user("leaver"))
	addCredentials(t, store, credential("ada", "seed"), credential("leaver", "leaving"))
	addSessions(t, store, session("ada", "seed"), session("leaver", "leaving"))
	addChallenges(t, store, bound(challenge("seed"), session("ada", "seed")), bound(challenge("leaving"), session("leaver", "leaving")))
	addEvents(t, store, event("ada", "seed"), event("leaver", "leaving"))
	addSigningKeys(t, store, signingKey("seed"))
}

// writeEverything adds one of each beside the seed, and changes or removes all that the seed has.
func writeEverything(ctx context.Context, tx ports.Tx) error {
	if _, err := tx.Challenges.Take(ctx, challenge("seed").ID); err != nil {
		return err
	}
	return errors.Join(
		tx.Users.Add(ctx, domain.RestoreUser(user("new"))),
		tx.Users.Save(ctx, domain.RestoreUser(renamed(user("ada")))),
		tx.Credentials.Add(ctx, domain.RestoreCredential(credential("ada", "new"))),
		tx.Credentials.Save(ctx, domain.RestoreCredential(unused(credential("ada", "seed")))),
		tx.Credentials.Remove(ctx, "leaving"),
		tx.Challenges.Add(ctx, domain.RestoreChallenge(challenge("new"))),
		tx.Sessions.Add(ctx, domain.RestoreSession(session("ada", "new"))),
		tx.Sessions.Save(ctx, domain.RestoreSession(live("ada", "seed"))),
		tx.Events.Add(ctx, domain.RestoreEvent(event("ada", "new"))),
		tx.SigningKeys.Add(ctx, domain.RestoreSigningKey(signingKey("new"))),
		tx.SigningKeys.Remove(ctx, "seed"),
		tx.Users.Remove(ctx, userID("leaver")),
	)
}

// wantSeedOnly fails the test unless the seed is all there is, unchanged.
func wantSeedOnly(t *testing.T, store ports.Store) {
	t.Helper()
	for owner, tag := range map[string]string{"ada": "seed", "leaver": "leaving"} {
		u, err := userByID(t, store, userID(owner))
		wantSame(t, u, err, user(owner))
		keys, err := credentialsOf(t, store, owner)
		wantList(t, keys, err, credential(owner, tag))
		s, err := sessionByToken(t, store, session(owner, tag).Token)
		wantSame(t, s, err, session(owner, tag))
		c, err := challengeByID(t, store, challenge(tag).ID)
		wantSame(t, c, err, bound(challenge(tag), session(owner, tag)))
		logged, err := eventsOf(t, store, userID(owner))
		wantList(t, logged, err, event(owner, tag))
	}
	anonymous, err := eventsOf(t, store, domain.UserID{})
	wantList(t, anonymous, err)
	signing, err := allSigningKeys(t, store)
	wantList(t, signing, err, signingKey("seed"))

	_, err = userByID(t, store, userID("new"))
	wantError(t, err, domain.ErrUserNotFound)
	_, err = sessionByToken(t, store, session("ada", "new").Token)
	wantError(t, err, domain.ErrUnauthenticated)
	_, err = challengeByID(t, store, challenge("new").ID)
	wantError(t, err, domain.ErrChallengeNotFound)
}

func renamed(s domain.UserSnapshot) domain.UserSnapshot {
	s.DisplayName = "Renamed"
	return s
}

package storetest

import (
	"context"
	"errors"
	"testing"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// seed keeps one of each: Ada, her passkey and session, her ways back and a recovery under way, a challenge in both, an
// event, a message, a signing key and a lockout; and somebody who is about to leave, with as much.
func seed(t *testing.T, store ports.Store) {
	t.Helper()
	addUsers(t, store, user("ada"), user("leaver"))
	addCredentials(t, store, credential("ada", "seed"), credential("leaver", "leaving"))
	addSessions(t, store, session("ada", "seed"), session("leaver", "leaving"))
	saveTOTPs(t, store, totp("ada"), totp("leaver"))
	replaceCodes(t, store, "ada", codes("seed"), hour(24))
	replaceCodes(t, store, "leaver", codes("leaving"), hour(24))
	putGrants(t, store, grant("ada", "seed"), grant("leaver", "leaving"))
	addChallenges(t, store, seedChallenge("ada", "seed"), seedChallenge("leaver", "leaving"))
	saveLockouts(t, store, lockout("seed"), lockout("leaving"))
	addEvents(t, store, event("ada", "seed"), event("leaver", "leaving"))
	addSigningKeys(t, store, signingKey("seed"))
	addMessages(t, store, seedMessages...)
}

// seedMessages are one of Ada's, two of the leaver's, and one of nobody.
var seedMessages = []domain.MessageSnapshot{
	message("ada", "seed"), message("leaver", "leaving"), message("leaver", "removed"), farewell("seed"),
}

func seedChallenge(owner, tag string) domain.ChallengeSnapshot {
	return under(bound(challenge(tag), session(owner, tag)), grant(owner, tag))
}

// writeEverything adds one of each beside the seed, and changes or removes all that the seed has.
func writeEverything(ctx context.Context, tx ports.Tx) error {
	if _, err := tx.Challenges.Take(ctx, challenge("seed").ID); err != nil {
		return err
	}
	if _, err := tx.Grants.Take(ctx, grant("leaver", "leaving").Token); err != nil {
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
		tx.Events.Save(ctx, domain.RestoreEvent(repeated(event("ada", "seed")))),
		tx.SigningKeys.Add(ctx, domain.RestoreSigningKey(signingKey("new"))),
		tx.SigningKeys.Remove(ctx, "seed"),
		tx.TOTPs.Save(ctx, domain.NewTOTP(userID("ada"))),
		tx.TOTPs.Remove(ctx, userID("leaver")),
		tx.BackupCodes.Replace(ctx, userID("ada"), codes("new"), hour(25)),
		tx.BackupCodes.Spend(ctx, codes("leaving")[0]),
		tx.Grants.Put(ctx, domain.RestoreGrant(grant("ada", "new"))),
		tx.Lockouts.Save(ctx, domain.RestoreLockout(lockout("new"))),
		tx.Lockouts.Save(ctx, domain.NewLockout(lockout("seed").Subject)),
		tx.Lockouts.Clear(ctx, lockout("leaving").Subject),
		tx.Messages.Add(ctx, domain.RestoreMessage(message("ada", "new"))),
		tx.Messages.Save(ctx, domain.RestoreMessage(attempted(message("ada", "seed")))),
		tx.Messages.Remove(ctx, message("leaver", "removed").ID),
		tx.Messages.Remove(ctx, farewell("seed").ID),
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
		wantSame(t, c, err, seedChallenge(owner, tag))
		logged, err := eventsOf(t, store, userID(owner))
		wantList(t, logged, err, event(owner, tag))
		app, err := totpOf(t, store, owner)
		wantSame(t, app, err, totp(owner))
		wantStock(t, store, owner, domain.BackupCodes, hour(24))
		wantOwner(t, store, owner, codes(tag)...)
		g, err := grantOf(t, store, owner)
		wantSame(t, g, err, grant(owner, tag))
		l, err := lockoutOf(t, store, lockout(tag).Subject)
		wantSame(t, l, err, lockout(tag))
	}
	anonymous, err := eventsOf(t, store, domain.UserID{})
	wantList(t, anonymous, err)
	signing, err := allSigningKeys(t, store)
	wantList(t, signing, err, signingKey("seed"))
	wantMessages(t, store, seedMessages...)

	_, err = userByID(t, store, userID("new"))
	wantError(t, err, domain.ErrUserNotFound)
	_, err = sessionByToken(t, store, session("ada", "new").Token)
	wantError(t, err, domain.ErrUnauthenticated)
	_, err = challengeByID(t, store, challenge("new").ID)
	wantError(t, err, domain.ErrChallengeNotFound)
	wantNoOwner(t, store, codes("new")...)
	_, err = grantByToken(t, store, grant("ada", "new").Token)
	wantError(t, err, domain.ErrInvalidGrant)
	unlocked, err := lockoutOf(t, store, lockout("new").Subject)
	wantSame(t, unlocked, err, domain.NewLockout(lockout("new").Subject).Snapshot())
}

func renamed(s domain.UserSnapshot) domain.UserSnapshot {
	s.DisplayName = "Renamed"
	s.Claim = domain.EmailClaim{}
	return s
}

func repeated(s domain.EventSnapshot) domain.EventSnapshot {
	e := domain.RestoreEvent(s)
	e.Repeat(e)
	return e.Snapshot()
}

func attempted(s domain.MessageSnapshot) domain.MessageSnapshot {
	m := domain.RestoreMessage(s)
	m.Attempt(hour(28))
	return m.Snapshot()
}

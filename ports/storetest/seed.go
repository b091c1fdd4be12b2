package storetest

import (
	"context"
	"errors"
	"testing"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// seed adds one of each: for Ada a passkey, a session, an authenticator app, backup codes, a recovery grant, a challenge, an authorization code, an event and an
// e-mail; a signing key; a lockout; and the same for a user who will be removed.
func seed(t *testing.T, store ports.Store) {
	t.Helper()
	addUsers(t, store, user("ada"), user("leaver"))
	addCredentials(t, store, credential("ada", "seed"), credential("leaver", "leaving"))
	addSessions(t, store, session("ada", "seed"), session("leaver", "leaving"))
	saveTOTPs(t, store, totp("ada"), totp("leaver"))
	replaceCodes(t, store, "ada", codes("seed"), hour(24))
	replaceCodes(t, store, "leaver", codes("leaving"), hour(24))
	putRecoveryGrants(t, store, recoveryGrant("ada", "seed"), recoveryGrant("leaver", "leaving"))
	addChallenges(t, store, seedChallenge("ada", "seed"), seedChallenge("leaver", "leaving"))
	addAuthorizationCodes(t, store, authorizationCode("ada", "seed"), authorizationCode("leaver", "leaving"))
	saveLockouts(t, store, lockout("seed"), lockout("leaving"))
	addEvents(t, store, event("ada", "seed"), event("leaver", "leaving"))
	addSigningKeys(t, store, signingKey("seed"))
	addEmails(t, store, seedEmails...)
}

// seedEmails are one e-mail of Ada, two of the leaver, and one without a user.
var seedEmails = []domain.OutboxEmailState{
	outboxEmail("ada", "seed"), outboxEmail("leaver", "leaving"), outboxEmail("leaver", "removed"), emailWithoutUser("seed"),
}

func seedChallenge(owner, tag string) domain.ChallengeState {
	return underGrant(inSession(challenge(tag), session(owner, tag)), recoveryGrant(owner, tag))
}

// writeEverything adds one of each to the seed, and changes or removes everything in the seed.
func writeEverything(ctx context.Context, tx ports.Tx) error {
	if _, err := tx.RecoveryGrants.Take(ctx, recoveryGrant("leaver", "leaving").Token); err != nil {
		return err
	}
	return errors.Join(
		tx.Users.Add(ctx, domain.RestoreUser(user("new"))),
		tx.Users.Save(ctx, domain.RestoreUser(renamed(user("ada")))),
		addCredential(ctx, tx, credential("ada", "new")),
		tx.Credentials.Save(ctx, domain.RestoreCredential(unused(credential("ada", "seed")))),
		tx.Credentials.Remove(ctx, "leaving"),
		tx.Challenges.Consume(ctx, challenge("seed").ID),
		tx.Challenges.Add(ctx, domain.RestoreChallenge(challenge("new"))),
		tx.Sessions.Add(ctx, domain.RestoreSession(session("ada", "new"))),
		tx.Sessions.Save(ctx, domain.RestoreSession(activeSession("ada", "seed"))),
		tx.Events.Add(ctx, domain.RestoreEvent(event("ada", "new"))),
		tx.Events.Save(ctx, domain.RestoreEvent(repeated(event("ada", "seed")))),
		tx.SigningKeys.Add(ctx, domain.RestoreSigningKey(signingKey("new"))),
		tx.SigningKeys.Remove(ctx, "seed"),
		tx.TOTPs.Save(ctx, domain.NewTOTP(userID("ada"))),
		tx.TOTPs.Remove(ctx, userID("leaver")),
		tx.BackupCodes.Replace(ctx, userID("ada"), codes("new"), hour(25)),
		tx.BackupCodes.Consume(ctx, codes("leaving")[0]),
		tx.RecoveryGrants.Put(ctx, domain.RestoreRecoveryGrant(recoveryGrant("ada", "new"))),
		tx.AuthorizationCodes.Add(ctx, domain.RestoreAuthorizationCode(authorizationCode("ada", "new"))),
		tx.AuthorizationCodes.Redeem(ctx, domain.RestoreAuthorizationCode(redeemed(authorizationCode("ada", "seed")))),
		tx.Lockouts.Save(ctx, domain.RestoreLockout(lockout("new"))),
		tx.Lockouts.Save(ctx, domain.RestoreLockout(lockout("seed"))),
		tx.Lockouts.Clear(ctx, lockout("leaving").Subject),
		tx.OutboxEmails.Add(ctx, domain.RestoreOutboxEmail(outboxEmail("ada", "new"))),
		tx.OutboxEmails.Save(ctx, domain.RestoreOutboxEmail(attempted(outboxEmail("ada", "seed")))),
		tx.OutboxEmails.Remove(ctx, outboxEmail("leaver", "removed").ID),
		tx.OutboxEmails.Remove(ctx, emailWithoutUser("seed").ID),
		tx.Users.Remove(ctx, userID("leaver")),
	)
}

// wantSeedOnly fails the test unless the store contains the unchanged seed and nothing else.
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
		wantCodeCount(t, store, owner, domain.BackupCodeCount, hour(24))
		wantCodeOwner(t, store, owner, codes(tag)...)
		g, err := recoveryGrantOf(t, store, owner)
		wantSame(t, g, err, recoveryGrant(owner, tag))
		code, err := authorizationCodeOf(t, store, authorizationCode(owner, tag).Digest)
		wantSame(t, code, err, authorizationCode(owner, tag))
		l, err := lockoutOf(t, store, lockout(tag).Subject)
		wantSame(t, l, err, lockout(tag))
	}
	anonymous, err := eventsOf(t, store, domain.UserID{})
	wantList(t, anonymous, err)
	signing, err := allSigningKeys(t, store)
	wantList(t, signing, err, signingKey("seed"))
	wantEmails(t, store, seedEmails...)

	_, err = userByID(t, store, userID("new"))
	wantError(t, err, domain.ErrUserNotFound)
	_, err = sessionByToken(t, store, session("ada", "new").Token)
	wantError(t, err, domain.ErrUnauthenticated)
	_, err = challengeByID(t, store, challenge("new").ID)
	wantError(t, err, domain.ErrChallengeNotFound)
	wantNoCodeOwner(t, store, codes("new")...)
	_, err = recoveryGrantByToken(t, store, recoveryGrant("ada", "new").Token)
	wantError(t, err, domain.ErrRecoveryGrantInvalid)
	_, err = authorizationCodeOf(t, store, authorizationCode("ada", "new").Digest)
	wantError(t, err, domain.ErrAuthorizationCodeInvalid)
	unlocked, err := lockoutOf(t, store, lockout("new").Subject)
	wantSame(t, unlocked, err, domain.NewLockout(lockout("new").Subject).State())
}

func renamed(s domain.UserState) domain.UserState {
	s.DisplayName, s.Locale = "Renamed", "de"
	s.PendingEmail = domain.PendingEmail{}
	return s
}

func repeated(s domain.EventState) domain.EventState {
	e := domain.RestoreEvent(s)
	e.AddRepetition(e)
	return e.State()
}

func attempted(s domain.OutboxEmailState) domain.OutboxEmailState {
	m := domain.RestoreOutboxEmail(s)
	m.BeginAttempt(hour(28))
	return m.State()
}

package storetest

import (
	"context"
	"errors"
	"testing"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// removal are the rules of Users.Remove: no data of a removed user remain in any collection.
var removal = rules{
	"removing a user removes all of the user's data and nothing else": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"), user("ben"))
		update(t, store, func(ctx context.Context, tx ports.Tx) error {
			return errors.Join(
				addUserData(ctx, tx, "ada", "phone"), addUserData(ctx, tx, "ben", "phone"),
				addUserData(ctx, tx, "ada", "laptop"), addUserData(ctx, tx, "ben", "laptop"),
				addRecoveryData(ctx, tx, "ada", ""), addRecoveryData(ctx, tx, "ben", ""))
		})
		addChallenges(t, store, challenge("ada"))
		addInvites(t, store, usedInvite("ada"), usedInvite("ben"), invite("carol"))
		addSigningKeys(t, store, signingKey("key"))
		addEmails(t, store, emailWithoutUser("ada"))

		update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.Users.Remove(ctx, userID("ada")) })

		_, err := userByID(t, store, userID("ada"))
		wantError(t, err, domain.ErrUserNotFound)
		_, err = userByEmail(t, store, user("ada").Email)
		wantError(t, err, domain.ErrUserNotFound)
		wantNoUserData(t, store, "ada", "phone")
		wantNoUserData(t, store, "ada", "laptop")
		wantNoRecoveryData(t, store, "ada", "")
		keys, err := credentialsOf(t, store, "ada")
		wantList(t, keys, err)

		_, err = inviteByID(t, store, usedInvite("ada").ID)
		wantError(t, err, domain.ErrInviteNotFound)

		wantInvite(t, store, usedInvite("ben"))
		wantInvite(t, store, invite("carol"))
		got, err := userByID(t, store, userID("ben"))
		wantSame(t, got, err, user("ben"))
		wantUserData(t, store, "ben", "phone")
		wantUserData(t, store, "ben", "laptop")
		wantRecoveryData(t, store, "ben", "")
		signUp, err := challengeByID(t, store, challenge("ada").ID)
		wantSame(t, signUp, err, challenge("ada"))
		signing, err := allSigningKeys(t, store)
		wantList(t, signing, err, signingKey("key"))
		wantEmails(t, store, outboxEmail("ben", "phone"), outboxEmail("ben", "laptop"), emailWithoutUser("ada"))
	},

	"the events of a removed user are anonymised": func(t *testing.T, store ports.Store) {
		before := event("ada", "phone")
		wantComplete(t, before)
		wantChanged(t, before, anonymized(before), anonymizedFields...)
		addUsers(t, store, user("ada"), user("ben"))
		addEvents(t, store, before, event("ben", "phone"))
		update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.Users.Remove(ctx, userID("ada")) })
		got, err := eventsOf(t, store, domain.UserID{})
		wantList(t, got, err, anonymized(before))
		got, err = eventsOf(t, store, userID("ben"))
		wantList(t, got, err, event("ben", "phone"))
	},

	"the address, passkeys and codes of a removed user can be added again": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		replaceCodes(t, store, "ada", codes("set"), hour(24))
		addCredentials(t, store, credential("ada", "key"))
		update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.Users.Remove(ctx, userID("ada")) })
		ben := user("ben")
		ben.Email = user("ada").Email
		addUsers(t, store, ben)
		addCredentials(t, store, credential("ben", "key"))
		replaceCodes(t, store, "ben", codes("set"), hour(24))
		wantCodeOwner(t, store, "ben", codes("set")...)
		got, err := userByEmail(t, store, user("ada").Email)
		wantSame(t, got, err, ben)
		key, err := credentialByID(t, store, "key")
		wantSame(t, key, err, credential("ben", "key"))
	},

	"nothing can be added to a removed user": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.Users.Remove(ctx, userID("ada")) })
		for name, add := range map[string]func(ctx context.Context, tx ports.Tx) error{
			"a passkey": func(ctx context.Context, tx ports.Tx) error {
				return addCredential(ctx, tx, credential("ada", "adalate"))
			},
			"a session": func(ctx context.Context, tx ports.Tx) error {
				return tx.Sessions.Add(ctx, domain.RestoreSession(activeSession("ada", "late")))
			},
			"a challenge": func(ctx context.Context, tx ports.Tx) error {
				return tx.Challenges.Add(ctx, domain.RestoreChallenge(inSession(challenge("adalate"), activeSession("ada", "late"))))
			},
			"an authorization code": func(ctx context.Context, tx ports.Tx) error {
				return tx.AuthorizationCodes.Add(ctx, domain.RestoreAuthorizationCode(authorizationCode("ada", "late")))
			},
			"an authenticator app": func(ctx context.Context, tx ports.Tx) error {
				return tx.TOTPs.Save(ctx, domain.RestoreTOTP(totp("ada")))
			},
			"a set of backup codes": func(ctx context.Context, tx ports.Tx) error {
				return tx.BackupCodes.Replace(ctx, userID("ada"), codes("adalate"), hour(24))
			},
			"an empty set of backup codes": func(ctx context.Context, tx ports.Tx) error {
				return tx.BackupCodes.Replace(ctx, userID("ada"), nil, hour(24))
			},
			"a grant": func(ctx context.Context, tx ports.Tx) error {
				return tx.RecoveryGrants.Put(ctx, domain.RestoreRecoveryGrant(recoveryGrant("ada", "late")))
			},
			"a challenge of a recovery grant": func(ctx context.Context, tx ports.Tx) error {
				return tx.Challenges.Add(ctx, domain.RestoreChallenge(underGrant(challenge("adalate recovery"), recoveryGrant("ada", "late"))))
			},
			"an invite": func(ctx context.Context, tx ports.Tx) error {
				return tx.Invites.Add(ctx, domain.RestoreInvite(usedInvite("ada")))
			},
			"an e-mail": func(ctx context.Context, tx ports.Tx) error {
				return tx.OutboxEmails.Add(ctx, domain.RestoreOutboxEmail(outboxEmail("ada", "late")))
			},
			"an event": func(ctx context.Context, tx ports.Tx) error {
				return tx.Events.Add(ctx, domain.RestoreEvent(event("ada", "late")))
			},
		} {
			if err := store.Update(t.Context(), func(tx ports.Tx) error { return add(t.Context(), tx) }); err == nil {
				t.Errorf("%s was added to a removed user", name)
			}
			wantNoUserData(t, store, "ada", "late")
			wantNoRecoveryData(t, store, "ada", "late")
		}
	},

	"of concurrent callers that remove one user, one succeeds": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		wantOneWinner(t, concurrently(concurrentCallers, func(int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error { return tx.Users.Remove(t.Context(), userID("ada")) })
		}), domain.ErrUserNotFound)
	},
}

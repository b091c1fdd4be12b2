package storetest

import (
	"context"
	"errors"
	"testing"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// removal is what Users.Remove leaves: nothing by which anybody could tell who was here, whichever way it came in.
var removal = rules{
	"who is removed goes with all that is theirs, and nothing else does": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"), user("ben"))
		update(t, store, func(ctx context.Context, tx ports.Tx) error {
			return errors.Join(
				addUserData(ctx, tx, "ada", "phone"), addUserData(ctx, tx, "ben", "phone"),
				addUserData(ctx, tx, "ada", "laptop"), addUserData(ctx, tx, "ben", "laptop"),
				addRecoveryData(ctx, tx, "ada", ""), addRecoveryData(ctx, tx, "ben", ""))
		})
		addChallenges(t, store, challenge("ada"))
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

	"what stays of a removed user's events says nothing of whose they were": func(t *testing.T, store ports.Store) {
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

	"a removed user's address, passkeys and codes are free again": func(t *testing.T, store ports.Store) {
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

	"nothing is kept of who is not there": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.Users.Remove(ctx, userID("ada")) })
		for name, add := range map[string]func(ctx context.Context, tx ports.Tx) error{
			"a passkey": func(ctx context.Context, tx ports.Tx) error {
				return tx.Credentials.Add(ctx, domain.RestoreCredential(credential("ada", "adalate")))
			},
			"a session": func(ctx context.Context, tx ports.Tx) error {
				return tx.Sessions.Add(ctx, domain.RestoreSession(activeSession("ada", "late")))
			},
			"a challenge": func(ctx context.Context, tx ports.Tx) error {
				return tx.Challenges.Add(ctx, domain.RestoreChallenge(inSession(challenge("adalate"), activeSession("ada", "late"))))
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
			"a recovery's challenge": func(ctx context.Context, tx ports.Tx) error {
				return tx.Challenges.Add(ctx, domain.RestoreChallenge(underGrant(challenge("adalate back"), recoveryGrant("ada", "late"))))
			},
			"a message": func(ctx context.Context, tx ports.Tx) error {
				return tx.OutboxEmails.Add(ctx, domain.RestoreOutboxEmail(outboxEmail("ada", "late")))
			},
			"an event": func(ctx context.Context, tx ports.Tx) error {
				return tx.Events.Add(ctx, domain.RestoreEvent(event("ada", "late")))
			},
		} {
			if err := store.Update(t.Context(), func(tx ports.Tx) error { return add(t.Context(), tx) }); err == nil {
				t.Errorf("%s of a removed user was added", name)
			}
			wantNoUserData(t, store, "ada", "late")
			wantNoRecoveryData(t, store, "ada", "late")
		}
	},

	"of many who remove one at once one does": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		wantOneWinner(t, concurrently(concurrentCallers, func(int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error { return tx.Users.Remove(t.Context(), userID("ada")) })
		}), domain.ErrUserNotFound)
	},
}

package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// addRecoveryData adds everything of a user that is for recovery: an authenticator app, backup codes, a recovery grant and a challenge of
// it. The tag distinguishes the codes, the grant and the challenge from others.
func addRecoveryData(ctx context.Context, tx ports.Tx, owner, tag string) error {
	for _, add := range []func() error{
		func() error { return tx.TOTPs.Save(ctx, domain.RestoreTOTP(totp(owner))) },
		func() error { return tx.BackupCodes.Replace(ctx, userID(owner), codes(owner+tag), hour(24)) },
		func() error {
			return tx.RecoveryGrants.Put(ctx, domain.RestoreRecoveryGrant(recoveryGrant(owner, tag)))
		},
		func() error {
			return tx.Challenges.Add(ctx, domain.RestoreChallenge(underGrant(challenge(owner+tag+" recovery"), recoveryGrant(owner, tag))))
		},
	} {
		if err := add(); err != nil {
			return err
		}
	}
	return nil
}

// wantRecoveryData fails the test unless the store contains all of it.
func wantRecoveryData(t *testing.T, store ports.Store, owner, tag string) {
	t.Helper()
	app, err := totpOf(t, store, owner)
	wantSame(t, app, err, totp(owner))
	wantCodeCount(t, store, owner, domain.BackupCodeCount, hour(24))
	wantCodeOwner(t, store, owner, codes(owner+tag)...)
	g, err := recoveryGrantOf(t, store, owner)
	wantSame(t, g, err, recoveryGrant(owner, tag))
	c, err := challengeByID(t, store, challenge(owner+tag+" recovery").ID)
	wantSame(t, c, err, underGrant(challenge(owner+tag+" recovery"), recoveryGrant(owner, tag)))
}

// wantNoRecoveryData fails the test if the store contains any of it.
func wantNoRecoveryData(t *testing.T, store ports.Store, owner, tag string) {
	t.Helper()
	app, err := totpOf(t, store, owner)
	wantSame(t, app, err, domain.NewTOTP(userID(owner)).State())
	wantCodeCount(t, store, owner, 0, time.Time{})
	wantNoCodeOwner(t, store, codes(owner+tag)...)
	_, err = recoveryGrantOf(t, store, owner)
	wantError(t, err, domain.ErrRecoveryGrantInvalid)
	_, err = recoveryGrantByToken(t, store, recoveryGrant(owner, tag).Token)
	wantError(t, err, domain.ErrRecoveryGrantInvalid)
	_, err = challengeByID(t, store, challenge(owner+tag+" recovery").ID)
	wantError(t, err, domain.ErrChallengeNotFound)
}

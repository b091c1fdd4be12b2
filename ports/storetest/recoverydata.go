package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// addRecoveryData adds all that a user may have for the day when their passkeys are lost: an authenticator app, backup codes,
// and a recovery with a ceremony under way in it. Codes, recovery and ceremony are told from their others by the tag.
func addRecoveryData(ctx context.Context, tx ports.Tx, owner, tag string) error {
	for _, add := range []func() error{
		func() error { return tx.TOTPs.Save(ctx, domain.RestoreTOTP(totp(owner))) },
		func() error { return tx.BackupCodes.Replace(ctx, userID(owner), codes(owner+tag), hour(24)) },
		func() error {
			return tx.RecoveryGrants.Put(ctx, domain.RestoreRecoveryGrant(recoveryGrant(owner, tag)))
		},
		func() error {
			return tx.Challenges.Add(ctx, domain.RestoreChallenge(underGrant(challenge(owner+tag+" back"), recoveryGrant(owner, tag))))
		},
	} {
		if err := add(); err != nil {
			return err
		}
	}
	return nil
}

// wantRecoveryData fails the test unless all of them are there.
func wantRecoveryData(t *testing.T, store ports.Store, owner, tag string) {
	t.Helper()
	app, err := totpOf(t, store, owner)
	wantSame(t, app, err, totp(owner))
	wantCodeCount(t, store, owner, domain.BackupCodeCount, hour(24))
	wantCodeOwner(t, store, owner, codes(owner+tag)...)
	g, err := recoveryGrantOf(t, store, owner)
	wantSame(t, g, err, recoveryGrant(owner, tag))
	c, err := challengeByID(t, store, challenge(owner+tag+" back").ID)
	wantSame(t, c, err, underGrant(challenge(owner+tag+" back"), recoveryGrant(owner, tag)))
}

// wantNoRecoveryData fails the test if any of them is there.
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
	_, err = challengeByID(t, store, challenge(owner+tag+" back").ID)
	wantError(t, err, domain.ErrChallengeNotFound)
}

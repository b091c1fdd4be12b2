package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// addWaysBack adds all that a user may have for the day when their passkeys are lost: an authenticator app, backup codes,
// and a recovery with a ceremony under way in it. Codes, recovery and ceremony are told from their others by the tag.
func addWaysBack(ctx context.Context, tx ports.Tx, owner, tag string) error {
	for _, add := range []func() error{
		func() error { return tx.TOTPs.Save(ctx, domain.RestoreTOTP(totp(owner))) },
		func() error { return tx.BackupCodes.Replace(ctx, userID(owner), codes(owner+tag), hour(24)) },
		func() error { return tx.Grants.Put(ctx, domain.RestoreGrant(grant(owner, tag))) },
		func() error {
			return tx.Challenges.Add(ctx, domain.RestoreChallenge(under(challenge(owner+tag+" back"), grant(owner, tag))))
		},
	} {
		if err := add(); err != nil {
			return err
		}
	}
	return nil
}

// wantWaysBack fails the test unless all of them are there.
func wantWaysBack(t *testing.T, store ports.Store, owner, tag string) {
	t.Helper()
	app, err := totpOf(t, store, owner)
	wantSame(t, app, err, totp(owner))
	wantStock(t, store, owner, domain.BackupCodes, hour(24))
	wantOwner(t, store, owner, codes(owner+tag)...)
	g, err := grantOf(t, store, owner)
	wantSame(t, g, err, grant(owner, tag))
	c, err := challengeByID(t, store, challenge(owner+tag+" back").ID)
	wantSame(t, c, err, under(challenge(owner+tag+" back"), grant(owner, tag)))
}

// wantNoWaysBack fails the test if any of them is there.
func wantNoWaysBack(t *testing.T, store ports.Store, owner, tag string) {
	t.Helper()
	app, err := totpOf(t, store, owner)
	wantSame(t, app, err, domain.NewTOTP(userID(owner)).Snapshot())
	wantStock(t, store, owner, 0, time.Time{})
	wantNoOwner(t, store, codes(owner+tag)...)
	_, err = grantOf(t, store, owner)
	wantError(t, err, domain.ErrInvalidGrant)
	_, err = grantByToken(t, store, grant(owner, tag).Token)
	wantError(t, err, domain.ErrInvalidGrant)
	_, err = challengeByID(t, store, challenge(owner+tag+" back").ID)
	wantError(t, err, domain.ErrChallengeNotFound)
}

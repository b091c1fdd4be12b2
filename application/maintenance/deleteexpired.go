package maintenance

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/ports"
)

// Expired challenges and sessions are kept for a while, so that a late request gets the error that they have expired, and expired
// authorization codes, so that a late second redemption revokes what the first gave, and invites, so that the operator sees who used them. Lockouts are deleted
// after this time without a failure, events at this age.
const (
	challengeRetention = 5 * time.Minute
	codeRetention      = time.Hour
	sessionRetention   = 24 * time.Hour
	inviteRetention    = 30 * 24 * time.Hour
	lockoutRetention   = 400 * 24 * time.Hour // unknown names create lockouts too, so they must not accumulate
	eventRetention     = 400 * 24 * time.Hour // 13 months: the events of a year can be read in the month after it
)

// A batch is one transaction, which a concurrent sign-in may have to wait for. It ends with the first record after maxBatchTime, so
// that a slow disk or a large database does not prolong it, and after maxBatchSize records.
const (
	maxBatchTime = time.Millisecond
	maxBatchSize = 32
)

// minPause is the shortest pause after a batch. Without it the deletion would fill the disk's queue, since its commits do not wait for
// the disk, and the commits of sign-ins would wait for it there.
const minPause = 5 * time.Millisecond

// maxRunTime bounds one DeleteExpired. It is shorter than the lease of the job, so that one node at a time deletes.
const maxRunTime = 40 * time.Second

// Deleted counts the deleted records.
type Deleted struct {
	Challenges, AuthorizationCodes, Sessions, RecoveryGrants, Invites, Lockouts, OutboxEmails, Events int
	Unfinished                                                                                        bool // more records have expired
}

// DeleteExpired deletes expired challenges, authorization codes, sessions, recovery grants, invites and e-mails, and old lockouts and events, in small transactions,
// for at most maxRunTime. The counts include what was deleted before an error.
func (s *Service) DeleteExpired(ctx context.Context) (Deleted, error) {
	ctx = ports.WithAsyncCommit(ctx) // what a power cut restores has still expired, and the next run deletes it
	now := s.Clock.Now()
	var deleted Deleted
	for _, kind := range []struct {
		total     *int
		deleteOne func(tx ports.Tx) (int, error)
	}{
		{&deleted.Challenges, func(tx ports.Tx) (int, error) {
			return tx.Challenges.DeleteExpired(ctx, now.Add(-challengeRetention), 1)
		}},
		{&deleted.AuthorizationCodes, func(tx ports.Tx) (int, error) {
			return tx.AuthorizationCodes.DeleteExpired(ctx, now.Add(-codeRetention), 1)
		}},
		{&deleted.Sessions, func(tx ports.Tx) (int, error) {
			return tx.Sessions.DeleteExpired(ctx, now.Add(-sessionRetention), 1)
		}},
		{&deleted.RecoveryGrants, func(tx ports.Tx) (int, error) { return tx.RecoveryGrants.DeleteExpired(ctx, now, 1) }},
		{&deleted.Invites, func(tx ports.Tx) (int, error) {
			return tx.Invites.DeleteExpired(ctx, now.Add(-inviteRetention), 1)
		}},
		{&deleted.Lockouts, func(tx ports.Tx) (int, error) {
			return tx.Lockouts.DeleteExpired(ctx, now.Add(-lockoutRetention), 1)
		}},
		{&deleted.OutboxEmails, func(tx ports.Tx) (int, error) { return tx.OutboxEmails.DeleteExpired(ctx, now, 1) }},
		{&deleted.Events, func(tx ports.Tx) (int, error) {
			return tx.Events.DeleteExpired(ctx, now.Add(-eventRetention), 1)
		}},
	} {
		finished, err := s.deleteInBatches(ctx, now.Add(maxRunTime), kind.total, kind.deleteOne)
		if err != nil {
			return deleted, err
		}
		deleted.Unfinished = deleted.Unfinished || !finished
	}
	return deleted, nil
}

// deleteInBatches reports whether it finished before the deadline. It runs at least one batch of each kind, so that a kind with many
// expired records does not starve the others.
func (s *Service) deleteInBatches(ctx context.Context, deadline time.Time, total *int, deleteOne func(ports.Tx) (int, error)) (finished bool, err error) {
	for {
		var n int
		var began time.Time
		err := s.Store.Update(ctx, func(tx ports.Tx) (err error) {
			began = s.Clock.Now()
			n, finished, err = s.deleteBatch(tx, began, deleteOne)
			return err
		})
		if err != nil {
			return false, err
		}
		occupied := s.Clock.Now().Sub(began)
		*total += n
		if finished {
			return true, nil
		}
		// Transactions that waited for this batch run before the next. DeleteExpired occupies the writer for at most half of the time.
		if s.Pause != nil {
			if err := s.Pause(ctx, max(occupied, minPause)); err != nil {
				return false, err
			}
		}
		if !s.Clock.Now().Before(deadline) {
			return false, nil
		}
	}
}

// deleteBatch returns how many records it deleted, and whether no more have expired.
func (s *Service) deleteBatch(tx ports.Tx, began time.Time, deleteOne func(ports.Tx) (int, error)) (n int, finished bool, err error) {
	for n < maxBatchSize && s.Clock.Now().Sub(began) <= maxBatchTime {
		deleted, err := deleteOne(tx)
		if err != nil || deleted == 0 {
			return n, true, err
		}
		n += deleted
	}
	return n, false, nil
}

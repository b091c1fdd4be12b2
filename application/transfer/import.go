package transfer

import (
	"context"
	"crypto/hmac"
	"io"
	"iter"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Outcome has the numbers of records that an import added, and of those that existed already.
type Outcome struct {
	Added, Existing Counts
	Total           int // users, as the file's first line states
}

// Import verifies the whole file and then adds what does not exist yet. It overwrites nothing.
//
// A user is added completely or not at all, except for events beyond the latest 500, which follow. After an error or an
// interruption the same import continues where it stopped. It fails with a conflict at the first user that exists and
// differs, or whose address or passkey another user has. Unless merge is set, it fails before it writes if the database has
// a user who is not in the file.
//
// It reads the file twice. Another process may write to the file meanwhile, so the second reading compares the MAC of all
// lines up to the end of a batch with that of the first reading before it writes the batch. It returns errTampered if they
// differ.
func (s *Service) Import(ctx context.Context, file io.ReadSeeker, merge bool, report ProgressFunc) (outcome Outcome, err error) {
	verified, err := s.check(ctx, file, merge, report)
	if err != nil {
		return Outcome{}, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return Outcome{}, err
	}
	var at time.Time
	err = read(file, s.Keys, func(h header) { at, outcome.Total = h.At, h.Users }, func(b batch) error {
		if len(verified) == 0 || !hmac.Equal(b.mac[:], verified[0][:]) {
			return errTampered
		}
		verified = verified[1:]
		done, err := s.importBatch(ctx, b.lines, at)
		if err != nil {
			return err
		}
		outcome.Added, outcome.Existing = outcome.Added.plus(done.Added), outcome.Existing.plus(done.Existing)
		report(Importing, outcome.Added.Users+outcome.Existing.Users, outcome.Total)
		return nil
	})
	if err == nil && len(verified) > 0 {
		return outcome, errTampered
	}
	return outcome, err
}

// check verifies the whole file, so that a truncated or modified one changes nothing. It returns the MACs of the batches.
func (s *Service) check(ctx context.Context, file io.Reader, merge bool, report ProgressFunc) (verified []digest, err error) {
	next, stop := iter.Pull2(s.userIDs(ctx))
	defer stop()
	var existing domain.UserID // sorted, as in the file
	var listErr error
	more := false
	if !merge {
		existing, listErr, more = next()
	}
	done, total := 0, 0
	err = read(file, s.Keys, func(h header) { total = h.Users }, func(b batch) error {
		verified = append(verified, b.mac)
		for _, l := range b.lines {
			if l.User == nil {
				continue
			}
			if done++; done%linesPerUpdate == 0 {
				report(Checking, done, total)
			}
			switch {
			case !more:
			case listErr != nil:
				return listErr
			case existing == l.User.ID:
				existing, listErr, more = next()
			case existing.String() < l.User.ID.String():
				return ErrOtherUsers
			}
		}
		return ctx.Err()
	})
	switch {
	case err != nil || !more:
		return verified, err
	case listErr != nil:
		return nil, listErr
	}
	return nil, ErrOtherUsers
}

// userIDs yields the ids of the users in the database, in ascending order.
func (s *Service) userIDs(ctx context.Context) iter.Seq2[domain.UserID, error] {
	return func(yield func(domain.UserID, error) bool) {
		for page, err := range s.userPages(ctx, pageSize, nil) {
			if err != nil {
				yield(domain.UserID{}, err)
				return
			}
			for _, u := range page {
				if !yield(u.ID(), nil) {
					return
				}
			}
		}
	}
}

// importBatch adds the lines in one transaction.
func (s *Service) importBatch(ctx context.Context, lines []line, at time.Time) (outcome Outcome, err error) {
	err = s.Store.Update(ctx, func(tx ports.Tx) error {
		outcome = Outcome{}
		for _, l := range lines {
			added, err := l.merge(ctx, tx, at)
			if err != nil {
				return err
			}
			if added {
				outcome.Added = outcome.Added.plus(l.counts())
			} else {
				outcome.Existing = outcome.Existing.plus(l.counts())
			}
		}
		return nil
	})
	return outcome, err
}

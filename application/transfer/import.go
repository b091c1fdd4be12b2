package transfer

import (
	"context"
	"io"
	"iter"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Outcome is how far an import came: what it added, and what existed already.
type Outcome struct {
	Added, Existing Counts
	Total           int // users, as the file's first line states
}

const (
	linesPerUpdate = 100
	bytesPerUpdate = 1 << 20
)

// Import verifies the whole file and then adds what does not exist yet. It overwrites nothing. It reads the file twice, so
// the file must be a copy that no other process can write to.
//
// A user is added completely or not at all, except for events beyond the latest 500, which follow. After an error or an
// interruption the same import continues where it stopped. It fails with a conflict at the first user that exists and
// differs, or whose address or passkey another user has. Unless intoExisting, it fails before it writes if the database has
// a user who is not in the file.
func (s *Service) Import(ctx context.Context, file io.ReadSeeker, intoExisting bool, report ProgressFunc) (outcome Outcome, err error) {
	if err := s.check(ctx, file, intoExisting, report); err != nil {
		return Outcome{}, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return Outcome{}, err
	}
	var at time.Time
	var batch []line
	size := 0
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		done, err := s.importBatch(ctx, batch, at)
		if err != nil {
			return err
		}
		outcome.Added, outcome.Existing = outcome.Added.plus(done.Added), outcome.Existing.plus(done.Existing)
		batch, size = batch[:0], 0
		report(Importing, outcome.Added.Users+outcome.Existing.Users, outcome.Total)
		return nil
	}
	err = s.Keys.read(file, func(h header) { at, outcome.Total = h.At, h.Users }, func(l line, length int) error {
		batch = append(batch, l)
		if size += length; len(batch) < linesPerUpdate && size < bytesPerUpdate {
			return nil
		}
		return flush()
	})
	if err != nil {
		return outcome, err
	}
	return outcome, flush()
}

// check reads the whole file, so that one that is truncated or modified leaves nothing behind.
func (s *Service) check(ctx context.Context, file io.Reader, intoExisting bool, report ProgressFunc) error {
	next, stop := iter.Pull2(s.userIDs(ctx))
	defer stop()
	existing, err, more := next() // in the order of the ids, as the file
	done, total := 0, 0
	readErr := s.Keys.read(file, func(h header) { total = h.Users }, func(l line, _ int) error {
		if l.User == nil {
			return ctx.Err()
		}
		if done++; done%linesPerUpdate == 0 {
			report(Checking, done, total)
		}
		switch {
		case intoExisting || !more:
			return ctx.Err()
		case err != nil:
			return err
		case existing == l.User.ID:
			existing, err, more = next()
		case existing.String() < l.User.ID.String():
			return errNotEmpty
		}
		return ctx.Err()
	})
	switch {
	case readErr != nil || intoExisting || !more:
		return readErr
	case err != nil:
		return err
	}
	return errNotEmpty
}

// userIDs are the ids of the users in the database, in their order.
func (s *Service) userIDs(ctx context.Context) iter.Seq2[domain.UserID, error] {
	return func(yield func(domain.UserID, error) bool) {
		stopped := false
		err := s.eachPage(ctx, pageSize, func(_ ports.Tx, page []*domain.User) (func() error, error) {
			return func() error {
				for _, u := range page {
					if stopped = !yield(u.ID(), nil); stopped {
						return context.Canceled
					}
				}
				return nil
			}, nil
		})
		if err != nil && !stopped {
			yield(domain.UserID{}, err)
		}
	}
}

// importBatch adds the lines in one transaction.
func (s *Service) importBatch(ctx context.Context, batch []line, at time.Time) (outcome Outcome, err error) {
	err = s.Store.Update(ctx, func(tx ports.Tx) error {
		outcome = Outcome{}
		for _, l := range batch {
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

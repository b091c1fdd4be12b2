package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Import reads an installation from a file.
type Import struct {
	Store ports.Store
	Keys  Keys
}

// Outcome says what an import came to so far: what it has added, and what was there already.
type Outcome struct {
	Added, Existing Counts
	Total           int // users, as the file's first line has it
}

const (
	linesPerUpdate = 100
	bytesPerUpdate = 1 << 20 // after which an update is large enough
)

// Execute checks the whole file, then brings in what is not there yet. Nothing that is there is written over, and nothing is
// brought in that was not checked, whoever writes to the file meanwhile.
//
// A user comes in whole or not at all, but for the older part of a log of more than 500 entries, which follows. After an
// error or an interrupt the same import goes on where it stopped. It fails with a conflict at the first user who is there
// and different, or whose address or passkey is somebody else's; and, unless the database may have others, at once if
// somebody is there who is not in the file.
func (i *Import) Execute(ctx context.Context, file io.ReadSeeker, intoExisting bool, report ProgressFunc) (outcome Outcome, err error) {
	checked, err := i.check(ctx, file, intoExisting, report)
	if err != nil {
		return Outcome{}, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return Outcome{}, err
	}
	var at time.Time
	var batch batch
	flush := func() error {
		if len(batch.lines) == 0 {
			return nil
		}
		done, err := i.importBatch(ctx, batch.lines, at)
		if err != nil {
			return err
		}
		outcome.Added, outcome.Existing = outcome.Added.plus(done.Added), outcome.Existing.plus(done.Existing)
		batch.clear()
		report(Importing, outcome.Added.Users+outcome.Existing.Users, outcome.Total)
		return nil
	}
	err = i.Keys.read(file, func(h header) { at, outcome.Total = h.At.Time, h.Users }, func(l line, length int, sofar func() digest) error {
		if !batch.add(l, length) {
			return nil
		}
		if len(checked) == 0 || sofar() != checked[0] {
			return errTampered
		}
		checked = checked[1:]
		return flush()
	})
	if err != nil {
		return outcome, err
	}
	return outcome, flush() // all of the file has been read as it was written
}

// batch is what goes into one unit of work.
type batch struct {
	lines []line
	size  int
}

// add reports whether that is enough.
func (b *batch) add(l line, length int) bool {
	b.lines = append(b.lines, l)
	b.size += length
	return len(b.lines) == linesPerUpdate || b.size >= bytesPerUpdate
}

func (b *batch) clear() { b.lines, b.size = b.lines[:0], 0 }

// check reads the whole file, so that one that is cut short or changed leaves nothing behind. It returns a digest of all up
// to the end of each batch but the last, which the second reading is held to.
func (i *Import) check(ctx context.Context, file io.Reader, intoExisting bool, report ProgressFunc) (checked []digest, err error) {
	residents := &existingUsers{store: i.Store}
	done, total := 0, 0
	var batch batch
	err = i.Keys.read(file, func(h header) { total = h.Users }, func(l line, length int, sofar func() digest) error {
		if batch.add(l, length) {
			checked = append(checked, sofar())
			batch.clear()
		}
		if l.User == nil {
			return ctx.Err()
		}
		if done++; done%linesPerUpdate == 0 {
			report(Checking, done, total)
		}
		if intoExisting {
			return ctx.Err()
		}
		return residents.requireNoneBefore(ctx, l.User.ID.UserID)
	})
	if err != nil || intoExisting {
		return checked, err
	}
	return checked, residents.requireNoneLeft(ctx)
}

// importBatch is one unit of work, so that whoever is in it is in whole or not at all.
func (i *Import) importBatch(ctx context.Context, batch []line, at time.Time) (outcome Outcome, err error) {
	err = i.Store.Update(ctx, func(tx ports.Tx) error {
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

// merge brings in what a line holds and reports whether it was not there yet.
func (l line) merge(ctx context.Context, tx ports.Tx, at time.Time) (added bool, err error) {
	switch {
	case l.SigningKey != nil:
		return l.SigningKey.merge(ctx, tx)
	case l.Lockout != nil:
		return l.Lockout.merge(ctx, tx)
	case l.User != nil:
		return l.User.merge(ctx, tx, at)
	case l.Events != nil:
		return l.Events.merge(ctx, tx)
	default:
		return l.OutboxEmails.merge(ctx, tx)
	}
}

// merge lets the user in, if they are not there yet.
func (r *user) merge(ctx context.Context, tx ports.Tx, at time.Time) (added bool, err error) {
	there, err := tx.Users.ByID(ctx, r.ID.UserID)
	if errors.Is(err, domain.ErrUserNotFound) {
		return true, r.add(ctx, tx)
	}
	if err != nil {
		return false, err
	}
	known, err := readUser(ctx, tx, there, at)
	if err != nil {
		return false, err
	}
	same, err := equal(known, r)
	if err != nil {
		return false, fmt.Errorf("comparing user %s: %w", r.ID, err)
	}
	if !same {
		return false, conflict("user %s is there already and is not the same as in the export; nothing of theirs was changed", r.ID)
	}
	return false, nil
}

func equal(a, b *user) (bool, error) {
	one, errOne := line{User: a}.text()
	other, errOther := line{User: b}.text()
	return bytes.Equal(one, other), errors.Join(errOne, errOther)
}

// existingUsers walks through those who are there beside a walk through the file, both by id.
type existingUsers struct {
	store     ports.Store
	page      []*domain.User // those that are still to be met
	after     domain.UserID
	exhausted bool
}

// requireNoneBefore returns errNotEmpty if somebody is there who comes before the given user of the file.
func (r *existingUsers) requireNoneBefore(ctx context.Context, id domain.UserID) error {
	if err := r.fill(ctx); err != nil || len(r.page) == 0 {
		return err
	}
	switch next := r.page[0].ID(); {
	case next == id:
		r.page = r.page[1:]
	case next.String() < id.String():
		return errNotEmpty
	}
	return nil
}

// requireNoneLeft returns errNotEmpty if somebody is there who comes after all of the file.
func (r *existingUsers) requireNoneLeft(ctx context.Context) error {
	if err := r.fill(ctx); err != nil {
		return err
	}
	if len(r.page) > 0 {
		return errNotEmpty
	}
	return nil
}

func (r *existingUsers) fill(ctx context.Context) error {
	const size = 500
	if len(r.page) > 0 || r.exhausted {
		return ctx.Err()
	}
	err := r.store.View(ctx, func(tx ports.Tx) (err error) {
		r.page, err = tx.Users.List(ctx, r.after, size)
		return err
	})
	if err != nil {
		return err
	}
	if r.exhausted = len(r.page) < size; len(r.page) > 0 {
		r.after = r.page[len(r.page)-1].ID()
	}
	return nil
}

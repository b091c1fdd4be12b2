package transfer

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Export writes an installation to a file.
type Export struct {
	Store ports.Store
	Clock ports.Clock
	Keys  Keys
}

// usersPerView is how many users are read at once: few, for the sake of memory.
const usersPerView = 50

// Execute writes everything that lasts, and says what that was. Each user is read at one moment; the whole is of one moment
// only if nobody else writes meanwhile. What was written before an error is no export.
func (e *Export) Execute(ctx context.Context, w io.Writer, report ProgressFunc) (Counts, error) {
	out := newWriter(w, e.Keys[0])
	now := e.Clock.Now()
	total, err := e.countUsers(ctx)
	if err != nil {
		return Counts{}, err
	}
	h := header{Format: formatName, Version: formatVersion, At: jsonTimeOf(now), Secrets: e.Keys.fingerprints(), Users: total}
	if err := out.write(line{Export: &h}); err != nil {
		return Counts{}, err
	}
	// Who leaves meanwhile takes the names out of their log. Those that are nobody's come first, so that no entry comes twice.
	if err := e.signingKeys(ctx, out); err != nil {
		return Counts{}, err
	}
	if err := e.lockouts(ctx, out); err != nil {
		return Counts{}, err
	}
	if err := e.events(ctx, out, domain.UserID{}, domain.EventID{}); err != nil {
		return Counts{}, err
	}
	last, err := e.users(ctx, out, now, func(done int) { report(Exporting, done, total) })
	if err != nil {
		return Counts{}, err
	}
	if err := e.outboxEmails(ctx, out, last); err != nil {
		return Counts{}, err
	}
	return out.counts, out.close()
}

func (e *Export) countUsers(ctx context.Context) (total int, err error) {
	size := 0
	err = e.eachPage(ctx, 500, func(_ ports.Tx, page []*domain.User) error {
		size = len(page)
		return nil
	}, func() error { total += size; return nil })
	return total, err
}

// eachPage reads page after page of the users by id, each in a view of its own, and lets what was read be written after it.
func (e *Export) eachPage(ctx context.Context, size int, read func(tx ports.Tx, page []*domain.User) error, written func() error) error {
	var after domain.UserID
	for {
		var page []*domain.User
		err := e.Store.View(ctx, func(tx ports.Tx) (err error) {
			if page, err = tx.Users.List(ctx, after, size); err != nil {
				return err
			}
			return read(tx, page)
		})
		if err != nil {
			return err
		}
		if err := written(); err != nil {
			return err
		}
		if len(page) < size {
			return nil
		}
		after = page[len(page)-1].ID()
	}
}

// users writes all of them and returns the last one's id.
func (e *Export) users(ctx context.Context, out *writer, now time.Time, report func(done int)) (last domain.UserID, err error) {
	var batch []*user
	err = e.eachPage(ctx, usersPerView, func(tx ports.Tx, page []*domain.User) error {
		batch = batch[:0]
		for _, u := range page {
			r, err := readUser(ctx, tx, u, now)
			if err != nil {
				return err
			}
			batch = append(batch, r)
		}
		return nil
	}, func() error {
		for _, r := range batch {
			last = r.ID.UserID
			if err := out.write(line{User: r}); err != nil {
				return fmt.Errorf("writing user %s: %w", r.ID, err)
			}
			if len(r.Events) == eventsPerLine {
				if err := e.events(ctx, out, last, r.Events[eventsPerLine-1].ID.EventID); err != nil {
					return err
				}
			}
		}
		report(out.counts.Users)
		return nil
	})
	return last, err
}

// events writes what comes before the given one in a log, which only grows at its other end.
func (e *Export) events(ctx context.Context, out *writer, owner domain.UserID, before domain.EventID) error {
	for {
		r := events{UserID: userID{owner}, Before: eventID{before}}
		err := e.Store.View(ctx, func(tx ports.Tx) error {
			log, err := tx.Events.ListByUser(ctx, owner, before, eventsPerLine)
			r.List = eventsOf(log)
			return err
		})
		if err != nil || len(r.List) == 0 {
			return err
		}
		if err := out.write(line{Events: &r}); err != nil {
			return fmt.Errorf("writing a log: %w", err)
		}
		before = r.List[len(r.List)-1].ID.EventID
	}
}

func (e *Export) signingKeys(ctx context.Context, out *writer) error {
	var all domain.SigningKeys
	err := e.Store.View(ctx, func(tx ports.Tx) (err error) {
		all, err = tx.SigningKeys.All(ctx)
		return err
	})
	if err != nil {
		return err
	}
	for _, key := range all {
		if err := out.write(line{SigningKey: signingKeyOf(key.State())}); err != nil {
			return err
		}
	}
	return nil
}

func (e *Export) lockouts(ctx context.Context, out *writer) error {
	const size = 500
	var after domain.LockoutSubject
	for {
		var page []*domain.Lockout
		err := e.Store.View(ctx, func(tx ports.Tx) (err error) {
			page, err = tx.Lockouts.List(ctx, after, size)
			return err
		})
		if err != nil {
			return err
		}
		for _, l := range page {
			after = l.State().Subject
			if err := out.write(line{Lockout: lockoutOf(l.State())}); err != nil {
				return err
			}
		}
		if len(page) < size {
			return nil
		}
	}
}

// outboxEmails leaves out those of users who came after the last one that was written.
func (e *Export) outboxEmails(ctx context.Context, out *writer, last domain.UserID) error {
	var after outboxEmailID
	for {
		r := outboxEmails{After: after}
		var page []*domain.OutboxEmail
		err := e.Store.View(ctx, func(tx ports.Tx) (err error) {
			page, err = tx.OutboxEmails.List(ctx, after.OutboxEmailID, emailsPerLine)
			return err
		})
		if err != nil {
			return err
		}
		for _, m := range page {
			after = outboxEmailID{m.ID()}
			if one := outboxEmailOf(m.State()); one.UserID.String() <= last.String() {
				r.List = append(r.List, one)
			}
		}
		if len(r.List) > 0 {
			if err := out.write(line{OutboxEmails: &r}); err != nil {
				return err
			}
		}
		if len(page) < emailsPerLine {
			return nil
		}
	}
}

// writer writes lines, and remembers what it needs to tell in the last one.
type writer struct {
	w      *bufio.Writer
	mac    hash.Hash
	counts Counts
}

func newWriter(w io.Writer, key []byte) *writer {
	return &writer{w: bufio.NewWriterSize(w, 1<<16), mac: hmac.New(sha256.New, key)}
}

func (w *writer) write(l line) error {
	text, err := l.encode()
	if err != nil {
		return err
	}
	w.mac.Write(text)
	w.counts = w.counts.plus(l.counts())
	_, err = w.w.Write(text)
	return err
}

func (w *writer) close() error {
	text, err := line{End: &end{w.counts, digest(w.mac.Sum(nil))}}.encode()
	if err != nil {
		return err
	}
	_, err = w.w.Write(text)
	return errors.Join(err, w.w.Flush())
}

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
	"iter"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

const (
	pageSize     = 500
	usersPerView = 50 // few, because a user is read with all their data
)

// Export writes all persistent data to w and returns the number of records. Each user is read in one transaction; the file is
// a consistent snapshot only if no server runs. After an error w does not contain an export.
func (s *Service) Export(ctx context.Context, w io.Writer, report ProgressFunc) (Counts, error) {
	out := newWriter(w, s.Keys[0])
	now := s.Clock.Now()
	total := 0
	for page, err := range s.userPages(ctx, pageSize, nil) {
		if err != nil {
			return Counts{}, err
		}
		total += len(page)
	}
	h := header{Format: formatName, Version: formatVersion, At: now, Secrets: fingerprints(s.Keys), Users: total}
	if err := out.write(line{Export: &h}); err != nil {
		return Counts{}, err
	}
	if err := s.exportSigningKeys(ctx, out); err != nil {
		return Counts{}, err
	}
	if err := s.exportLockouts(ctx, out); err != nil {
		return Counts{}, err
	}
	// The events of deleted users come first, so that those of a user who is deleted during the export are not written twice.
	if err := s.exportEvents(ctx, out, domain.UserID{}, domain.EventID{}); err != nil {
		return Counts{}, err
	}
	last, err := s.exportUsers(ctx, out, now, func(done int) { report(Exporting, done, total) })
	if err != nil {
		return Counts{}, err
	}
	if err := s.exportInvites(ctx, out, last); err != nil {
		return Counts{}, err
	}
	if err := s.exportOutboxEmails(ctx, out, last); err != nil {
		return Counts{}, err
	}
	return out.counts, out.close()
}

// userPages yields all users by id, in pages. It reads each page in a View, in which it calls load, if there is one; View may run
// load again. It ends after an error.
func (s *Service) userPages(ctx context.Context, size int, load func(tx ports.Tx, page []*domain.User) error) iter.Seq2[[]*domain.User, error] {
	return func(yield func([]*domain.User, error) bool) {
		var last domain.UserID
		for {
			var page []*domain.User
			err := s.Store.View(ctx, func(tx ports.Tx) (err error) {
				if page, err = tx.Users.List(ctx, last, size); err != nil || load == nil {
					return err
				}
				return load(tx, page)
			})
			if !yield(page, err) || err != nil || len(page) < size {
				return
			}
			last = page[len(page)-1].ID()
		}
	}
}

// exportUsers writes all users and returns the last one's id.
func (s *Service) exportUsers(ctx context.Context, out *writer, now time.Time, report func(done int)) (last domain.UserID, err error) {
	var loaded []*user
	load := func(tx ports.Tx, page []*domain.User) error {
		loaded = nil
		for _, u := range page {
			r, err := readUser(ctx, tx, u, now)
			if err != nil {
				return err
			}
			loaded = append(loaded, r)
		}
		return nil
	}
	for _, err := range s.userPages(ctx, usersPerView, load) {
		if err != nil {
			return last, err
		}
		for _, r := range loaded {
			last = r.ID
			if err := out.write(line{User: r}); err != nil {
				return last, fmt.Errorf("writing user %s: %w", r.ID, err)
			}
			if len(r.Events) == eventsPerLine {
				if err := s.exportEvents(ctx, out, last, r.Events[eventsPerLine-1].ID); err != nil {
					return last, err
				}
			}
		}
		report(out.counts.Users)
	}
	return last, nil
}

// exportEvents writes the events before the given one. New events are added at the other end of a log, so it misses none.
func (s *Service) exportEvents(ctx context.Context, out *writer, owner domain.UserID, before domain.EventID) error {
	for {
		r := events{UserID: owner, Before: before}
		err := s.Store.View(ctx, func(tx ports.Tx) error {
			log, err := tx.Events.ListByUser(ctx, owner, before, eventsPerLine)
			r.List = states(log, eventState)
			return err
		})
		if err != nil || len(r.List) == 0 {
			return err
		}
		if err := out.write(line{Events: &r}); err != nil {
			return fmt.Errorf("writing events: %w", err)
		}
		before = r.List[len(r.List)-1].ID
	}
}

func (s *Service) exportSigningKeys(ctx context.Context, out *writer) error {
	var all domain.SigningKeys
	err := s.Store.View(ctx, func(tx ports.Tx) (err error) {
		all, err = tx.SigningKeys.All(ctx)
		return err
	})
	for _, key := range all {
		state := key.State()
		if err := out.write(line{SigningKey: &state}); err != nil {
			return err
		}
	}
	return err
}

func (s *Service) exportLockouts(ctx context.Context, out *writer) error {
	var after domain.LockoutSubject
	for {
		var page []*domain.Lockout
		err := s.Store.View(ctx, func(tx ports.Tx) (err error) {
			page, err = tx.Lockouts.List(ctx, after, pageSize)
			return err
		})
		for _, l := range page {
			state := l.State()
			after = state.Subject
			if err := out.write(line{Lockout: &state}); err != nil {
				return err
			}
		}
		if err != nil || len(page) < pageSize {
			return err
		}
	}
}

// exportInvites leaves out invites of users who were added after the last one that was written.
func (s *Service) exportInvites(ctx context.Context, out *writer, last domain.UserID) error {
	var after domain.InviteID
	for {
		var page []*domain.Invite
		err := s.Store.View(ctx, func(tx ports.Tx) (err error) {
			page, err = tx.Invites.List(ctx, after, pageSize)
			return err
		})
		for _, i := range page {
			state := i.State()
			after = state.ID
			if state.UserID.String() > last.String() {
				continue
			}
			if err := out.write(line{Invite: &state}); err != nil {
				return err
			}
		}
		if err != nil || len(page) < pageSize {
			return err
		}
	}
}

// exportOutboxEmails leaves out e-mails to users who were added after the last one that was written.
func (s *Service) exportOutboxEmails(ctx context.Context, out *writer, last domain.UserID) error {
	var after domain.OutboxEmailID
	for {
		r := outboxEmails{After: after}
		var page []*domain.OutboxEmail
		err := s.Store.View(ctx, func(tx ports.Tx) (err error) {
			page, err = tx.OutboxEmails.List(ctx, after, emailsPerLine)
			return err
		})
		for _, m := range page {
			after = m.ID()
			if state := m.State(); state.UserID.String() <= last.String() {
				r.List = append(r.List, state)
			}
		}
		if err == nil && len(r.List) > 0 {
			err = out.write(line{OutboxEmails: &r})
		}
		if err != nil || len(page) < emailsPerLine {
			return err
		}
	}
}

// writer writes lines, and calculates the counts and the MAC for the last line.
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
	err := w.write(line{End: &end{w.counts, digest(w.mac.Sum(nil))}})
	return errors.Join(err, w.w.Flush())
}

package transfer

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// readUser reads a user with all their data, and with the sessions that are active at the given time.
func readUser(ctx context.Context, tx ports.Tx, u *domain.User, at time.Time) (*user, error) {
	r := &user{UserState: u.State()}
	passkeys, err := tx.Credentials.ListByUser(ctx, u.ID())
	if err != nil {
		return nil, err
	}
	for _, p := range passkeys {
		attestation, err := tx.Credentials.Attestation(ctx, p.ID())
		if err != nil {
			return nil, err
		}
		r.Passkeys = append(r.Passkeys, passkey{p.State(), attestation})
	}
	slices.SortStableFunc(r.Passkeys, func(a, b passkey) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	const page = 500
	for before := (domain.SessionID{}); ; {
		active, err := tx.Sessions.ListActive(ctx, u.ID(), at, before, page)
		if err != nil {
			return nil, err
		}
		r.Sessions = append(r.Sessions, states(active, (*domain.Session).State)...)
		if len(active) < page {
			break
		}
		before = active[page-1].ID()
	}
	totp, err := tx.TOTPs.Get(ctx, u.ID())
	if err != nil {
		return nil, err
	}
	if s := totp.State(); s.Secret != nil || s.PendingSecret != nil {
		r.TOTP = &s
	}
	if r.BackupCodes, err = readBackupCodes(ctx, tx, u.ID()); err != nil {
		return nil, err
	}
	log, err := tx.Events.ListByUser(ctx, u.ID(), domain.EventID{}, eventsPerLine)
	r.Events = states(log, eventState)
	return r, err
}

func readBackupCodes(ctx context.Context, tx ports.Tx, owner domain.UserID) (*backupCodes, error) {
	_, generatedAt, err := tx.BackupCodes.Count(ctx, owner)
	if err != nil || generatedAt.IsZero() {
		return nil, err
	}
	unused, err := tx.BackupCodes.List(ctx, owner)
	slices.SortFunc(unused, func(a, b domain.BackupCodeDigest) int { return bytes.Compare(a[:], b[:]) })
	return &backupCodes{generatedAt, unused}, err
}

// eventState leaves out the key of a deleted user's event: the other database may have an event with that key.
func eventState(e *domain.Event) domain.EventState {
	s := e.State()
	if s.UserID.IsZero() {
		s.Key = domain.RepetitionKey{}
	}
	return s
}

func states[A, S any](list []A, state func(A) S) (all []S) {
	for _, one := range list {
		all = append(all, state(one))
	}
	return all
}

// merge adds the records of a line and reports whether they were missing. Sessions of an existing user are compared with those
// that were active at the time of the export.
func (l line) merge(ctx context.Context, tx ports.Tx, at time.Time) (added bool, err error) {
	switch {
	case l.SigningKey != nil:
		return l.mergeSigningKey(ctx, tx)
	case l.Lockout != nil:
		return mergeLockout(ctx, tx, *l.Lockout)
	case l.User != nil:
		return l.mergeUser(ctx, tx, at)
	case l.Events != nil:
		return l.Events.merge(ctx, tx)
	case l.Invite != nil:
		return l.mergeInvite(ctx, tx)
	default:
		return l.OutboxEmails.merge(ctx, tx)
	}
}

func (l line) mergeSigningKey(ctx context.Context, tx ports.Tx) (added bool, err error) {
	all, err := tx.SigningKeys.All(ctx)
	if err != nil {
		return false, err
	}
	for _, key := range all {
		if existing := key.State(); existing.ID != l.SigningKey.ID {
			continue
		} else if !same(line{SigningKey: &existing}, l) {
			return false, conflict("signing key %s exists and differs from the one in the export", existing.ID)
		}
		return false, nil
	}
	return true, tx.SigningKeys.Add(ctx, domain.RestoreSigningKey(*l.SigningKey))
}

func (l line) mergeInvite(ctx context.Context, tx ports.Tx) (added bool, err error) {
	existing, err := tx.Invites.ByID(ctx, l.Invite.ID)
	if errors.Is(err, domain.ErrInviteNotFound) {
		return true, tx.Invites.Add(ctx, domain.RestoreInvite(*l.Invite))
	}
	if err != nil {
		return false, err
	}
	if state := existing.State(); !same(line{Invite: &state}, l) {
		return false, conflict("invite %s exists and differs from the one in the export; it may have been used since", state.ID)
	}
	return false, nil
}

// mergeLockout keeps the stricter of both lockouts. Lockouts are the only records that an import changes: wrong codes for an
// account on both servers are no conflict.
func mergeLockout(ctx context.Context, tx ports.Tx, imported domain.LockoutState) (changed bool, err error) {
	existing, err := tx.Lockouts.Get(ctx, imported.Subject)
	if err != nil {
		return false, err
	}
	before := existing.State()
	after := before
	after.Failures = max(before.Failures, imported.Failures)
	after.LockedUntil = latest(before.LockedUntil, imported.LockedUntil)
	after.UpdatedAt = latest(before.UpdatedAt, imported.UpdatedAt)
	if after == before {
		return false, nil
	}
	return true, tx.Lockouts.Save(ctx, domain.RestoreLockout(after))
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func (l line) mergeUser(ctx context.Context, tx ports.Tx, at time.Time) (added bool, err error) {
	existing, err := tx.Users.ByID(ctx, l.User.ID)
	if errors.Is(err, domain.ErrUserNotFound) {
		return true, userConflict(l.User.ID, l.User.add(ctx, tx))
	}
	if err != nil {
		return false, err
	}
	known, err := readUser(ctx, tx, existing, at)
	if err != nil {
		return false, err
	}
	if !same(line{User: known}, l) {
		return false, conflict("user %s exists and differs from the one in the export; the user was not changed", l.User.ID)
	}
	return false, nil
}

// add adds a user that does not exist.
func (r *user) add(ctx context.Context, tx ports.Tx) error {
	if err := tx.Users.Add(ctx, domain.RestoreUser(r.UserState)); err != nil {
		return err
	}
	for _, p := range r.Passkeys {
		p.UserID = r.ID
		if err := tx.Credentials.Add(ctx, domain.RestoreCredential(p.CredentialState), p.Attestation); err != nil {
			return err
		}
	}
	for _, s := range r.Sessions {
		s.UserID = r.ID
		if err := tx.Sessions.Add(ctx, domain.RestoreSession(s)); err != nil {
			return err
		}
	}
	if r.TOTP != nil {
		totp := *r.TOTP
		totp.UserID = r.ID
		if err := tx.TOTPs.Save(ctx, domain.RestoreTOTP(totp)); err != nil {
			return err
		}
	}
	if r.BackupCodes != nil {
		if err := tx.BackupCodes.Replace(ctx, r.ID, r.BackupCodes.Unused, r.BackupCodes.GeneratedAt); err != nil {
			return err
		}
	}
	for _, e := range r.Events {
		e.UserID = r.ID
		if err := tx.Events.Add(ctx, domain.RestoreEvent(e)); err != nil {
			return err
		}
	}
	return nil
}

func (r *events) merge(ctx context.Context, tx ports.Tx) (added bool, err error) {
	existing := map[domain.EventID]*domain.EventState{}
	for _, e := range r.List {
		existing[e.ID] = nil
	}
	last := r.List[len(r.List)-1].ID
	for before := r.Before; ; {
		page, err := tx.Events.ListByUser(ctx, r.UserID, before, eventsPerLine)
		if err != nil {
			return false, err
		}
		for _, e := range page {
			before = e.ID()
			if _, wanted := existing[before]; wanted {
				state := eventState(e)
				existing[before] = &state
			}
		}
		if len(page) < eventsPerLine || before.String() <= last.String() {
			break
		}
	}
	for _, e := range r.List {
		if known := existing[e.ID]; known == nil {
			e.UserID, added = r.UserID, true
			if err := tx.Events.Add(ctx, domain.RestoreEvent(e)); err != nil {
				return false, err
			}
		} else if !same(line{Events: &events{List: []domain.EventState{*known}}}, line{Events: &events{List: []domain.EventState{e}}}) {
			return false, conflict("event %s exists and differs from the one in the export", e.ID)
		}
	}
	return added, nil
}

func (r *outboxEmails) merge(ctx context.Context, tx ports.Tx) (added bool, err error) {
	existing := map[domain.OutboxEmailID]*domain.OutboxEmailState{}
	for _, m := range r.List {
		existing[m.ID] = nil
	}
	last := r.List[len(r.List)-1].ID
	for after := r.After; ; {
		page, err := tx.OutboxEmails.List(ctx, after, emailsPerLine)
		if err != nil {
			return false, err
		}
		for _, m := range page {
			after = m.ID()
			if _, wanted := existing[after]; wanted {
				state := m.State()
				existing[after] = &state
			}
		}
		if len(page) < emailsPerLine || after.String() >= last.String() {
			break
		}
	}
	for _, m := range r.List {
		if known := existing[m.ID]; known == nil {
			added = true
			if err := addOutboxEmail(ctx, tx, m); err != nil {
				return false, err
			}
		} else if !same(line{OutboxEmails: &outboxEmails{List: []domain.OutboxEmailState{*known}}}, line{OutboxEmails: &outboxEmails{List: []domain.OutboxEmailState{m}}}) {
			return false, conflict("e-mail %s exists and differs from the one in the export, or delivery was attempted since", m.ID)
		}
	}
	return added, nil
}

func addOutboxEmail(ctx context.Context, tx ports.Tx, m domain.OutboxEmailState) error {
	if !m.UserID.IsZero() {
		if _, err := tx.Users.ByID(ctx, m.UserID); errors.Is(err, domain.ErrUserNotFound) {
			return conflict("e-mail %s is for user %s, who does not exist; export again while no server runs", m.ID, m.UserID)
		} else if err != nil {
			return err
		}
	}
	return tx.OutboxEmails.Add(ctx, domain.RestoreOutboxEmail(m))
}

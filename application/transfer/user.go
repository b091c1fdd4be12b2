package transfer

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// user is one person with all that is theirs. Of a long log it holds the latest entries; the others follow in events.
type user struct {
	ID              userID        `json:"id"`
	Handle          binary        `json:"handle"`
	Email           string        `json:"email,omitempty"`
	EmailVerifiedAt jsonTime      `json:"email_verified_at,omitzero"`
	PendingEmail    *pendingEmail `json:"claim,omitempty"`
	DisplayName     string        `json:"display_name,omitempty"`
	DisabledAt      jsonTime      `json:"disabled_at,omitzero"`
	CreatedAt       jsonTime      `json:"created_at"`
	Passkeys        []passkey     `json:"passkeys,omitempty"` // oldest first
	Sessions        []session     `json:"sessions,omitempty"` // newest first
	TOTP            *totp         `json:"totp,omitempty"`
	BackupCodes     *backupCodes  `json:"backup_codes,omitempty"`
	Events          []event       `json:"events,omitempty"` // newest first
}

type pendingEmail struct {
	Email     string   `json:"email"`
	Code      digest   `json:"code"`
	Failures  int      `json:"failures"`
	ExpiresAt jsonTime `json:"expires_at"`
}

type totp struct {
	Secret        binary   `json:"secret,omitempty"` // sealed
	ConfirmedAt   jsonTime `json:"confirmed_at,omitzero"`
	LastStep      int64    `json:"step"`
	PendingSecret binary   `json:"pending,omitempty"` // sealed
	PendingAt     jsonTime `json:"pending_at,omitzero"`
}

type backupCodes struct {
	GeneratedAt jsonTime `json:"made_at"`
	Unused      []digest `json:"unspent,omitempty"` // in their order
}

// eventsPerLine is how many events a line holds.
const eventsPerLine = 500

// readUser reads what there is of a user, with the sessions that last at the given time.
func readUser(ctx context.Context, tx ports.Tx, u *domain.User, at time.Time) (*user, error) {
	r := userOf(u.State())
	passkeys, err := tx.Credentials.ListByUser(ctx, u.ID())
	if err != nil {
		return nil, err
	}
	r.Passkeys = mapSlice(passkeys, func(c *domain.Credential) passkey { return passkeyOf(c.State()) })
	slices.SortStableFunc(r.Passkeys, func(a, b passkey) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt.Time), bytes.Compare(a.ID, b.ID))
	})
	if r.Sessions, err = readSessions(ctx, tx, u.ID(), at); err != nil {
		return nil, err
	}
	app, err := tx.TOTPs.Get(ctx, u.ID())
	if err != nil {
		return nil, err
	}
	r.TOTP = totpOf(app.State())
	if r.BackupCodes, err = readBackupCodes(ctx, tx, u.ID()); err != nil {
		return nil, err
	}
	log, err := tx.Events.ListByUser(ctx, u.ID(), domain.EventID{}, eventsPerLine)
	if err != nil {
		return nil, err
	}
	r.Events = eventsOf(log)
	return r, nil
}

func readSessions(ctx context.Context, tx ports.Tx, owner domain.UserID, at time.Time) (all []session, err error) {
	const page = 500
	var before domain.SessionID
	for {
		live, err := tx.Sessions.ListActive(ctx, owner, at, before, page)
		if err != nil {
			return nil, err
		}
		for _, s := range live {
			before = s.ID()
			all = append(all, sessionOf(s.State()))
		}
		if len(live) < page {
			return all, nil
		}
	}
}

func readBackupCodes(ctx context.Context, tx ports.Tx, owner domain.UserID) (*backupCodes, error) {
	_, made, err := tx.BackupCodes.Count(ctx, owner)
	if err != nil || made.IsZero() {
		return nil, err
	}
	unspent, err := tx.BackupCodes.List(ctx, owner)
	if err != nil {
		return nil, err
	}
	digests := mapSlice(unspent, func(d domain.BackupCodeDigest) digest { return digest(d) })
	slices.SortFunc(digests, func(a, b digest) int { return bytes.Compare(a[:], b[:]) })
	return &backupCodes{jsonTimeOf(made), digests}, nil
}

// add lets the user in, who must not be there.
func (r *user) add(ctx context.Context, tx ports.Tx) error {
	if err := tx.Users.Add(ctx, domain.RestoreUser(r.state())); err != nil {
		return userConflict(r.ID, err)
	}
	for _, p := range r.Passkeys {
		if err := tx.Credentials.Add(ctx, domain.RestoreCredential(p.state(r.ID.UserID))); err != nil {
			return userConflict(r.ID, err)
		}
	}
	for _, s := range r.Sessions {
		if err := tx.Sessions.Add(ctx, domain.RestoreSession(s.state(r.ID.UserID))); err != nil {
			return userConflict(r.ID, err)
		}
	}
	if r.TOTP != nil {
		if err := tx.TOTPs.Save(ctx, domain.RestoreTOTP(r.TOTP.state(r.ID.UserID))); err != nil {
			return userConflict(r.ID, err)
		}
	}
	if b := r.BackupCodes; b != nil {
		set := mapSlice(b.Unused, func(d digest) domain.BackupCodeDigest { return domain.BackupCodeDigest(d) })
		if err := tx.BackupCodes.Replace(ctx, r.ID.UserID, set, b.GeneratedAt.Time); err != nil {
			return userConflict(r.ID, err)
		}
	}
	for _, e := range r.Events {
		if err := tx.Events.Add(ctx, domain.RestoreEvent(e.state(r.ID.UserID))); err != nil {
			return userConflict(r.ID, err)
		}
	}
	return nil
}

func userOf(s domain.UserState) *user {
	r := &user{
		ID: userID{s.ID}, Handle: binaryOf(s.Handle.Bytes()), Email: string(s.Email), EmailVerifiedAt: jsonTimeOf(s.EmailVerifiedAt),
		DisplayName: string(s.DisplayName), DisabledAt: jsonTimeOf(s.DisabledAt), CreatedAt: jsonTimeOf(s.CreatedAt),
	}
	if c := s.PendingEmail; c != (domain.PendingEmail{}) {
		r.PendingEmail = &pendingEmail{string(c.Email), digest(c.Code), c.Failures, jsonTimeOf(c.ExpiresAt)}
	}
	return r
}

func (r *user) state() domain.UserState {
	s := domain.UserState{
		ID: r.ID.UserID, Handle: domain.UserHandle(r.Handle), Email: domain.Email(r.Email), EmailVerifiedAt: r.EmailVerifiedAt.Time,
		DisplayName: domain.DisplayName(r.DisplayName), DisabledAt: r.DisabledAt.Time, CreatedAt: r.CreatedAt.Time,
	}
	if c := r.PendingEmail; c != nil {
		s.PendingEmail = domain.PendingEmail{
			Email: domain.Email(c.Email), Code: domain.EmailCodeDigest(c.Code), Failures: c.Failures, ExpiresAt: c.ExpiresAt.Time,
		}
	}
	return s
}

// totpOf is nil for an app that holds nothing, which is the same as none.
func totpOf(s domain.TOTPState) *totp {
	if s.Secret == nil && s.PendingSecret == nil {
		return nil
	}
	return &totp{binaryOf(s.Secret), jsonTimeOf(s.ConfirmedAt), int64(s.LastStep), binaryOf(s.PendingSecret), jsonTimeOf(s.PendingAt)}
}

func (r *totp) state(owner domain.UserID) domain.TOTPState {
	return domain.TOTPState{
		UserID: owner, Secret: r.Secret, ConfirmedAt: r.ConfirmedAt.Time, LastStep: domain.TOTPStep(r.LastStep),
		PendingSecret: r.PendingSecret, PendingAt: r.PendingAt.Time,
	}
}

package moving

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
	ID              userID       `json:"id"`
	Handle          binary       `json:"handle"`
	Email           string       `json:"email,omitempty"`
	EmailVerifiedAt moment       `json:"email_verified_at,omitzero"`
	Claim           *claim       `json:"claim,omitempty"`
	DisplayName     string       `json:"display_name,omitempty"`
	DisabledAt      moment       `json:"disabled_at,omitzero"`
	CreatedAt       moment       `json:"created_at"`
	Passkeys        []passkey    `json:"passkeys,omitempty"` // oldest first
	Sessions        []session    `json:"sessions,omitempty"` // newest first
	TOTP            *totp        `json:"totp,omitempty"`
	BackupCodes     *backupCodes `json:"backup_codes,omitempty"`
	Events          []event      `json:"events,omitempty"` // newest first
}

type claim struct {
	Email     string `json:"email"`
	Code      digest `json:"code"`
	Failures  int    `json:"failures"`
	ExpiresAt moment `json:"expires_at"`
}

type totp struct {
	Secret      binary `json:"secret,omitempty"` // sealed
	ConfirmedAt moment `json:"confirmed_at,omitzero"`
	Step        int64  `json:"step"`
	Pending     binary `json:"pending,omitempty"` // sealed
	PendingAt   moment `json:"pending_at,omitzero"`
}

type backupCodes struct {
	MadeAt  moment   `json:"made_at"`
	Unspent []digest `json:"unspent,omitempty"` // in their order
}

// eventsPerLine is how many events a line holds.
const eventsPerLine = 500

// readUser reads what there is of a user, with the sessions that last at the given time.
func readUser(ctx context.Context, tx ports.Tx, u *domain.User, at time.Time) (*user, error) {
	r := userOf(u.Snapshot())
	passkeys, err := tx.Credentials.OfUser(ctx, u.ID())
	if err != nil {
		return nil, err
	}
	r.Passkeys = each(passkeys, func(c *domain.Credential) passkey { return passkeyOf(c.Snapshot()) })
	slices.SortStableFunc(r.Passkeys, func(a, b passkey) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt.Time), bytes.Compare(a.ID, b.ID))
	})
	if r.Sessions, err = readSessions(ctx, tx, u.ID(), at); err != nil {
		return nil, err
	}
	app, err := tx.TOTPs.Of(ctx, u.ID())
	if err != nil {
		return nil, err
	}
	r.TOTP = totpOf(app.Snapshot())
	if r.BackupCodes, err = readBackupCodes(ctx, tx, u.ID()); err != nil {
		return nil, err
	}
	log, err := tx.Events.OfUser(ctx, u.ID(), domain.EventID{}, eventsPerLine)
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
		live, err := tx.Sessions.Live(ctx, owner, at, before, page)
		if err != nil {
			return nil, err
		}
		for _, s := range live {
			before = s.ID()
			all = append(all, sessionOf(s.Snapshot()))
		}
		if len(live) < page {
			return all, nil
		}
	}
}

func readBackupCodes(ctx context.Context, tx ports.Tx, owner domain.UserID) (*backupCodes, error) {
	_, made, err := tx.BackupCodes.Stock(ctx, owner)
	if err != nil || made.IsZero() {
		return nil, err
	}
	unspent, err := tx.BackupCodes.Of(ctx, owner)
	if err != nil {
		return nil, err
	}
	digests := each(unspent, func(d domain.CodeDigest) digest { return digest(d) })
	slices.SortFunc(digests, func(a, b digest) int { return bytes.Compare(a[:], b[:]) })
	return &backupCodes{momentOf(made), digests}, nil
}

// add lets the user in, who must not be there.
func (r *user) add(ctx context.Context, tx ports.Tx) error {
	if err := tx.Users.Add(ctx, domain.RestoreUser(r.snapshot())); err != nil {
		return userConflict(r.ID, err)
	}
	for _, p := range r.Passkeys {
		if err := tx.Credentials.Add(ctx, domain.RestoreCredential(p.snapshot(r.ID.UserID))); err != nil {
			return userConflict(r.ID, err)
		}
	}
	for _, s := range r.Sessions {
		if err := tx.Sessions.Add(ctx, domain.RestoreSession(s.snapshot(r.ID.UserID))); err != nil {
			return userConflict(r.ID, err)
		}
	}
	if r.TOTP != nil {
		if err := tx.TOTPs.Save(ctx, domain.RestoreTOTP(r.TOTP.snapshot(r.ID.UserID))); err != nil {
			return userConflict(r.ID, err)
		}
	}
	if b := r.BackupCodes; b != nil {
		set := each(b.Unspent, func(d digest) domain.CodeDigest { return domain.CodeDigest(d) })
		if err := tx.BackupCodes.Replace(ctx, r.ID.UserID, set, b.MadeAt.Time); err != nil {
			return userConflict(r.ID, err)
		}
	}
	for _, e := range r.Events {
		if err := tx.Events.Add(ctx, domain.RestoreEvent(e.snapshot(r.ID.UserID))); err != nil {
			return userConflict(r.ID, err)
		}
	}
	return nil
}

func userOf(s domain.UserSnapshot) *user {
	r := &user{
		ID: userID{s.ID}, Handle: binaryOf(s.Handle.Bytes()), Email: string(s.Email), EmailVerifiedAt: momentOf(s.EmailVerifiedAt),
		DisplayName: string(s.DisplayName), DisabledAt: momentOf(s.DisabledAt), CreatedAt: momentOf(s.CreatedAt),
	}
	if c := s.Claim; c != (domain.EmailClaim{}) {
		r.Claim = &claim{string(c.Email), digest(c.Code), c.Failures, momentOf(c.ExpiresAt)}
	}
	return r
}

func (r *user) snapshot() domain.UserSnapshot {
	s := domain.UserSnapshot{
		ID: r.ID.UserID, Handle: domain.UserHandle(r.Handle), Email: domain.Email(r.Email), EmailVerifiedAt: r.EmailVerifiedAt.Time,
		DisplayName: domain.DisplayName(r.DisplayName), DisabledAt: r.DisabledAt.Time, CreatedAt: r.CreatedAt.Time,
	}
	if c := r.Claim; c != nil {
		s.Claim = domain.EmailClaim{
			Email: domain.Email(c.Email), Code: domain.EmailCodeDigest(c.Code), Failures: c.Failures, ExpiresAt: c.ExpiresAt.Time,
		}
	}
	return s
}

// totpOf is nil for an app that holds nothing, which is the same as none.
func totpOf(s domain.TOTPSnapshot) *totp {
	if s.Secret == nil && s.Pending == nil {
		return nil
	}
	return &totp{binaryOf(s.Secret), momentOf(s.ConfirmedAt), int64(s.Step), binaryOf(s.Pending), momentOf(s.PendingAt)}
}

func (r *totp) snapshot(owner domain.UserID) domain.TOTPSnapshot {
	return domain.TOTPSnapshot{
		UserID: owner, Secret: r.Secret, ConfirmedAt: r.ConfirmedAt.Time, Step: domain.TOTPStep(r.Step),
		Pending: r.Pending, PendingAt: r.PendingAt.Time,
	}
}

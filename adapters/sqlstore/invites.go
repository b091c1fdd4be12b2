package sqlstore

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/db/column"
	"github.com/keylodge/keylodge/db/sqlitedb"
	"github.com/keylodge/keylodge/domain"
)

type invites struct{ collection }

func (i invites) Add(ctx context.Context, invite *domain.Invite) error {
	s := invite.State()
	return i.wrap("adding an invite", i.q.AddInvite(ctx, sqlitedb.AddInviteParams{
		ID:          s.ID.String(),
		TokenDigest: s.Token[:],
		Email:       column.Text(s.Email),
		Groups:      stringsOf(s.Groups),
		CreatedAt:   column.Time{Time: s.CreatedAt},
		ExpiresAt:   column.Time{Time: s.ExpiresAt},
		UsedAt:      column.Time{Time: s.UsedAt},
		UserID:      optionalID(s.UserID),
		RevokedAt:   column.Time{Time: s.RevokedAt},
	}))
}

func (i invites) ByToken(ctx context.Context, token domain.TokenDigest) (*domain.Invite, error) {
	row, err := i.q.InviteByToken(ctx, token[:])
	if err != nil {
		return nil, i.wrapNotFound("looking up an invite by its token", err, domain.ErrInviteInvalid)
	}
	return inviteOf(row)
}

func (i invites) ByID(ctx context.Context, id domain.InviteID) (*domain.Invite, error) {
	row, err := i.q.InviteByID(ctx, id.String())
	if err != nil {
		return nil, i.wrapNotFound("looking up an invite", err, domain.ErrInviteNotFound)
	}
	return inviteOf(row)
}

func (i invites) List(ctx context.Context, after domain.InviteID, limit int) ([]*domain.Invite, error) {
	rows, err := i.q.ListInvites(ctx, after.String(), int64(limit))
	if err != nil {
		return nil, i.wrap("listing the invites", err)
	}
	return restoreAll(rows, inviteOf)
}

func (i invites) End(ctx context.Context, invite *domain.Invite) error {
	s := invite.State()
	ended, err := i.q.EndInvite(ctx, sqlitedb.EndInviteParams{
		UsedAt: column.Time{Time: s.UsedAt}, UserID: optionalID(s.UserID), RevokedAt: column.Time{Time: s.RevokedAt}, ID: s.ID.String(),
	})
	return i.affected("ending an invite", ended, err, domain.ErrInviteUsed)
}

func (i invites) DeleteExpired(ctx context.Context, expired time.Time, limit int) (int, error) {
	deleted, err := i.q.DeleteExpiredInvites(ctx, column.Time{Time: expired}, int64(limit))
	return int(deleted), i.wrap("deleting expired invites", err)
}

func inviteOf(row sqlitedb.Invite) (*domain.Invite, error) {
	var d decoder
	s := domain.InviteState{
		ID:        parseID(&d, "id", row.ID, domain.ParseInviteID),
		Email:     domain.Email(row.Email),
		Groups:    listOf[domain.Group](row.Groups),
		CreatedAt: row.CreatedAt.Time,
		ExpiresAt: row.ExpiresAt.Time,
		UsedAt:    row.UsedAt.Time,
		UserID:    parseID(&d, "user_id", row.UserID, domain.ParseUserID),
		RevokedAt: row.RevokedAt.Time,
	}
	d.bytes("token_digest", s.Token[:], row.TokenDigest)
	return restore(d, "invite", s, domain.RestoreInvite)
}

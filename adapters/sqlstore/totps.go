package sqlstore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/keylodge/keylodge/db/column"
	"github.com/keylodge/keylodge/db/sqlitedb"
	"github.com/keylodge/keylodge/domain"
)

type totps struct{ collection }

func (t totps) Get(ctx context.Context, user domain.UserID) (*domain.TOTP, error) {
	row, err := t.q.GetTOTP(ctx, user.String())
	if errors.Is(err, sql.ErrNoRows) {
		return domain.NewTOTP(user), nil
	}
	if err != nil {
		return nil, t.wrap("looking up a user's authenticator app", err)
	}
	var d decoder
	s := domain.TOTPState{
		UserID:        parseID(&d, "user_id", row.UserID, domain.ParseUserID),
		Secret:        row.Secret,
		ConfirmedAt:   row.ConfirmedAt.Time,
		LastStep:      domain.TOTPStep(row.LastStep),
		PendingSecret: row.PendingSecret,
		PendingAt:     row.PendingAt.Time,
	}
	return restore(d, "authenticator app", s, domain.RestoreTOTP)
}

func (t totps) Save(ctx context.Context, totp *domain.TOTP) error {
	s := totp.State()
	return t.wrap("saving an authenticator app", t.q.SaveTOTP(ctx, sqlitedb.SaveTOTPParams{
		UserID:        s.UserID.String(),
		Secret:        s.Secret,
		ConfirmedAt:   column.Time{Time: s.ConfirmedAt},
		LastStep:      int64(s.LastStep),
		PendingSecret: s.PendingSecret,
		PendingAt:     column.Time{Time: s.PendingAt},
	}))
}

func (t totps) Remove(ctx context.Context, user domain.UserID) error {
	return t.wrap("removing an authenticator app", t.q.RemoveTOTP(ctx, user.String()))
}

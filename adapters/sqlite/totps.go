package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/keylodge/keylodge/db/sqlitedb"
	"github.com/keylodge/keylodge/domain"
)

type totps struct{ queries *sqlitedb.Queries }

func (t totps) Get(ctx context.Context, user domain.UserID) (*domain.TOTP, error) {
	row, err := t.queries.TOTPOfUser(context.WithoutCancel(ctx), user.String())
	if errors.Is(err, sql.ErrNoRows) {
		return domain.NewTOTP(user), nil
	}
	if err != nil {
		return nil, wrap("looking up a user's authenticator app", err)
	}
	return totpOf(row)
}

func (t totps) Save(ctx context.Context, totp *domain.TOTP) error {
	s := totp.State()
	err := t.queries.SaveTOTP(context.WithoutCancel(ctx), sqlitedb.SaveTOTPParams{
		UserID:      s.UserID.String(),
		Secret:      s.Secret,
		ConfirmedAt: optionalMicros(s.ConfirmedAt),
		Step:        int64(s.LastStep),
		Pending:     s.PendingSecret,
		PendingAt:   optionalMicros(s.PendingAt),
	})
	if err != nil {
		return wrap("saving an authenticator app", err)
	}
	return nil
}

func (t totps) Remove(ctx context.Context, user domain.UserID) error {
	if err := t.queries.RemoveTOTP(context.WithoutCancel(ctx), user.String()); err != nil {
		return wrap("removing an authenticator app", err)
	}
	return nil
}

func totpOf(row sqlitedb.TOTP) (*domain.TOTP, error) {
	userID, err := domain.ParseUserID(row.UserID)
	if err != nil {
		return nil, fmt.Errorf("reading an authenticator app's user: %w", err)
	}
	return domain.RestoreTOTP(domain.TOTPState{
		UserID:        userID,
		Secret:        row.Secret,
		ConfirmedAt:   optionalTime(row.ConfirmedAt),
		LastStep:      domain.TOTPStep(row.Step),
		PendingSecret: row.Pending,
		PendingAt:     optionalTime(row.PendingAt),
	}), nil
}

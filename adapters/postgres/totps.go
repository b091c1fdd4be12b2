package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/keylodge/keylodge/db/postgresdb"
	"github.com/keylodge/keylodge/domain"
)

type totps struct{ queries *postgresdb.Queries }

func (t totps) Get(ctx context.Context, user domain.UserID) (*domain.TOTP, error) {
	row, err := t.queries.TOTPOfUser(ctx, user.String())
	if errors.Is(err, pgx.ErrNoRows) {
		return domain.NewTOTP(user), nil
	}
	if err != nil {
		return nil, wrap("looking up a user's authenticator app", err)
	}
	return totpOf(row)
}

func (t totps) Save(ctx context.Context, totp *domain.TOTP) error {
	s := totp.State()
	err := t.queries.SaveTOTP(ctx, postgresdb.SaveTOTPParams{
		UserID:      s.UserID.String(),
		Secret:      s.Secret,
		ConfirmedAt: optionalTimestamp(s.ConfirmedAt),
		Step:        int64(s.LastStep),
		Pending:     s.PendingSecret,
		PendingAt:   optionalTimestamp(s.PendingAt),
	})
	if err != nil {
		return wrap("saving an authenticator app", err)
	}
	return nil
}

func (t totps) Remove(ctx context.Context, user domain.UserID) error {
	if err := t.queries.RemoveTOTP(ctx, user.String()); err != nil {
		return wrap("removing an authenticator app", err)
	}
	return nil
}

func totpOf(row postgresdb.TOTP) (*domain.TOTP, error) {
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

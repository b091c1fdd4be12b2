package sqlstore

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/db/column"
	"github.com/keylodge/keylodge/db/sqlitedb"
	"github.com/keylodge/keylodge/domain"
)

type authorizationCodes struct{ collection }

func (a authorizationCodes) Add(ctx context.Context, code *domain.AuthorizationCode) error {
	s := code.State()
	return a.wrap("adding an authorization code", a.q.AddAuthorizationCode(ctx, sqlitedb.AddAuthorizationCodeParams{
		Digest:        s.Digest[:],
		SessionID:     s.SessionID.String(),
		SessionAuthAt: column.Time{Time: s.AuthTime},
		ReturnTo:      s.ReturnTo,
		Challenge:     s.Challenge[:],
		CreatedAt:     column.Time{Time: s.CreatedAt},
		ExpiresAt:     column.Time{Time: s.ExpiresAt},
	}))
}

func (a authorizationCodes) ByDigest(ctx context.Context, digest domain.TokenDigest) (*domain.AuthorizationCode, error) {
	row, err := a.q.AuthorizationCodeByDigest(ctx, digest[:])
	if err != nil {
		return nil, a.wrapNotFound("looking up an authorization code", err, domain.ErrAuthorizationCodeInvalid)
	}
	var d decoder
	s := domain.AuthorizationCodeState{
		SessionID:     parseID(&d, "session_id", row.SessionID, domain.ParseSessionID),
		AuthTime:      row.SessionAuthAt.Time,
		ReturnTo:      row.ReturnTo,
		CreatedAt:     row.CreatedAt.Time,
		ExpiresAt:     row.ExpiresAt.Time,
		RedeemedAt:    row.RedeemedAt.Time,
		IssuedSession: parseID(&d, "issued_session_id", row.IssuedSessionID, domain.ParseSessionID),
	}
	d.bytes("digest", s.Digest[:], row.Digest)
	d.bytes("challenge", s.Challenge[:], row.Challenge)
	return restore(d, "authorization code", s, domain.RestoreAuthorizationCode)
}

func (a authorizationCodes) Redeem(ctx context.Context, code *domain.AuthorizationCode) error {
	s := code.State()
	rows, err := a.q.RedeemAuthorizationCode(ctx, sqlitedb.RedeemAuthorizationCodeParams{
		RedeemedAt:      column.Time{Time: s.RedeemedAt},
		IssuedSessionID: optionalID(s.IssuedSession),
		Digest:          s.Digest[:],
	})
	return a.affected("redeeming an authorization code", rows, err, domain.ErrAuthorizationCodeReused)
}

func (a authorizationCodes) DeleteExpired(ctx context.Context, expired time.Time, limit int) (int, error) {
	deleted, err := a.q.DeleteExpiredAuthorizationCodes(ctx, column.Time{Time: expired}, int64(limit))
	return int(deleted), a.wrap("deleting expired authorization codes", err)
}

package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/keylodge/keylodge/db/postgresdb"
	"github.com/keylodge/keylodge/domain"
)

type sessions struct{ queries *postgresdb.Queries }

func (s sessions) Add(ctx context.Context, session *domain.Session) error {
	state := session.State()
	err := s.queries.AddSession(ctx, postgresdb.AddSessionParams{
		ID:                  state.ID.String(),
		UserID:              state.UserID.String(),
		CredentialID:        state.CredentialID.Bytes(),
		Transport:           string(state.Transport),
		TokenDigest:         state.Token[:],
		PreviousTokenDigest: optionalDigest(state.PreviousToken),
		RotatedAt:           optionalTimestamp(state.RotatedAt),
		Assurance:           string(state.Assurance),
		AMR:                 encodeList(state.AMR),
		DeviceName:          state.Device.Name,
		DeviceUserAgent:     state.Device.UserAgent,
		DeviceIP:            state.Device.IP,
		CreatedAt:           state.CreatedAt,
		AuthTime:            state.AuthTime,
		LastSeenAt:          state.LastSeenAt,
		IdleEndsAt:          state.IdleEndsAt,
		ExpiresAt:           state.ExpiresAt,
		RevokedAt:           optionalTimestamp(state.RevokedAt),
	})
	if err != nil {
		return wrap("adding a session", err)
	}
	return nil
}

func (s sessions) ByToken(ctx context.Context, token domain.TokenDigest) (*domain.Session, error) {
	row, err := s.queries.SessionByToken(ctx, token[:])
	if err != nil {
		return nil, wrapNotFound("looking up a session", err, domain.ErrUnauthenticated)
	}
	return sessionOf(row)
}

func (s sessions) ByID(ctx context.Context, id domain.SessionID) (*domain.Session, error) {
	row, err := s.queries.SessionByID(ctx, id.String())
	if err != nil {
		return nil, wrapNotFound("looking up a session", err, domain.ErrSessionNotFound)
	}
	return sessionOf(row)
}

func (s sessions) ListActive(ctx context.Context, user domain.UserID, now time.Time, from domain.SessionID, limit int) ([]*domain.Session, error) {
	rows, err := s.queries.LiveSessions(ctx, postgresdb.LiveSessionsParams{
		UserID: user.String(), Now: now, Before: upperBound(from), UpTo: int64(limit),
	})
	if err != nil {
		return nil, wrap("listing a user's sessions", err)
	}
	return restoreAll(rows, sessionOf)
}

func (s sessions) Save(ctx context.Context, session *domain.Session) error {
	state := session.State()
	saved, err := s.queries.SaveSession(ctx, postgresdb.SaveSessionParams{
		CredentialID:        state.CredentialID.Bytes(),
		TokenDigest:         state.Token[:],
		PreviousTokenDigest: optionalDigest(state.PreviousToken),
		RotatedAt:           optionalTimestamp(state.RotatedAt),
		Assurance:           string(state.Assurance),
		AMR:                 encodeList(state.AMR),
		DeviceName:          state.Device.Name,
		DeviceUserAgent:     state.Device.UserAgent,
		DeviceIP:            state.Device.IP,
		AuthTime:            state.AuthTime,
		LastSeenAt:          state.LastSeenAt,
		IdleEndsAt:          state.IdleEndsAt,
		ExpiresAt:           state.ExpiresAt,
		RevokedAt:           optionalTimestamp(state.RevokedAt),
		ID:                  state.ID.String(),
	})
	if err != nil {
		return wrap("saving a session", err)
	}
	if saved == 0 {
		return domain.ErrUnauthenticated
	}
	return nil
}

func (s sessions) DeleteExpired(ctx context.Context, ended time.Time, limit int) (int, error) {
	swept, err := s.queries.SweepSessions(ctx, postgresdb.SweepSessionsParams{Ended: ended, UpTo: int64(limit)})
	if err != nil {
		return 0, wrap("sweeping sessions", err)
	}
	return int(swept), nil
}

func sessionOf(row postgresdb.Session) (*domain.Session, error) {
	id, err := domain.ParseSessionID(row.ID)
	if err != nil {
		return nil, fmt.Errorf("reading a session: %w", err)
	}
	userID, err := domain.ParseUserID(row.UserID)
	if err != nil {
		return nil, fmt.Errorf("reading a session's user: %w", err)
	}
	state := domain.SessionState{
		ID:           id,
		UserID:       userID,
		CredentialID: domain.CredentialID(row.CredentialID),
		Transport:    domain.Transport(row.Transport),
		RotatedAt:    optionalTime(row.RotatedAt),
		Assurance:    domain.Assurance(row.Assurance),
		AMR:          decodeList[string](row.AMR),
		Device:       domain.Device{Name: row.DeviceName, UserAgent: row.DeviceUserAgent, IP: row.DeviceIP},
		CreatedAt:    timeOf(row.CreatedAt),
		AuthTime:     timeOf(row.AuthTime),
		LastSeenAt:   timeOf(row.LastSeenAt),
		IdleEndsAt:   timeOf(row.IdleEndsAt),
		ExpiresAt:    timeOf(row.ExpiresAt),
		RevokedAt:    optionalTime(row.RevokedAt),
	}
	if err := fixedBytes(state.Token[:], row.TokenDigest); err != nil {
		return nil, fmt.Errorf("reading a session's token digest: %w", err)
	}
	if err := optionalBytes(state.PreviousToken[:], row.PreviousTokenDigest); err != nil {
		return nil, fmt.Errorf("reading a session's previous token digest: %w", err)
	}
	return domain.RestoreSession(state), nil
}

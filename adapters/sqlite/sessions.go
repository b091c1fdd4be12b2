package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/keylodge/keylodge/db/sqlitedb"
	"github.com/keylodge/keylodge/domain"
)

type sessions struct{ queries *sqlitedb.Queries }

func (s sessions) Add(ctx context.Context, session *domain.Session) error {
	state := session.State()
	amr, err := encodeList(state.AMR)
	if err != nil {
		return fmt.Errorf("adding a session: %w", err)
	}
	err = s.queries.AddSession(context.WithoutCancel(ctx), sqlitedb.AddSessionParams{
		ID:                  state.ID.String(),
		UserID:              state.UserID.String(),
		CredentialID:        state.CredentialID.Bytes(),
		Transport:           string(state.Transport),
		TokenDigest:         state.Token[:],
		PreviousTokenDigest: optionalDigest(state.PreviousToken),
		RotatedAt:           optionalMicros(state.RotatedAt),
		Assurance:           string(state.Assurance),
		AMR:                 amr,
		DeviceName:          state.Device.Name,
		DeviceUserAgent:     state.Device.UserAgent,
		DeviceIP:            state.Device.IP,
		CreatedAt:           micros(state.CreatedAt),
		AuthTime:            micros(state.AuthTime),
		LastSeenAt:          micros(state.LastSeenAt),
		IdleEndsAt:          micros(state.IdleEndsAt),
		ExpiresAt:           micros(state.ExpiresAt),
		RevokedAt:           optionalMicros(state.RevokedAt),
	})
	if err != nil {
		return wrap("adding a session", err)
	}
	return nil
}

func (s sessions) ByToken(ctx context.Context, token domain.TokenDigest) (*domain.Session, error) {
	row, err := s.queries.SessionByToken(context.WithoutCancel(ctx), token[:])
	if err != nil {
		return nil, wrapNotFound("looking up a session", err, domain.ErrUnauthenticated)
	}
	return sessionOf(row)
}

func (s sessions) ByID(ctx context.Context, id domain.SessionID) (*domain.Session, error) {
	row, err := s.queries.SessionByID(context.WithoutCancel(ctx), id.String())
	if err != nil {
		return nil, wrapNotFound("looking up a session", err, domain.ErrSessionNotFound)
	}
	return sessionOf(row)
}

func (s sessions) ListActive(ctx context.Context, user domain.UserID, now time.Time, from domain.SessionID, limit int) ([]*domain.Session, error) {
	rows, err := s.queries.LiveSessions(context.WithoutCancel(ctx), sqlitedb.LiveSessionsParams{
		UserID: user.String(), Now: micros(now), Before: upperBound(from), UpTo: int64(limit),
	})
	if err != nil {
		return nil, wrap("listing a user's sessions", err)
	}
	return restoreAll(rows, sessionOf)
}

func (s sessions) Save(ctx context.Context, session *domain.Session) error {
	state := session.State()
	amr, err := encodeList(state.AMR)
	if err != nil {
		return fmt.Errorf("saving a session: %w", err)
	}
	saved, err := s.queries.SaveSession(context.WithoutCancel(ctx), sqlitedb.SaveSessionParams{
		CredentialID:        state.CredentialID.Bytes(),
		TokenDigest:         state.Token[:],
		PreviousTokenDigest: optionalDigest(state.PreviousToken),
		RotatedAt:           optionalMicros(state.RotatedAt),
		Assurance:           string(state.Assurance),
		AMR:                 amr,
		DeviceName:          state.Device.Name,
		DeviceUserAgent:     state.Device.UserAgent,
		DeviceIP:            state.Device.IP,
		AuthTime:            micros(state.AuthTime),
		LastSeenAt:          micros(state.LastSeenAt),
		IdleEndsAt:          micros(state.IdleEndsAt),
		ExpiresAt:           micros(state.ExpiresAt),
		RevokedAt:           optionalMicros(state.RevokedAt),
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
	swept, err := s.queries.SweepSessions(context.WithoutCancel(ctx), sqlitedb.SweepSessionsParams{Ended: micros(ended), UpTo: int64(limit)})
	if err != nil {
		return 0, wrap("sweeping sessions", err)
	}
	return int(swept), nil
}

func sessionOf(row sqlitedb.Session) (*domain.Session, error) {
	id, err := domain.ParseSessionID(row.ID)
	if err != nil {
		return nil, fmt.Errorf("reading a session: %w", err)
	}
	userID, err := domain.ParseUserID(row.UserID)
	if err != nil {
		return nil, fmt.Errorf("reading a session's user: %w", err)
	}
	amr, err := decodeList[string](row.AMR)
	if err != nil {
		return nil, fmt.Errorf("reading a session's methods: %w", err)
	}
	state := domain.SessionState{
		ID:           id,
		UserID:       userID,
		CredentialID: domain.CredentialID(row.CredentialID),
		Transport:    domain.Transport(row.Transport),
		RotatedAt:    optionalTime(row.RotatedAt),
		Assurance:    domain.Assurance(row.Assurance),
		AMR:          amr,
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

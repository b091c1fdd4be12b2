package sqlstore

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/db/column"
	"github.com/keylodge/keylodge/db/sqlitedb"
	"github.com/keylodge/keylodge/domain"
)

type sessions struct{ collection }

func (s sessions) Add(ctx context.Context, session *domain.Session) error {
	return s.wrap("adding a session", s.q.AddSession(ctx, sqlitedb.AddSessionParams(sessionRow(session))))
}

func (s sessions) ByToken(ctx context.Context, token domain.TokenDigest) (*domain.Session, error) {
	row, err := s.q.SessionByToken(ctx, token[:])
	if err != nil {
		return nil, s.wrapNotFound("looking up a session", err, domain.ErrUnauthenticated)
	}
	return sessionOf(row)
}

func (s sessions) ByID(ctx context.Context, id domain.SessionID) (*domain.Session, error) {
	row, err := s.q.SessionByID(ctx, id.String())
	if err != nil {
		return nil, s.wrapNotFound("looking up a session", err, domain.ErrSessionNotFound)
	}
	return sessionOf(row)
}

func (s sessions) ByTokenWithUser(ctx context.Context, token domain.TokenDigest) (*domain.Session, *domain.User, error) {
	row, err := s.q.SessionWithUserByToken(ctx, token[:])
	if err != nil {
		return nil, nil, s.wrapNotFound("looking up a session and its user", err, domain.ErrUnauthenticated)
	}
	return withUser(row.Session, row.User)
}

func (s sessions) ByIDWithUser(ctx context.Context, id domain.SessionID) (*domain.Session, *domain.User, error) {
	row, err := s.q.SessionWithUserByID(ctx, id.String())
	if err != nil {
		return nil, nil, s.wrapNotFound("looking up a session and its user", err, domain.ErrSessionNotFound)
	}
	return withUser(row.Session, row.User)
}

func withUser(sessionRow sqlitedb.Session, userRow sqlitedb.User) (*domain.Session, *domain.User, error) {
	session, err := sessionOf(sessionRow)
	if err != nil {
		return nil, nil, err
	}
	user, err := userOf(userRow)
	return session, user, err
}

func (s sessions) ListActive(ctx context.Context, user domain.UserID, now time.Time, before domain.SessionID, limit int) ([]*domain.Session, error) {
	rows, err := s.q.ListActiveSessions(ctx, sqlitedb.ListActiveSessionsParams{
		UserID: user.String(), Before: upperBound(before), Now: column.Time{Time: now}, UpTo: int64(limit),
	})
	if err != nil {
		return nil, s.wrap("listing a user's sessions", err)
	}
	return restoreAll(rows, sessionOf)
}

func (s sessions) ListAllActive(ctx context.Context, now time.Time, after domain.SessionID, limit int) ([]*domain.Session, error) {
	rows, err := s.q.ListAllActiveSessions(ctx, sqlitedb.ListAllActiveSessionsParams{After: after.String(), Now: column.Time{Time: now}, UpTo: int64(limit)})
	if err != nil {
		return nil, s.wrap("listing active sessions", err)
	}
	return restoreAll(rows, sessionOf)
}

func (s sessions) Save(ctx context.Context, session *domain.Session) error {
	row := sessionRow(session)
	saved, err := s.q.SaveSession(ctx, sqlitedb.SaveSessionParams{
		CredentialID:        row.CredentialID,
		TokenDigest:         row.TokenDigest,
		PreviousTokenDigest: row.PreviousTokenDigest,
		RotatedAt:           row.RotatedAt,
		Assurance:           row.Assurance,
		AMR:                 row.AMR,
		DeviceName:          row.DeviceName,
		DeviceUserAgent:     row.DeviceUserAgent,
		DeviceIP:            row.DeviceIP,
		AuthTime:            row.AuthTime,
		LastSeenAt:          row.LastSeenAt,
		IdleEndsAt:          row.IdleEndsAt,
		ExpiresAt:           row.ExpiresAt,
		RevokedAt:           row.RevokedAt,
		ID:                  row.ID,
	})
	return s.affected("saving a session", saved, err, domain.ErrUnauthenticated)
}

func (s sessions) DeleteExpired(ctx context.Context, ended time.Time, limit int) (int, error) {
	deleted, err := s.q.DeleteExpiredSessions(ctx, ended.UnixMicro(), int64(limit))
	return int(deleted), s.wrap("deleting expired sessions", err)
}

func sessionRow(session *domain.Session) sqlitedb.Session {
	s := session.State()
	return sqlitedb.Session{
		ID:                  s.ID.String(),
		UserID:              s.UserID.String(),
		CredentialID:        s.CredentialID.Bytes(),
		Transport:           string(s.Transport),
		TokenDigest:         s.Token[:],
		PreviousTokenDigest: optionalDigest(s.PreviousToken),
		RotatedAt:           column.Time{Time: s.RotatedAt},
		Assurance:           string(s.Assurance),
		AMR:                 s.AMR,
		DeviceName:          s.Device.Name,
		DeviceUserAgent:     s.Device.UserAgent,
		DeviceIP:            s.Device.IP,
		CreatedAt:           column.Time{Time: s.CreatedAt},
		AuthTime:            column.Time{Time: s.AuthTime},
		LastSeenAt:          column.Time{Time: s.LastSeenAt},
		IdleEndsAt:          column.Time{Time: s.IdleEndsAt},
		ExpiresAt:           column.Time{Time: s.ExpiresAt},
		RevokedAt:           column.Time{Time: s.RevokedAt},
	}
}

func sessionOf(row sqlitedb.Session) (*domain.Session, error) {
	var d decoder
	s := domain.SessionState{
		ID:           parseID(&d, "id", row.ID, domain.ParseSessionID),
		UserID:       parseID(&d, "user_id", row.UserID, domain.ParseUserID),
		CredentialID: domain.CredentialID(row.CredentialID),
		Transport:    domain.Transport(row.Transport),
		RotatedAt:    row.RotatedAt.Time,
		Assurance:    domain.Assurance(row.Assurance),
		AMR:          row.AMR,
		Device:       domain.Device{Name: row.DeviceName, UserAgent: row.DeviceUserAgent, IP: row.DeviceIP},
		CreatedAt:    row.CreatedAt.Time,
		AuthTime:     row.AuthTime.Time,
		LastSeenAt:   row.LastSeenAt.Time,
		IdleEndsAt:   row.IdleEndsAt.Time,
		ExpiresAt:    row.ExpiresAt.Time,
		RevokedAt:    row.RevokedAt.Time,
	}
	d.bytes("token_digest", s.Token[:], row.TokenDigest)
	d.bytes("previous_token_digest", s.PreviousToken[:], row.PreviousTokenDigest)
	return restore(d, "session", s, domain.RestoreSession)
}

package sqlstore

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/db/column"
	"github.com/keylodge/keylodge/db/sqlitedb"
	"github.com/keylodge/keylodge/domain"
)

type challenges struct{ collection }

func (c challenges) Add(ctx context.Context, challenge *domain.Challenge) error {
	s := challenge.State()
	row := sqlitedb.AddChallengeParams{
		ID:            s.ID.String(),
		Purpose:       string(s.Purpose),
		Binding:       optionalDigest(s.Binding),
		SessionID:     optionalID(s.SessionID),
		RecoveryGrant: optionalDigest(s.RecoveryGrant),
		CeremonyState: s.CeremonyState,
		CreatedAt:     column.Time{Time: s.CreatedAt},
		ExpiresAt:     column.Time{Time: s.ExpiresAt},
	}
	if p := s.PendingUser; p != nil {
		row.PendingUserID = column.Text(p.UserID.String())
		row.PendingUserHandle = p.Handle.Bytes()
		row.PendingEmail = column.Text(p.Email)
		row.PendingDisplayName = column.Text(p.DisplayName)
		row.PendingLocale = column.Text(p.Locale)
		row.PendingInviteID = optionalID(p.Invite)
	}
	return c.wrap("adding a challenge", c.q.AddChallenge(ctx, row))
}

func (c challenges) ByID(ctx context.Context, id domain.ChallengeID) (*domain.Challenge, error) {
	row, err := c.q.ChallengeByID(ctx, id.String())
	if err != nil {
		return nil, c.wrapNotFound("looking up a challenge", err, domain.ErrChallengeNotFound)
	}
	return challengeOf(row)
}

func (c challenges) Consume(ctx context.Context, id domain.ChallengeID) error {
	consumed, err := c.q.ConsumeChallenge(ctx, id.String())
	return c.affected("consuming a challenge", consumed, err, domain.ErrChallengeNotFound)
}

func (c challenges) DeleteExpired(ctx context.Context, expired time.Time, limit int) (int, error) {
	deleted, err := c.q.DeleteExpiredChallenges(ctx, column.Time{Time: expired}, int64(limit))
	return int(deleted), c.wrap("deleting expired challenges", err)
}

func challengeOf(row sqlitedb.Challenge) (*domain.Challenge, error) {
	var d decoder
	s := domain.ChallengeState{
		ID:            parseID(&d, "id", row.ID, domain.ParseChallengeID),
		Purpose:       domain.Purpose(row.Purpose),
		SessionID:     parseID(&d, "session_id", row.SessionID, domain.ParseSessionID),
		CeremonyState: row.CeremonyState,
		CreatedAt:     row.CreatedAt.Time,
		ExpiresAt:     row.ExpiresAt.Time,
	}
	d.bytes("binding", s.Binding[:], row.Binding)
	d.bytes("recovery_grant", s.RecoveryGrant[:], row.RecoveryGrant)
	if row.PendingUserID != "" {
		s.PendingUser = &domain.PendingUser{
			UserID:      parseID(&d, "pending_user_id", row.PendingUserID, domain.ParseUserID),
			Handle:      domain.UserHandle(row.PendingUserHandle),
			Email:       domain.Email(row.PendingEmail),
			DisplayName: domain.DisplayName(row.PendingDisplayName),
			Locale:      domain.Locale(row.PendingLocale),
			Invite:      parseID(&d, "pending_invite_id", row.PendingInviteID, domain.ParseInviteID),
		}
	}
	return restore(d, "challenge", s, domain.RestoreChallenge)
}

package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/keylodge/keylodge/db/sqlitedb"
	"github.com/keylodge/keylodge/domain"
)

type challenges struct{ queries *sqlitedb.Queries }

func (c challenges) Add(ctx context.Context, challenge *domain.Challenge) error {
	s := challenge.State()
	row := sqlitedb.AddChallengeParams{
		ID:            s.ID.String(),
		Purpose:       string(s.Purpose),
		Binding:       optionalDigest(s.Binding),
		SessionID:     optionalID(s.SessionID),
		RecoveryGrant: optionalDigest(s.RecoveryGrant),
		Ceremony:      s.CeremonyState,
		CreatedAt:     micros(s.CreatedAt),
		ExpiresAt:     micros(s.ExpiresAt),
	}
	if a := s.PendingUser; a != nil {
		row.ApplicantUserID = new(a.UserID.String())
		row.ApplicantHandle = a.Handle.Bytes()
		row.ApplicantEmail = optionalText(a.Email)
		row.ApplicantDisplayName = new(string(a.DisplayName))
	}
	if err := c.queries.AddChallenge(context.WithoutCancel(ctx), row); err != nil {
		return wrap("adding a challenge", err)
	}
	return nil
}

func (c challenges) ByID(ctx context.Context, id domain.ChallengeID) (*domain.Challenge, error) {
	row, err := c.queries.ChallengeByID(context.WithoutCancel(ctx), id.String())
	if err != nil {
		return nil, wrapNotFound("looking up a challenge", err, domain.ErrChallengeNotFound)
	}
	return challengeOf(row)
}

func (c challenges) Take(ctx context.Context, id domain.ChallengeID) (*domain.Challenge, error) {
	row, err := c.queries.TakeChallenge(context.WithoutCancel(ctx), id.String())
	if err != nil {
		return nil, wrapNotFound("taking a challenge", err, domain.ErrChallengeNotFound)
	}
	return challengeOf(row)
}

func (c challenges) DeleteExpired(ctx context.Context, expired time.Time, limit int) (int, error) {
	swept, err := c.queries.SweepChallenges(context.WithoutCancel(ctx), sqlitedb.SweepChallengesParams{Expired: micros(expired), UpTo: int64(limit)})
	if err != nil {
		return 0, wrap("sweeping challenges", err)
	}
	return int(swept), nil
}

func challengeOf(row sqlitedb.Challenge) (*domain.Challenge, error) {
	id, err := domain.ParseChallengeID(row.ID)
	if err != nil {
		return nil, fmt.Errorf("reading a challenge: %w", err)
	}
	sessionID, err := optionalIDOf(row.SessionID, domain.ParseSessionID)
	if err != nil {
		return nil, fmt.Errorf("reading a challenge's session: %w", err)
	}
	s := domain.ChallengeState{
		ID:            id,
		Purpose:       domain.Purpose(row.Purpose),
		SessionID:     sessionID,
		CeremonyState: row.Ceremony,
		CreatedAt:     timeOf(row.CreatedAt),
		ExpiresAt:     timeOf(row.ExpiresAt),
	}
	if err := optionalBytes(s.Binding[:], row.Binding); err != nil {
		return nil, fmt.Errorf("reading a challenge's binding: %w", err)
	}
	if err := optionalBytes(s.RecoveryGrant[:], row.RecoveryGrant); err != nil {
		return nil, fmt.Errorf("reading a challenge's grant: %w", err)
	}
	if row.ApplicantUserID != nil {
		userID, err := domain.ParseUserID(*row.ApplicantUserID)
		if err != nil {
			return nil, fmt.Errorf("reading a challenge's applicant: %w", err)
		}
		s.PendingUser = &domain.PendingUser{
			UserID:      userID,
			Handle:      domain.UserHandle(row.ApplicantHandle),
			Email:       domain.Email(textOf(row.ApplicantEmail)),
			DisplayName: domain.DisplayName(textOf(row.ApplicantDisplayName)),
		}
	}
	return domain.RestoreChallenge(s), nil
}

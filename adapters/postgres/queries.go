package postgres

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/keylodge/keylodge/db/column"
	"github.com/keylodge/keylodge/db/postgresdb"
	"github.com/keylodge/keylodge/db/sqlitedb"
	"github.com/keylodge/keylodge/domain"
)

// queries implements the queries of package sqlstore on PostgreSQL. Methods whose parameters and rows are plain Go types are those of
// postgresdb.Queries; the others convert. A conversion does not compile if a column differs.
type queries struct {
	*postgresdb.Queries
	queued  *postgresdb.Queries // its methods report success; the next statement that is not queued sends theirs, and has their error
	attempt *attempt
}

// expecting returns queries that are queued, and report that they have changed a row. If one changes none, the next statement returns
// the error none.
func (q queries) expecting(none error) *postgresdb.Queries {
	return postgresdb.New(expecting{q.attempt, none})
}

var _ sqlitedb.Querier = queries{}

func (q queries) APIKeyByID(ctx context.Context, id string) (sqlitedb.APIKey, error) {
	row, err := q.Queries.APIKeyByID(ctx, id)
	return sqlitedb.APIKey(row), err
}

func (q queries) APIKeyByToken(ctx context.Context, digest []byte) (sqlitedb.APIKey, error) {
	row, err := q.Queries.APIKeyByToken(ctx, digest)
	return sqlitedb.APIKey(row), err
}

func (q queries) AddAPIKey(ctx context.Context, arg sqlitedb.AddAPIKeyParams) error {
	return q.queued.AddAPIKey(ctx, postgresdb.AddAPIKeyParams(arg))
}

func (q queries) AddAuthorizationCode(ctx context.Context, arg sqlitedb.AddAuthorizationCodeParams) error {
	return q.queued.AddAuthorizationCode(ctx, postgresdb.AddAuthorizationCodeParams(arg))
}

func (q queries) AddBackupCode(ctx context.Context, digest []byte, userID string) error {
	return q.queued.AddBackupCode(ctx, digest, userID)
}

func (q queries) AddBackupCodeSet(ctx context.Context, userID string, createdAt column.Time) error {
	return q.queued.AddBackupCodeSet(ctx, userID, createdAt)
}

func (q queries) AddChallenge(ctx context.Context, arg sqlitedb.AddChallengeParams) error {
	return q.queued.AddChallenge(ctx, postgresdb.AddChallengeParams(arg))
}

func (q queries) AddEvent(ctx context.Context, arg sqlitedb.AddEventParams) error {
	return q.queued.AddEvent(ctx, postgresdb.AddEventParams(arg))
}

func (q queries) AddInvite(ctx context.Context, arg sqlitedb.AddInviteParams) error {
	return q.queued.AddInvite(ctx, postgresdb.AddInviteParams(arg))
}

func (q queries) AddOutboxEmail(ctx context.Context, arg sqlitedb.AddOutboxEmailParams) error {
	return q.queued.AddOutboxEmail(ctx, postgresdb.AddOutboxEmailParams(arg))
}

func (q queries) AddPasskey(ctx context.Context, arg sqlitedb.AddPasskeyParams) (int64, error) {
	return q.Queries.AddPasskey(ctx, postgresdb.AddPasskeyParams(arg))
}

func (q queries) AddPasskeyAttestation(ctx context.Context, arg sqlitedb.AddPasskeyAttestationParams) error {
	return q.queued.AddPasskeyAttestation(ctx, postgresdb.AddPasskeyAttestationParams(arg))
}

func (q queries) AddRecoveryGrant(ctx context.Context, arg sqlitedb.AddRecoveryGrantParams) error {
	return q.queued.AddRecoveryGrant(ctx, postgresdb.AddRecoveryGrantParams(arg))
}

func (q queries) AddSession(ctx context.Context, arg sqlitedb.AddSessionParams) error {
	return q.queued.AddSession(ctx, postgresdb.AddSessionParams(arg))
}

func (q queries) AddSigningKey(ctx context.Context, arg sqlitedb.AddSigningKeyParams) error {
	return q.queued.AddSigningKey(ctx, postgresdb.AddSigningKeyParams(arg))
}

func (q queries) AddUser(ctx context.Context, arg sqlitedb.AddUserParams) (int64, error) {
	return q.Queries.AddUser(ctx, postgresdb.AddUserParams(arg))
}

func (q queries) AnonymizeEvents(ctx context.Context, userID column.Text) error {
	return q.queued.AnonymizeEvents(ctx, userID)
}

func (q queries) AuthorizationCodeByDigest(ctx context.Context, digest []byte) (sqlitedb.AuthorizationCode, error) {
	row, err := q.Queries.AuthorizationCodeByDigest(ctx, digest)
	return sqlitedb.AuthorizationCode(row), err
}

func (q queries) ChallengeByID(ctx context.Context, id string) (sqlitedb.Challenge, error) {
	row, err := q.Queries.ChallengeByID(ctx, id)
	return sqlitedb.Challenge(row), err
}

func (q queries) ClearLockout(ctx context.Context, subject []byte) error {
	return q.queued.ClearLockout(ctx, subject)
}

func (q queries) CountBackupCodes(ctx context.Context, userID string) (sqlitedb.CountBackupCodesRow, error) {
	row, err := q.Queries.CountBackupCodes(ctx, userID)
	return sqlitedb.CountBackupCodesRow(row), err
}

func (q queries) ConsumeChallenge(ctx context.Context, id string) (int64, error) {
	return q.expecting(domain.ErrChallengeNotFound).ConsumeChallenge(ctx, id)
}

func (q queries) CountPasskeysOfOtherRPIDs(ctx context.Context, rpID string) ([]sqlitedb.CountPasskeysOfOtherRPIDsRow, error) {
	rows, err := q.Queries.CountPasskeysOfOtherRPIDs(ctx, rpID)
	return convert(rows, func(r postgresdb.CountPasskeysOfOtherRPIDsRow) sqlitedb.CountPasskeysOfOtherRPIDsRow {
		return sqlitedb.CountPasskeysOfOtherRPIDsRow(r)
	}), err
}

func (q queries) EndInvite(ctx context.Context, arg sqlitedb.EndInviteParams) (int64, error) {
	return q.Queries.EndInvite(ctx, postgresdb.EndInviteParams(arg))
}

func (q queries) EventByKey(ctx context.Context, repeatKey []byte) (sqlitedb.Event, error) {
	row, err := q.Queries.EventByKey(ctx, repeatKey)
	return sqlitedb.Event(row), err
}

func (q queries) GetLockout(ctx context.Context, subject []byte) (sqlitedb.RecoveryLockout, error) {
	row, err := q.Queries.GetLockout(ctx, subject)
	return sqlitedb.RecoveryLockout(row), err
}

func (q queries) GetTOTP(ctx context.Context, userID string) (sqlitedb.TOTP, error) {
	row, err := q.Queries.GetTOTP(ctx, userID)
	return sqlitedb.TOTP(row), err
}

func (q queries) InviteByID(ctx context.Context, id string) (sqlitedb.Invite, error) {
	row, err := q.Queries.InviteByID(ctx, id)
	return sqlitedb.Invite(row), err
}

func (q queries) InviteByToken(ctx context.Context, digest []byte) (sqlitedb.Invite, error) {
	row, err := q.Queries.InviteByToken(ctx, digest)
	return sqlitedb.Invite(row), err
}

func (q queries) ListActiveSessions(ctx context.Context, arg sqlitedb.ListActiveSessionsParams) ([]sqlitedb.Session, error) {
	rows, err := q.Queries.ListActiveSessions(ctx, postgresdb.ListActiveSessionsParams(arg))
	return convert(rows, func(r postgresdb.Session) sqlitedb.Session { return sqlitedb.Session(r) }), err
}

func (q queries) ListAllActiveSessions(ctx context.Context, arg sqlitedb.ListAllActiveSessionsParams) ([]sqlitedb.Session, error) {
	rows, err := q.Queries.ListAllActiveSessions(ctx, postgresdb.ListAllActiveSessionsParams(arg))
	return convert(rows, func(r postgresdb.Session) sqlitedb.Session { return sqlitedb.Session(r) }), err
}

func (q queries) ListDueOutboxEmails(ctx context.Context, now column.Time, upTo int64) ([]sqlitedb.OutboxEmail, error) {
	rows, err := q.Queries.ListDueOutboxEmails(ctx, now, upTo)
	return convert(rows, func(r postgresdb.OutboxEmail) sqlitedb.OutboxEmail { return sqlitedb.OutboxEmail(r) }), err
}

func (q queries) ListEventsByUser(ctx context.Context, arg sqlitedb.ListEventsByUserParams) ([]sqlitedb.Event, error) {
	var rows []postgresdb.Event
	var err error
	if arg.UserID == "" {
		rows, err = q.ListAnonymousEvents(ctx, postgresdb.ListAnonymousEventsParams{Before: arg.Before, Kinds: arg.Kinds, UpTo: arg.UpTo})
	} else {
		rows, err = q.Queries.ListEventsByUser(ctx, postgresdb.ListEventsByUserParams(arg))
	}
	return convert(rows, func(r postgresdb.Event) sqlitedb.Event { return sqlitedb.Event(r) }), err
}

func (q queries) ListLockouts(ctx context.Context, after []byte, upTo int64) ([]sqlitedb.RecoveryLockout, error) {
	rows, err := q.Queries.ListLockouts(ctx, after, upTo)
	return convert(rows, func(r postgresdb.RecoveryLockout) sqlitedb.RecoveryLockout { return sqlitedb.RecoveryLockout(r) }), err
}

func (q queries) ListOutboxEmails(ctx context.Context, after string, upTo int64) ([]sqlitedb.OutboxEmail, error) {
	rows, err := q.Queries.ListOutboxEmails(ctx, after, upTo)
	return convert(rows, func(r postgresdb.OutboxEmail) sqlitedb.OutboxEmail { return sqlitedb.OutboxEmail(r) }), err
}

func (q queries) ListPasskeysByUser(ctx context.Context, userID string) ([]sqlitedb.Passkey, error) {
	rows, err := q.Queries.ListPasskeysByUser(ctx, userID)
	return convert(rows, func(r postgresdb.Passkey) sqlitedb.Passkey { return sqlitedb.Passkey(r) }), err
}

func (q queries) ListPasskeysWithOwner(ctx context.Context, subject []byte, userID string) ([]sqlitedb.ListPasskeysWithOwnerRow, error) {
	rows, err := q.Queries.ListPasskeysWithOwner(ctx, subject, userID)
	return convert(rows, func(r postgresdb.ListPasskeysWithOwnerRow) sqlitedb.ListPasskeysWithOwnerRow {
		return sqlitedb.ListPasskeysWithOwnerRow{Passkey: sqlitedb.Passkey(r.Passkey), User: sqlitedb.User(r.User), HasLockout: r.HasLockout}
	}), err
}

func (q queries) ListAPIKeys(ctx context.Context, after string, upTo int64) ([]sqlitedb.APIKey, error) {
	rows, err := q.Queries.ListAPIKeys(ctx, after, upTo)
	return convert(rows, func(r postgresdb.APIKey) sqlitedb.APIKey { return sqlitedb.APIKey(r) }), err
}

func (q queries) ListEventsOfUserAfter(ctx context.Context, arg sqlitedb.ListEventsOfUserAfterParams) ([]sqlitedb.Event, error) {
	rows, err := q.Queries.ListEventsOfUserAfter(ctx, postgresdb.ListEventsOfUserAfterParams(arg))
	return convert(rows, func(r postgresdb.Event) sqlitedb.Event { return sqlitedb.Event(r) }), err
}

func (q queries) ListEvents(ctx context.Context, arg sqlitedb.ListEventsParams) ([]sqlitedb.Event, error) {
	rows, err := q.Queries.ListEvents(ctx, postgresdb.ListEventsParams(arg))
	return convert(rows, func(r postgresdb.Event) sqlitedb.Event { return sqlitedb.Event(r) }), err
}

func (q queries) ListInvites(ctx context.Context, after string, upTo int64) ([]sqlitedb.Invite, error) {
	rows, err := q.Queries.ListInvites(ctx, after, upTo)
	return convert(rows, func(r postgresdb.Invite) sqlitedb.Invite { return sqlitedb.Invite(r) }), err
}

func (q queries) ListSigningKeys(ctx context.Context) ([]sqlitedb.SigningKey, error) {
	rows, err := q.Queries.ListSigningKeys(ctx)
	return convert(rows, func(r postgresdb.SigningKey) sqlitedb.SigningKey { return sqlitedb.SigningKey(r) }), err
}

func (q queries) ListUsers(ctx context.Context, after string, upTo int64) ([]sqlitedb.User, error) {
	rows, err := q.Queries.ListUsers(ctx, after, upTo)
	return convert(rows, func(r postgresdb.User) sqlitedb.User { return sqlitedb.User(r) }), err
}

func (q queries) PasskeyAttestation(ctx context.Context, credentialID []byte) (sqlitedb.PasskeyAttestation, error) {
	row, err := q.Queries.PasskeyAttestation(ctx, credentialID)
	return sqlitedb.PasskeyAttestation(row), err
}

func (q queries) PasskeyByID(ctx context.Context, credentialID []byte) (sqlitedb.Passkey, error) {
	row, err := q.Queries.PasskeyByID(ctx, credentialID)
	return sqlitedb.Passkey(row), err
}

func (q queries) PasskeyWithOwner(ctx context.Context, upTo int64, credentialID []byte) (sqlitedb.PasskeyWithOwnerRow, error) {
	row, err := q.Queries.PasskeyWithOwner(ctx, upTo, credentialID)
	return sqlitedb.PasskeyWithOwnerRow{Passkey: sqlitedb.Passkey(row.Passkey), User: sqlitedb.User(row.User), Sessions: row.Sessions}, err
}

func (q queries) RecoveryGrantByToken(ctx context.Context, tokenDigest []byte) (sqlitedb.RecoveryGrant, error) {
	row, err := q.Queries.RecoveryGrantByToken(ctx, tokenDigest)
	return sqlitedb.RecoveryGrant(row), err
}

func (q queries) RecoveryGrantByUser(ctx context.Context, userID string) (sqlitedb.RecoveryGrant, error) {
	row, err := q.Queries.RecoveryGrantByUser(ctx, userID)
	return sqlitedb.RecoveryGrant(row), err
}

func (q queries) RemoveBackupCodeSet(ctx context.Context, userID string) error {
	return q.queued.RemoveBackupCodeSet(ctx, userID)
}

func (q queries) RemoveRecoveryGrant(ctx context.Context, userID string) error {
	return q.queued.RemoveRecoveryGrant(ctx, userID)
}

func (q queries) RemoveSigningKey(ctx context.Context, id string) error {
	return q.queued.RemoveSigningKey(ctx, id)
}

func (q queries) RemoveTOTP(ctx context.Context, userID string) error {
	return q.queued.RemoveTOTP(ctx, userID)
}

func (q queries) RenewLease(ctx context.Context, arg sqlitedb.RenewLeaseParams) (int64, error) {
	return q.Queries.RenewLease(ctx, postgresdb.RenewLeaseParams(arg))
}

func (q queries) RedeemAuthorizationCode(ctx context.Context, arg sqlitedb.RedeemAuthorizationCodeParams) (int64, error) {
	return q.Queries.RedeemAuthorizationCode(ctx, postgresdb.RedeemAuthorizationCodeParams(arg))
}

func (q queries) SaveAPIKey(ctx context.Context, arg sqlitedb.SaveAPIKeyParams) (int64, error) {
	return q.Queries.SaveAPIKey(ctx, postgresdb.SaveAPIKeyParams(arg))
}

func (q queries) SaveEvent(ctx context.Context, arg sqlitedb.SaveEventParams) (int64, error) {
	return q.Queries.SaveEvent(ctx, postgresdb.SaveEventParams(arg))
}

func (q queries) SaveLockout(ctx context.Context, arg sqlitedb.SaveLockoutParams) error {
	return q.queued.SaveLockout(ctx, postgresdb.SaveLockoutParams(arg))
}

func (q queries) SaveOutboxEmail(ctx context.Context, arg sqlitedb.SaveOutboxEmailParams) error {
	return q.queued.SaveOutboxEmail(ctx, postgresdb.SaveOutboxEmailParams(arg))
}

func (q queries) SavePasskey(ctx context.Context, arg sqlitedb.SavePasskeyParams) (int64, error) {
	return q.expecting(domain.ErrPasskeyUnknown).SavePasskey(ctx, postgresdb.SavePasskeyParams(arg))
}

func (q queries) SaveSession(ctx context.Context, arg sqlitedb.SaveSessionParams) (int64, error) {
	return q.Queries.SaveSession(ctx, postgresdb.SaveSessionParams(arg))
}

func (q queries) SaveTOTP(ctx context.Context, arg sqlitedb.SaveTOTPParams) error {
	return q.queued.SaveTOTP(ctx, postgresdb.SaveTOTPParams(arg))
}

func (q queries) SaveUser(ctx context.Context, arg sqlitedb.SaveUserParams) (int64, error) {
	return q.Queries.SaveUser(ctx, postgresdb.SaveUserParams(arg))
}

func (q queries) SearchUsersByEmail(ctx context.Context, arg sqlitedb.SearchUsersByEmailParams) ([]sqlitedb.User, error) {
	rows, err := q.Queries.SearchUsersByEmail(ctx, postgresdb.SearchUsersByEmailParams(arg))
	return convert(rows, func(r postgresdb.User) sqlitedb.User { return sqlitedb.User(r) }), err
}

func (q queries) SearchUsersByLastWord(ctx context.Context, arg sqlitedb.SearchUsersByLastWordParams) ([]sqlitedb.User, error) {
	rows, err := q.Queries.SearchUsersByLastWord(ctx, postgresdb.SearchUsersByLastWordParams(arg))
	return convert(rows, func(r postgresdb.User) sqlitedb.User { return sqlitedb.User(r) }), err
}

func (q queries) SearchUsersByName(ctx context.Context, arg sqlitedb.SearchUsersByNameParams) ([]sqlitedb.User, error) {
	rows, err := q.Queries.SearchUsersByName(ctx, postgresdb.SearchUsersByNameParams(arg))
	return convert(rows, func(r postgresdb.User) sqlitedb.User { return sqlitedb.User(r) }), err
}

func (q queries) SessionByID(ctx context.Context, id string) (sqlitedb.Session, error) {
	row, err := q.Queries.SessionByID(ctx, id)
	return sqlitedb.Session(row), err
}

func (q queries) SessionByToken(ctx context.Context, tokenDigest []byte) (sqlitedb.Session, error) {
	row, err := q.Queries.SessionByToken(ctx, tokenDigest)
	return sqlitedb.Session(row), err
}

func (q queries) SessionWithUserByID(ctx context.Context, id string) (sqlitedb.SessionWithUserByIDRow, error) {
	row, err := q.Queries.SessionWithUserByID(ctx, id)
	return sqlitedb.SessionWithUserByIDRow{Session: sqlitedb.Session(row.Session), User: sqlitedb.User(row.User)}, err
}

func (q queries) SessionWithUserByToken(ctx context.Context, tokenDigest []byte) (sqlitedb.SessionWithUserByTokenRow, error) {
	row, err := q.Queries.SessionWithUserByToken(ctx, tokenDigest)
	return sqlitedb.SessionWithUserByTokenRow{Session: sqlitedb.Session(row.Session), User: sqlitedb.User(row.User)}, err
}

func (q queries) TakeRecoveryGrant(ctx context.Context, tokenDigest []byte) (sqlitedb.RecoveryGrant, error) {
	row, err := q.Queries.TakeRecoveryGrant(ctx, tokenDigest)
	return sqlitedb.RecoveryGrant(row), err
}

// UserByEmail returns no user for a text that PostgreSQL rejects, because that error would abort the transaction.
func (q queries) UserByEmail(ctx context.Context, email string) (sqlitedb.User, error) {
	if strings.ContainsRune(email, 0) {
		return sqlitedb.User{}, sql.ErrNoRows
	}
	row, err := q.Queries.UserByEmail(ctx, email)
	return sqlitedb.User(row), err
}

func (q queries) UserByID(ctx context.Context, id string) (sqlitedb.User, error) {
	row, err := q.Queries.UserByID(ctx, id)
	return sqlitedb.User(row), err
}

// DeleteExpiredSessions takes microseconds since the Unix epoch, as sqlc generates it for SQLite.
func (q queries) DeleteExpiredSessions(ctx context.Context, ended, upTo int64) (int64, error) {
	return q.Queries.DeleteExpiredSessions(ctx, column.Time{Time: time.UnixMicro(ended)}, upTo)
}

func convert[From, To any](rows []From, row func(From) To) []To {
	converted := make([]To, len(rows))
	for i, r := range rows {
		converted[i] = row(r)
	}
	return converted
}

// Package ports lists the interfaces that the application needs. The comment of a method is the contract of its adapters;
// package storetest tests the contract of Store.
package ports

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/domain"
)

// Store is the database.
//
// An outage or a full disk is an error that is domain.ErrUnavailable (errors.Is); a canceled or expired context returns its
// own error. The comments of the methods list the errors that callers may rely on; every other error is unexpected.
type Store interface {
	// View runs fn in a read transaction, with one consistent state unless ctx comes from WithoutSnapshot. Writes through tx fail.
	// It may run fn more than once, if the store interrupted the read.
	View(ctx context.Context, fn func(tx Tx) error) error

	// Update runs fn in a transaction. If fn returns nil, it commits and returns nil only if the commit succeeds. If fn returns
	// CommitWith(err), it commits and returns err, or the error of the commit. Otherwise it rolls back and returns the error of
	// fn unchanged. Transactions are serializable: data that fn has read does not change until the commit.
	//
	// Fn must be short: no cryptography, no input or output except through tx, because many callers may share one commit. It may
	// run on another goroutine, but never after Update has returned. After a panic in fn, Update rolls back and panics. It may
	// run fn more than once, each time on a new state, if another transaction interfered: fn must set all variables outside of
	// tx anew in each run.
	//
	// The error of a method of tx that only returns error, and of which the comment names no error, may be returned later: by
	// another method of tx, or by Update. The transaction is then rolled back. So may the errors of Challenges.Consume and
	// Credentials.Save.
	Update(ctx context.Context, fn func(tx Tx) error) error

	// OtherCommits returns a number that differs after another process has committed to the database: a call that begins after
	// that commit has returned sees it. Updates of this Store do not change it. If known is false, the number is unknown at the
	// moment. A store that does not observe other processes returns 0 and true. The call neither blocks nor waits for a
	// transaction.
	OtherCommits() (number uint64, known bool)
}

// Tx is a transaction. It is valid until the function that received it returns.
type Tx struct {
	Users              Users
	Credentials        Credentials
	Challenges         Challenges
	Sessions           Sessions
	Events             Events
	SigningKeys        SigningKeys
	APIKeys            APIKeys
	Invites            Invites
	TOTPs              TOTPs
	BackupCodes        BackupCodes
	RecoveryGrants     RecoveryGrants
	AuthorizationCodes AuthorizationCodes
	Lockouts           Lockouts
	OutboxEmails       OutboxEmails
	Leases             Leases
}

// Users stores the users.
type Users interface {
	// Add stores a new user. It returns domain.ErrEmailTaken.
	Add(ctx context.Context, u *domain.User) error
	// ByID returns the user, or domain.ErrUserNotFound.
	ByID(ctx context.Context, id domain.UserID) (*domain.User, error)
	// ByEmail returns the user with the address, or domain.ErrUserNotFound.
	ByEmail(ctx context.Context, email domain.Email) (*domain.User, error)
	// List returns up to limit users with ids after the given one, in ascending order; the zero id starts at the first.
	List(ctx context.Context, after domain.UserID, limit int) ([]*domain.User, error)
	// Search returns up to limit users whose e-mail address, display name or last word of it begins with the text: first by address, then
	// by name, each in the order of the characters. Case, accents and compatibility forms of characters make no difference in either; an
	// address that is not verified is found only if it is not pending. It reads at most limit users for each of the three, however many
	// there are. An empty text finds none.
	Search(ctx context.Context, text string, limit int) ([]*domain.User, error)
	// Save stores the changes of a user. It returns domain.ErrEmailTaken or domain.ErrUserNotFound.
	Save(ctx context.Context, u *domain.User) error
	// Remove deletes the user with their passkeys, sessions, authenticator app, backup codes, recovery grant, invite and e-mails,
	// and the challenges bound to any of these. The user's events are anonymised: they keep their id, kind, time, actor, API key,
	// invite, reason and repetitions. A later Add of a record of this user is an error. It returns domain.ErrUserNotFound.
	Remove(ctx context.Context, id domain.UserID) error
}

// Credentials stores the passkeys. Ids are unique over all users (WebAuthn Level 3, section 7.1, step 26) and are compared
// byte for byte.
type Credentials interface {
	// Add stores a new passkey and its attestation. It returns domain.ErrPasskeyAlreadyRegistered if the id is taken, by any
	// user, after the same queries: their number must not reveal whether a passkey exists.
	Add(ctx context.Context, c *domain.Credential, a domain.Attestation) error
	// ByID returns the passkey, or domain.ErrPasskeyUnknown.
	ByID(ctx context.Context, id domain.CredentialID) (*domain.Credential, error)
	// ByIDWithOwner is ByID that also returns the owner, and the number of the owner's sessions that are not revoked, at most upTo. It
	// counts expired ones until they are deleted.
	ByIDWithOwner(ctx context.Context, id domain.CredentialID, upTo int) (c *domain.Credential, owner *domain.User, sessions int, err error)
	// ListByUser returns a user's passkeys, oldest first.
	ListByUser(ctx context.Context, id domain.UserID) ([]*domain.Credential, error)
	// ListWithOwner is ListByUser that also returns the user, and reports whether the subject has a lockout. It returns
	// domain.ErrPasskeyUnknown for a user who has no passkey or does not exist.
	ListWithOwner(ctx context.Context, id domain.UserID, subject domain.LockoutSubject) (keys domain.Passkeys, owner *domain.User, hasLockout bool, err error)
	// Attestation returns the attestation of the passkey, or domain.ErrPasskeyUnknown.
	Attestation(ctx context.Context, id domain.CredentialID) (domain.Attestation, error)
	// Save stores the changes of a passkey. It returns domain.ErrPasskeyUnknown.
	Save(ctx context.Context, c *domain.Credential) error
	// Remove deletes the passkey and its attestation. It returns domain.ErrPasskeyUnknown.
	Remove(ctx context.Context, id domain.CredentialID) error
	// CountOtherRPIDs returns the number of passkeys, including suspended ones, of each RP ID except the given one. The server
	// calls it at every start: without such passkeys it takes as long for a million passkeys as for ten.
	CountOtherRPIDs(ctx context.Context, rpID string) (map[string]int, error)
}

// Challenges stores the challenges of ceremonies.
type Challenges interface {
	// Add stores a new challenge. An id that exists is an error, and so is a session or a recovery grant that does not exist.
	Add(ctx context.Context, c *domain.Challenge) error
	// ByID returns the challenge without consuming it, or domain.ErrChallengeNotFound.
	ByID(ctx context.Context, id domain.ChallengeID) (*domain.Challenge, error)
	// Consume deletes the challenge. Of concurrent callers exactly one succeeds; the others get domain.ErrChallengeNotFound.
	Consume(ctx context.Context, id domain.ChallengeID) error
	// DeleteExpired deletes up to limit challenges that expired at or before the given time, and returns their number.
	DeleteExpired(ctx context.Context, expired time.Time, limit int) (int, error)
}

// Sessions stores the sessions.
type Sessions interface {
	// Add stores a new session. An id or a token that exists is an error.
	Add(ctx context.Context, s *domain.Session) error
	// ByToken returns the session, or domain.ErrUnauthenticated for an unknown token. It also returns sessions that have ended
	// and are not deleted yet.
	ByToken(ctx context.Context, token domain.TokenDigest) (*domain.Session, error)
	// ByID returns the session, or domain.ErrSessionNotFound. It also returns sessions that have ended and are not deleted yet.
	ByID(ctx context.Context, id domain.SessionID) (*domain.Session, error)
	// ByTokenWithUser returns the session of ByToken together with its user.
	ByTokenWithUser(ctx context.Context, token domain.TokenDigest) (*domain.Session, *domain.User, error)
	// ByIDWithUser returns the session of ByID together with its user.
	ByIDWithUser(ctx context.Context, id domain.SessionID) (*domain.Session, *domain.User, error)
	// ListActive returns up to limit sessions of the user that are active at the given time and have ids before the given one,
	// newest first; the zero id starts at the newest.
	ListActive(ctx context.Context, user domain.UserID, now time.Time, before domain.SessionID, limit int) ([]*domain.Session, error)
	// ListAllActive returns up to limit sessions of all users that are active at the given time and have ids after the given one, in
	// ascending order; the zero id starts at the first.
	ListAllActive(ctx context.Context, now time.Time, after domain.SessionID, limit int) ([]*domain.Session, error)
	// Save stores the changes of a session. It returns domain.ErrUnauthenticated if the session does not exist.
	Save(ctx context.Context, s *domain.Session) error
	// DeleteExpired deletes up to limit sessions that ended at or before the given time, by expiry or revocation, with the
	// challenges bound to them, and returns their number.
	DeleteExpired(ctx context.Context, ended time.Time, limit int) (int, error)
}

// Events stores the audit logs of all users. An event changes only by its repetitions.
type Events interface {
	// Add stores a new event. An id or a key that exists is an error, and so is a user who does not exist. An event without a
	// user must have no more data than Users.Remove keeps, except its key.
	Add(ctx context.Context, e *domain.Event) error
	// ByKey returns the event with the key, or domain.ErrEventNotFound.
	ByKey(ctx context.Context, key domain.RepetitionKey) (*domain.Event, error)
	// Save stores the changes of domain.Event.AddRepetition. It returns domain.ErrEventNotFound.
	Save(ctx context.Context, e *domain.Event) error
	// ListByUser returns up to limit events of the user with ids before the given one, newest first; the zero id starts at the
	// newest. With kinds, it returns events of these kinds only. The zero user lists the events without a user.
	ListByUser(ctx context.Context, user domain.UserID, before domain.EventID, limit int, kinds ...domain.EventKind) ([]*domain.Event, error)
	// ListByUserAfter returns up to limit events of the user with ids between the given ones, oldest first; the zero id starts at the
	// oldest. With kinds, it returns events of these kinds only.
	ListByUserAfter(ctx context.Context, user domain.UserID, after, before domain.EventID, limit int, kinds ...domain.EventKind) ([]*domain.Event, error)
	// List returns up to limit events, of all users and of none, with ids between the given ones, oldest first; the zero id starts at
	// the oldest. With kinds, it returns events of these kinds only.
	List(ctx context.Context, after, before domain.EventID, limit int, kinds ...domain.EventKind) ([]*domain.Event, error)
	// DeleteExpired deletes up to limit events from at or before the given time, oldest first, and returns their number.
	DeleteExpired(ctx context.Context, before time.Time, limit int) (int, error)
}

// SigningKeys stores the keys that sign access tokens.
type SigningKeys interface {
	// Add stores a new key. An id that exists is an error.
	Add(ctx context.Context, k *domain.SigningKey) error
	// All returns every key, in the order in which they sign.
	All(ctx context.Context) (domain.SigningKeys, error)
	// Remove deletes a key. It succeeds if there is none.
	Remove(ctx context.Context, id string) error
}

// APIKeys stores the API keys of the operator's programs. Keys that were revoked or have expired are kept, since events name them.
type APIKeys interface {
	// Add stores a new key. An id or a token that exists is an error.
	Add(ctx context.Context, k *domain.APIKey) error
	// ByToken returns the key, also if it is revoked or has expired, or domain.ErrAPIKeyInvalid.
	ByToken(ctx context.Context, token domain.TokenDigest) (*domain.APIKey, error)
	// ByID returns the key, also if it is revoked or has expired, or domain.ErrAPIKeyNotFound.
	ByID(ctx context.Context, id domain.APIKeyID) (*domain.APIKey, error)
	// List returns up to limit keys with ids after the given one, in ascending order; the zero id starts at the first.
	List(ctx context.Context, after domain.APIKeyID, limit int) ([]*domain.APIKey, error)
	// Save stores the changes of a key. It returns domain.ErrAPIKeyNotFound.
	Save(ctx context.Context, k *domain.APIKey) error
}

// Invites stores the invites. Those that were used or revoked are kept until DeleteExpired.
type Invites interface {
	// Add stores a new invite. An id or a token that exists is an error, and so is a user who does not exist.
	Add(ctx context.Context, i *domain.Invite) error
	// ByToken returns the invite, also if it was used or revoked or has expired, or domain.ErrInviteInvalid.
	ByToken(ctx context.Context, token domain.TokenDigest) (*domain.Invite, error)
	// ByID returns the invite, also if it was used or revoked or has expired, or domain.ErrInviteNotFound.
	ByID(ctx context.Context, id domain.InviteID) (*domain.Invite, error)
	// List returns up to limit invites with ids after the given one, in ascending order; the zero id starts at the first.
	List(ctx context.Context, after domain.InviteID, limit int) ([]*domain.Invite, error)
	// End stores the use or the revocation of an invite. Of concurrent callers exactly one succeeds; the others, and those with an invite
	// that does not exist, get domain.ErrInviteUsed. A user who does not exist is an error.
	End(ctx context.Context, i *domain.Invite) error
	// DeleteExpired deletes up to limit invites that expired at or before the given time, used or not, and returns their number.
	DeleteExpired(ctx context.Context, expired time.Time, limit int) (int, error)
}

// TOTPs stores the authenticator apps, at most one per user.
type TOTPs interface {
	// Get returns the user's app, or an empty one.
	Get(ctx context.Context, user domain.UserID) (*domain.TOTP, error)
	// Save stores the user's app, also if it is the first. A user who does not exist is an error.
	Save(ctx context.Context, t *domain.TOTP) error
	// Remove deletes the user's app. It succeeds if there is none.
	Remove(ctx context.Context, user domain.UserID) error
}

// BackupCodes stores the digests of backup codes. Digests are unique over all users.
type BackupCodes interface {
	// Replace stores a new set and deletes the user's previous one. A digest that exists is an error, and so is a user who does
	// not exist.
	Replace(ctx context.Context, user domain.UserID, set []domain.BackupCodeDigest, now time.Time) error
	// Count returns the number of unused codes of the user's set and the time of its generation, also if all are used; zero and
	// the zero time for a user without a set.
	Count(ctx context.Context, user domain.UserID) (unused int, generatedAt time.Time, err error)
	// List returns the user's unused codes in any order.
	List(ctx context.Context, user domain.UserID) ([]domain.BackupCodeDigest, error)
	// FindOwner returns the owner of an unused code with one of the digests, and that digest, or domain.ErrInvalidCode.
	FindOwner(ctx context.Context, digests []domain.BackupCodeDigest) (domain.UserID, domain.BackupCodeDigest, error)
	// Consume deletes a code. Of concurrent callers exactly one succeeds; the others get domain.ErrInvalidCode.
	Consume(ctx context.Context, digest domain.BackupCodeDigest) error
}

// RecoveryGrants stores the recovery grants, at most one per user. A grant is always deleted with the challenges bound to it.
type RecoveryGrants interface {
	// Put stores a grant and deletes the user's previous one. The token of another user's grant is an error, and so is a user
	// who does not exist.
	Put(ctx context.Context, g *domain.RecoveryGrant) error
	// ByUser returns the user's grant, or domain.ErrRecoveryGrantInvalid.
	ByUser(ctx context.Context, user domain.UserID) (*domain.RecoveryGrant, error)
	// ByToken returns the grant without consuming it, or domain.ErrRecoveryGrantInvalid.
	ByToken(ctx context.Context, token domain.TokenDigest) (*domain.RecoveryGrant, error)
	// Remove deletes the user's grant. It succeeds if there is none.
	Remove(ctx context.Context, user domain.UserID) error
	// Take deletes the grant and returns it. Of concurrent callers exactly one succeeds; the others get
	// domain.ErrRecoveryGrantInvalid.
	Take(ctx context.Context, token domain.TokenDigest) (*domain.RecoveryGrant, error)
	// DeleteExpired deletes up to limit grants that expired at or before the given time, and returns their number.
	DeleteExpired(ctx context.Context, expired time.Time, limit int) (int, error)
}

// AuthorizationCodes stores the authorization codes of applications.
type AuthorizationCodes interface {
	// Add stores a new code, which is not redeemed. A digest that exists is an error, and so is a session that does not exist. The
	// code is deleted with that session.
	Add(ctx context.Context, c *domain.AuthorizationCode) error
	// ByDigest returns the code, also if it is redeemed or expired, or domain.ErrAuthorizationCodeInvalid.
	ByDigest(ctx context.Context, digest domain.TokenDigest) (*domain.AuthorizationCode, error)
	// Redeem stores the redemption of a code. Of concurrent callers exactly one succeeds; the others, and those with a code that
	// does not exist, get domain.ErrAuthorizationCodeReused.
	Redeem(ctx context.Context, c *domain.AuthorizationCode) error
	// DeleteExpired deletes up to limit codes that expired at or before the given time, redeemed or not, and returns their number.
	DeleteExpired(ctx context.Context, expired time.Time, limit int) (int, error)
}

// Lockouts stores the counters of wrong codes.
type Lockouts interface {
	// Get returns the subject's lockout, or a new one.
	Get(ctx context.Context, subject domain.LockoutSubject) (*domain.Lockout, error)
	// List returns up to limit lockouts with subjects after the given one, in ascending order; the zero subject starts at the
	// first.
	List(ctx context.Context, after domain.LockoutSubject, limit int) ([]*domain.Lockout, error)
	// Save stores the lockout, also if it is the subject's first.
	Save(ctx context.Context, l *domain.Lockout) error
	// Clear deletes the subject's lockout. It succeeds if there is none.
	Clear(ctx context.Context, subject domain.LockoutSubject) error
	// DeleteExpired deletes up to limit lockouts with the last failure at or before the given time, oldest first, and returns
	// their number.
	DeleteExpired(ctx context.Context, before time.Time, limit int) (int, error)
}

// OutboxEmails stores the e-mails to be sent.
type OutboxEmails interface {
	// Add stores a new e-mail. An id that exists is an error, and so is a user who does not exist. An e-mail may have no user.
	Add(ctx context.Context, m *domain.OutboxEmail) error
	// ListDue returns up to limit e-mails that are due at the given time, the longest due first.
	ListDue(ctx context.Context, now time.Time, limit int) ([]*domain.OutboxEmail, error)
	// List returns up to limit e-mails with ids after the given one, in ascending order; the zero id starts at the first.
	List(ctx context.Context, after domain.OutboxEmailID, limit int) ([]*domain.OutboxEmail, error)
	// Count returns the number of e-mails.
	Count(ctx context.Context) (int, error)
	// Save stores the changes of an e-mail. It succeeds without effect if the e-mail was deleted.
	Save(ctx context.Context, m *domain.OutboxEmail) error
	// Remove deletes an e-mail. It succeeds if there is none.
	Remove(ctx context.Context, id domain.OutboxEmailID) error
	// DeleteExpired deletes up to limit e-mails that expired at or before the given time, and returns their number.
	DeleteExpired(ctx context.Context, expired time.Time, limit int) (int, error)
}

// Leases stores the job leases.
type Leases interface {
	// Acquire returns true if the lease is free at the given time, and then holds it until next. A lease that was never
	// acquired is free. Of concurrent callers exactly one gets true.
	Acquire(ctx context.Context, lease domain.Lease, now, next time.Time) (bool, error)
}

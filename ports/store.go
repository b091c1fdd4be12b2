// Package ports lists what the application needs from outside, as interfaces named by role. Each comment is the
// contract that an adapter keeps; package storetest checks the storage half of it.
package ports

import (
	"context"
	"time"

	"github.com/keylodge/keylodge/domain"
)

// Store is the unit of work over everything that Keylodge keeps.
//
// Outages and full disks come back as errors that are domain.ErrUnavailable (errors.Is); a cancelled or expired context
// as its own error. What a collection's method promises to return is in that method's comment; any other error is a
// fault.
type Store interface {
	// View runs fn on one consistent state. Writes through tx fail. Fn may run more than once, as Update's may, where the
	// store was kept from reading on.
	View(ctx context.Context, fn func(tx Tx) error) error

	// Update runs fn and keeps what it wrote if fn returns nil and the commit succeeds; only then does Update return
	// nil. Otherwise nothing of it is kept, and fn's error is returned as it was; but of CommitWith(err) it is kept, and
	// err is returned after the commit, or the commit's own error. What fn has read stays as it was
	// read until the commit, so that reading, deciding and writing is safe. fn is short: it does no cryptography and
	// no input or output but tx's, since many callers may share one commit. It may run on another goroutine, and it
	// never runs after Update has returned. A panic in it keeps nothing and reaches Update's caller. It may run more than
	// once, each time on a state anew, where another's transaction came in between: what it leaves outside of tx is that of
	// its last run.
	Update(ctx context.Context, fn func(tx Tx) error) error
}

// Tx is one unit of work, valid until the function that received it returns.
type Tx struct {
	Users          Users
	Credentials    Credentials
	Challenges     Challenges
	Sessions       Sessions
	Events         Events
	SigningKeys    SigningKeys
	TOTPs          TOTPs
	BackupCodes    BackupCodes
	RecoveryGrants RecoveryGrants
	Lockouts       Lockouts
	OutboxEmails   OutboxEmails
	Leases         Leases
}

// Users are the people with an account.
type Users interface {
	// Add keeps a new user, or returns domain.ErrEmailTaken.
	Add(ctx context.Context, u *domain.User) error

	// ByID returns domain.ErrUserNotFound for nobody.
	ByID(ctx context.Context, id domain.UserID) (*domain.User, error)

	// ByEmail returns domain.ErrUserNotFound for nobody.
	ByEmail(ctx context.Context, email domain.Email) (*domain.User, error)
	// List returns up to limit users whose ids come after the given one, by id: from the first for the zero id.
	List(ctx context.Context, after domain.UserID, limit int) ([]*domain.User, error)
	// Save keeps everything that can change about a user, or returns domain.ErrEmailTaken or domain.ErrUserNotFound.
	Save(ctx context.Context, u *domain.User) error
	// Remove takes the user away with everything of theirs: passkeys, sessions, authenticator app, backup codes, grant and
	// messages, and the challenges bound to any of those. Their
	// events stay, without anything that says whose they were: what is left of each is its id, kind, time, party,
	// reason, and how often and when last it happened. Whatever is added afterwards for a user who is gone is a fault. It returns domain.ErrUserNotFound for nobody.
	Remove(ctx context.Context, id domain.UserID) error
}

// Credentials are the passkeys. Ids are unique over all users (WebAuthn Level 3, section 7.1, step 26) and
// compared byte for byte.
type Credentials interface {
	// Add keeps a new passkey, or returns domain.ErrPasskeyAlreadyRegistered if anybody has one of that id.
	Add(ctx context.Context, c *domain.Credential) error

	// ByID returns domain.ErrPasskeyUnknown for an id that nobody has.
	ByID(ctx context.Context, id domain.CredentialID) (*domain.Credential, error)

	// ListByUser returns a user's passkeys, oldest first.
	ListByUser(ctx context.Context, id domain.UserID) ([]*domain.Credential, error)

	// Save keeps everything that can change about a passkey, or returns domain.ErrPasskeyUnknown.
	Save(ctx context.Context, c *domain.Credential) error
	// Remove takes the passkey away, or returns domain.ErrPasskeyUnknown.
	Remove(ctx context.Context, id domain.CredentialID) error
	// CountOtherRPIDs counts the passkeys of each RP id but the given one, suspended ones too. It is asked at every start: if there
	// are none, the answer takes no longer for a million passkeys than for ten.
	CountOtherRPIDs(ctx context.Context, rpID string) (map[string]int, error)
}

// Challenges are the ceremonies under way.
type Challenges interface {
	// Add keeps a new challenge. An id that is there already is a fault, and so is a session or a grant that is not
	// there.
	Add(ctx context.Context, c *domain.Challenge) error

	// ByID looks without taking. It returns domain.ErrChallengeNotFound for an unknown or taken id.
	ByID(ctx context.Context, id domain.ChallengeID) (*domain.Challenge, error)

	// Take removes the challenge and returns it. Of any number of concurrent callers exactly one succeeds; the rest
	// get domain.ErrChallengeNotFound.
	Take(ctx context.Context, id domain.ChallengeID) (*domain.Challenge, error)

	// DeleteExpired removes up to limit challenges that expired at or before the given time and says how many.
	DeleteExpired(ctx context.Context, expired time.Time, limit int) (int, error)
}

// Sessions are the sign-ins that last.
type Sessions interface {
	// Add keeps a new session. An id or a token that is there already is a fault.
	Add(ctx context.Context, s *domain.Session) error

	// ByToken returns domain.ErrUnauthenticated for a token that opens nothing. A session that has ended and was not
	// swept yet is returned: whether it may be used is its own decision.
	ByToken(ctx context.Context, token domain.TokenDigest) (*domain.Session, error)

	// ByID returns domain.ErrSessionNotFound for an id that nobody has, and otherwise does as ByToken.
	ByID(ctx context.Context, id domain.SessionID) (*domain.Session, error)
	// ListActive returns up to limit sessions of the user that last at the given time and whose ids come before the given one,
	// newest first by id: from the newest for the zero id.
	ListActive(ctx context.Context, user domain.UserID, now time.Time, before domain.SessionID, limit int) ([]*domain.Session, error)
	// Save keeps the session's changes, or returns domain.ErrUnauthenticated if it is gone.
	Save(ctx context.Context, s *domain.Session) error

	// DeleteExpired removes up to limit sessions that ended, in whichever way, at or before the given time, with the challenges bound
	// to them, and says how many.
	DeleteExpired(ctx context.Context, ended time.Time, limit int) (int, error)
}

// Events are the security logs of all users. Nothing of an event changes but what its repetitions add to it.
type Events interface {
	// Add keeps a new event. An id or a key that is there already is a fault, and so is an event of a user who is not there,
	// or one of nobody that says more than Users.Remove leaves, its key excepted.
	Add(ctx context.Context, e *domain.Event) error
	// ByKey returns the event with that key, or domain.ErrEventNotFound.
	ByKey(ctx context.Context, key domain.RepetitionKey) (*domain.Event, error)
	// Save keeps what domain.Event.AddRepetition changes, or returns domain.ErrEventNotFound if the event is gone.
	Save(ctx context.Context, e *domain.Event) error
	// ListByUser returns up to limit events of the user whose ids come before the given one, newest first by id: from the
	// newest for the zero id, and of the given kinds only if there are any. Those of the zero user are nobody's.
	ListByUser(ctx context.Context, user domain.UserID, before domain.EventID, limit int, kinds ...domain.EventKind) ([]*domain.Event, error)
	// DeleteExpired removes up to limit events from at or before the given time, oldest first, and says how many.
	DeleteExpired(ctx context.Context, before time.Time, limit int) (int, error)
}

// SigningKeys are the keys of access tokens. There are few.
type SigningKeys interface {
	// Add keeps a new key. An id that is there already is a fault.
	Add(ctx context.Context, k *domain.SigningKey) error
	// All returns every key, the first to sign first.
	All(ctx context.Context) (domain.SigningKeys, error)
	// Remove takes a key away; one that is not there is no error.
	Remove(ctx context.Context, id string) error
}

// TOTPs are people's authenticator apps: one each, at most.
type TOTPs interface {
	// Get returns the user's, or a new one that holds nothing.
	Get(ctx context.Context, user domain.UserID) (*domain.TOTP, error)
	// Save keeps it, also if it is the user's first. A user who is not there is a fault.
	Save(ctx context.Context, t *domain.TOTP) error
	// Remove takes it away; one that is not there is no error.
	Remove(ctx context.Context, user domain.UserID) error
}

// BackupCodes are people's codes on paper, as digests. Digests are unique over all users.
type BackupCodes interface {
	// Replace keeps a new set in the place of what is left of the user's former one. A digest that is there already is a
	// fault, and so is a user who is not.
	Replace(ctx context.Context, user domain.UserID, set []domain.BackupCodeDigest, now time.Time) error
	// Count says how many of a user's set are left and when it was made: zero and the zero time for a user without one.
	// A set that is used up is still one.
	Count(ctx context.Context, user domain.UserID) (left int, made time.Time, err error)
	// List returns those of the user's that are left, in whichever order.
	List(ctx context.Context, user domain.UserID) ([]domain.BackupCodeDigest, error)
	// FindOwner returns whose unspent code is kept under one of the digests, and under which, or domain.ErrInvalidCode.
	FindOwner(ctx context.Context, digests []domain.BackupCodeDigest) (domain.UserID, domain.BackupCodeDigest, error)
	// Consume takes a code away. Of any number of concurrent callers exactly one succeeds; the rest get
	// domain.ErrInvalidCode.
	Consume(ctx context.Context, digest domain.BackupCodeDigest) error
}

// RecoveryGrants are the recoveries under way: one a user, at most. Whichever way a grant goes, the challenges bound to it go with
// it.
type RecoveryGrants interface {
	// Put keeps a grant in the place of the user's former one. The token of somebody else's grant is a fault, and so is a
	// user who is not there.
	Put(ctx context.Context, g *domain.RecoveryGrant) error
	// ByUser returns domain.ErrRecoveryGrantInvalid for a user without one.
	ByUser(ctx context.Context, user domain.UserID) (*domain.RecoveryGrant, error)
	// ByToken looks without taking. It returns domain.ErrRecoveryGrantInvalid for a token that opens nothing.
	ByToken(ctx context.Context, token domain.TokenDigest) (*domain.RecoveryGrant, error)
	// Remove takes the user's grant away; none is no error.
	Remove(ctx context.Context, user domain.UserID) error
	// Take removes the grant and returns it. Of any number of concurrent callers exactly one succeeds; the rest get
	// domain.ErrRecoveryGrantInvalid.
	Take(ctx context.Context, token domain.TokenDigest) (*domain.RecoveryGrant, error)
	// DeleteExpired removes up to limit grants that expired at or before the given time and says how many.
	DeleteExpired(ctx context.Context, expired time.Time, limit int) (int, error)
}

// Lockouts count wrong recovery codes.
type Lockouts interface {
	// Get returns the subject's, or a new one that has counted nothing.
	Get(ctx context.Context, subject domain.LockoutSubject) (*domain.Lockout, error)
	// List returns up to limit lockouts whose subjects come after the given one, by subject: from the first for the zero
	// subject, which is nobody's.
	List(ctx context.Context, after domain.LockoutSubject, limit int) ([]*domain.Lockout, error)
	// Save keeps it, also if it is the subject's first.
	Save(ctx context.Context, l *domain.Lockout) error
	// Clear forgets what was counted; nothing counted is no error.
	Clear(ctx context.Context, subject domain.LockoutSubject) error
	// DeleteExpired removes up to limit lockouts that last counted at or before the given time, oldest first, and says how many.
	DeleteExpired(ctx context.Context, before time.Time, limit int) (int, error)
}

// OutboxEmails wait to be sent.
type OutboxEmails interface {
	// Add keeps a new message. An id that is there already is a fault, and so is a user who is not there; a message may have
	// none.
	Add(ctx context.Context, m *domain.OutboxEmail) error
	// ListDue returns up to limit messages that are due at the given time, the one that has been so for longest first.
	ListDue(ctx context.Context, now time.Time, limit int) ([]*domain.OutboxEmail, error)
	// List returns up to limit messages whose ids come after the given one, by id: from the first for the zero id.
	List(ctx context.Context, after domain.OutboxEmailID, limit int) ([]*domain.OutboxEmail, error)
	// Save keeps the message's changes. One that is gone is no error and stays gone.
	Save(ctx context.Context, m *domain.OutboxEmail) error
	// Remove takes a message away; one that is not there is no error.
	Remove(ctx context.Context, id domain.OutboxEmailID) error
	// DeleteExpired removes up to limit messages that expired at or before the given time and says how many.
	DeleteExpired(ctx context.Context, expired time.Time, limit int) (int, error)
}

// Leases are what one node does for all of them.
type Leases interface {
	// Acquire returns true if the duty is due at the given time, as one is that nobody has taken yet, and then puts it off until
	// next. Of any number of concurrent callers one gets true.
	Acquire(ctx context.Context, duty domain.Lease, now, next time.Time) (bool, error)
}

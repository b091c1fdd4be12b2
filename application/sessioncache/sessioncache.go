// Package sessioncache keeps the sessions that requests have just presented, with their users, so that the next request of a session
// reads no database. It keeps what the database returned and no decision: each request checks the session and the user.
package sessioncache

import (
	"context"
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/keylodge/keylodge/application/digestmap"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// maxAge is how long a node uses an entry. A change by another node that shares a PostgreSQL database takes effect on this node
// within this time.
const maxAge = time.Second

// Store is a ports.Store with a cache of sessions. All Updates of a process must use the same Store.
//
// An entry is used only if the database would return the same. Its invariants:
//   - A change by an Update of this process invalidates the entry before Update returns, so before the response to the change.
//   - No read that began before a change is used after it. changes counts the changes by user. An entry has the count from before
//     its read: a read during which any Update has counted a change is not stored, and a later count makes the entry unequal.
//   - A change by another process on the same SQLite file is seen at once (ports.Store.OtherCommits, also read before the read).
//   - An entry is younger than maxAge.
//
// An Update that rolls back invalidates nothing. One whose COMMIT fails invalidates, because the commit may have taken effect.
type Store struct {
	ports.Store
	entries digestmap.Map[entry] // by the token that a request presented, so that a new token reads the database
	changes changes
}

var _ ports.Store = (*Store)(nil)

// entry has copies of its own.
type entry struct {
	session      *domain.Session
	user         *domain.User
	at           time.Time
	changes      uint64 // of the user
	otherCommits uint64
}

// New returns a Store on the given one.
func New(store ports.Store) *Store { return &Store{Store: store} }

// ByToken is ports.Sessions.ByTokenWithUser.
func (s *Store) ByToken(ctx context.Context, token domain.TokenDigest, now time.Time) (*domain.Session, *domain.User, error) {
	return s.find(ctx, token, now, func(tx ports.Tx) (*domain.Session, *domain.User, error) {
		return tx.Sessions.ByTokenWithUser(ctx, token)
	})
}

// ByID is ports.Sessions.ByIDWithUser. The token is the access token that names the session.
func (s *Store) ByID(ctx context.Context, id domain.SessionID, token domain.TokenDigest, now time.Time) (*domain.Session, *domain.User, error) {
	return s.find(ctx, token, now, func(tx ports.Tx) (*domain.Session, *domain.User, error) {
		return tx.Sessions.ByIDWithUser(ctx, id)
	})
}

func (s *Store) find(ctx context.Context, token domain.TokenDigest, now time.Time, read func(ports.Tx) (*domain.Session, *domain.User, error)) (session *domain.Session, user *domain.User, err error) {
	otherCommits, known := s.OtherCommits()
	if e, found := s.entries.Get(token); found && known && e.otherCommits == otherCommits && e.changes == s.changes.of(e.user.ID()) && e.isYoung(now) {
		return e.session.Clone(), e.user.Clone(), nil
	}
	total := s.changes.total.Load()
	err = s.View(ports.WithoutSnapshot(ctx), func(tx ports.Tx) (err error) {
		session, user, err = read(tx)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	// The user was unknown before the View, so the count is read after it, and is that from before if total has not changed since.
	e := entry{session.Clone(), user.Clone(), now, s.changes.of(user.ID()), otherCommits}
	if known && s.changes.total.Load() == total && session.Active(now) && !user.Disabled() {
		s.entries.Put(token, e)
	}
	return session, user, nil
}

func (e entry) isYoung(now time.Time) bool {
	age := now.Sub(e.at)
	return age >= 0 && age < maxAge
}

// Update implements ports.Store.
func (s *Store) Update(ctx context.Context, fn func(tx ports.Tx) error) error {
	var changed []domain.UserID
	defer func() { s.changes.add(changed) }()
	return s.Store.Update(ctx, func(tx ports.Tx) error {
		var users []domain.UserID
		tx.Sessions, tx.Users = changedSessions{tx.Sessions, &users}, changedUsers{tx.Users, &users}
		err := fn(tx)
		if commit, _ := ports.CommitResult(err); commit {
			changed = append(changed, users...)
		}
		return err
	})
}

// changes counts the changes of users and their sessions. Users with the same hash share a count, and so invalidate each other.
type changes struct {
	total  atomic.Uint64
	counts [4096]atomic.Uint64
}

var seed = maphash.MakeSeed()

func (c *changes) count(id domain.UserID) *atomic.Uint64 {
	return &c.counts[maphash.Comparable(seed, id)%uint64(len(c.counts))]
}

func (c *changes) of(id domain.UserID) uint64 { return c.count(id).Load() }

// add increments total first: a read that finds total unchanged has a count from before the change.
func (c *changes) add(users []domain.UserID) {
	if len(users) == 0 {
		return
	}
	c.total.Add(1)
	for _, id := range users {
		c.count(id).Add(1)
	}
}

// changedSessions and changedUsers list the users that an Update changes. Sessions.DeleteExpired needs no entry, because the cache
// has no session that has ended.
type (
	changedSessions struct {
		ports.Sessions
		users *[]domain.UserID
	}
	changedUsers struct {
		ports.Users
		users *[]domain.UserID
	}
)

func (c changedSessions) Save(ctx context.Context, session *domain.Session) error {
	*c.users = append(*c.users, session.UserID())
	return c.Sessions.Save(ctx, session)
}

func (c changedUsers) Save(ctx context.Context, user *domain.User) error {
	*c.users = append(*c.users, user.ID())
	return c.Users.Save(ctx, user)
}

func (c changedUsers) Remove(ctx context.Context, id domain.UserID) error {
	*c.users = append(*c.users, id)
	return c.Users.Remove(ctx, id)
}

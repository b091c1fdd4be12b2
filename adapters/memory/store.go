// Package memory keeps Keylodge's state in maps: for tests, and to show how little a ports.Store needs. It forgets
// everything when its process ends.
package memory

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var errReadOnly = errors.New("a view cannot write")

// Store is a ports.Store in memory.
type Store struct {
	// current holds the state whenever nobody uses it: a lock that a context can give up waiting for.
	current chan state
}

var _ ports.Store = (*Store)(nil)

// state is everything that is kept. Its values are snapshots that nobody else holds.
type state struct {
	readOnly       bool
	users          map[domain.UserID]domain.UserState
	credentials    map[domain.CredentialID]domain.CredentialState
	challenges     map[domain.ChallengeID]domain.ChallengeState
	sessions       map[domain.SessionID]domain.SessionState
	events         map[domain.EventID]domain.EventState
	signingKeys    map[string]domain.SigningKeyState
	totps          map[domain.UserID]domain.TOTPState
	backupCodeSets map[domain.UserID]time.Time // when each was made
	backupCodes    map[domain.BackupCodeDigest]domain.UserID
	grants         map[domain.UserID]domain.RecoveryGrantState
	lockouts       map[domain.LockoutSubject]domain.LockoutState
	duties         map[domain.Lease]time.Time // when each is due
	messages       map[domain.OutboxEmailID]domain.OutboxEmailState
}

// New returns an empty store.
func New() *Store {
	s := &Store{current: make(chan state, 1)}
	s.current <- state{
		users:          map[domain.UserID]domain.UserState{},
		credentials:    map[domain.CredentialID]domain.CredentialState{},
		challenges:     map[domain.ChallengeID]domain.ChallengeState{},
		sessions:       map[domain.SessionID]domain.SessionState{},
		events:         map[domain.EventID]domain.EventState{},
		signingKeys:    map[string]domain.SigningKeyState{},
		totps:          map[domain.UserID]domain.TOTPState{},
		backupCodeSets: map[domain.UserID]time.Time{},
		backupCodes:    map[domain.BackupCodeDigest]domain.UserID{},
		grants:         map[domain.UserID]domain.RecoveryGrantState{},
		lockouts:       map[domain.LockoutSubject]domain.LockoutState{},
		duties:         map[domain.Lease]time.Time{},
		messages:       map[domain.OutboxEmailID]domain.OutboxEmailState{},
	}
	return s
}

// View implements ports.Store.
func (s *Store) View(ctx context.Context, fn func(tx ports.Tx) error) error {
	return s.use(ctx, func(now state) (state, error) {
		view := now
		view.readOnly = true
		return now, run(ctx, view, fn)
	})
}

// Update implements ports.Store. fn writes to a copy, which takes the state's place if all goes well.
func (s *Store) Update(ctx context.Context, fn func(tx ports.Tx) error) error {
	return s.use(ctx, func(now state) (state, error) {
		next := state{
			users:          maps.Clone(now.users),
			credentials:    maps.Clone(now.credentials),
			challenges:     maps.Clone(now.challenges),
			sessions:       maps.Clone(now.sessions),
			events:         maps.Clone(now.events),
			signingKeys:    maps.Clone(now.signingKeys),
			totps:          maps.Clone(now.totps),
			backupCodeSets: maps.Clone(now.backupCodeSets),
			backupCodes:    maps.Clone(now.backupCodes),
			grants:         maps.Clone(now.grants),
			lockouts:       maps.Clone(now.lockouts),
			duties:         maps.Clone(now.duties),
			messages:       maps.Clone(now.messages),
		}
		err, commit := ports.CommitResult(run(ctx, next, fn))
		if !commit {
			return now, err
		}
		return next, err
	})
}

func (s *Store) use(ctx context.Context, fn func(state) (state, error)) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case now := <-s.current:
		next := now
		defer func() { s.current <- next }()
		next, err = fn(now)
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func run(ctx context.Context, s state, fn func(tx ports.Tx) error) error {
	err := fn(ports.Tx{
		Users:          users{s},
		Credentials:    credentials{s},
		Challenges:     challenges{s},
		Sessions:       sessions{s},
		Events:         events{s},
		SigningKeys:    signingKeys{s},
		TOTPs:          totps{s},
		BackupCodes:    backupCodes{s},
		RecoveryGrants: grants{s},
		Lockouts:       lockouts{s},
		Leases:         duties{s},
		OutboxEmails:   messages{s},
	})
	if _, commit := ports.CommitResult(err); !commit {
		return err
	}
	if ended := ctx.Err(); ended != nil {
		return ended
	}
	return err
}

func (s state) writable() error {
	if s.readOnly {
		return errReadOnly
	}
	return nil
}

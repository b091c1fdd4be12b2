package transfer

import (
	"context"
	"reflect"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// signingKey is a key of access tokens, sealed.
type signingKey struct {
	ID           string   `json:"id"`
	Algorithm    string   `json:"algorithm"`
	EncryptedKey binary   `json:"sealed"`
	CreatedAt    jsonTime `json:"created_at"`
	SignsFrom    jsonTime `json:"signs_from"`
}

// merge adds the key if it is not there, beside those that are.
func (r *signingKey) merge(ctx context.Context, tx ports.Tx) (added bool, err error) {
	all, err := tx.SigningKeys.All(ctx)
	if err != nil {
		return false, err
	}
	for _, key := range all {
		if key.ID() != r.ID {
			continue
		}
		if !reflect.DeepEqual(signingKeyOf(key.State()), r) {
			return false, conflict("signing key %s is there already and is kept in another way", r.ID)
		}
		return false, nil
	}
	return true, tx.SigningKeys.Add(ctx, domain.RestoreSigningKey(r.state()))
}

func signingKeyOf(s domain.SigningKeyState) *signingKey {
	return &signingKey{s.ID, string(s.Algorithm), binaryOf(s.EncryptedKey), jsonTimeOf(s.CreatedAt), jsonTimeOf(s.SignsFrom)}
}

func (r *signingKey) state() domain.SigningKeyState {
	return domain.SigningKeyState{
		ID: r.ID, Algorithm: domain.SigningAlgorithm(r.Algorithm), EncryptedKey: r.EncryptedKey, CreatedAt: r.CreatedAt.Time, SignsFrom: r.SignsFrom.Time,
	}
}

// lockout is a count of wrong codes; a move gives nobody new guesses.
type lockout struct {
	Subject     digest   `json:"subject"`
	Failures    int      `json:"failures"`
	LockedUntil jsonTime `json:"locked_until,omitzero"`
	UpdatedAt   jsonTime `json:"updated_at"`
}

// merge keeps the stricter of both counts. It is the one thing that may change what is there: a name that was guessed at
// in both places is nobody's conflict.
func (r *lockout) merge(ctx context.Context, tx ports.Tx) (changed bool, err error) {
	there, err := tx.Lockouts.Get(ctx, domain.LockoutSubject(r.Subject))
	if err != nil {
		return false, err
	}
	before := there.State()
	after := before
	after.Failures = max(before.Failures, r.Failures)
	after.LockedUntil = latest(before.LockedUntil, r.LockedUntil.Time)
	after.UpdatedAt = latest(before.UpdatedAt, r.UpdatedAt.Time)
	if after == before {
		return false, nil
	}
	return true, tx.Lockouts.Save(ctx, domain.RestoreLockout(after))
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func lockoutOf(s domain.LockoutState) *lockout {
	return &lockout{digest(s.Subject), s.Failures, jsonTimeOf(s.LockedUntil), jsonTimeOf(s.UpdatedAt)}
}

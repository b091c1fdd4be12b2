package sqlite

import (
	"github.com/keylodge/keylodge/db/sqlitedb"
	"github.com/keylodge/keylodge/domain"
)

// pendingEmailColumns are those of a user's claim to an address. All of them are NULL without one.
type pendingEmailColumns struct {
	email     *string
	code      []byte
	failures  *int64
	expiresAt *int64
}

func pendingEmailColumnsOf(c domain.PendingEmail) pendingEmailColumns {
	if c.Email == "" {
		return pendingEmailColumns{}
	}
	return pendingEmailColumns{
		email:     new(string(c.Email)),
		code:      c.Code[:],
		failures:  new(int64(c.Failures)),
		expiresAt: new(micros(c.ExpiresAt)),
	}
}

func pendingEmailOf(row sqlitedb.User) (domain.PendingEmail, error) {
	c := domain.PendingEmail{
		Email:     domain.Email(textOf(row.ClaimedEmail)),
		ExpiresAt: optionalTime(row.ClaimExpiresAt),
	}
	if row.ClaimFailures != nil {
		c.Failures = int(*row.ClaimFailures)
	}
	return c, optionalBytes(c.Code[:], row.ClaimCode)
}

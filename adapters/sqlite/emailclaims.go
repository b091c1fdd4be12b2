package sqlite

import (
	"github.com/keylodge/keylodge/db/sqlitedb"
	"github.com/keylodge/keylodge/domain"
)

// claimColumns are those of a user's claim to an address. All of them are NULL without one.
type claimColumns struct {
	email     *string
	code      []byte
	failures  *int64
	expiresAt *int64
}

func columnsOf(c domain.EmailClaim) claimColumns {
	if c.Email == "" {
		return claimColumns{}
	}
	return claimColumns{
		email:     new(string(c.Email)),
		code:      c.Code[:],
		failures:  new(int64(c.Failures)),
		expiresAt: new(micros(c.ExpiresAt)),
	}
}

func claimOf(row sqlitedb.User) (domain.EmailClaim, error) {
	c := domain.EmailClaim{
		Email:     domain.Email(textOf(row.ClaimedEmail)),
		ExpiresAt: optionalTime(row.ClaimExpiresAt),
	}
	if row.ClaimFailures != nil {
		c.Failures = int(*row.ClaimFailures)
	}
	return c, optionalBytes(c.Code[:], row.ClaimCode)
}

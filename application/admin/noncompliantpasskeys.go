package admin

import (
	"context"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// NonCompliantPasskeys tells the operator which passkeys are there that the policy of today would not let join, because of their
// model. They go on signing in: domain.AuthenticatorPolicy is not asked again.
type NonCompliantPasskeys struct {
	Store  ports.Store
	Policy domain.AuthenticatorPolicy
	// Compromised says whether a model was reported broken since. It may be nil.
	Compromised func(domain.AAGUID) bool
}

// Execute returns whose there are, by model, in the order of users: somebody with two of a model stands there twice.
func (f *NonCompliantPasskeys) Execute(ctx context.Context) (map[domain.AAGUID][]domain.UserID, error) {
	const page = 100
	found := map[domain.AAGUID][]domain.UserID{}
	var last domain.UserID
	for {
		var users []*domain.User
		var passkeys []domain.CredentialState
		err := f.Store.View(ctx, func(tx ports.Tx) (err error) {
			passkeys = nil
			if users, err = tx.Users.List(ctx, last, page); err != nil {
				return err
			}
			for _, user := range users {
				owned, err := tx.Credentials.ListByUser(ctx, user.ID())
				if err != nil {
					return err
				}
				for _, passkey := range owned {
					passkeys = append(passkeys, passkey.State())
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		for _, passkey := range passkeys {
			if model := domain.AAGUID(passkey.AAGUID); f.isNonCompliant(model) {
				found[model] = append(found[model], passkey.UserID)
			}
		}
		if len(users) < page {
			return found, nil
		}
		last = users[len(users)-1].ID()
	}
}

// isNonCompliant leaves aside who vouches for the passkey: what counts is that its model is known to be unwanted.
func (f *NonCompliantPasskeys) isNonCompliant(model domain.AAGUID) bool {
	return !f.Policy.Allows(model, true) || f.Compromised != nil && f.Compromised(model)
}

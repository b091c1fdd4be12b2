package admin

import (
	"context"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// FormerPasskeys tells the operator which passkeys are there that the policy of today would not let join, because of their
// model. They go on signing in: domain.AuthenticatorPolicy is not asked again.
type FormerPasskeys struct {
	Store  ports.Store
	Policy domain.AuthenticatorPolicy
	// Broken says whether a model was reported broken since. It may be nil.
	Broken func(domain.AAGUID) bool
}

// Execute returns whose there are, by model, in the order of users: somebody with two of a model stands there twice.
func (f *FormerPasskeys) Execute(ctx context.Context) (map[domain.AAGUID][]domain.UserID, error) {
	const page = 100
	found := map[domain.AAGUID][]domain.UserID{}
	var last domain.UserID
	for {
		var users []*domain.User
		var passkeys []domain.CredentialSnapshot
		err := f.Store.View(ctx, func(tx ports.Tx) (err error) {
			passkeys = nil
			if users, err = tx.Users.List(ctx, last, page); err != nil {
				return err
			}
			for _, user := range users {
				owned, err := tx.Credentials.OfUser(ctx, user.ID())
				if err != nil {
					return err
				}
				for _, passkey := range owned {
					passkeys = append(passkeys, passkey.Snapshot())
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		for _, passkey := range passkeys {
			if model := domain.AAGUID(passkey.AAGUID); f.refuses(model) {
				found[model] = append(found[model], passkey.UserID)
			}
		}
		if len(users) < page {
			return found, nil
		}
		last = users[len(users)-1].ID()
	}
}

// refuses leaves aside who vouches for the passkey: what counts is that its model is known to be unwanted.
func (f *FormerPasskeys) refuses(model domain.AAGUID) bool {
	return f.Policy.Admits(model, true) != nil || f.Broken != nil && f.Broken(model)
}

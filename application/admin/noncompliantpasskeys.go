package admin

import (
	"context"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// NonCompliantPasskeys returns the owners of passkeys whose authenticator model the policy would reject today, by model and in the
// order of users; an owner of two such passkeys of a model is listed twice. These passkeys can still sign in: the policy applies to
// registration only. Attestation is not checked again, only the model. compromised reports models with a known vulnerability; it
// may be nil.
func (s *Service) NonCompliantPasskeys(ctx context.Context, policy domain.AuthenticatorPolicy, compromised func(domain.AAGUID) bool) (map[domain.AAGUID][]domain.UserID, error) {
	owners := map[domain.AAGUID][]domain.UserID{}
	err := eachUser(ctx, s.Store, func(tx ports.Tx, user *domain.User) ([]*domain.Credential, error) {
		return tx.Credentials.ListByUser(ctx, user.ID())
	}, func(passkey *domain.Credential) {
		model := passkey.State().AAGUID
		if !policy.Allows(model, true) || compromised != nil && compromised(model) {
			owners[model] = append(owners[model], passkey.UserID())
		}
	})
	if err != nil {
		return nil, err
	}
	return owners, nil
}

package memory

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/keylodge/keylodge/domain"
)

type credentials struct{ state }

func (c credentials) Add(_ context.Context, credential *domain.Credential) error {
	if err := c.writable(); err != nil {
		return err
	}
	s := credential.State()
	if _, found := c.credentials[s.ID]; found {
		return domain.ErrPasskeyAlreadyRegistered
	}
	if _, found := c.users[s.UserID]; !found {
		return fmt.Errorf("the passkey's user %s is not there", s.UserID)
	}
	c.credentials[s.ID] = s
	return nil
}

func (c credentials) ByID(_ context.Context, id domain.CredentialID) (*domain.Credential, error) {
	s, found := c.credentials[id]
	if !found {
		return nil, domain.ErrPasskeyUnknown
	}
	return domain.RestoreCredential(s), nil
}

func (c credentials) ListByUser(_ context.Context, id domain.UserID) ([]*domain.Credential, error) {
	owned := []*domain.Credential{}
	oldestFirst := func(a, b domain.CredentialState) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	}
	for _, s := range slices.SortedFunc(maps.Values(c.credentials), oldestFirst) {
		if s.UserID == id {
			owned = append(owned, domain.RestoreCredential(s))
		}
	}
	return owned, nil
}

func (c credentials) Save(_ context.Context, credential *domain.Credential) error {
	if err := c.writable(); err != nil {
		return err
	}
	s := credential.State()
	if _, found := c.credentials[s.ID]; !found {
		return domain.ErrPasskeyUnknown
	}
	c.credentials[s.ID] = s
	return nil
}

func (c credentials) Remove(_ context.Context, id domain.CredentialID) error {
	if err := c.writable(); err != nil {
		return err
	}
	if _, found := c.credentials[id]; !found {
		return domain.ErrPasskeyUnknown
	}
	delete(c.credentials, id)
	return nil
}

func (c credentials) CountOtherRPIDs(_ context.Context, rpID string) (map[string]int, error) {
	foreign := map[string]int{}
	for _, s := range c.credentials {
		if s.RPID != rpID {
			foreign[s.RPID]++
		}
	}
	return foreign, nil
}

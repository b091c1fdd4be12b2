package memory

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/keylodge/keylodge/domain"
)

type signingKeys struct{ state }

func (k signingKeys) Add(_ context.Context, key *domain.SigningKey) error {
	if err := k.writable(); err != nil {
		return err
	}
	s := key.State()
	if _, found := k.signingKeys[s.ID]; found {
		return fmt.Errorf("there is a signing key %s already", s.ID)
	}
	k.signingKeys[s.ID] = s
	return nil
}

func (k signingKeys) All(context.Context) (domain.SigningKeys, error) {
	keys := domain.SigningKeys{}
	firstToSignFirst := func(a, b domain.SigningKeyState) int {
		return cmp.Or(a.SignsFrom.Compare(b.SignsFrom), cmp.Compare(a.ID, b.ID))
	}
	for _, s := range slices.SortedFunc(maps.Values(k.signingKeys), firstToSignFirst) {
		keys = append(keys, domain.RestoreSigningKey(s))
	}
	return keys, nil
}

func (k signingKeys) Remove(_ context.Context, id string) error {
	if err := k.writable(); err != nil {
		return err
	}
	delete(k.signingKeys, id)
	return nil
}

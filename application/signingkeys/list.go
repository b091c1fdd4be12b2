package signingkeys

import (
	"context"
	"slices"
	"time"

	"github.com/keylodge/keylodge/domain"
)

// Key describes a signing key for the operator.
type Key struct {
	ID        string
	Algorithm domain.SigningAlgorithm
	State     KeyState
	CreatedAt time.Time // zero for an external key
	SignsFrom time.Time // zero for an external key
}

// KeyState is the present use of a signing key.
type KeyState string

const (
	KeyAnnounced KeyState = "announced" // published before it signs
	KeySigning   KeyState = "signing"
	KeyRetired   KeyState = "retired" // published until the last token that it signed expires
)

// List returns the keys, the last to sign first. It generates none.
func (s *Service) List(ctx context.Context) ([]Key, error) {
	stored, err := s.stored(ctx)
	if err != nil {
		return nil, err
	}
	return s.describe(stored), nil
}

func (s *Service) describe(stored domain.SigningKeys) []Key {
	if len(s.External) > 0 {
		return s.External.describe()
	}
	var list []Key
	now := s.Clock.Now()
	signer := stored.Signer(now)
	for _, key := range slices.Backward(stored) {
		state := KeyRetired
		switch {
		case key == signer:
			state = KeySigning
		case key.SignsFrom().After(now):
			state = KeyAnnounced
		}
		list = append(list, Key{ID: key.ID(), Algorithm: key.Algorithm(), State: state, CreatedAt: key.CreatedAt(), SignsFrom: key.SignsFrom()})
	}
	return list
}

func (k ExternalKeys) describe() []Key {
	list := make([]Key, len(k))
	for i, key := range k {
		list[i] = Key{ID: key.ID(), Algorithm: key.Algorithm(), State: KeyRetired}
	}
	list[0].State = KeySigning
	return list
}

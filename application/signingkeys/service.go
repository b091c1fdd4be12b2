// Package signingkeys manages the keys that sign access tokens, and issues and verifies the tokens.
package signingkeys

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/keylodge/keylodge/application/digestmap"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Service holds the use cases of the signing keys. It keeps the decrypted keys in memory, so that issuing a token reads no database.
// All nodes share the stored keys; Refresh reads them again. A server has one Service.
type Service struct {
	Store     ports.Store
	TokenKeys ports.TokenKeys
	Sealer    ports.Sealer
	Clock     ports.Clock
	Rotation  domain.KeyRotation
	External  ExternalKeys

	refreshing sync.Mutex
	current    atomic.Pointer[loadedKeys]
	verified   digestmap.Map[verifiedToken]
}

// ExternalKeys are keys that the operator provides: the first one signs, all are published. With external keys, the service generates
// and stores none.
type ExternalKeys []ports.TokenKey

// ErrUndecryptable is returned if a stored key was encrypted under a secret that the server does not have.
var ErrUndecryptable = errors.New("signing keys cannot be decrypted")

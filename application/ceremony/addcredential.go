package ceremony

import (
	"context"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// AddCredential stores a new passkey and its attestation inside a transaction. It returns domain.ErrPasskeyAlreadyRegistered if
// the id is taken, and also, after the same queries, if it is the id of a decoy: otherwise the registration of a listed id would
// reveal whether that passkey exists.
func AddCredential(ctx context.Context, tx ports.Tx, decoys domain.Decoys, credential *domain.Credential, attestation domain.Attestation) error {
	decoy := decoys.Contains(credential.ID())
	if err := tx.Credentials.Add(ctx, credential, attestation); err != nil || !decoy {
		return err
	}
	return domain.ErrPasskeyAlreadyRegistered
}

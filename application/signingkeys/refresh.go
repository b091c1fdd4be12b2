package signingkeys

import "context"

// Refresh keeps the signing keys up to date: the first one is made, the next one in time, and the spent ones go. Every
// node runs it now and then and so learns of the keys that others have made.
type Refresh struct{ KeySet *KeySet }

// Execute fails if a key cannot be read; those that were known before stay in use.
func (k *Refresh) Execute(ctx context.Context) error {
	_, err := k.KeySet.refresh(ctx, false)
	return err
}

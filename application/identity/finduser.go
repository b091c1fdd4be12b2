package identity

import (
	"context"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// FindUser returns the user that ref names, or domain.ErrUserNotFound.
func FindUser(ctx context.Context, tx ports.Tx, ref domain.UserRef) (*domain.User, error) {
	if ref.Email != "" {
		return tx.Users.ByEmail(ctx, ref.Email)
	}
	return tx.Users.ByID(ctx, ref.ID)
}

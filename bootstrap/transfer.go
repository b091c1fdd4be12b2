package bootstrap

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/domain"
)

// openForImport is openForCommand for an import, except that it creates the database. It requires a secret: with a new one, the imported
// data could not be decrypted.
func openForImport(ctx context.Context) (usecases application.UseCases, release func() error, err error) {
	cfg, err := loadSettings()
	if err != nil {
		return usecases, nil, err
	}
	if path := cfg.Database.SecretFile(); cfg.Secret == nil {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return usecases, nil, &domain.Error{
				Kind: domain.KindInvalid, Code: "no_secret",
				Message: "an import needs the secret of the export, and there is none: set KEYLODGE_SECRET, or copy the key file to " + path,
			}
		}
	}
	return openUseCases(ctx, cfg)
}

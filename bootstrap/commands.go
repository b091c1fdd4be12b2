package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/keylodge/keylodge/adapters/cli"
	"github.com/keylodge/keylodge/adapters/system"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/ratelimit"
	"github.com/keylodge/keylodge/application/sessioncache"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/bootstrap/doctor"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

// openForCommand opens the database of the settings, also while a server uses it, and upgrades its schema as the server does. It returns
// an error if there is no database: in the wrong directory, a command would otherwise create an empty one and succeed.
func openForCommand(ctx context.Context) (usecases application.UseCases, release func() error, err error) {
	cfg, err := loadSettings()
	if err != nil {
		return usecases, nil, err
	}
	if cfg.Database.IsMissing(ctx) {
		return usecases, nil, &domain.Error{
			Kind: domain.KindUnavailable, Code: "no_database",
			Message: "there is no database at " + cfg.Database.String() + "; start the server once, or set KEYLODGE_DATABASE_URL to its location",
		}
	}
	return openUseCases(ctx, cfg)
}

// openForImport is openForCommand for an import, except that it creates the database. It requires a secret: with a new one, the imported
// data could not be decrypted.
func openForImport(ctx context.Context) (usecases application.UseCases, release func() error, err error) {
	cfg, err := loadSettings()
	if err != nil {
		return usecases, nil, err
	}
	if _, err := cfg.LoadMasterKey(); errors.Is(err, fs.ErrNotExist) {
		return usecases, nil, &domain.Error{
			Kind: domain.KindInvalid, Code: "no_secret",
			Message: "an import needs the secret of the export, and there is none: set KEYLODGE_SECRET, or copy the key file to " + cfg.Database.SecretFile(),
		}
	}
	return openUseCases(ctx, cfg)
}

func openUseCases(ctx context.Context, cfg config.Config) (usecases application.UseCases, release func() error, err error) {
	secret, err := cfg.LoadOrCreateMasterKey()
	if err != nil {
		return usecases, nil, err
	}
	store, err := cfg.Database.Open(ctx)
	if err != nil {
		return usecases, nil, err
	}
	usecases, err = assembleUseCases(cfg, secret, sessioncache.New(store), system.Clock{}, new(ratelimit.Service))
	if err != nil {
		return usecases, nil, errors.Join(err, store.Close())
	}
	return usecases, store.Close, nil
}

// loadSettings loads the settings for a command. Invalid settings are an error of the caller, with exit code cli.ExitUsage.
func loadSettings() (config.Config, error) {
	cfg, err := config.Load()
	if err != nil {
		return config.Config{}, &domain.Error{Kind: domain.KindInvalid, Code: "invalid_settings", Message: err.Error()}
	}
	return cfg, nil
}

// effectiveSettings returns all settings. Invalid ones are an error of the caller, as in loadSettings.
func effectiveSettings() ([]dbadmin.Setting, error) {
	all, err := config.Effective()
	if err != nil {
		err = &domain.Error{Kind: domain.KindInvalid, Code: "invalid_settings", Message: err.Error()}
	}
	return all, err
}

// checkReady returns an error unless the server of the settings is ready.
func checkReady(ctx context.Context) error {
	cfg, err := loadSettings()
	if err != nil {
		return err
	}
	if err := doctor.RequireReady(ctx, cfg.Listen); err != nil {
		return fmt.Errorf("the server is not ready: %w", err)
	}
	return nil
}

// newMaintenance returns the maintenance of the database of the settings. It opens no database.
func newMaintenance() (cli.Maintenance, error) {
	cfg, err := loadSettings()
	if err != nil {
		return cli.Maintenance{}, err
	}
	database := cfg.Database.Maintenance()
	m := cli.Maintenance{
		Database: cfg.Database.String(), Backups: database, Schema: database,
		CheckSecret: func(keys domain.SigningKeys) error { return requireDecryptable(cfg, keys) },
	}
	if cfg.Secret == nil {
		m.SecretFile = cfg.Database.SecretFile()
	}
	return m, nil
}

func requireDecryptable(cfg config.Config, keys domain.SigningKeys) error {
	if len(keys) == 0 {
		return nil
	}
	secret, err := cfg.LoadMasterKey()
	if err != nil {
		return err
	}
	sealer, err := sealer(cfg, secret)
	if err != nil {
		return err
	}
	return signingkeys.RequireDecryptable(keys, sealer)
}

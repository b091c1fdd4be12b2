package bootstrap

import (
	"context"
	"errors"

	"github.com/keylodge/keylodge/adapters/system"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/ratelimit"
	"github.com/keylodge/keylodge/domain"
)

// openForCommand opens the product over the database that the settings name, as the server does and beside one that may be
// running: the schema is upgraded if need be, since both are the same program. Nothing listens, no job runs, and what is
// not there is not made: a command in the wrong directory would otherwise leave an empty database behind, and be content.
func openForCommand(ctx context.Context) (usecases application.UseCases, release func() error, err error) {
	config, err := loadSettings()
	if err != nil {
		return usecases, nil, err
	}
	if config.Database.missing(ctx) {
		return usecases, nil, &domain.Error{
			Kind: domain.KindUnavailable, Code: "no_database",
			Message: "there is no database at " + config.Database.String() + "; start the server once, or set KEYLODGE_DATABASE_URL to where it is",
		}
	}
	return openUseCases(ctx, config)
}

func openUseCases(ctx context.Context, config Config) (usecases application.UseCases, release func() error, err error) {
	secret, err := masterKey(config)
	if err != nil {
		return usecases, nil, err
	}
	store, err := config.Database.open(ctx)
	if err != nil {
		return usecases, nil, err
	}
	usecases, err = assembleUseCases(config, secret, store, system.Clock{}, new(ratelimit.Service))
	if err != nil {
		return usecases, nil, errors.Join(err, store.Close())
	}
	return usecases, store.Close, nil
}

// loadSettings is LoadConfig for the command line: settings that cannot be used are the caller's to mend.
func loadSettings() (Config, error) {
	config, err := LoadConfig()
	if err != nil {
		return Config{}, &domain.Error{Kind: domain.KindInvalid, Code: "invalid_settings", Message: err.Error()}
	}
	return config, nil
}

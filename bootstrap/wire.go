//go:build wireinject

package bootstrap

import (
	"log/slog"

	"github.com/google/wire"

	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/ratelimit"
	"github.com/keylodge/keylodge/application/sessioncache"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/ports"
)

func assembleUseCases(cfg config.Config, secret masterkey.Key, store *sessioncache.Store, clock ports.Clock, limits *ratelimit.Service) (application.UseCases, error) {
	panic(wire.Build(useCaseSet, wire.Bind(new(ports.Store), new(*sessioncache.Store))))
}

func assembleApp(cfg config.Config, clock ports.Clock, log *slog.Logger) (*App, func(), error) {
	panic(wire.Build(appSet))
}

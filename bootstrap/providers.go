package bootstrap

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/gofiber/fiber/v2"
	"github.com/google/wire"

	"github.com/keylodge/keylodge/adapters/httpapi"
	"github.com/keylodge/keylodge/adapters/jobs"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/adapters/metrics"
	"github.com/keylodge/keylodge/adapters/sqlite"
	"github.com/keylodge/keylodge/adapters/useragent"
	"github.com/keylodge/keylodge/adapters/webauthn"
	"github.com/keylodge/keylodge/adapters/webui"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/access"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/housekeeping"
	"github.com/keylodge/keylodge/application/login"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/application/signup"
	"github.com/keylodge/keylodge/ports"
)

// useCaseSet is the product over a store, a clock and a secret.
var useCaseSet = wire.NewSet(
	wire.FieldsOf(new(Config), "Registration", "Use", "Sessions"),
	challengeTTL, decoyKey, randomness,
	relyingParty, wire.Bind(new(ports.RelyingParty), new(*webauthn.RelyingParty)),
	useragent.New, wire.Bind(new(ports.DeviceNames), new(*useragent.Names)),
	wire.Struct(new(ceremony.Desk), "*"),
	wire.Struct(new(access.Door), "*"),
	wire.Struct(new(signup.Begin), "*"), wire.Struct(new(signup.Finish), "*"), wire.Struct(new(application.SignUp), "*"),
	wire.Struct(new(login.Begin), "*"), wire.Struct(new(login.Finish), "*"), wire.Struct(new(application.Login), "*"),
	wire.Struct(new(sessions.Authenticate), "*"), wire.Struct(new(sessions.SignOut), "*"), wire.Struct(new(application.Sessions), "*"),
	wire.Struct(new(housekeeping.Sweep), "*"), wire.Struct(new(housekeeping.Ready), "*"), wire.Struct(new(application.Housekeeping), "*"),
	wire.Struct(new(application.UseCases), "*"),
)

// appSet is the server around the product.
var appSet = wire.NewSet(
	useCaseSet,
	masterKey,
	openStore, wire.Bind(new(ports.Store), new(*sqlite.Store)),
	metrics.New, wire.Bind(new(httpapi.Meter), new(*metrics.Metrics)),
	httpConfig, httpServer, operationsServer, jobs.NewSweeper,
	wire.Struct(new(App), "usecases", "server", "operations", "sweeper", "log"),
)

func challengeTTL(config Config) ceremony.TTL { return ceremony.TTL(config.ChallengeTTL) }

func randomness() io.Reader { return rand.Reader }

func decoyKey(secret masterkey.Key) (login.DecoyKey, error) { return secret.Derive("decoy passkeys") }

func relyingParty(config Config) (*webauthn.RelyingParty, error) {
	return webauthn.New(webauthn.Config{
		RPID: config.RPID, RPName: config.RPName, Origins: config.Origins, Timeout: config.ChallengeTTL,
	})
}

// openStore wants the key although it does not use it, so that no database is ever made before its key is there.
func openStore(config Config, _ masterkey.Key, log *slog.Logger) (*sqlite.Store, func(), error) {
	store, err := sqlite.Open(config.DatabasePath)
	if err != nil {
		return nil, nil, err
	}
	return store, func() {
		if err := store.Close(); err != nil {
			log.Error("closing the database failed", slog.Any("error", err))
		}
	}, nil
}

const keyFile = "keylodge.secret"

// masterKey is the configured secret, or the one kept beside the database. One is made for a new database only: an old
// one whose key is missing was made under a key that somebody should bring back.
func masterKey(config Config) (masterkey.Key, error) {
	if config.Secret != nil {
		return *config.Secret, nil
	}
	path := filepath.Join(filepath.Dir(config.DatabasePath), keyFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && holdsSomething(config.DatabasePath) {
		return masterkey.Key{}, fmt.Errorf("the database %s is there and its key file %s is not: put the file back, or set KEYLODGE_SECRET to the secret that was used",
			config.DatabasePath, path)
	}
	return masterkey.LoadOrCreate(path)
}

// holdsSomething is false for an empty file, which somebody may have put there to be filled.
func holdsSomething(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Size() > 0
}

func httpConfig(config Config, secret masterkey.Key) (httpapi.Config, error) {
	bindingKeys := make([][]byte, 0, 1+len(config.PreviousSecrets))
	for _, s := range append([]masterkey.Key{secret}, config.PreviousSecrets...) {
		key, err := s.Derive("browser binding")
		if err != nil {
			return httpapi.Config{}, fmt.Errorf("deriving the browser binding key: %w", err)
		}
		bindingKeys = append(bindingKeys, key)
	}
	return httpapi.Config{
		PublicURL: config.PublicURL, Origins: config.Origins, RPID: config.RPID, RPName: config.RPName,
		Registration: config.Registration, SessionTTL: config.Sessions.TTL,
		BindingKeys: bindingKeys, TrustedProxies: config.TrustedProxies,
	}, nil
}

// publicServer and operations are two of a kind that must not be mixed up.
type (
	publicServer struct{ *fiber.App }
	operations   struct{ *fiber.App }
)

func httpServer(config httpapi.Config, usecases application.UseCases, meter httpapi.Meter, log *slog.Logger) publicServer {
	server := httpapi.New(config, usecases, meter, log)
	webui.Mount(server)
	return publicServer{server}
}

func operationsServer(usecases application.UseCases, m *metrics.Metrics, log *slog.Logger) operations {
	return operations{httpapi.NewOperations(usecases, m.Handler(), log)}
}

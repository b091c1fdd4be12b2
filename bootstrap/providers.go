package bootstrap

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/wire"

	"github.com/keylodge/keylodge/adapters/aaguid"
	"github.com/keylodge/keylodge/adapters/httpapi"
	"github.com/keylodge/keylodge/adapters/jobs"
	"github.com/keylodge/keylodge/adapters/jwt"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/adapters/metrics"
	"github.com/keylodge/keylodge/adapters/smtp"
	"github.com/keylodge/keylodge/adapters/system"
	"github.com/keylodge/keylodge/adapters/totp"
	"github.com/keylodge/keylodge/adapters/useragent"
	"github.com/keylodge/keylodge/adapters/webauthn"
	"github.com/keylodge/keylodge/adapters/webui"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/account"
	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/emailverify"
	"github.com/keylodge/keylodge/application/login"
	"github.com/keylodge/keylodge/application/maintenance"
	"github.com/keylodge/keylodge/application/notify"
	"github.com/keylodge/keylodge/application/outbox"
	"github.com/keylodge/keylodge/application/passkeys"
	"github.com/keylodge/keylodge/application/recovery"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/application/signup"
	"github.com/keylodge/keylodge/application/stepup"
	"github.com/keylodge/keylodge/application/transfer"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// useCaseSet is the product over a store, a clock and a secret.
var useCaseSet = wire.NewSet(
	wire.FieldsOf(new(Config), "Registration", "Recovery", "Use", "Sessions", "StepUpTTL", "PasskeyLimit", "SessionLimit", "Access", "Rotation", "ExternalKeys"),
	masterKeys, wire.FieldsOf(new(masterkey.Keys), "RefreshTokens", "BackupCodes", "RecoveryGrants", "EmailCodes", "Lockouts"),
	challengeTTL, decoys, transferKeys, randomness,
	mailPolicy, mailer,
	relyingParty, wire.Bind(new(ports.RelyingParty), new(*webauthn.RelyingParty)),
	useragent.New, wire.Bind(new(ports.DeviceNames), new(*useragent.Names)),
	jwt.New, wire.Bind(new(ports.TokenKeys), new(*jwt.Keys)),
	totpCodes, wire.Bind(new(ports.TOTPCodes), new(*totp.Codes)),
	sealer, wire.Bind(new(ports.Sealer), new(*masterkey.Sealer)),
	signingkeys.NewKeySet,
	wire.Struct(new(signingkeys.Issuer), "*"),
	wire.Struct(new(ceremony.Service), "*"),
	wire.Struct(new(sessions.SessionIssuer), "*"), wire.Struct(new(audit.Log), "Random", "Devices", "Notifier"), wire.Struct(new(notify.Notifier), "*"), wire.Struct(new(ceremony.PasskeyUsage), "*"),
	wire.Struct(new(signup.Service), "*"), wire.Struct(new(login.Service), "*"), wire.Struct(new(stepup.Service), "*"), wire.Struct(new(passkeys.Service), "*"),
	wire.Struct(new(sessions.Service), "Store", "Clock", "Issuer", "Audit", "Lifetime"),
	wire.Struct(new(emailverify.Service), "*"), wire.Struct(new(outbox.Service), "*"),
	wire.Struct(new(account.Service), "*"),
	wire.Struct(new(recovery.Service), "*"),
	wire.Struct(new(signingkeys.Publish), "*"), wire.Struct(new(signingkeys.List), "*"), wire.Struct(new(signingkeys.Rotate), "*"),
	wire.Struct(new(application.SigningKeys), "*"),
	recoveryURL, wire.Struct(new(admin.Service), "*"),
	wire.Struct(new(transfer.Service), "*"),
	wire.Struct(new(maintenance.AcquireLease), "*"), wire.Struct(new(maintenance.DeleteExpired), "*"), pause, wire.Struct(new(maintenance.Ready), "*"), wire.Struct(new(signingkeys.Refresh), "*"),
	rpIDs, wire.Struct(new(maintenance.CheckRPID), "*"),
	wire.Struct(new(application.Maintenance), "*"),
	wire.Struct(new(application.UseCases), "*"),
)

// appSet is the server around the product. The product comes from its own injector, so that its graph is generated once.
var appSet = wire.NewSet(
	assembleUseCases,
	masterKey, masterKeys,
	openStore,
	metrics.New, wire.Bind(new(httpapi.Meter), new(*metrics.Metrics)),
	rateLimits,
	httpConfig, httpServer, operationsServer, jobs.New,
	wire.Struct(new(App), "usecases", "server", "operations", "jobs", "log"),
)

func challengeTTL(config Config) ceremony.TTL { return ceremony.TTL(config.ChallengeTTL) }

func randomness() io.Reader { return rand.Reader }

func masterKeys(config Config, secret masterkey.Key) (masterkey.Keys, error) {
	return masterkey.NewKeys(secret, config.PreviousSecrets)
}

func decoys(config Config, keys masterkey.Keys) domain.Decoys {
	policy := config.Authenticators
	return domain.Decoys{Keys: keys.Decoys, Limit: config.PasskeyLimit, DeviceBoundOnly: policy.Attested || len(policy.Allowed) > 0}
}

func transferKeys(keys masterkey.Keys) transfer.Keys { return keys.Exports }

func recoveryURL(config Config) admin.RecoveryURL { return webui.RecoveryURL(config.Access.Issuer) }

func mailPolicy(config Config) domain.EmailPolicy { return config.SMTP != nil }

// mailer is nil where no mail is sent.
func mailer(config Config) (ports.Mailer, error) {
	if config.SMTP == nil {
		return nil, nil
	}
	return smtp.New(*config.SMTP)
}

func rpIDs(config Config) maintenance.RPIDs {
	return maintenance.RPIDs{Current: config.RPID, Retired: config.RetiredRPIDs}
}

func totpCodes(config Config) *totp.Codes { return totp.New(config.RPName) }

func sealer(config Config, secret masterkey.Key) (*masterkey.Sealer, error) {
	return masterkey.NewSealer(secret, config.PreviousSecrets)
}

func relyingParty(config Config) (*webauthn.RelyingParty, error) {
	return webauthn.New(webauthn.Config{
		RPID: config.RPID, RPName: config.RPName, Origins: ceremonyOrigins(config), Timeout: config.ChallengeTTL,
		Authenticators: config.Authenticators, Metadata: config.Metadata,
	})
}

// openStore wants the key although it does not use it, so that no database is ever made before its key is there.
func openStore(config Config, _ masterkey.Key, log *slog.Logger) (ports.Store, func(), error) {
	store, err := config.Database.open(context.Background())
	if err != nil {
		return nil, nil, err
	}
	if version := store.NewerSchema(); version > 0 {
		log.Warn("a newer release has upgraded the schema; this one serves on it meanwhile: go on with the upgrade, or back", slog.Int("schema", version))
	}
	return store, func() {
		if err := store.Close(); err != nil {
			log.Error("closing the database failed", slog.Any("error", err))
		}
	}, nil
}

const masterKeyFile = "keylodge.secret"

// masterKey is the configured secret, or the one kept beside the database. One is made for a new database only: an old
// one whose key is missing was made under a key that somebody should bring back.
func masterKey(config Config) (masterkey.Key, error) {
	if config.Secret != nil {
		return *config.Secret, nil
	}
	if config.Database.url != "" {
		return masterkey.Key{}, errors.New("a database on a server has no key file beside it: it needs a configured secret")
	}
	path := config.Database.secretFile()
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && config.Database.nonEmpty() {
		return masterkey.Key{}, fmt.Errorf("the database %s is there and its key file %s is not: put the file back, or set KEYLODGE_SECRET to the secret that was used",
			config.Database, path)
	}
	return masterkey.LoadOrCreate(path)
}

// minResponseTime is longer than such an answer takes on a disk of today; on a slower one the time of the disk hides what it is for.
const minResponseTime = 10 * time.Millisecond

func httpConfig(config Config, keys masterkey.Keys) httpapi.Config {
	known := config.WellKnown
	known.RelatedOrigins = relatedOrigins(config)
	return httpapi.Config{
		PublicURL: config.PublicURL, OwnsSubdomains: ownsSubdomains(config.PublicURL), Origins: config.Origins, AppOrigins: config.AppOrigins, RPID: config.RPID, RPName: config.RPName,
		Registration: config.Registration, Recovery: config.Recovery, Mail: mailPolicy(config), SessionTTL: config.Sessions.TTL, ChallengeTTL: config.ChallengeTTL,
		BindingKeys: keys.BrowserBinding, CSRFKeys: keys.CSRFTokens, TrustedProxies: config.TrustedProxies, ReadWriteTimeout: config.ReadWriteTimeout, WellKnown: known,
		MinResponseTime: minResponseTime, AuthenticatorName: aaguid.New().NameOf,
	}
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

func pause() ports.Pause { return system.Pause }

package bootstrap

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
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
	"github.com/keylodge/keylodge/application/apikeys"
	"github.com/keylodge/keylodge/application/audit"
	"github.com/keylodge/keylodge/application/authorization"
	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/emailverify"
	"github.com/keylodge/keylodge/application/forwardauth"
	"github.com/keylodge/keylodge/application/login"
	"github.com/keylodge/keylodge/application/maintenance"
	"github.com/keylodge/keylodge/application/notify"
	"github.com/keylodge/keylodge/application/outbox"
	"github.com/keylodge/keylodge/application/passkeys"
	"github.com/keylodge/keylodge/application/recovery"
	"github.com/keylodge/keylodge/application/sessioncache"
	"github.com/keylodge/keylodge/application/sessions"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/application/signup"
	"github.com/keylodge/keylodge/application/stepup"
	"github.com/keylodge/keylodge/application/transfer"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// useCaseSet provides the use cases, given the settings, a secret, a store, a clock and a rate limiter.
var useCaseSet = wire.NewSet(
	wire.Struct(new(application.UseCases), "*"),
	secretSet, auditSet, emailSet, ceremonySet, signingKeySet, sessionSet, authorizationSet, forwardAuthSet, signUpSet, loginSet, stepUpSet, passkeySet, accountSet, recoverySet, adminSet,
	transferSet, maintenanceSet,
)

// Each set provides a capability.
var (
	secretSet = wire.NewSet(
		masterKeys, wire.FieldsOf(new(masterkey.Keys), "RefreshTokens", "BackupCodes", "RecoveryGrants", "EmailCodes", "Exports", "Lockouts", "ForwardAuth"),
		sealer, wire.Bind(new(ports.Sealer), new(*masterkey.Sealer)), decoys, random,
	)
	auditSet = wire.NewSet(
		wire.Struct(new(audit.Log), "Random", "Devices", "Notifier"), wire.Struct(new(notify.Notifier), "*"),
		useragent.New, wire.Bind(new(ports.DeviceNames), new(*useragent.Names)),
	)
	emailSet      = wire.NewSet(wire.Struct(new(emailverify.Service), "*"), wire.Struct(new(outbox.Service), "*"), emailPolicy, mailer)
	signingKeySet = wire.NewSet(
		wire.Struct(new(signingkeys.Service), "Store", "TokenKeys", "Sealer", "Clock", "Rotation", "External"), wire.Struct(new(signingkeys.Issuer), "*"),
		jwt.New, wire.Bind(new(ports.TokenKeys), new(*jwt.Keys)), externalKeys, wire.FieldsOf(new(config.Config), "Access", "Rotation"),
	)
	ceremonySet = wire.NewSet(
		wire.Struct(new(ceremony.Service), "Store", "Clock", "Random", "TTL"), wire.Struct(new(ceremony.PasskeyUsage), "*"), challengeTTL, wire.FieldsOf(new(config.Config), "Use", "StepUpTTL"),
		relyingParty, wire.Bind(new(ports.RelyingParty), new(*webauthn.RelyingParty)),
	)
	sessionSet = wire.NewSet(
		wire.Struct(new(sessions.Service), "Store", "Clock", "Issuer", "Audit", "Lifetime"), wire.Struct(new(sessions.SessionIssuer), "*"),
		wire.FieldsOf(new(config.Config), "Sessions", "SessionLimit"),
	)
	authorizationSet = wire.NewSet(wire.Struct(new(authorization.Service), "*"), wire.FieldsOf(new(config.Config), "Applications"))
	forwardAuthSet   = wire.NewSet(wire.Struct(new(forwardauth.Service), "*"))
	signUpSet        = wire.NewSet(wire.Struct(new(signup.Service), "*"), wire.FieldsOf(new(config.Config), "Registration"))
	loginSet         = wire.NewSet(wire.Struct(new(login.Service), "*"))
	stepUpSet        = wire.NewSet(wire.Struct(new(stepup.Service), "*"))
	passkeySet       = wire.NewSet(wire.Struct(new(passkeys.Service), "*"), wire.FieldsOf(new(config.Config), "PasskeyLimit"))
	accountSet       = wire.NewSet(wire.Struct(new(account.Service), "*"))
	recoverySet      = wire.NewSet(
		wire.Struct(new(recovery.Service), "*"), totpCodes, wire.Bind(new(ports.TOTPCodes), new(*totp.Codes)), wire.FieldsOf(new(config.Config), "Recovery"),
	)
	adminSet       = wire.NewSet(wire.Struct(new(admin.Service), "*"), wire.Struct(new(apikeys.Service), "*"), recoveryURL, inviteURL)
	transferSet    = wire.NewSet(wire.Struct(new(transfer.Service), "*"))
	maintenanceSet = wire.NewSet(wire.Struct(new(maintenance.Service), "*"), pause, rpIDs)
)

// appSet provides the server. The use cases come from their own injector, so that Wire generates their graph once.
var appSet = wire.NewSet(
	assembleUseCases,
	masterKey, masterKeys,
	openStore, sessioncache.New,
	newMetrics, wire.Bind(new(httpapi.Meter), new(*metrics.Metrics)), wire.Bind(new(jobs.Meter), new(*metrics.Metrics)),
	rateLimits,
	httpConfig, httpServer, wire.FieldsOf(new(config.Config), "Brand"), operationsServer, jobs.New,
	wire.Struct(new(App), "Jobs", "usecases", "server", "operations", "meter", "log"),
)

func externalKeys(cfg config.Config) signingkeys.ExternalKeys { return cfg.ExternalKeys }

func challengeTTL(cfg config.Config) ceremony.TTL { return ceremony.TTL(cfg.ChallengeTTL) }

func random() io.Reader { return rand.Reader }

func masterKeys(cfg config.Config, secret masterkey.Key) (masterkey.Keys, error) {
	return masterkey.NewKeys(secret, cfg.PreviousSecrets)
}

func decoys(cfg config.Config, keys masterkey.Keys) domain.Decoys {
	policy := cfg.Authenticators
	return domain.Decoys{Keys: keys.Decoys, Limit: cfg.PasskeyLimit, DeviceBoundOnly: policy.Attested || len(policy.Allowed) > 0}
}

func recoveryURL(cfg config.Config) admin.RecoveryURL { return webui.RecoveryURL(cfg.Access.Issuer) }

func inviteURL(cfg config.Config) admin.InviteURL { return webui.InviteURL(cfg.Access.Issuer) }

func emailPolicy(cfg config.Config) domain.EmailPolicy { return cfg.SMTP != nil }

// mailer returns nil if the server sends no e-mail.
func mailer(cfg config.Config) (ports.Mailer, error) {
	switch {
	case cfg.Mailbox != nil:
		return cfg.Mailbox, nil
	case cfg.SMTP == nil:
		return nil, nil
	}
	return smtp.New(*cfg.SMTP)
}

func rpIDs(cfg config.Config) maintenance.RPIDs {
	return maintenance.RPIDs{Current: cfg.RPID, Retired: cfg.RetiredRPIDs}
}

func totpCodes(cfg config.Config) *totp.Codes { return totp.New(cfg.RPName) }

func sealer(cfg config.Config, secret masterkey.Key) (*masterkey.Sealer, error) {
	return masterkey.NewSealer(secret, cfg.PreviousSecrets)
}

func relyingParty(cfg config.Config) (*webauthn.RelyingParty, error) {
	return webauthn.New(webauthn.Config{
		RPID: cfg.RPID, RPName: cfg.RPName, Origins: cfg.CeremonyOrigins(), Timeout: cfg.ChallengeTTL,
		Authenticators: cfg.Authenticators, Metadata: cfg.Metadata,
	})
}

// openStore takes the key, which it does not use, so that the key exists before a database is created.
func openStore(cfg config.Config, _ masterkey.Key, log *slog.Logger) (ports.Store, func(), error) {
	store, err := cfg.Database.Open(context.Background())
	if err != nil {
		return nil, nil, err
	}
	if version := store.NewerSchema(); version > 0 {
		// Meaning: A newer release has upgraded the schema, and this release can run on it.
		// docs/operations/upgrade-and-roll-back.md explains the upgrade and the roll-back.
		log.Warn("the database schema is newer than this release: finish the upgrade or roll it back", slog.Int("schema", version))
	}
	return store, func() {
		if err := store.Close(); err != nil {
			// Meaning: The server stops anyway, and the next start needs no repair. If it repeats, check the disk or the
			// connection to PostgreSQL.
			log.Error("closing the database failed", slog.Any("error", err))
		}
	}, nil
}

func masterKey(cfg config.Config) (masterkey.Key, error) { return cfg.LoadOrCreateMasterKey() }

// minResponseTime is longer than these responses take with a current disk. With a slower disk, its own latency hides the difference.
const minResponseTime = 10 * time.Millisecond

func httpConfig(cfg config.Config, keys masterkey.Keys) httpapi.Config {
	known := cfg.WellKnown
	known.RelatedOrigins = cfg.RelatedOrigins()
	return httpapi.Config{
		PublicURL: cfg.PublicURL, OwnsSubdomains: cfg.OwnsSubdomains(), Origins: cfg.Origins, AppOrigins: cfg.TokenOrigins(), Applications: cfg.Applications, RPID: cfg.RPID, RPName: cfg.RPName, Language: cfg.Language,
		Brand:        httpapi.Brand{Files: cfg.Brand.URLs(), Links: cfg.Links, SecuredBy: cfg.SecuredBy},
		Registration: cfg.Registration, Recovery: cfg.Recovery, Mail: emailPolicy(cfg), SessionTTL: cfg.Sessions.TTL, ChallengeTTL: cfg.ChallengeTTL,
		BindingKeys: keys.BrowserBinding, CSRFKeys: keys.CSRFTokens, TrustedProxies: cfg.TrustedProxies, ReadWriteTimeout: cfg.ReadWriteTimeout, RequestTimeout: cfg.RequestTimeout, WellKnown: known,
		MinResponseTime: minResponseTime, AuthenticatorName: aaguid.New().NameOf, BrowserFamily: new(useragent.Names).FamilyOf,
	}
}

// publicServer and operations are distinct types, so that Wire cannot confuse the two.
type (
	publicServer struct{ *fiber.App }
	operations   struct{ *fiber.App }
)

func httpServer(brand webui.Brand, cfg httpapi.Config, usecases application.UseCases, meter httpapi.Meter, log *slog.Logger) publicServer {
	page := webui.Page{Name: cfg.RPName, Brand: brand, SecuredBy: cfg.Brand.SecuredBy, Language: cfg.Language}
	errorPages := webui.NewErrorPages(page)
	cfg.RenderErrorPage = func(e httpapi.ErrorPage) ([]byte, string) { return errorPages.Render(webui.ErrorPage(e)) }
	server := httpapi.New(cfg, usecases, meter, log)
	webui.Mount(server, page)
	return publicServer{server}
}

func operationsServer(usecases application.UseCases, m *metrics.Metrics, log *slog.Logger) operations {
	return operations{httpapi.NewOperations(usecases, m.Handler(), log)}
}

func pause() ports.Pause { return system.Pause }

// newMetrics returns the metrics of this program.
func newMetrics() *metrics.Metrics {
	m := metrics.New()
	m.SetVersion(version())
	return m
}

// Package config reads the settings from the environment and from .env, and checks them.
package config

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/keylodge/keylodge/adapters/development"
	"github.com/keylodge/keylodge/adapters/httpapi"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/adapters/smtp"
	"github.com/keylodge/keylodge/adapters/webauthn"
	"github.com/keylodge/keylodge/adapters/webui"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/locales"
	"github.com/keylodge/keylodge/ports"
)

// Config is the configuration of a server, as Load has read and checked it.
type Config struct {
	PublicURL        string // an origin as browsers serialise it: scheme, host and port, without a trailing slash
	Listen           string
	OpsListen        string // for health and metrics; "": disabled
	OpsListenSet     bool   // not the default
	RPID             string
	RetiredRPIDs     []string // the database may contain passkeys of these, which cannot sign in
	RPName           string
	Language         locales.Language
	Brand            webui.Brand
	Links            httpapi.Links
	SecuredBy        bool     // show "Secured by Keylodge"
	Origins          []string // the first one is PublicURL
	AppOrigins       []string // of web views and extensions, which call the API with tokens only
	Applications     domain.Applications
	TrustedProxies   []netip.Prefix
	WellKnown        httpapi.WellKnown
	ReadWriteTimeout time.Duration // of connections; 0: the default. Only tests set it.
	RequestTimeout   time.Duration // of what a request does; 0: the default. Only tests set it.

	Database        Database
	Secret          *masterkey.Key  // nil: in the key file next to the SQLite file
	PreviousSecrets []masterkey.Key // verify and decrypt only

	Registration domain.RegistrationPolicy
	Recovery     domain.RecoveryPolicy
	Use          domain.UsePolicy
	Sessions     domain.SessionLifetime
	ChallengeTTL time.Duration
	StepUpTTL    domain.StepUpTTL
	PasskeyLimit domain.PasskeyLimit
	SessionLimit domain.SessionLimit

	Authenticators domain.AuthenticatorPolicy
	Metadata       *webauthn.Metadata // nil unless attestation is required

	SMTP    *smtp.Config         // nil: no e-mail is sent
	Mailbox *development.Mailbox // keeps the e-mails instead of sending them; only the development mode has one

	Access       domain.AccessPolicy
	Rotation     domain.KeyRotation
	ExternalKeys []ports.TokenKey // from KEYLODGE_JWT_KEY_FILE; none: the server generates and rotates its keys

	LogLevel  slog.Level
	LogFormat LogFormat

	RateLimits   domain.RateLimits // empty: off
	RateLimitURL domain.Secret     // of a Redis server; zero: none
}

// LogFormat is the format of log lines.
type LogFormat string

const (
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
	LogAuto LogFormat = "" // text on a terminal, otherwise JSON
)

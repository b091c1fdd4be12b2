package config

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/adapters/postgres"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/locales"
)

// parser parses settings and collects their errors.
type parser struct{ errs SettingErrors }

func (p *parser) addError(setting, problem, fix string) {
	p.errs = append(p.errs, SettingError{prefix + "_" + setting, problem, fix})
}

// parse returns the configuration and the errors of all settings.
func (e environment) parse() (Config, SettingErrors) {
	var p parser
	config := Config{
		Listen:         p.listen("LISTEN", e.Listen),
		RPName:         e.RPName,
		Language:       oneOf(&p, "LANGUAGE", e.Language, locales.Languages()...),
		TrustedProxies: p.proxies(e.TrustedProxies),
		Database:       p.database(e.DatabaseURL),
		Registration:   oneOf(&p, "REGISTRATION", e.Registration, domain.RegistrationOpen, domain.RegistrationInvite, domain.RegistrationClosed),
		Recovery:       oneOf(&p, "RECOVERY_POLICY", e.RecoveryPolicy, domain.RecoveryAny, domain.RecoveryBoth, domain.RecoveryOff),
		Use: domain.UsePolicy{
			Counter:           oneOf(&p, "COUNTER_POLICY", e.CounterPolicy, domain.CounterReject, domain.CounterFlag, domain.CounterSuspend),
			BackupEligibility: oneOf(&p, "BACKUP_ELIGIBILITY_POLICY", e.BackupEligibilityPolicy, domain.BackupEligibilityReject, domain.BackupEligibilityAcceptAndRecord),
		},
		Sessions: domain.SessionLifetime{
			TTL:     p.duration("SESSION_TTL", e.SessionTTL, 5*time.Minute, 365*24*time.Hour),
			IdleTTL: p.duration("SESSION_IDLE_TTL", e.SessionIdleTTL, 5*time.Minute, 365*24*time.Hour),
		},
		ChallengeTTL: p.duration("CHALLENGE_TTL", e.ChallengeTTL, 30*time.Second, time.Hour),
		StepUpTTL:    domain.StepUpTTL(p.duration("STEP_UP_TTL", e.StepUpTTL, time.Minute, 24*time.Hour)),
		PasskeyLimit: domain.PasskeyLimit(p.number("MAX_PASSKEYS", e.MaxPasskeys, 1, 100)),
		SessionLimit: domain.SessionLimit(p.number("MAX_SESSIONS", e.MaxSessions, 1, 1000)),
		LogLevel:     p.logLevel(e.LogLevel),
		LogFormat:    oneOf(&p, "LOG_FORMAT", e.LogFormat, LogAuto, LogText, LogJSON),
	}
	p.limitToSession("SESSION_IDLE_TTL", &config.Sessions.IdleTTL, config.Sessions.TTL)
	p.limitToSession("STEP_UP_TTL", (*time.Duration)(&config.StepUpTTL), config.Sessions.TTL)
	if e.OpsListen != "" {
		config.OpsListen = p.listen("OPS_LISTEN", e.OpsListen)
	}
	if utf8.RuneCountInString(e.RPName) > 64 {
		p.addError("RP_NAME", "longer than 64 characters", "write the short name of the site")
	} else if _, err := domain.ParseDisplayName("display_name", e.RPName); err != nil {
		p.addError("RP_NAME", fmt.Sprintf("%+q is not one line of visible characters", e.RPName), "write the name of the site")
	}
	p.secrets(&config, e)
	if config.Database.url != "" && e.Secret == "" {
		p.addError("SECRET", "not set, which PostgreSQL requires", secretFix+", and set it on every node")
	}
	p.relyingParty(&config, e)
	config.RetiredRPIDs = p.retiredRPIDs(config.RPID, e.RetiredRPIDs)
	p.authenticators(&config, e)
	p.tokens(&config, e)
	p.brand(&config, e)
	p.smtp(&config, e)
	config.Applications = p.applications(e.Applications, config.PublicURL, config.TrustedProxies)
	p.wellKnown(&config, e)
	p.rateLimits(&config, e.RateLimits, e.RateLimitURL)
	return config, p.errs
}

// defaultPublicURL returns the origin of localhost at the port of KEYLODGE_LISTEN, so that one setting changes both.
func defaultPublicURL(listen string) string {
	_, port, _ := net.SplitHostPort(listen)
	n, _ := strconv.ParseUint(port, 10, 16) // listen adds the errors
	return serializeOrigin("http", "localhost", n)
}

func (p *parser) listen(setting, s string) string {
	if _, port, err := net.SplitHostPort(s); err != nil || !isPort(port) {
		p.addError(setting, fmt.Sprintf("%q is not host:port", s), "write for example 127.0.0.1:8080 or :8080")
	}
	return s
}

func isPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

func (p *parser) proxies(s string) []netip.Prefix {
	const form = "write addresses and networks separated by commas, for example 10.0.0.7,10.1.0.0/16"
	var prefixes []netip.Prefix
	for _, item := range splitList(s) {
		network, networkErr := netip.ParsePrefix(item)
		ip, ipErr := netip.ParseAddr(item)
		switch {
		case ipErr == nil && ip.Zone() != "":
			p.addError("TRUSTED_PROXIES", fmt.Sprintf("%q has a zone, which is not compared", item), "write it without %"+ip.Zone())
		case ipErr == nil && ip.IsUnspecified():
			p.addError("TRUSTED_PROXIES", fmt.Sprintf("%q is not the address of a proxy", item), "write the address that the proxy connects from")
		case ipErr == nil:
			prefixes = append(prefixes, netip.PrefixFrom(ip.Unmap(), ip.Unmap().BitLen()))
		case networkErr == nil && network.Addr().Is4In6() && network.Bits() < 96:
			p.addError("TRUSTED_PROXIES", fmt.Sprintf("%q is neither an IPv4 network nor an IPv6 network", item), form)
		case networkErr == nil && network.Addr().Is4In6():
			prefixes = append(prefixes, netip.PrefixFrom(network.Addr().Unmap(), network.Bits()-96).Masked())
		case networkErr == nil:
			prefixes = append(prefixes, network.Masked())
		default:
			p.addError("TRUSTED_PROXIES", fmt.Sprintf("%q is neither an address nor a network", item), form)
		}
	}
	return prefixes
}

func (p *parser) database(s string) Database {
	const (
		file   = "write sqlite:FILE, for example sqlite:/var/lib/keylodge/keylodge.db"
		server = "write postgres://user:password@host:5432/database" //nolint:gosec // the form of a URL, without credentials
	)
	scheme, path, _ := strings.Cut(s, ":")
	switch {
	case scheme == "postgres" || scheme == "postgresql":
		var invalid *postgres.URLError
		if errors.As(postgres.CheckURL(s), &invalid) {
			p.addError("DATABASE_URL", invalid.Problem, invalid.Fix)
		}
		return Postgres(s)
	case scheme != "sqlite":
		p.addError("DATABASE_URL", fmt.Sprintf("unsupported scheme %q", scheme), file+", or "+server)
	case strings.ContainsAny(path, "?#") || strings.HasPrefix(path, ":") || strings.HasPrefix(path, "file:"):
		p.addError("DATABASE_URL", fmt.Sprintf("%q is not a file name; sqlite: has no parameters", path), file)
	case strings.HasPrefix(path, "//") && !strings.HasPrefix(path, "///"):
		p.addError("DATABASE_URL", fmt.Sprintf("%q begins with //, which other programs read as a host or as a relative path", path), file)
	case strings.HasPrefix(path, "~") || strings.TrimSpace(path) != path:
		p.addError("DATABASE_URL", fmt.Sprintf("%q is literal: ~ is not the home directory, and a space is part of the name", path), file)
	case path == "" || strings.HasSuffix(path, "/") || filepath.Base(path) == "." || filepath.Base(path) == "..":
		p.addError("DATABASE_URL", "contains no file name", file)
	}
	return SQLite(filepath.Clean(path))
}

const secretFix = "generate one with: openssl rand -base64 32"

// secrets reads the current secret, which must be strong, and the previous ones. A previous secret may be weak, so that it can be
// replaced; startup and the doctor log a warning.
func (p *parser) secrets(config *Config, e environment) {
	if e.Secret != "" {
		key := p.secret("SECRET", "the secret", e.Secret)
		config.Secret = &key
		if err := key.CheckStrength(); err != nil {
			p.addError("SECRET", "the secret "+err.Error(), secretFix+"; if the weak one was in use, move it to KEYLODGE_PREVIOUS_SECRETS")
		}
	}
	for i, item := range splitList(e.PreviousSecrets) {
		which := fmt.Sprintf("number %d", i+1)
		key := p.secret("PREVIOUS_SECRETS", which, item)
		switch {
		case config.Secret != nil && key.Equal(*config.Secret) && !key.IsZero():
			p.addError("PREVIOUS_SECRETS", which+" equals KEYLODGE_SECRET", "remove it, or set KEYLODGE_SECRET to the new secret")
		case slices.ContainsFunc(config.PreviousSecrets, key.Equal) && !key.IsZero():
			p.addError("PREVIOUS_SECRETS", which+" is a duplicate", "remove it")
		}
		config.PreviousSecrets = append(config.PreviousSecrets, key)
	}
}

// secret returns the zero key after an error.
func (p *parser) secret(setting, which, s string) masterkey.Key {
	key, err := masterkey.Parse(s)
	if err != nil {
		p.addError(setting, which+" "+err.Error(), secretFix)
	}
	return key
}

// limitToSession requires that a duration within a session is at most the session's. A longer default is reduced to it.
func (p *parser) limitToSession(setting string, value *time.Duration, session time.Duration) {
	switch {
	case *value <= session || session <= 0:
	case isSet(setting):
		p.addError(setting, fmt.Sprintf("%s is longer than KEYLODGE_SESSION_TTL (%s), so it has no effect", FormatDuration(*value), FormatDuration(session)), "reduce it, or increase KEYLODGE_SESSION_TTL")
	default:
		*value = session
	}
}

func (p *parser) duration(setting, s string, minimum, maximum time.Duration) time.Duration {
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		p.addError(setting, fmt.Sprintf("%q is not a duration", s), "write for example 90s, 5m or 720h")
	case d < minimum || d > maximum:
		p.addError(setting, fmt.Sprintf("%s is out of range", s), fmt.Sprintf("write a duration from %s to %s", FormatDuration(minimum), FormatDuration(maximum)))
	case d%time.Second != 0:
		p.addError(setting, fmt.Sprintf("%s is not in whole seconds", s), "write whole seconds")
	}
	return d
}

func (p *parser) number(setting, s string, minimum, maximum int) int {
	n, err := strconv.Atoi(s)
	switch {
	case err != nil:
		p.addError(setting, fmt.Sprintf("%q is not a number", s), fmt.Sprintf("write a number from %d to %d", minimum, maximum))
	case n < minimum || n > maximum:
		p.addError(setting, fmt.Sprintf("%d is out of range", n), fmt.Sprintf("write a number from %d to %d", minimum, maximum))
	}
	return n
}

// FormatDuration returns a duration as settings write it: 720h, not 720h0m0s.
func FormatDuration(d time.Duration) string {
	return strings.Replace(strings.Replace(d.String(), "m0s", "m", 1), "h0m", "h", 1)
}

func (p *parser) logLevel(s string) slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s)); err != nil {
		p.addError("LOG_LEVEL", fmt.Sprintf("%q is not a log level", s), "write debug, info, warn or error")
	}
	return level
}

// oneOf returns s if it is an allowed value, and otherwise adds an error and returns "".
func oneOf[T ~string](p *parser, setting, s string, allowed ...T) T {
	var names []string
	for _, value := range allowed {
		if T(s) == value {
			return value
		}
		if value != "" {
			names = append(names, string(value))
		}
	}
	p.addError(setting, fmt.Sprintf("unknown value %q", s), "write "+strings.Join(names, " or "))
	return ""
}

// splitList splits a list at its commas, and skips empty items.
func splitList(s string) []string {
	var items []string
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// ListenFix returns the fix of an error that prevents listening on the address of a setting.
func ListenFix(setting string, err error) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "stop the program that uses this address, or set " + setting + " to another one"
	case errors.Is(err, fs.ErrPermission):
		return "set " + setting + " to a port above 1023, and use a reverse proxy"
	}
	return "set " + setting + " to an address of this machine"
}

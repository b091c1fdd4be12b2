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

	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/adapters/postgres"
	"github.com/keylodge/keylodge/domain"
)

// settingsParser gathers faults while it turns text into values.
type settingsParser struct{ errs SettingErrors }

func (c *settingsParser) addError(setting, problem, fix string) {
	c.errs = append(c.errs, SettingError{prefix + "_" + setting, problem, fix})
}

func (e environment) parse() (Config, SettingErrors) {
	var c settingsParser
	config := Config{
		Listen:         c.listen("LISTEN", e.Listen),
		RPName:         e.RPName,
		TrustedProxies: c.proxies(e.TrustedProxies),
		Database:       c.database(e.DatabaseURL),
		Registration:   oneOf(&c, "REGISTRATION", e.Registration, domain.RegistrationOpen, domain.RegistrationClosed),
		Recovery:       oneOf(&c, "RECOVERY_POLICY", e.RecoveryPolicy, domain.RecoveryAny, domain.RecoveryBoth, domain.RecoveryOff),
		Use: domain.UsePolicy{
			Counter:           oneOf(&c, "COUNTER_POLICY", e.CounterPolicy, domain.CounterReject, domain.CounterFlag, domain.CounterSuspend),
			BackupEligibility: oneOf(&c, "BACKUP_ELIGIBILITY_POLICY", e.BackupEligibilityPolicy, domain.BackupEligibilityReject, domain.BackupEligibilityAcceptAndRecord),
		},
		Sessions: domain.SessionLifetime{
			TTL:     c.duration("SESSION_TTL", e.SessionTTL, 5*time.Minute, 365*24*time.Hour),
			IdleTTL: c.duration("SESSION_IDLE_TTL", e.SessionIdleTTL, 5*time.Minute, 365*24*time.Hour),
		},
		ChallengeTTL: c.duration("CHALLENGE_TTL", e.ChallengeTTL, 30*time.Second, time.Hour),
		StepUpTTL:    domain.StepUpTTL(c.duration("STEP_UP_TTL", e.StepUpTTL, time.Minute, 24*time.Hour)),
		PasskeyLimit: domain.PasskeyLimit(c.number("MAX_PASSKEYS", e.MaxPasskeys, 1, 100)),
		SessionLimit: domain.SessionLimit(c.number("MAX_SESSIONS", e.MaxSessions, 1, 1000)),
		LogLevel:     c.logLevel(e.LogLevel),
		LogFormat:    oneOf(&c, "LOG_FORMAT", e.LogFormat, LogAuto, LogText, LogJSON),
	}
	for _, t := range []struct {
		setting string
		value   *time.Duration
	}{{"SESSION_IDLE_TTL", &config.Sessions.IdleTTL}, {"STEP_UP_TTL", (*time.Duration)(&config.StepUpTTL)}} {
		c.limitToSession(t.setting, t.value, config.Sessions.TTL)
	}
	if e.OpsListen != "" {
		config.OpsListen = c.listen("OPS_LISTEN", e.OpsListen)
	}
	if len(e.RPName) > 64 {
		c.addError("RP_NAME", "it is longer than 64 bytes", "write the short name that people know the site by")
	} else if _, err := domain.ParseDisplayName("display_name", e.RPName); err != nil {
		c.addError("RP_NAME", fmt.Sprintf("%+q is not one line of visible characters", e.RPName), "write the name that people know the site by")
	}
	c.secrets(&config, e)
	if config.Database.url != "" && e.Secret == "" {
		c.addError("SECRET", "it is not set, and with PostgreSQL there is no folder to keep one in", secretFix+", and give every server the same")
	}
	c.relyingParty(&config, e)
	config.RetiredRPIDs = c.retiredRPIDs(config.RPID, e.RetiredRPIDs)
	c.authenticators(&config, e)
	c.tokens(&config, e)
	c.smtp(&config, e)
	c.wellKnown(&config, e)
	c.rateLimits(&config, e.RateLimits, e.RateLimitURL)
	return config, c.errs
}

// defaultPublicURL follows the port, so that one setting moves a server on its own machine.
func defaultPublicURL(listen string) string {
	_, port, err := net.SplitHostPort(listen)
	if err != nil || !isPort(port) {
		port = "8080" // the fault is told where the setting is checked
	}
	return "http://localhost:" + port
}

func (c *settingsParser) listen(setting, s string) string {
	if _, port, err := net.SplitHostPort(s); err != nil || !isPort(port) {
		c.addError(setting, fmt.Sprintf("%q is not an address to listen on", s), "write host:port, such as 127.0.0.1:8080 or :8080")
	}
	return s
}

func isPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

func (c *settingsParser) proxies(s string) []netip.Prefix {
	const form = "write addresses and networks separated by commas, such as 10.0.0.7,10.1.0.0/16"
	var prefixes []netip.Prefix
	for _, item := range splitList(s) {
		network, err := netip.ParsePrefix(item)
		ip, bad := netip.ParseAddr(item)
		switch {
		case bad == nil && ip.Zone() != "":
			c.addError("TRUSTED_PROXIES", fmt.Sprintf("%q has a zone, and addresses are compared without", item), "write it without "+"%"+ip.Zone())
		case bad == nil && ip.IsUnspecified():
			c.addError("TRUSTED_PROXIES", fmt.Sprintf("%q is no proxy's address", item), "write the address that the proxy has")
		case bad == nil:
			prefixes = append(prefixes, netip.PrefixFrom(ip.Unmap(), ip.Unmap().BitLen()))
		case err == nil && network.Addr().Is4In6() && network.Bits() < 96:
			c.addError("TRUSTED_PROXIES", fmt.Sprintf("%q is neither a network of IPv4 nor one of IPv6", item), form)
		case err == nil && network.Addr().Is4In6():
			prefixes = append(prefixes, netip.PrefixFrom(network.Addr().Unmap(), network.Bits()-96).Masked())
		case err == nil:
			prefixes = append(prefixes, network.Masked())
		default:
			c.addError("TRUSTED_PROXIES", fmt.Sprintf("%q is neither an address nor a network", item), form)
		}
	}
	return prefixes
}

func (c *settingsParser) database(s string) Database {
	const (
		file   = "write sqlite:FILE, such as sqlite:/var/lib/keylodge/keylodge.db"
		server = "write postgres://user:password@host:5432/database" //nolint:gosec // the shape of a URL, not one
	)
	scheme, path, _ := strings.Cut(s, ":")
	switch {
	case scheme == "postgres" || scheme == "postgresql":
		var invalid *postgres.URLError
		if errors.As(postgres.CheckURL(s), &invalid) {
			c.addError("DATABASE_URL", invalid.Problem, invalid.Fix)
		}
		return Postgres(s)
	case scheme != "sqlite":
		c.addError("DATABASE_URL", fmt.Sprintf("unsupported storage %q", scheme), file+"; or "+server)
	case strings.ContainsAny(path, "?#") || strings.HasPrefix(path, ":") || strings.HasPrefix(path, "file:"):
		c.addError("DATABASE_URL", fmt.Sprintf("%q is not the name of a file; it takes no parameters", path), file)
	case path == "" || strings.HasSuffix(path, "/"):
		c.addError("DATABASE_URL", "it names no file", file)
	}
	return SQLite(filepath.Clean(path))
}

const secretFix = "make one with: openssl rand -base64 32"

// secrets reads the present secret, which has to be strong, and the former ones. A weak one may be among these, so that it
// can be replaced; the start and the doctor warn of it.
func (c *settingsParser) secrets(config *Config, e environment) {
	if e.Secret != "" {
		key := c.secret("SECRET", "it", e.Secret)
		config.Secret = &key
		if err := key.CheckStrength(); err != nil {
			c.addError("SECRET", "it "+err.Error(), secretFix+"; if it was in use, it goes into KEYLODGE_PREVIOUS_SECRETS")
		}
	}
	for i, item := range splitList(e.PreviousSecrets) {
		which := fmt.Sprintf("number %d", i+1)
		key := c.secret("PREVIOUS_SECRETS", which, item)
		switch {
		case config.Secret != nil && key.Equal(*config.Secret) && !key.IsZero():
			c.addError("PREVIOUS_SECRETS", which+" is the present secret", "take it out, or put the new one into KEYLODGE_SECRET")
		case slices.ContainsFunc(config.PreviousSecrets, key.Equal) && !key.IsZero():
			c.addError("PREVIOUS_SECRETS", which+" is there already", "take it out")
		}
		config.PreviousSecrets = append(config.PreviousSecrets, key)
	}
}

// secret returns the zero key after a fault.
func (c *settingsParser) secret(setting, which, s string) masterkey.Key {
	key, err := masterkey.Parse(s)
	if err != nil {
		c.addError(setting, which+" "+err.Error(), secretFix)
	}
	return key
}

// limitToSession requires that a time which counts within a session ends before it. A default follows a shorter session.
func (c *settingsParser) limitToSession(setting string, value *time.Duration, session time.Duration) {
	switch {
	case *value <= session || session <= 0:
	case isSet(setting):
		c.addError(setting, fmt.Sprintf("%s is longer than KEYLODGE_SESSION_TTL (%s), so it would never matter", FormatDuration(*value), FormatDuration(session)), "make it shorter, or the other longer")
	default:
		*value = session
	}
}

func (c *settingsParser) duration(setting, s string, least, most time.Duration) time.Duration {
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		c.addError(setting, fmt.Sprintf("%q is not a length of time", s), "write it like 90s, 5m or 720h")
	case d < least || d > most:
		c.addError(setting, fmt.Sprintf("%s is out of range", s), fmt.Sprintf("choose from %s to %s", FormatDuration(least), FormatDuration(most)))
	case d%time.Second != 0:
		c.addError(setting, fmt.Sprintf("%s is not in whole seconds", s), "leave out what is less than a second")
	}
	return d
}

func (c *settingsParser) number(setting, s string, least, most int) int {
	n, err := strconv.Atoi(s)
	switch {
	case err != nil:
		c.addError(setting, fmt.Sprintf("%q is not a number", s), fmt.Sprintf("write a number from %d to %d", least, most))
	case n < least || n > most:
		c.addError(setting, fmt.Sprintf("%d is out of range", n), fmt.Sprintf("choose from %d to %d", least, most))
	}
	return n
}

// FormatDuration writes 720h and not 720h0m0s.
func FormatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func (c *settingsParser) logLevel(s string) slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s)); err != nil {
		c.addError("LOG_LEVEL", fmt.Sprintf("%q is no level", s), "write debug, info, warn or error")
	}
	return level
}

func oneOf[T ~string](c *settingsParser, setting, s string, allowed ...T) T {
	var names []string
	for _, value := range allowed {
		if T(s) == value {
			return value
		}
		if value != "" {
			names = append(names, string(value))
		}
	}
	c.addError(setting, fmt.Sprintf("%q is not one of its values", s), "write "+strings.Join(names, " or "))
	return ""
}

// splitList splits at commas; empty items do not count.
func splitList(s string) []string {
	var items []string
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// ListenFix returns what to do when a server cannot listen on the address of a setting.
func ListenFix(setting string, err error) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "stop what listens there, or set " + setting + " to another address"
	case errors.Is(err, fs.ErrPermission):
		return "set " + setting + " to a port above 1023, and put a proxy in front of it"
	}
	return "set " + setting + " to an address of this machine"
}

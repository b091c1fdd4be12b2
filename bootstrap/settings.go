package bootstrap

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/adapters/postgres"
	"github.com/keylodge/keylodge/domain"
)

// checker gathers faults while it turns text into values.
type checker struct{ faults Faults }

func (c *checker) fault(setting, problem, fix string) {
	c.faults = append(c.faults, Fault{prefix + "_" + setting, problem, fix})
}

func (e environment) check() (Config, Faults) {
	var c checker
	publicURL := e.PublicURL
	if publicURL == "" {
		publicURL = defaultPublicURL(e.Listen)
	}
	config := Config{
		Listen:          c.listen("LISTEN", e.Listen),
		RPName:          e.RPName,
		TrustedProxies:  c.proxies(e.TrustedProxies),
		Database:        c.database(e.DatabaseURL),
		PreviousSecrets: c.previousSecrets(e.PreviousSecrets),
		Registration:    oneOf(&c, "REGISTRATION", e.Registration, domain.RegistrationOpen, domain.RegistrationClosed),
		Recovery:        oneOf(&c, "RECOVERY_POLICY", e.RecoveryPolicy, domain.RecoveryAny, domain.RecoveryBoth, domain.RecoveryOff),
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
		LogLevel:     c.logLevel(e.LogLevel),
		LogFormat:    oneOf(&c, "LOG_FORMAT", e.LogFormat, LogAuto, LogText, LogJSON),
	}
	if config.Sessions.IdleTTL > config.Sessions.TTL && config.Sessions.TTL > 0 {
		c.fault("SESSION_IDLE_TTL", "it is longer than KEYLODGE_SESSION_TTL, so it would never matter", "make it shorter, or the other longer")
	}
	if e.OpsListen != "" {
		config.OpsListen = c.listen("OPS_LISTEN", e.OpsListen)
	}
	if len(e.RPName) > 64 {
		c.fault("RP_NAME", "it is longer than 64 bytes", "write the short name that people know the site by")
	}
	if e.Secret != "" {
		key := c.secret("SECRET", "it", e.Secret)
		config.Secret = &key
	}
	if config.Database.url != "" && e.Secret == "" {
		c.fault("SECRET", "it is not set, and with PostgreSQL there is no folder to keep one in", secretFix+", and give every server the same")
	}
	c.relyingParty(&config, publicURL, e.RPID, e.Origins)
	config.AbandonedRPIDs = c.abandoned(config.RPID, e.AbandonedRPIDs)
	c.authenticators(&config, e)
	c.tokens(&config, e)
	c.smtp(&config, e)
	c.wellKnown(&config, e)
	c.rateLimits(&config, e.RateLimits, e.RateLimitURL)
	return config, c.faults
}

// defaultPublicURL follows the port, so that one setting moves a server on its own machine.
func defaultPublicURL(listen string) string {
	_, port, err := net.SplitHostPort(listen)
	if err != nil || !isPort(port) {
		port = "8080" // the fault is told where the setting is checked
	}
	return "http://localhost:" + port
}

func (c *checker) listen(setting, s string) string {
	if _, port, err := net.SplitHostPort(s); err != nil || !isPort(port) {
		c.fault(setting, fmt.Sprintf("%q is not an address to listen on", s), "write host:port, such as 127.0.0.1:8080 or :8080")
	}
	return s
}

func isPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

func (c *checker) proxies(s string) []netip.Prefix {
	var prefixes []netip.Prefix
	for _, item := range list(s) {
		if ip, err := netip.ParseAddr(item); err == nil {
			prefixes = append(prefixes, netip.PrefixFrom(ip.Unmap(), ip.Unmap().BitLen()))
		} else if network, err := netip.ParsePrefix(item); err == nil {
			prefixes = append(prefixes, network.Masked())
		} else {
			c.fault("TRUSTED_PROXIES", fmt.Sprintf("%q is neither an address nor a network", item), "write addresses and networks separated by commas, such as 10.0.0.7,10.1.0.0/16")
		}
	}
	return prefixes
}

func (c *checker) database(s string) Database {
	const (
		file   = "write sqlite:FILE, such as sqlite:/var/lib/keylodge/keylodge.db"
		server = "write postgres://user:password@host:5432/database" //nolint:gosec // the shape of a URL, not one
	)
	scheme, path, _ := strings.Cut(s, ":")
	switch {
	case scheme == "postgres" || scheme == "postgresql":
		var invalid *postgres.URLError
		if errors.As(postgres.CheckURL(s), &invalid) {
			c.fault("DATABASE_URL", invalid.Problem, invalid.Fix)
		}
		return Postgres(s)
	case scheme != "sqlite":
		c.fault("DATABASE_URL", fmt.Sprintf("no storage goes by %q", scheme), file+"; or "+server)
	case path == "" || strings.HasSuffix(path, "/"):
		c.fault("DATABASE_URL", "it names no file", file)
	}
	return SQLite(filepath.Clean(path))
}

const secretFix = "make one with: openssl rand -base64 32"

func (c *checker) secret(setting, which, s string) masterkey.Key {
	key, err := masterkey.Parse(s)
	if err != nil {
		c.fault(setting, which+" "+err.Error(), secretFix)
	}
	return key
}

func (c *checker) previousSecrets(s string) []masterkey.Key {
	var keys []masterkey.Key
	for i, item := range list(s) {
		keys = append(keys, c.secret("PREVIOUS_SECRETS", fmt.Sprintf("number %d", i+1), item))
	}
	return keys
}

func (c *checker) duration(setting, s string, least, most time.Duration) time.Duration {
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		c.fault(setting, fmt.Sprintf("%q is not a length of time", s), "write it like 90s, 5m or 720h")
	case d < least || d > most:
		c.fault(setting, fmt.Sprintf("%s is out of range", s), fmt.Sprintf("choose from %s to %s", short(least), short(most)))
	}
	return d
}

func (c *checker) number(setting, s string, least, most int) int {
	n, err := strconv.Atoi(s)
	switch {
	case err != nil:
		c.fault(setting, fmt.Sprintf("%q is not a number", s), fmt.Sprintf("write a number from %d to %d", least, most))
	case n < least || n > most:
		c.fault(setting, fmt.Sprintf("%d is out of range", n), fmt.Sprintf("choose from %d to %d", least, most))
	}
	return n
}

// short writes 720h and not 720h0m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func (c *checker) logLevel(s string) slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s)); err != nil {
		c.fault("LOG_LEVEL", fmt.Sprintf("%q is no level", s), "write debug, info, warn or error")
	}
	return level
}

func oneOf[T ~string](c *checker, setting, s string, allowed ...T) T {
	var names []string
	for _, value := range allowed {
		if T(s) == value {
			return value
		}
		if value != "" {
			names = append(names, string(value))
		}
	}
	c.fault(setting, fmt.Sprintf("%q is not one of its values", s), "write "+strings.Join(names, " or "))
	return ""
}

// list splits at commas; empty items do not count.
func list(s string) []string {
	var items []string
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

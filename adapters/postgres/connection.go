package postgres

import (
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Defaults of the URL's parameters.
const (
	maxConnections = 16
	connectTimeout = 5 * time.Second
)

// applicationName is the default name of Keylodge's connections in pg_stat_activity.
const applicationName = "keylodge"

// pingAfterIdle is the idle time after which a connection is pinged before it is used. The first round trip of an Update may contain its
// COMMIT, after which a lost connection is not retried: so the ping finds a connection that was lost while it was idle.
const pingAfterIdle = time.Second

// URLError says what is wrong with the URL of a database and how to fix it. It never quotes a part that may belong to a password.
type URLError struct{ Problem, Fix string }

func (e *URLError) Error() string { return e.Problem + ": " + e.Fix }

const urlFormat = "write postgres://user:password@host:5432/database" //nolint:gosec // the shape of a URL, not one

// errUnparsableURL replaces the error of url.Parse, which would quote parts of a password, and names the likely cause.
var errUnparsableURL = &URLError{
	"the database URL is invalid",
	urlFormat + ", with %-escapes in the user and the password: @ is %40, : is %3A, / is %2F, # is %23, ? is %3F, % is %25, and a space is %20",
}

// parse reads the URL (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS, and the parameters of
// pgx and pgxpool). Its errors are *URLError.
func parse(databaseURL string) (*pgxpool.Config, error) {
	u, err := url.Parse(databaseURL)
	if err != nil || u.Opaque != "" || strings.Contains(databaseURL, "#") || strings.Contains(u.EscapedPath(), "@") {
		return nil, errUnparsableURL
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errUnparsableURL
	}
	if err := checkParameters(query); err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig(databaseURL)
	if err != nil {
		return nil, &URLError{"the database URL is invalid: " + parseErrorReason(err), "correct the parameter, or remove it"}
	}
	if err := checkConfig(config, query); err != nil {
		return nil, err
	}
	if !query.Has("pool_max_conns") {
		config.MaxConns = maxConnections
	}
	if !query.Has("connect_timeout") {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	if config.ConnConfig.StatementCacheCapacity < 1 { // pgx would reject every statement
		disableNamedStatements(config.ConnConfig)
	}
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = applicationName
	}
	config.PingTimeout = connectTimeout
	config.ShouldPing = func(_ context.Context, p pgxpool.ShouldPingParams) bool { return p.IdleDuration > pingAfterIdle }
	return config, nil
}

// parameterName matches the name of any parameter. A name that does not match may be the end of a password with a "?" in it.
var parameterName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)

var sslModes = []string{"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}

func checkParameters(query url.Values) error {
	for _, name := range slices.Sorted(maps.Keys(query)) {
		switch {
		case !parameterName.MatchString(name):
			return errUnparsableURL
		case len(query[name]) > 1:
			return &URLError{fmt.Sprintf("the database URL has the parameter %s more than once", name), "remove all but one"}
		case name == "sslmode" && !slices.Contains(sslModes, query.Get(name)):
			return &URLError{fmt.Sprintf("the database URL has the unknown sslmode=%s", query.Get(name)),
				"write one of " + strings.Join(sslModes, ", ")}
		}
	}
	return nil
}

// checkConfig rejects parameters that have no effect, or with which no statement can be prepared.
func checkConfig(config *pgxpool.Config, query url.Values) error {
	c := config.ConnConfig
	if network, _ := pgconn.NetworkAddress(c.Host, c.Port); network != "unix" && query.Get("sslrootcert") != "" && !verifiesCertificate(c.TLSConfig) {
		return &URLError{"the database URL has sslrootcert, but its sslmode does not check certificates", "add sslmode=verify-full"}
	}
	if c.DescriptionCacheCapacity < 1 {
		return &URLError{fmt.Sprintf("the database URL has description_cache_capacity=%d", c.DescriptionCacheCapacity), "write 1 or more, or remove it"}
	}
	return nil
}

// verifiesCertificate reports whether the server's certificate is checked.
func verifiesCertificate(c *tls.Config) bool {
	return c != nil && (!c.InsecureSkipVerify || c.VerifyPeerCertificate != nil)
}

// parseErrorReason returns the reason of pgx's error without the URL, which pgx writes before the reason with passwords in it.
func parseErrorReason(err error) string {
	const end = "`: "
	text := err.Error()
	if i := strings.LastIndex(text, end); i >= 0 {
		return text[i+len(end):]
	}
	return "see the documentation of PostgreSQL's connection URIs"
}

// CheckURL returns a *URLError if the URL is invalid. It does not connect.
func CheckURL(databaseURL string) error {
	_, err := parse(databaseURL)
	return err
}

// Name describes the database of a URL for messages: database, host, port and user.
func Name(databaseURL string) string {
	config, err := parse(databaseURL)
	if err != nil {
		return "a database with an invalid URL"
	}
	return name(config.ConnConfig)
}

// name is Name for a parsed URL.
func name(c *pgx.ConnConfig) string {
	return fmt.Sprintf("%s at %s:%d as user %s", c.Database, c.Host, c.Port, c.User)
}

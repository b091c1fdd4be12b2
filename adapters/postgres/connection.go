package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// What holds unless the URL says otherwise.
const (
	maxConnections = 16
	connectTimeout = 5 * time.Second
)

// applicationName is what the server's operator sees us as.
const applicationName = "keylodge"

// restAfter is how long a connection may have been idle and still be taken without asking whether it is there: a round
// trip, which a unit of work that is begun again on a new connection makes unnecessary.
const restAfter = time.Minute

// parse reads the URL (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS, and pgxpool's
// parameters). Its errors do not quote the URL, which may hold a password.
func parse(databaseURL string) (*pgxpool.Config, error) {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return nil, errors.New("the URL of the database cannot be read: write postgres://user:password@host:5432/database, with %-escapes for what has a meaning in a URL")
	}
	config, err := pgxpool.ParseConfig(databaseURL)
	if err != nil {
		return nil, fmt.Errorf("the URL of the database cannot be used: %s", reasonOf(err))
	}
	if !u.Query().Has("pool_max_conns") {
		config.MaxConns = maxConnections
	}
	if !u.Query().Has("connect_timeout") {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = applicationName
	}
	config.PingTimeout = connectTimeout
	config.ShouldPing = func(_ context.Context, p pgxpool.ShouldPingParams) bool { return p.IdleDuration > restAfter }
	return config, nil
}

// reasonOf is what is wrong with a URL, without the URL: pgx writes it before the reason, and leaves a password in its
// parameters as it is.
func reasonOf(err error) string {
	_, reason, found := strings.Cut(err.Error(), "`: ")
	if !found {
		return "see the documentation of PostgreSQL's connection URIs"
	}
	return reason
}

// CheckURL returns what is wrong with a URL, if anything can be told without connecting.
func CheckURL(databaseURL string) error {
	_, err := parse(databaseURL)
	return err
}

// Name is what may be shown of a URL: which database it is, where, and who asks.
func Name(databaseURL string) string {
	config, err := parse(databaseURL)
	if err != nil {
		return "a database whose URL cannot be read"
	}
	return name(config.ConnConfig)
}

// name is the database for messages.
func name(c *pgx.ConnConfig) string {
	return fmt.Sprintf("%s at %s:%d as user %s", c.Database, c.Host, c.Port, c.User)
}

// explain adds what to do about an error at the start.
func explain(c *pgx.ConnConfig, err error) error {
	if advice := adviceOn(c, err); advice != "" {
		return fmt.Errorf("opening the database %s: %s: %w", name(c), advice, err)
	}
	return fmt.Errorf("opening the database %s: %w", name(c), err)
}

func adviceOn(c *pgx.ConnConfig, err error) string {
	state := stateOf(err)
	switch {
	case state == invalidPassword:
		return "correct the user or the password"
	case strings.HasPrefix(state, "28"):
		return "let this user in from here, in the server's pg_hba.conf, or connect as another"
	case state == noDatabase:
		return fmt.Sprintf("make it first: CREATE DATABASE %s OWNER %s", pgx.Identifier{c.Database}.Sanitize(), pgx.Identifier{c.User}.Sanitize())
	case state == permissionDenied, state == noSchema:
		return fmt.Sprintf("let the user make tables in a schema on its search_path: GRANT USAGE, CREATE ON SCHEMA public TO %s", pgx.Identifier{c.User}.Sanitize())
	case state == readOnly:
		return "this is a replica, or it was set to read only: name the primary"
	case state == tooManyConnections:
		return "raise the server's max_connections, or lower pool_max_conns in the URL"
	case state == lockNotAvailable:
		return "somebody has had the tables for long: let a backup come to its end, or end a transaction that was left open, and start again"
	case state == startingUp:
		return "wait until the server has started, and try again"
	case isTLS(err):
		return "set sslmode, and sslrootcert to the file of whoever signed the server's certificate, in the URL; sslmode=disable is for a network that is yours alone"
	case state == "" && isUnreachable(err):
		return "start the server, or correct the host and the port"
	}
	return ""
}

func isTLS(err error) bool {
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var verification *tls.CertificateVerificationError
	return errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &invalid) || errors.As(err, &verification) ||
		err != nil && strings.Contains(err.Error(), "server refused TLS connection") // which has no type
}

func isUnreachable(err error) bool {
	var unreachable *pgconn.ConnectError
	return errors.As(err, &unreachable)
}

package postgres

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// wrapOpen says which database could not be opened, and what to do about it.
func wrapOpen(c *pgx.ConnConfig, err error) error {
	advice := adviceOn(c, err)
	if state := stateOf(err); !isUnreachable(err) && (state == insufficientPrivilege || state == invalidSchemaName) {
		user := pgx.Identifier{c.User}.Sanitize()
		advice = fmt.Sprintf("let the user make tables in a schema on its search_path: GRANT USAGE, CREATE ON SCHEMA public TO %s; or, if they are made, "+
			"use them: GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO %s", user, user)
	}
	if advice == "" {
		return fmt.Errorf("opening the database %s: %w", name(c), err)
	}
	return fmt.Errorf("opening the database %s: %s: %w", name(c), advice, err)
}

// adviceOn is what the operator can do about an error of the database, or "".
func adviceOn(c *pgx.ConnConfig, err error) (advice string) {
	var failure *pgconn.PgError
	refused := isUnreachable(err)
	switch {
	case errors.As(err, &failure) && failure.Code == protocolViolation:
		advice = poolerAdvice(c, failure)
	case refused && failure != nil:
		advice = rejectionAdvice(c, failure)
	case refused:
		advice = networkAdvice(c, err)
	}
	if advice == "" {
		advice = conditionOf(err).advice
	}
	return advice
}

// rejectionAdvice is on what the server says instead of accepting a connection.
func rejectionAdvice(c *pgx.ConnConfig, failure *pgconn.PgError) string {
	user, database := pgx.Identifier{c.User}.Sanitize(), pgx.Identifier{c.Database}.Sanitize()
	parameter := parameterIn(c, failure.Message)
	switch failure.Code {
	case undefinedObject:
		return fmt.Sprintf("the server knows no parameter %s: take it out of the URL", parameter)
	case invalidParameterValue:
		return fmt.Sprintf("the server does not take this value of %s: correct it in the URL", parameter)
	case cantChangeRuntimeParam:
		return fmt.Sprintf("%s cannot be set by a connection: take it out of the URL", parameter)
	case insufficientPrivilege:
		if failure.Routine == "InitPostgres" || failure.Routine == "CheckMyDatabase" {
			return fmt.Sprintf("let the user in: GRANT CONNECT ON DATABASE %s TO %s", database, user)
		}
		return fmt.Sprintf("this user may not set %s: take it out of the URL", parameter)
	case invalidPassword:
		return fmt.Sprintf("correct the user or the password in the URL, in which %% is written %%25; or give the user another one that has not expired: ALTER ROLE %s PASSWORD '…' VALID UNTIL 'infinity'", user)
	case invalidAuthorizationSpecification:
		switch {
		case failure.Routine == "InitializeSessionUserId":
			return fmt.Sprintf("make the user, or let it log in: CREATE ROLE %s LOGIN PASSWORD '…', or ALTER ROLE %s LOGIN", user, user)
		case c.TLSConfig == nil:
			return "let this user in from here, in the server's pg_hba.conf, or connect as another; if that lets it in over TLS only, set sslmode=verify-full in the URL"
		}
		return "let this user in from here, in the server's pg_hba.conf, or connect as another; if that asks for a client certificate, set sslcert and sslkey in the URL"
	case invalidCatalogName:
		return fmt.Sprintf("make it first: CREATE DATABASE %s OWNER %s", database, user)
	case objectNotInPrerequisiteState:
		return fmt.Sprintf("let the database take connections again: ALTER DATABASE %s ALLOW_CONNECTIONS true", database)
	}
	return ""
}

// parameterIn is the parameter of the URL that a message of the server speaks of, in whatever language it does.
func parameterIn(c *pgx.ConnConfig, message string) string {
	found := ""
	for _, name := range slices.Sorted(maps.Keys(c.RuntimeParams)) {
		if strings.Contains(message, name) && len(name) > len(found) {
			found = name
		}
	}
	if found == "" {
		return "in options"
	}
	return found
}

// poolerAdvice is on what PgBouncer says, under one SQLSTATE and always in English.
func poolerAdvice(c *pgx.ConnConfig, failure *pgconn.PgError) string {
	says := func(one ...string) bool {
		return slices.ContainsFunc(one, func(words string) bool { return strings.Contains(failure.Message, words) })
	}
	switch {
	case says("unsupported startup parameter"):
		return fmt.Sprintf("PgBouncer takes no parameter %s: take it out of the URL, and set it with ALTER ROLE … SET, or in connect_query of PgBouncer", parameterIn(c, failure.Message))
	case says("statement pooling mode"):
		return "Keylodge needs transactions: set PgBouncer's pool_mode to transaction or session"
	case says("no such user", "authentication failed", "auth failed"):
		return "correct the user or the password in the URL, or add the user to PgBouncer's auth_file"
	case says("no such database", "does not exist"):
		return fmt.Sprintf("make the database %s, add it to [databases] in PgBouncer's configuration, or correct the URL", c.Database)
	case says("no more connections allowed"):
		return "raise PgBouncer's max_client_conn, or lower pool_max_conns in the URL"
	case says("query_wait_timeout"):
		return "PgBouncer had no connection to PostgreSQL to give: raise its default_pool_size, to the pool_max_conns of all servers together in pool_mode session, and look for long transactions"
	case says("server login", "login failed", "cannot connect", "server conn", "server connection"):
		return "PgBouncer does not reach PostgreSQL: its log says why"
	}
	return ""
}

// networkAdvice is on what happens before the server says anything.
func networkAdvice(c *pgx.ConnConfig, err error) string {
	var (
		unresolved *net.DNSError
		timeout    net.Error
		authority  x509.UnknownAuthorityError
		host       x509.HostnameError
		invalid    x509.CertificateInvalidError
	)
	switch {
	case pgconn.Timeout(err), errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Sprintf("there was no answer within connect_timeout (%s): correct the host and the port, or let this machine through the firewall", c.ConnectTimeout)
	case errors.As(err, &authority):
		return "set sslrootcert in the URL to the file of the authority that signed the server's certificate"
	case errors.As(err, &host):
		return "name the server in the URL as its certificate does, or set sslmode=verify-ca"
	case errors.As(err, &invalid):
		return "give the server a valid certificate, and set the clocks of both machines"
	case errorContains(err, tlsRejectedMessage):
		return "the server offers no TLS: set ssl=on in its postgresql.conf, or sslmode=disable in the URL on a network that is yours alone"
	case errorContains(err, "tls error"), errorContains(err, "remote error: tls"):
		return "the two sides do not agree on TLS: see the server's log, sslmode, sslrootcert, sslcert and sslkey"
	case errorContains(err, "hot standby"), errorContains(err, "standby mode"), errorContains(err, "read only"):
		return "no server of the URL is as target_session_attrs says: name the primary"
	case errors.As(err, &unresolved):
		return fmt.Sprintf("no address is known of the host %s: correct it in the URL", unresolved.Name)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return "start the server, or correct the host and the port"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no way to this host: correct it, or the network"
	}
	return "what answers there may not be PostgreSQL: correct the host and the port"
}

func errorContains(err error, words string) bool { return strings.Contains(err.Error(), words) }

// isUnreachable reports an error that came up while a connection was being made.
func isUnreachable(err error) bool {
	var unreachable *pgconn.ConnectError
	return errors.As(err, &unreachable)
}

// tlsRejectedMessage is in an error of pgconn that has no type.
const tlsRejectedMessage = "server refused TLS connection"

// connectError is a pgconn.ConnectError with those of its attempts that say why.
type connectError struct {
	cause    *pgconn.ConnectError
	attempts []error
}

// simplifyConnectError leaves out of a pgconn.ConnectError each attempt with TLS that the server refused and that was made again
// without, as sslmode=prefer does, and what repeats itself.
func simplifyConnectError(err error) error {
	var whole *pgconn.ConnectError
	if !errors.As(err, &whole) {
		return err
	}
	var attempts []error
	made := connectAttempts(whole.Unwrap())
	for i, attempt := range made {
		again := slices.ContainsFunc(made[i+1:], func(next error) bool { return attemptAddress(next) == attemptAddress(attempt) })
		repeated := slices.ContainsFunc(attempts, func(before error) bool { return before.Error() == attempt.Error() })
		if repeated || again && errorContains(attempt, tlsRejectedMessage) {
			continue
		}
		attempts = append(attempts, attempt)
	}
	return &connectError{whole, attempts}
}

// connectAttempts takes apart what pgconn joins.
func connectAttempts(err error) []error {
	for e := err; e != nil; e = errors.Unwrap(e) {
		if joined, ok := e.(interface{ Unwrap() []error }); ok {
			return joined.Unwrap()
		}
	}
	return []error{err}
}

// attemptAddress is the address of an attempt, as pgconn writes it before the error.
func attemptAddress(attempt error) string {
	address, _, _ := strings.Cut(attempt.Error(), "): ")
	return address
}

func (e *connectError) Error() string {
	texts := make([]string, len(e.attempts))
	for i, attempt := range e.attempts {
		texts[i] = oneLine(attempt)
	}
	return "connecting to the server failed: " + strings.Join(texts, "; ")
}

// Unwrap implements the interface of errors.Is and errors.As. The attempts come first.
func (e *connectError) Unwrap() error { return errors.Join(errors.Join(e.attempts...), e.cause) }

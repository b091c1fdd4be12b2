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

// wrapOpen adds the database and the advice for the operator to an error of opening it.
func wrapOpen(c *pgx.ConnConfig, err error) error {
	advice := adviceOn(c, err)
	if state := stateOf(err); !isUnreachable(err) && (state == insufficientPrivilege || state == invalidSchemaName) {
		user := pgx.Identifier{c.User}.Sanitize()
		advice = fmt.Sprintf("allow the user to create tables in a schema on its search_path: GRANT USAGE, CREATE ON SCHEMA public TO %s; or, if the tables "+
			"exist, to use them: GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO %s", user, user)
	}
	if advice == "" {
		return fmt.Errorf("opening the database %s: %w", name(c), err)
	}
	return fmt.Errorf("opening the database %s: %s: %w", name(c), advice, err)
}

// adviceOn returns what the operator can do about an error of the database, or "".
func adviceOn(c *pgx.ConnConfig, err error) (advice string) {
	var failure *pgconn.PgError
	connecting := isUnreachable(err)
	switch {
	case errors.As(err, &failure) && failure.Code == protocolViolation:
		advice = poolerAdvice(c, failure)
	case connecting && failure != nil:
		advice = rejectionAdvice(c, failure)
	case connecting:
		advice = networkAdvice(c, err)
	}
	if advice == "" {
		advice = conditionOf(err).advice
	}
	return advice
}

// rejectionAdvice returns the advice on the server's error if it rejects a connection, or "".
func rejectionAdvice(c *pgx.ConnConfig, failure *pgconn.PgError) string {
	user, database := pgx.Identifier{c.User}.Sanitize(), pgx.Identifier{c.Database}.Sanitize()
	parameter := parameterIn(c, failure.Message)
	switch failure.Code {
	case undefinedObject:
		return fmt.Sprintf("the server knows no parameter %s: remove it from the URL", parameter)
	case invalidParameterValue:
		return fmt.Sprintf("the server rejects this value of %s: correct it in the URL", parameter)
	case cantChangeRuntimeParam:
		return fmt.Sprintf("%s cannot be set by a connection: remove it from the URL", parameter)
	case insufficientPrivilege:
		if failure.Routine == "InitPostgres" || failure.Routine == "CheckMyDatabase" {
			return fmt.Sprintf("allow the user to connect: GRANT CONNECT ON DATABASE %s TO %s", database, user)
		}
		return fmt.Sprintf("this user may not set %s: remove it from the URL", parameter)
	case invalidPassword:
		return fmt.Sprintf("correct the user or the password in the URL, in which %% is written %%25; or set a password that has not expired: ALTER ROLE %s PASSWORD '…' VALID UNTIL 'infinity'", user)
	case invalidAuthorizationSpecification:
		switch {
		case failure.Routine == "InitializeSessionUserId":
			return fmt.Sprintf("create the user, or allow it to log in: CREATE ROLE %s LOGIN PASSWORD '…', or ALTER ROLE %s LOGIN", user, user)
		case c.TLSConfig == nil:
			return "allow this user to connect from this machine in the server's pg_hba.conf, or connect as another user; if pg_hba.conf requires TLS, set sslmode=verify-full in the URL"
		}
		return "allow this user to connect from this machine in the server's pg_hba.conf, or connect as another user; if pg_hba.conf requires a client certificate, set sslcert and sslkey in the URL"
	case invalidCatalogName:
		return fmt.Sprintf("create the database: CREATE DATABASE %s OWNER %s", database, user)
	case objectNotInPrerequisiteState:
		return fmt.Sprintf("allow connections to the database: ALTER DATABASE %s ALLOW_CONNECTIONS true", database)
	}
	return ""
}

// parameterIn returns the parameter of the URL that a message of the server names, in any language.
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

// poolerAdvice returns the advice on PgBouncer's error, or "". PgBouncer uses one SQLSTATE for all its errors, and English.
func poolerAdvice(c *pgx.ConnConfig, failure *pgconn.PgError) string {
	contains := func(phrases ...string) bool {
		return slices.ContainsFunc(phrases, func(phrase string) bool { return strings.Contains(failure.Message, phrase) })
	}
	switch {
	case contains("unsupported startup parameter"):
		return fmt.Sprintf("PgBouncer rejects the parameter %s: remove it from the URL, and set it with ALTER ROLE … SET, or in connect_query of PgBouncer", parameterIn(c, failure.Message))
	case contains("statement pooling mode"):
		return "Keylodge needs transactions: set PgBouncer's pool_mode to transaction or session"
	case contains("no such user", "authentication failed", "auth failed"):
		return "correct the user or the password in the URL, or add the user to PgBouncer's auth_file"
	case contains("no such database", "does not exist"):
		return fmt.Sprintf("create the database %s, add it to [databases] in PgBouncer's configuration, or correct the URL", c.Database)
	case contains("no more connections allowed"):
		return "raise PgBouncer's max_client_conn, or lower pool_max_conns in the URL"
	case contains("query_wait_timeout"):
		return "PgBouncer had no free connection to PostgreSQL: raise its default_pool_size (with pool_mode session, to the sum of pool_max_conns of all servers), and look for long transactions"
	case contains("server login", "login failed", "cannot connect", "server conn", "server connection"):
		return "PgBouncer cannot connect to PostgreSQL: its log says why"
	}
	return ""
}

// networkAdvice returns the advice on an error that occurred before the server responded.
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
		return fmt.Sprintf("there was no response within connect_timeout (%s): correct the host and the port, or allow this machine in the firewall", c.ConnectTimeout)
	case errors.As(err, &authority):
		return "set sslrootcert in the URL to the certificate file of the authority that signed the server's certificate"
	case errors.As(err, &host):
		return "write the host in the URL as the server's certificate names it, or set sslmode=verify-ca"
	case errors.As(err, &invalid):
		return "install a valid certificate on the server, and synchronise the clocks of both machines"
	case errorContains(err, tlsRejectedMessage):
		return "the server offers no TLS: set ssl=on in its postgresql.conf, or sslmode=disable in the URL on a private network"
	case errorContains(err, "tls error"), errorContains(err, "remote error: tls"):
		return "the TLS handshake failed: check the server's log, sslmode, sslrootcert, sslcert and sslkey"
	case errorContains(err, "hot standby"), errorContains(err, "standby mode"), errorContains(err, "read only"):
		return "no server of the URL matches target_session_attrs: name the primary"
	case errors.As(err, &unresolved):
		return fmt.Sprintf("the host %s does not resolve: correct it in the URL", unresolved.Name)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return "start the server, or correct the host and the port"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no route to this host: correct it, or fix the network"
	}
	return "the server at this address may not be PostgreSQL: correct the host and the port"
}

func errorContains(err error, phrase string) bool { return strings.Contains(err.Error(), phrase) }

// isUnreachable reports whether the error occurred while a connection was being opened.
func isUnreachable(err error) bool {
	var unreachable *pgconn.ConnectError
	return errors.As(err, &unreachable)
}

// tlsRejectedMessage is part of an error of pgconn that has no type.
const tlsRejectedMessage = "server refused TLS connection"

// connectError is a pgconn.ConnectError, reduced to the attempts that name a cause.
type connectError struct {
	cause    *pgconn.ConnectError
	attempts []error
}

// simplifyConnectError removes attempts from a pgconn.ConnectError: repeated errors, and an attempt with TLS that the server rejected
// and that was repeated without TLS, as sslmode=prefer does.
func simplifyConnectError(err error) error {
	var original *pgconn.ConnectError
	if !errors.As(err, &original) {
		return err
	}
	var attempts []error
	all := connectAttempts(original.Unwrap())
	for i, attempt := range all {
		retried := slices.ContainsFunc(all[i+1:], func(next error) bool { return attemptAddress(next) == attemptAddress(attempt) })
		repeated := slices.ContainsFunc(attempts, func(before error) bool { return before.Error() == attempt.Error() })
		if repeated || retried && errorContains(attempt, tlsRejectedMessage) {
			continue
		}
		attempts = append(attempts, attempt)
	}
	return &connectError{original, attempts}
}

// connectAttempts returns the errors that pgconn joined.
func connectAttempts(err error) []error {
	for e := err; e != nil; e = errors.Unwrap(e) {
		if joined, ok := e.(interface{ Unwrap() []error }); ok {
			return joined.Unwrap()
		}
	}
	return []error{err}
}

// attemptAddress returns the address of an attempt, which pgconn writes before the error.
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

// Unwrap returns the attempts, then the original error.
func (e *connectError) Unwrap() error { return errors.Join(errors.Join(e.attempts...), e.cause) }

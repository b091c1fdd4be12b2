package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/keylodge/keylodge/domain"
)

// SQLSTATEs, https://www.postgresql.org/docs/current/errcodes-appendix.html.
const (
	protocolViolation                 = "08P01" // PgBouncer's code for most of what it refuses
	featureNotSupported               = "0A000"
	foreignKeyViolation               = "23503"
	uniqueViolation                   = "23505"
	readOnlySQLTransaction            = "25006"
	invalidSQLStatementName           = "26000"
	invalidAuthorizationSpecification = "28000"
	invalidPassword                   = "28P01"
	invalidCatalogName                = "3D000"
	invalidSchemaName                 = "3F000"
	serializationFailure              = "40001"
	deadlockDetected                  = "40P01"
	insufficientPrivilege             = "42501"
	undefinedColumn                   = "42703"
	undefinedObject                   = "42704"
	undefinedTable                    = "42P01"
	duplicatePreparedStatement        = "42P05"
	duplicateTable                    = "42P07"
	duplicateObject                   = "42710"
	invalidParameterValue             = "22023"
	objectNotInPrerequisiteState      = "55000"
	cantChangeRuntimeParam            = "55P02"
	lockNotAvailable                  = "55P03"
	internalError                     = "XX000" // "tuple concurrently updated"
)

// condition is what a SQLSTATE means while the server runs.
type condition struct {
	state  string // a SQLSTATE, or the first two characters of all others of its class
	outage bool   // the cause is outside and the same call may succeed later: domain.ErrUnavailable, and 503 instead of 500
	advice string // to the operator, in the log
}

// conditions holds every SQLSTATE and class that has a meaning here. Of any other, a client gets 500 internal and the log the
// server's message. docs/storage.md has the same table.
var conditions = []condition{
	{"08", true, "the connection to PostgreSQL failed: see whether it runs and can be reached, and what its log says"},
	{protocolViolation, true, "if a pooler is in front of PostgreSQL, its log says why it refused this"},
	{featureNotSupported, true, "this is a replica, or a table was changed while the server ran: name the primary in KEYLODGE_DATABASE_URL"},
	{readOnlySQLTransaction, true, "the database is read-only: name the primary in KEYLODGE_DATABASE_URL, or turn default_transaction_read_only off"},
	{"25P03", true, "idle_in_transaction_session_timeout ended the connection: raise it for this role"},
	{"25P04", true, "transaction_timeout ended the connection: raise it for this role"},
	{invalidSQLStatementName, true, "a pooler lost a prepared statement: take default_query_exec_mode and statement_cache_capacity out of KEYLODGE_DATABASE_URL"},
	{duplicatePreparedStatement, true, "a pooler mixed up prepared statements: take default_query_exec_mode and statement_cache_capacity out of KEYLODGE_DATABASE_URL"},
	{"28", true, "PostgreSQL refuses this role: see pg_hba.conf, LOGIN and VALID UNTIL of the role, and the password in KEYLODGE_DATABASE_URL"},
	{invalidCatalogName, true, "the database was dropped or renamed: correct KEYLODGE_DATABASE_URL, or restore it"},
	{"40", true, "transactions stand in each other's way: if this goes on, look for long ones in pg_stat_activity"},
	{insufficientPrivilege, true, "grant the role CONNECT on the database, USAGE on the schema, and SELECT, INSERT, UPDATE and DELETE on its tables"},
	{undefinedColumn, false, "the schema was changed by another program: keylodge doctor says more"},
	{undefinedTable, false, "a table is missing, or search_path does not lead to it: keylodge doctor says more"},
	{"53", true, "PostgreSQL has run out of something: see its log"},
	{"53100", true, "PostgreSQL's disk is full: make room on it"},
	{"53200", true, "PostgreSQL has run out of memory: give it more, or lower work_mem or max_connections"},
	{"53300", true, "PostgreSQL takes no more connections: raise the server's max_connections, or the CONNECTION LIMIT of the role or the database, or lower pool_max_conns in KEYLODGE_DATABASE_URL"},
	{"54", true, "PostgreSQL has reached a limit of its own, such as that of transaction ids: see its log, and VACUUM"},
	{"55", true, "PostgreSQL does not do this in its present state: see its log"},
	{objectNotInPrerequisiteState, true, "the database takes no connections: ALTER DATABASE … ALLOW_CONNECTIONS true"},
	{lockNotAvailable, true, "another transaction has had the tables for longer than lock_timeout: look for it in pg_stat_activity"},
	{"57", true, "PostgreSQL was stopped, or is stopping"},
	{"57014", true, "a statement was cancelled: look at statement_timeout of the role, and for a slow disk"},
	{"57P03", true, "PostgreSQL is starting, or stopping, or recovering: wait"},
	{"57P04", true, "the database was dropped: correct KEYLODGE_DATABASE_URL, or restore it"},
	{"57P05", true, "idle_session_timeout ended the connection: turn it off for this role"},
	{"58", true, "PostgreSQL's disk or file system fails: see its log"},
	{"72", true, "a snapshot became too old: raise old_snapshot_threshold"},
	{"XX", false, "PostgreSQL reports a fault of its own, or of a pooler in front of it: see its log"},
	{"XX001", false, "the data are damaged: stop the servers and restore a backup"},
	{"XX002", false, "an index is damaged: REINDEX DATABASE, and look for the cause in PostgreSQL's log"},
}

var (
	// errLost is a connection that ended in the middle of a transaction, which ended with it.
	errLost = errors.New("the connection was lost")
	// errReplica is what a server that only follows another one makes of a transaction that could write.
	errReplica = errors.New("the server is a replica")
	// errReadOnly is that of a server that was told to take no changes by transactions that do not ask for it.
	errReadOnly = errors.New("default_transaction_read_only is on")
)

// wrap says what was being done when PostgreSQL failed, and whether it is an outage.
func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	outage := isOutage(err)
	err = simplifyConnectError(err)
	if outage {
		return fmt.Errorf("%s: %w: %w", doing, domain.ErrUnavailable, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// isOutage reports whether the cause is outside. What keeps a connection from being made always is, and so is what ends one.
func isOutage(err error) bool {
	if isUnreachable(err) || errors.Is(err, errLost) || errors.Is(err, errReplica) || errors.Is(err, errReadOnly) {
		return true
	}
	return conditionOf(err).outage
}

// conditionOf is the condition of the SQLSTATE in err, or else of its class; the zero condition if there is neither.
func conditionOf(err error) condition {
	state := stateOf(err)
	switch {
	case errors.Is(err, errReadOnly):
		state = readOnlySQLTransaction
	case state == "" && errors.Is(err, errLost):
		state = "08"
	case state == "":
		return condition{}
	}
	for _, prefix := range []string{state, state[:2]} {
		if i := slices.IndexFunc(conditions, func(c condition) bool { return c.state == prefix }); i >= 0 {
			return conditions[i]
		}
	}
	return condition{}
}

// withAdvice adds to an error of a unit of work what the operator can do about it.
func (s *Store) withAdvice(err error) error {
	if advice := adviceOn(s.config, err); advice != "" {
		return fmt.Errorf("%w; %s", err, advice)
	}
	return err
}

// isStatementNameError reports a prepared statement that is not there, or is there already: a pooler has given this client another
// connection to the server. Nothing was executed.
func isStatementNameError(err error) bool {
	return slices.Contains([]string{invalidSQLStatementName, duplicatePreparedStatement}, stateOf(err))
}

// isInvalidStatement is isStatementNameError, or a statement that was prepared before a table changed. A replica has the same SQLSTATE and no
// cure.
func isInvalidStatement(err error) bool {
	return isStatementNameError(err) || stateOf(err) == featureNotSupported && !errors.Is(err, errReplica)
}

// isConflict says that somebody else's transaction went first, so that this one has to begin again.
func isConflict(err error) bool {
	return slices.Contains([]string{serializationFailure, deadlockDetected}, stateOf(err))
}

// mayBeConflict is for what another transaction has just added or removed: PostgreSQL may notice that by a constraint
// before it notices the conflict. Seen again from the beginning, it is either gone or a fault.
func mayBeConflict(err error) bool {
	return slices.Contains([]string{uniqueViolation, foreignKeyViolation}, stateOf(err))
}

// stateOf is the SQLSTATE that the server gave, or "".
func stateOf(err error) string {
	var failure *pgconn.PgError
	if errors.As(err, &failure) && len(failure.Code) == 5 {
		return failure.Code
	}
	return ""
}

// contextError is the error of whoever's context has ended, or nil.
func contextError(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ctx.Err(), err)
}

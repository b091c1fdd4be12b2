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
	protocolViolation                 = "08P01" // PgBouncer's code for most of its errors
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

// condition is the meaning of a SQLSTATE while the server runs.
type condition struct {
	state  string // a SQLSTATE, or the first two characters of all others of its class
	outage bool   // the same call may succeed later: domain.ErrUnavailable, and 503 instead of 500
	advice string // for the operator, in the log
}

// conditions lists the SQLSTATEs and classes with a meaning of their own. For any other, a client gets 500 internal and the log has
// the server's message. docs/operations/postgresql-and-several-nodes.md has the same table.
var conditions = []condition{
	{"08", true, "the connection to PostgreSQL failed: check that it runs and can be reached, and read its log"},
	{protocolViolation, true, "if a pooler is in front of PostgreSQL, its log says why it rejected this"},
	{featureNotSupported, true, "this is a replica, or a table was changed while the server ran: name the primary in KEYLODGE_DATABASE_URL"},
	{readOnlySQLTransaction, true, "the database is read-only: name the primary in KEYLODGE_DATABASE_URL, or turn default_transaction_read_only off"},
	{"25P03", true, "idle_in_transaction_session_timeout ended the connection: raise it for this role"},
	{"25P04", true, "transaction_timeout ended the connection: raise it for this role"},
	{invalidSQLStatementName, true, "a pooler lost a prepared statement: remove default_query_exec_mode and statement_cache_capacity from KEYLODGE_DATABASE_URL"},
	{duplicatePreparedStatement, true, "a pooler mixed up prepared statements: remove default_query_exec_mode and statement_cache_capacity from KEYLODGE_DATABASE_URL"},
	{"28", true, "PostgreSQL rejects this role: see pg_hba.conf, LOGIN and VALID UNTIL of the role, and the password in KEYLODGE_DATABASE_URL"},
	{invalidCatalogName, true, "the database was dropped or renamed: correct KEYLODGE_DATABASE_URL, or restore it"},
	{"40", true, "transactions conflict with each other: if this continues, look for long ones in pg_stat_activity"},
	{insufficientPrivilege, true, "grant the role CONNECT on the database, USAGE on the schema, and SELECT, INSERT, UPDATE and DELETE on its tables"},
	{undefinedColumn, false, "the schema was changed by another program: keylodge doctor says more"},
	{undefinedTable, false, "a table is missing, or search_path does not lead to it: keylodge doctor says more"},
	{"53", true, "PostgreSQL has run out of a resource: see its log"},
	{"53100", true, "PostgreSQL's disk is full: free space on it"},
	{"53200", true, "PostgreSQL has run out of memory: give it more, or lower work_mem or max_connections"},
	{"53300", true, "PostgreSQL accepts no more connections: raise the server's max_connections, or the CONNECTION LIMIT of the role or the database, or lower pool_max_conns in KEYLODGE_DATABASE_URL"},
	{"54", true, "PostgreSQL has reached a limit of its own, such as that of transaction ids: see its log, and VACUUM"},
	{"55", true, "PostgreSQL cannot do this in its current state: see its log"},
	{objectNotInPrerequisiteState, true, "the database accepts no connections: ALTER DATABASE … ALLOW_CONNECTIONS true"},
	{lockNotAvailable, true, "another transaction has locked the tables for longer than lock_timeout: look for it in pg_stat_activity"},
	{"57", true, "PostgreSQL was stopped, or is stopping"},
	{"57014", true, "a statement was cancelled: check statement_timeout of the role, and whether the disk is slow"},
	{"57P03", true, "PostgreSQL is starting, or stopping, or recovering: wait"},
	{"57P04", true, "the database was dropped: correct KEYLODGE_DATABASE_URL, or restore it"},
	{"57P05", true, "idle_session_timeout ended the connection: turn it off for this role"},
	{"58", true, "PostgreSQL's disk or file system has failed: see its log"},
	{"72", true, "a snapshot became too old: raise old_snapshot_threshold"},
	{"XX", false, "PostgreSQL, or a pooler in front of it, reports an internal error: see its log"},
	{"XX001", false, "the data are damaged: stop the servers and restore a backup"},
	{"XX002", false, "an index is damaged: REINDEX DATABASE, and look for the cause in PostgreSQL's log"},
}

var (
	// errLost is returned if a connection was lost during a transaction. The server rolls the transaction back.
	errLost = errors.New("the connection was lost")
	// errReplica is returned for a write transaction on a replica.
	errReplica = errors.New("the server is a replica")
	// errReadOnly is returned for a write transaction on a server that is read-only by default.
	errReadOnly = errors.New("default_transaction_read_only is on")
)

// wrap adds the operation that failed, and domain.ErrUnavailable if the error is an outage.
func wrap(operation string, err error) error {
	if err == nil {
		return nil
	}
	outage := isOutage(err)
	err = simplifyConnectError(err)
	if outage {
		return fmt.Errorf("%s: %w: %w", operation, domain.ErrUnavailable, err)
	}
	return fmt.Errorf("%s: %w", operation, err)
}

// isOutage reports whether the same call may succeed later. Every failure to connect and every lost connection is an outage.
func isOutage(err error) bool {
	if isUnreachable(err) || errors.Is(err, errLost) || errors.Is(err, errReplica) || errors.Is(err, errReadOnly) {
		return true
	}
	return conditionOf(err).outage
}

// conditionOf returns the condition of err's SQLSTATE, else that of its class, else the zero condition.
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

// withAdvice adds the advice for the operator to an error of a View or Update.
func (s *Store) withAdvice(err error) error {
	if advice := adviceOn(s.config, err); advice != "" {
		return fmt.Errorf("%w; %s", err, advice)
	}
	return err
}

// isStatementNameError reports whether a prepared statement is missing or exists already, because a pooler has given this client
// another connection to the server. The statement was not executed.
func isStatementNameError(err error) bool {
	return slices.Contains([]string{invalidSQLStatementName, duplicatePreparedStatement}, stateOf(err))
}

// isInvalidStatement reports a statement name error, or a statement that was prepared before a table changed. A replica returns the
// same SQLSTATE for a write transaction, which a retry does not fix.
func isInvalidStatement(err error) bool {
	return isStatementNameError(err) || stateOf(err) == featureNotSupported && !errors.Is(err, errReplica)
}

// isConflict reports whether another transaction committed first, so that this one must be retried.
func isConflict(err error) bool {
	return slices.Contains([]string{serializationFailure, deadlockDetected}, stateOf(err))
}

// mayBeConflict reports a violated constraint. Another transaction may have just added or removed the row, and PostgreSQL may check
// the constraint before it detects the conflict. A retry shows whether the violation is real.
func mayBeConflict(err error) bool {
	return slices.Contains([]string{uniqueViolation, foreignKeyViolation}, stateOf(err))
}

// stateOf returns the SQLSTATE of the server's error, or "".
func stateOf(err error) string {
	var failure *pgconn.PgError
	if errors.As(err, &failure) && len(failure.Code) == 5 {
		return failure.Code
	}
	return ""
}

// contextError returns err with the context's error if the context has ended, else nil.
func contextError(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ctx.Err(), err)
}

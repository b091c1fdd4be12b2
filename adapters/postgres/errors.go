package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/keylodge/keylodge/domain"
)

// SQLSTATEs, https://www.postgresql.org/docs/current/errcodes-appendix.html.
const (
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	uniqueViolation      = "23505"
	foreignKeyViolation  = "23503"
	undefinedTable       = "42P01"
	undefinedColumn      = "42703"
	duplicateTable       = "42P07"
	duplicateObject      = "42710"
	featureNotSupported  = "0A000"
	internalError        = "XX000" // "tuple concurrently updated"
	readOnly             = "25006"
	lockNotAvailable     = "55P03"
	permissionDenied     = "42501"
	invalidPassword      = "28P01"
	noDatabase           = "3D000"
	noSchema             = "3F000"
	tooManyConnections   = "53300"
	startingUp           = "57P03"
)

// outages come from outside: the same call may succeed later. So do the classes beside them: of connections (08), of
// whoever may connect (28), of memory, disks and connections that have run out (53), of an operator who stops things (57)
// and of the system around (58).
var (
	outages       = []string{serializationFailure, deadlockDetected, readOnly, lockNotAvailable, permissionDenied, noDatabase}
	outageClasses = []string{"08", "28", "53", "57", "58"}
)

var (
	// errLost is a connection that ended in the middle of a transaction, which ended with it.
	errLost = errors.New("the connection was lost")
	// errReplica is what a server that only follows another one makes of a transaction that could write.
	errReplica = errors.New("the server is a replica")
)

// fault says what was being done when PostgreSQL failed, and whether it is an outage.
func fault(doing string, err error) error {
	if err == nil {
		return nil
	}
	if isOutage(err) {
		return fmt.Errorf("%s: %w: %w", doing, domain.ErrUnavailable, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// lookupFault is fault for queries that may find nothing, which is the error absent.
func lookupFault(doing string, err, absent error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return absent
	}
	return fault(doing, err)
}

func isOutage(err error) bool {
	if state := stateOf(err); state != "" && !errors.Is(err, errReplica) {
		return slices.Contains(outages, state) || slices.Contains(outageClasses, state[:2])
	}
	var unreachable *pgconn.ConnectError
	return errors.Is(err, errLost) || errors.Is(err, errReplica) || errors.As(err, &unreachable)
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

// ended is the error of whoever's context has ended, or nil.
func ended(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ctx.Err(), err)
}

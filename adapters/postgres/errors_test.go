package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/keylodge/keylodge/acceptance/testkit/postgresserver"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Requirement: Durability-outages
func TestStore_UnavailableWhileServerStopped(t *testing.T) {
	server := postgresserver.StartForTest(t)
	s := openAt(t, server.URL("postgres"))
	add(t, s, 0)
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	wantUnavailable(t, s)
	if err := server.Run(); err != nil {
		t.Fatal(err)
	}
	add(t, s, 1)
	wantChallenges(t, s, 2)
}

// The pool then contains only dead connections, and the store does not know that yet.
// Requirement: Durability-outages
func TestStore_SurvivesServerRestart(t *testing.T) {
	server := postgresserver.StartForTest(t)
	s := openAt(t, server.URL("postgres"))
	occupyConnections(t, s, 8)
	restart(t, server)
	for i := range 4 {
		add(t, s, i)
	}
	occupyConnections(t, s, 8)
	restart(t, server)
	if err := s.View(t.Context(), readChallenge); err != nil {
		t.Error(err)
	}
	wantChallenges(t, s, 4)
}

func TestUpdate_RetriesLostConnection(t *testing.T) {
	url := postgresserver.MigratedDatabase(t, migrateDatabase)
	s, operator := openAt(t, url), connect(t, url)
	lose := func(losses int) (runs int, err error) {
		err = s.Update(t.Context(), func(tx ports.Tx) error {
			runs++
			addErr := tx.Challenges.Add(t.Context(), numbered(losses))
			if runs <= losses {
				queryColumn(t, operator, "SELECT pg_terminate_backend(pid, 5000)::text FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
			}
			return addErr
		})
		return runs, err
	}
	for losses := range maxLostConnections + 1 {
		if runs, err := lose(losses); err != nil || runs != losses+1 {
			t.Errorf("lost %d times: fn ran %d times, error %v", losses, runs, err)
		}
	}
	wantChallenges(t, s, maxLostConnections+1)
	if runs, err := lose(maxLostConnections + 1); !errors.Is(err, domain.ErrUnavailable) || runs != maxLostConnections+1 {
		t.Errorf("lost %d times: fn ran %d times, error %v", maxLostConnections+1, runs, err)
	}
}

func TestView_RetriesLostConnection(t *testing.T) {
	url := postgresserver.MigratedDatabase(t, migrateDatabase)
	s, operator := openAt(t, url), connect(t, url)
	add(t, s, 0)
	for losses := range maxLostConnections + 2 {
		runs := 0
		err := s.View(t.Context(), func(tx ports.Tx) error {
			if runs++; runs <= losses {
				queryColumn(t, operator, "SELECT pg_terminate_backend(pid, 5000)::text FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
			}
			_, err := tx.Challenges.ByID(t.Context(), numberedID(0))
			return err
		})
		if losses <= maxLostConnections && (err != nil || runs != losses+1) {
			t.Errorf("lost %d times: fn ran %d times, error %v", losses, runs, err)
		}
		if losses > maxLostConnections && (!errors.Is(err, domain.ErrUnavailable) || runs != maxLostConnections+1) {
			t.Errorf("lost %d times: fn ran %d times, error %v", losses, runs, err)
		}
	}
}

// The server has committed, but the client does not know that. A retry would apply the changes twice.
// Requirement: Durability-crashes
func TestUpdate_DoesNotRetryUncertainCommit(t *testing.T) {
	s, dropReplies := openWithLostReplies(t)
	runs := 0
	err := s.Update(t.Context(), func(tx ports.Tx) error {
		runs++
		dropReplies.Store(runs == 1) // from now on only COMMIT is sent, with the statement before it
		return tx.Challenges.Add(t.Context(), numbered(runs))
	})
	if !errors.Is(err, domain.ErrUnavailable) || runs != 1 {
		t.Errorf("fn ran %d times, error %v; want 1 and %v", runs, err, domain.ErrUnavailable)
	}
	wantChallenges(t, s, 1)
}

// openWithLostReplies returns a store whose connection loses the reply to the next message after drop was set.
func openWithLostReplies(t *testing.T) (s *Store, drop *atomic.Bool) {
	t.Helper()
	config, err := parse(postgresserver.MigratedDatabase(t, migrateDatabase))
	if err != nil {
		t.Fatal(err)
	}
	drop = new(atomic.Bool)
	dial := config.ConnConfig.DialFunc
	config.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		return &dropCommitReply{Conn: conn, enabled: drop}, err
	}
	if s, err = open(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	add(t, s, 1000) // prepares the statements
	take(t, s, 1000)
	return s, drop
}

// dropCommitReply loses the connection after the next message, if it is enabled: the server gets the message, the client no reply.
type dropCommitReply struct {
	net.Conn
	enabled  *atomic.Bool
	dropping atomic.Bool
}

func (c *dropCommitReply) Write(b []byte) (int, error) {
	if c.enabled.CompareAndSwap(true, false) {
		c.dropping.Store(true)
	}
	return c.Conn.Write(b)
}

func (c *dropCommitReply) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.dropping.Load() {
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

func TestStore_UnavailableWithoutFreeConnection(t *testing.T) {
	t.Parallel()
	server := postgresserver.StartForTest(t, "max_connections=8", "superuser_reserved_connections=0", "max_wal_senders=0")
	s := openAt(t, server.URL("postgres"))
	s.pool.Reset()
	var others []*pgx.Conn
	var err error
	for err == nil {
		var other *pgx.Conn
		if other, err = pgx.Connect(t.Context(), server.URL("postgres")); err == nil {
			others = append(others, other)
		}
	}
	wantUnavailable(t, s)
	if _, err := Open(t.Context(), server.URL("postgres")); err == nil || !strings.Contains(err.Error(), "raise the server's max_connections") {
		t.Errorf("opening: got %v", err)
	}
	for _, other := range others {
		if err := other.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	eventually(t, func() error { // the server needs time to notice the closed connections
		return s.View(t.Context(), readNothing)
	})
	add(t, s, 0)
}

// A primary that has become a replica serves Views but no Updates.
func TestUpdate_UnavailableOnReplica(t *testing.T) {
	server := postgresserver.StartForTest(t)
	s := openAt(t, server.URL("postgres"))
	add(t, s, 0)
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	signal := filepath.Join(server.Data(), "standby.signal")
	if err := os.WriteFile(signal, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := server.Run(); err != nil {
		t.Fatal(err)
	}
	err := s.Update(t.Context(), readChallenge)
	if !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("Update: got %v, want %v", err, domain.ErrUnavailable)
	}
	if err := s.View(t.Context(), readChallenge); err != nil {
		t.Errorf("View: %v", err)
	}
	if err := s.View(t.Context(), func(tx ports.Tx) error { return tx.Challenges.Add(t.Context(), numbered(1)) }); err == nil {
		t.Error("a View wrote")
	}
}

func TestStore_ContextErrorIsNotUnavailable(t *testing.T) {
	url := postgresserver.MigratedDatabase(t, migrateDatabase)
	s, other := openAt(t, url), connect(t, url)
	add(t, s, 0)
	if err := exec(t.Context(), other, "BEGIN; DELETE FROM webauthn_challenges"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	result := make(chan error, 1)
	go func() {
		result <- s.Update(ctx, func(tx ports.Tx) error {
			err := tx.Challenges.Consume(ctx, numberedID(0)) // waits for the other transaction
			return err
		})
	}()
	awaitLock(t, connect(t, url))
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) || errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("in a statement: got %v", err)
	}
	release := occupyAll(t, s)
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := s.View(ctx, func(ports.Tx) error { return nil })
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("waiting for a connection: got %v", err)
	}
	release()
}

// Requirement: Durability-outages
func TestConditions_whichErrorsAreOutages(t *testing.T) {
	for code, outage := range map[string]bool{
		"08006": true, "08P01": true, "0A000": true, "25006": true, "25P03": true, "25P04": true, "26000": true, "28000": true, "28P01": true,
		"3D000": true, "40001": true, "40003": true, "40P01": true, "42501": true, "42P05": true, "53100": true, "53200": true, "53300": true,
		"53400": true, "54000": true, "55000": true, "55006": true, "55P03": true, "57014": true, "57P01": true, "57P02": true, "57P03": true,
		"57P04": true, "57P05": true, "58030": true, "58P01": true, "72000": true,
		"22021": false, "23505": false, "23514": false, "25P02": false, "42601": false, "42703": false, "42704": false, "42P01": false,
		"XX000": false, "XX001": false, "XX002": false,
	} {
		cause := fmt.Errorf("wrapped: %w", &pgconn.PgError{Code: code})
		if err := wrap("trying", cause); errors.Is(err, domain.ErrUnavailable) != outage {
			t.Errorf("%s: an outage is %t, want %t", code, !outage, outage)
		}
		if err := wrap("trying", fmt.Errorf("%w: %w", errLost, cause)); !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("%s with a lost connection is not an outage", code)
		}
	}
}

// The documentation has the same table as the code, in the same order.
func TestConditions_areDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/operations/postgresql-and-several-nodes.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, c := range conditions {
		status := "500 `internal`"
		if c.outage {
			status = "503 `unavailable`"
		}
		rows = append(rows, fmt.Sprintf("| %#q | %s | %s |\n", c.state, status, c.advice))
	}
	if want := strings.Join(rows, ""); !strings.Contains(string(page), want) {
		t.Errorf("docs/operations/postgresql-and-several-nodes.md does not have these rows:\n%s", want)
	}
}

// eventually calls try until it returns nil. The timeout is only reached if the test fails.
func eventually(t *testing.T, try func() error) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// awaitLock returns when a connection to the watcher's database waits for a lock.
func awaitLock(t *testing.T, watcher *pgx.Conn) {
	t.Helper()
	eventually(t, func() error {
		if len(queryColumn(t, watcher, "SELECT pid::text FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")) == 0 {
			return errors.New("no connection waits for a lock")
		}
		return nil
	})
}

func wantUnavailable(t *testing.T, s *Store) {
	t.Helper()
	for name, run := range map[string]func(context.Context, func(ports.Tx) error) error{"Update": s.Update, "View": s.View} {
		err := run(t.Context(), readNothing)
		if !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("%s: got %v, want %v", name, err, domain.ErrUnavailable)
		}
	}
}

// readChallenge reads the challenge 0 in a View or Update.
func readChallenge(tx ports.Tx) error {
	_, err := tx.Challenges.ByID(context.Background(), numberedID(0))
	return err
}

// readNothing is readChallenge that expects no challenge.
func readNothing(tx ports.Tx) error {
	if err := readChallenge(tx); !errors.Is(err, domain.ErrChallengeNotFound) {
		return err
	}
	return nil
}

func restart(t *testing.T, server *postgresserver.Server) {
	t.Helper()
	if err := errors.Join(server.Stop(), server.Run()); err != nil {
		t.Fatal(err)
	}
}

// occupyConnections leaves the pool with n idle connections.
func occupyConnections(t *testing.T, s *Store, n int) {
	t.Helper()
	if n == 0 {
		return
	}
	if err := s.View(t.Context(), func(ports.Tx) error { occupyConnections(t, s, n-1); return nil }); err != nil {
		t.Fatal(err)
	}
}

// occupyAll acquires all connections of the pool. The returned function releases them.
func occupyAll(t *testing.T, s *Store) (release func()) {
	t.Helper()
	var held []interface{ Release() }
	for range maxConnections {
		conn, err := s.pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, conn)
	}
	return func() {
		for _, conn := range held {
			conn.Release()
		}
	}
}

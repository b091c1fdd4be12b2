// Package sqlite stores Keylodge's state in one SQLite file.
//
// SQLite allows one writer and several readers at the same time. Views run on a few reading connections. Updates share the writing
// connection, and several of them share a commit; see writer.go. A statement is never interrupted, because SQLite would roll back the
// whole transaction, which other callers share. A context is therefore checked before fn runs and after it.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// maxReaders is how many Views run at the same time. A query takes microseconds, so more connections would only need memory.
const maxReaders = 4

var errClosed = fmt.Errorf("the database is closed: %w", domain.ErrUnavailable)

// Store is a ports.Store in a file. It has maxReaders reading connections, one connection of the writer and one of the checkpointer.
// All of them stay open, with their prepared statements, until Close.
type Store struct {
	newerSchema  int // returned by NewerSchema
	db           *sql.DB
	connections  []*connection
	writer       *writer
	checkpointer *checkpointer
	otherCommits *otherCommits
	readers      *readers
	closing      chan struct{}
	close        func() error
}

var _ ports.Store = (*Store)(nil)

// Open opens the database at path and upgrades its schema. A missing file is created, with access for this user only. The errors name
// the fix.
func Open(path string) (*Store, error) {
	if err := CheckOwner(path); err != nil {
		return nil, err
	}
	if err := prepareFiles(path); err != nil {
		return nil, err
	}
	db, err := openDatabase(path)
	if err != nil {
		return nil, fmt.Errorf("opening the database %s: %w", path, err)
	}
	return newStore(db, path, path)
}

// OpenURI opens the database of an SQLite URI (https://sqlite.org/uri.html), which also names its connections' settings, and upgrades
// its schema. Unlike Open it prepares no file, so that a test can name a database in memory, and it does not observe other processes.
func OpenURI(uri string) (*Store, error) {
	db, err := driver.Open(uri)
	if err != nil {
		return nil, fmt.Errorf("opening the database %s: %w", uri, err)
	}
	return newStore(db, uri, "")
}

// newStore starts a store on the database and closes the database if that fails. Shared is the path of a file that other processes may
// write.
func newStore(db *sql.DB, path, shared string) (*Store, error) {
	s := &Store{db: db, readers: newReaders(), closing: make(chan struct{})}
	s.close = sync.OnceValue(s.shutDown)
	if err := s.start(shared); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the database %s: %w", path, err), s.disconnect())
	}
	return s, nil
}

// NewerSchema returns the version of the schema if a newer release has upgraded it, else 0.
func (s *Store) NewerSchema() int { return s.newerSchema }

// busyTimeout is the pragma that every open connection has: how long it waits for the lock of another process.
const busyTimeout = "PRAGMA busy_timeout = 5000"

func openDatabase(path string) (*sql.DB, error) { return openMode("rwc", path) }

// openMode opens a file with the mode "rw", or with "rwc" to create it if it is missing.
func openMode(mode, path string) (*sql.DB, error) {
	name, err := dataSourceName(path, mode)
	if err != nil {
		return nil, err
	}
	registerLogFileSystem()
	return driver.Open(name + "&vfs=" + logFileSystemName)
}

// journalSizeLimit truncates the write-ahead log to 64 MiB when SQLite restarts it. During a backup it grows beyond that size, and would
// keep it.
const journalSizeLimit = "journal_size_limit(67108864)"

// dataSourceName returns the URI of the database at path with the settings of every connection.
func dataSourceName(path, mode string) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	// The order matters: without a timeout the other settings fail while another process has locked the file. secure_delete overwrites
	// deleted rows, so that the data of a removed user do not stay in the file.
	return fileURI(absolute, url.Values{
		"_pragma": {"busy_timeout(5000)", "synchronous(FULL)", "foreign_keys(ON)", "secure_delete(ON)", journalSizeLimit},
		"modeof":  {absolute},
		"mode":    {mode},
	}), nil
}

// fileURI returns the SQLite URI of a file (https://sqlite.org/uri.html).
func fileURI(absolute string, settings url.Values) string {
	query := strings.ReplaceAll(settings.Encode(), "+", "%20") // SQLite decodes only %20 to a space
	return "file:" + (&url.URL{Path: absolute}).EscapedPath() + "?" + query
}

func (s *Store) start(shared string) error {
	if err := useWAL(s.db); err != nil {
		return err
	}
	newer, err := upgrade(s.db, SchemaFiles)
	if err != nil {
		return err
	}
	s.newerSchema = newer
	for range maxReaders {
		reader, err := s.connect()
		if err != nil {
			return err
		}
		if err := reader.exec("PRAGMA query_only = ON"); err != nil {
			return err
		}
		s.readers.put(reader)
	}
	writing, err := s.connect()
	if err != nil {
		return err
	}
	copying, err := s.connect()
	if err != nil {
		return err
	}
	if s.otherCommits, err = openOtherCommits(shared); err != nil {
		return err
	}
	if s.checkpointer, err = startCheckpointer(copying, writing, s.otherCommits); err != nil {
		return err
	}
	if s.writer, err = startWriter(writing, s.checkpointer, s.otherCommits); err != nil {
		s.checkpointer.stop()
	}
	return err
}

// useWAL sets the journal mode of the file to the write-ahead log, which is permanent. busy_timeout does not apply to this pragma if
// another process sets the mode at the same time, so useWAL retries.
func useWAL(db *sql.DB) error {
	var err error
	for range 100 {
		if _, err = db.ExecContext(context.Background(), "PRAGMA journal_mode = WAL"); !errors.Is(err, sqlite3.BUSY) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil {
		return wrap("setting the journal mode", err)
	}
	return nil
}

func (s *Store) connect() (*connection, error) {
	c, err := connect(s.db)
	if err == nil {
		s.connections = append(s.connections, c)
	}
	return c, err
}

// View implements ports.Store.
func (s *Store) View(ctx context.Context, fn func(tx ports.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	reader, err := s.reader(ctx)
	if err != nil {
		return err
	}
	defer s.readers.put(reader)
	return reader.view(ctx, fn)
}

// reader takes a connection that reads. It waits for one if all are in use, and asks ctx for its end, which may start a timer, only
// then.
func (s *Store) reader(ctx context.Context) (*connection, error) {
	select {
	case <-s.readers.free:
		return s.readers.pop(), nil
	case <-s.closing:
		return nil, errClosed
	default:
	}
	select {
	case <-s.readers.free:
		return s.readers.pop(), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.closing:
		return nil, errClosed
	}
}

// Update implements ports.Store. fn runs on the caller's goroutine.
func (s *Store) Update(ctx context.Context, fn func(tx ports.Tx) error) error {
	return s.writer.update(ctx, fn)
}

// OtherCommits implements ports.Store.
func (s *Store) OtherCommits() (number uint64, known bool) { return s.otherCommits.number() }

// Close waits for running and queued transactions and closes the file. Every later View and Update returns domain.ErrUnavailable.
func (s *Store) Close() error { return s.close() }

func (s *Store) shutDown() error {
	close(s.closing)
	s.writer.stop()
	s.checkpointer.stop()
	for range maxReaders {
		<-s.readers.free
	}
	return s.disconnect()
}

func (s *Store) disconnect() error {
	var errs []error
	for _, c := range s.connections {
		errs = append(errs, c.close())
	}
	if s.otherCommits != nil {
		errs = append(errs, s.otherCommits.close())
	}
	return errors.Join(append(errs, s.db.Close())...)
}

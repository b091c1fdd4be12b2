// Package sqlite keeps Keylodge's state in one SQLite file.
//
// One connection writes and a few read, which is what SQLite does at once. The writer carries many callers in one
// commit; see writer.go. A statement, once begun, runs to its end whatever becomes of its caller's context, since
// interrupting a write would make SQLite roll back everybody who shares its transaction; contexts are heeded before a
// unit of work starts and after it ran.
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

// maxReaders is how many Views run at once. Lookups by index take microseconds; more connections would only cost memory.
const maxReaders = 4

var errClosed = fmt.Errorf("the database is closed: %w", domain.ErrUnavailable)

// Store is a ports.Store in a file.
type Store struct {
	newerSchema  int // see NewerSchema
	db           *sql.DB
	connections  []*connection
	writer       *writer
	checkpointer *checkpointer
	readers      chan *connection
	closing      chan struct{}
	close        func() error
}

var _ ports.Store = (*Store)(nil)

// Open opens the database at path, makes it if there is none (readable by this user only), and brings its schema up to
// date. Its errors say what to do.
func Open(path string) (*Store, error) {
	if err := prepareFiles(path); err != nil {
		return nil, err
	}
	db, err := openDatabase(path)
	if err != nil {
		return nil, fmt.Errorf("opening the database %s: %w", path, err)
	}
	return newStore(db, path)
}

// OpenURI opens the database of an SQLite URI (https://sqlite.org/uri.html), which also names its connections' settings, and upgrades
// its schema. Unlike Open it prepares no file, so that a test can name a database in memory.
func OpenURI(uri string) (*Store, error) {
	db, err := driver.Open(uri)
	if err != nil {
		return nil, fmt.Errorf("opening the database %s: %w", uri, err)
	}
	return newStore(db, uri)
}

// newStore is Open on the database at path, and closes it if that fails.
func newStore(db *sql.DB, path string) (*Store, error) {
	s := &Store{db: db, readers: make(chan *connection, maxReaders), closing: make(chan struct{})}
	s.close = sync.OnceValue(s.shutDown)
	if err := s.start(); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the database %s: %w", path, err), s.disconnect())
	}
	return s, nil
}

// NewerSchema is the version of the schema if a newer release has made it, and 0 otherwise.
func (s *Store) NewerSchema() int { return s.newerSchema }

// busyTimeout is how every connection waits for others, once it is open.
const busyTimeout = "PRAGMA busy_timeout = 5000"

func openDatabase(path string) (*sql.DB, error) { return openMode("rwc", path) }

// openMode opens a file to read and write it ("rw"), or also to make it ("rwc").
func openMode(mode, path string) (*sql.DB, error) {
	name, err := dataSourceName(path, mode)
	if err != nil {
		return nil, err
	}
	return driver.Open(name)
}

// journalSizeLimit cuts the write-ahead log back to 64 MiB when it begins anew. While a backup reads, it grows beyond that, and would keep
// that size.
const journalSizeLimit = "journal_size_limit(67108864)"

// dataSourceName names the database at path together with the settings of every connection to it.
func dataSourceName(path, mode string) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	// The order counts: without a timeout the other settings would fail when somebody else has the file open. What was
	// deleted is overwritten, since it may be all that is left of somebody who wanted to be forgotten.
	return fileURI(absolute, url.Values{
		"_pragma": {"busy_timeout(5000)", "synchronous(FULL)", "foreign_keys(ON)", "secure_delete(ON)", journalSizeLimit},
		"modeof":  {absolute},
		"mode":    {mode},
	}), nil
}

// fileURI names a file as SQLite wants it (https://sqlite.org/uri.html).
func fileURI(absolute string, settings url.Values) string {
	query := strings.ReplaceAll(settings.Encode(), "+", "%20") // a space, which SQLite knows by this name only
	return "file:" + (&url.URL{Path: absolute}).EscapedPath() + "?" + query
}

func (s *Store) start() error {
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
		s.readers <- reader
	}
	writing, err := s.connect()
	if err != nil {
		return err
	}
	copying, err := s.connect()
	if err != nil {
		return err
	}
	if s.checkpointer, err = startCheckpointer(copying, writing); err != nil {
		return err
	}
	if s.writer, err = startWriter(writing, s.checkpointer); err != nil {
		s.checkpointer.stop()
	}
	return err
}

// useWAL makes the write-ahead log the file's journal, which it then stays. Unlike everything else, this does not wait
// while another process that starts just now does the same.
func useWAL(db *sql.DB) error {
	var err error
	for range 100 {
		if _, err = db.ExecContext(context.Background(), "PRAGMA journal_mode = WAL"); !errors.Is(err, sqlite3.BUSY) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil {
		return wrap("choosing the write-ahead log", err)
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
	select {
	case reader := <-s.readers:
		defer func() { s.readers <- reader }()
		return reader.view(ctx, fn)
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closing:
		return errClosed
	}
}

// Update implements ports.Store. fn runs on its caller's goroutine.
func (s *Store) Update(ctx context.Context, fn func(tx ports.Tx) error) error {
	return s.writer.update(ctx, fn)
}

// Close finishes what waits or runs and closes the file. Views and Updates that come later get domain.ErrUnavailable.
func (s *Store) Close() error { return s.close() }

func (s *Store) shutDown() error {
	close(s.closing)
	s.writer.stop()
	s.checkpointer.stop()
	for range cap(s.readers) {
		<-s.readers
	}
	return s.disconnect()
}

func (s *Store) disconnect() error {
	var errs []error
	for _, c := range s.connections {
		errs = append(errs, c.close())
	}
	return errors.Join(append(errs, s.db.Close())...)
}

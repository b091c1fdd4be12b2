package sqlite

import (
	"bytes"
	"encoding/binary"
	"os"
	"runtime"
	"sync/atomic"
)

// otherCommits counts the commits of other processes, for ports.Store.OtherCommits. The header of the index of the write-ahead log, in
// the file with the suffix -shm, has a counter of the commits of all processes, which changes before COMMIT returns
// (https://www.sqlite.org/walformat.html, iChange). Subtracting the commits of the writer leaves those of others. PRAGMA data_version
// does not suffice: on a reading connection it also changes by the commits of the writer.
type otherCommits struct {
	index *os.File // nil for a database that no other process has, and on systems without a unified cache of files
	alone bool     // no other process has the database
	own   atomic.Pointer[ownCommits]
}

// ownCommits is the state of the writer. A value does not change.
type ownCommits struct {
	count uint32 // of the commits that have changed the database
	// While a COMMIT of the writer runs, no other process can commit before it. all is the counter from before the COMMIT.
	committing, known bool
	all               uint32
}

// openOtherCommits opens the index of the database at path. An empty path is a database that no other process has.
func openOtherCommits(path string) (*otherCommits, error) {
	c := &otherCommits{alone: path == ""}
	c.own.Store(&ownCommits{})
	switch runtime.GOOS {
	case "linux", "darwin", "freebsd": // a read of the file returns what SQLite has written to its mapping
		if !c.alone {
			var err error
			c.index, err = os.Open(path + "-shm")
			return c, err
		}
	}
	return c, nil
}

// begin is called before each COMMIT of the writer, in its transaction.
func (c *otherCommits) begin() {
	all, known := c.all()
	c.own.Store(&ownCommits{count: c.own.Load().count, committing: true, known: known, all: all})
}

// took is called in a COMMIT that has changed the database, when it has taken effect.
func (c *otherCommits) took() { c.own.Store(&ownCommits{count: c.own.Load().count + 1}) }

// end is called after each COMMIT, also one that failed or has changed nothing.
func (c *otherCommits) end() { c.own.Store(&ownCommits{count: c.own.Load().count}) }

// number implements ports.Store.OtherCommits. When it reads the counter, either no COMMIT of the writer runs, or the running one has not
// taken effect. Otherwise the number is unknown.
func (c *otherCommits) number() (number uint64, known bool) {
	if c.alone {
		return 0, true
	}
	own := c.own.Load()
	all, known := c.all()
	if !known || own != c.own.Load() || own.committing && (!own.known || all != own.all) {
		return 0, false
	}
	return uint64(all - own.count), true
}

// all returns the counter. The index has its header twice: the copies differ while a commit takes effect.
func (c *otherCommits) all() (count uint32, known bool) {
	const header, counter = 48, 8
	if c.index == nil {
		return 0, false
	}
	var both [2 * header]byte
	if _, err := c.index.ReadAt(both[:], 0); err != nil || !bytes.Equal(both[:header], both[header:]) {
		return 0, false
	}
	return binary.NativeEndian.Uint32(both[counter:]), true
}

// close is called after all connections are closed: on some systems, closing the file releases the locks that they have on it.
func (c *otherCommits) close() error {
	if c.index == nil {
		return nil
	}
	return c.index.Close()
}

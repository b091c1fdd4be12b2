package sqlite

import (
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ncruces/go-sqlite3/driver"
	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"
)

// fakeDisk is the machine's file system with errors on demand. It records what would remain after a power cut. Shared memory is not
// part of it.
type fakeDisk struct {
	vfs.VFS

	mu    sync.Mutex
	files map[string]*diskImage

	writes, syncs, reads atomic.Pointer[error] // the errors of these operations
	writeCount           atomic.Int64          // the number of writes
	slow                 atomic.Pointer[slowFile]
}

// slowFile makes the next write to the database file, but not to its log, wait.
type slowFile struct{ reached, until chan struct{} }

// delay makes the next write to the database file wait until a channel is closed. The returned channel is closed when that write begins.
func (d *fakeDisk) delay(until chan struct{}) (reached <-chan struct{}) {
	s := &slowFile{make(chan struct{}), until}
	d.slow.Store(s)
	return s.reached
}

// diskImage is the synced contents of one file, and its changes since then.
type diskImage struct {
	synced  []byte
	changes []change
}

// change is a write, or a new length of the file.
type change struct {
	at   int64
	data []byte
	cut  bool
}

const sector = 512

func (p *diskImage) apply(c change) {
	end := c.at + int64(len(c.data))
	if grow := end - int64(len(p.synced)); grow > 0 {
		p.synced = append(p.synced, make([]byte, grow)...)
	}
	if c.cut {
		p.synced = p.synced[:c.at]
		return
	}
	copy(p.synced[c.at:], c.data)
}

// openOnDisk opens a store at path on a fakeDisk.
func openOnDisk(t testing.TB, path string) (*Store, *fakeDisk) {
	t.Helper()
	d := &fakeDisk{VFS: vfs.Find("os"), files: map[string]*diskImage{}}
	vfs.Register(t.Name(), logFileSystem{d})
	t.Cleanup(func() { vfs.Unregister(t.Name()) })
	if err := prepareFiles(path); err != nil {
		t.Fatal(err)
	}
	name, err := dataSourceName(path, "rwc")
	if err != nil {
		t.Fatal(err)
	}
	db, err := driver.Open(name + "&vfs=" + url.QueryEscape(t.Name()))
	if err != nil {
		t.Fatal(err)
	}
	s, err := newStore(db, path, path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, d
}

// afterPowerCut copies into folder what would remain after a power cut at this moment: the synced contents, and a random half of the
// sectors written since then.
func (d *fakeDisk) afterPowerCut(t testing.TB, folder string, random *rand.Rand) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, p := range d.files {
		image := diskImage{synced: slices.Clone(p.synced)}
		for _, c := range p.changes {
			for from := 0; from < max(len(c.data), 1); from += sector {
				if random.IntN(2) == 0 {
					piece := c.data[from:min(from+sector, len(c.data))]
					image.apply(change{c.at + int64(from), piece, c.cut})
				}
			}
		}
		if err := os.WriteFile(filepath.Join(folder, filepath.Base(name)), image.synced, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func (d *fakeDisk) Open(name string, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	return vfsutil.WrapOpen(d.VFS, name, flags)
}

func (d *fakeDisk) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	file, flags, err := vfsutil.WrapOpenFilename(d.VFS, name, flags)
	if err != nil || flags&(vfs.OPEN_MAIN_DB|vfs.OPEN_WAL) == 0 {
		return file, flags, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.files[name.String()] == nil {
		content, err := os.ReadFile(name.String())
		if err != nil {
			return nil, flags, err
		}
		d.files[name.String()] = &diskImage{synced: content}
	}
	return &diskFile{file, d, d.files[name.String()], flags&vfs.OPEN_MAIN_DB != 0}, flags, nil
}

type diskFile struct {
	vfs.File
	disk  *fakeDisk
	image *diskImage
	main  bool // the database's own file
}

func (f *diskFile) ReadAt(b []byte, at int64) (int, error) {
	if err := f.disk.reads.Load(); err != nil {
		return 0, *err
	}
	return f.File.ReadAt(b, at)
}

func (f *diskFile) WriteAt(b []byte, at int64) (int, error) {
	if err := f.disk.writes.Load(); err != nil {
		return 0, *err
	}
	if slow := f.disk.slow.Load(); slow != nil && f.main {
		close(slow.reached)
		f.disk.slow.Store(nil)
		<-slow.until
	}
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.disk.writeCount.Add(1)
	f.image.changes = append(f.image.changes, change{at: at, data: slices.Clone(b)})
	return f.File.WriteAt(b, at)
}

func (f *diskFile) Truncate(size int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.image.changes = append(f.image.changes, change{at: size, cut: true})
	return f.File.Truncate(size)
}

// Sync does not sync the real disk, which the tests do not need.
func (f *diskFile) Sync(vfs.SyncFlag) error {
	if err := f.disk.syncs.Load(); err != nil {
		return *err
	}
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	for _, c := range f.image.changes {
		f.image.apply(c)
	}
	f.image.changes = nil
	return nil
}

func (f *diskFile) Unwrap() vfs.File { return f.File }

func (f *diskFile) LockState() vfs.LockLevel { return vfsutil.WrapLockState(f.File) }

func (f *diskFile) SharedMemory() vfs.SharedMemory {
	if shared, ok := f.File.(vfs.FileSharedMemory); ok {
		return shared.SharedMemory()
	}
	return nil
}

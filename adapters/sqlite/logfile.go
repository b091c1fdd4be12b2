package sqlite

import (
	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"
)

// logFileSystem is a file system whose write-ahead logs are logFiles.
type logFileSystem struct{ vfs.VFSFilename }

// logFileSystemName is the value of the parameter vfs in the URI of a database.
const logFileSystemName = "keylodge"

func registerLogFileSystem() {
	vfs.Register(logFileSystemName, logFileSystem{vfs.Find("os").(vfs.VFSFilename)})
}

// OpenFilename implements vfs.VFSFilename.
func (s logFileSystem) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	file, flags, err := s.VFSFilename.OpenFilename(name, flags)
	if err == nil && flags&vfs.OPEN_WAL != 0 {
		file = &logFile{File: file}
	}
	return file, flags, err
}

// maxGathered is how many bytes a logFile gathers: 31 pages with their headers.
const maxGathered = 128 << 10

// logFile is the write-ahead log as one connection sees it. SQLite writes each page with two system calls, the header and the page,
// and a COMMIT of a group of transactions writes hundreds of pages one behind the other. Between gather and release, a logFile keeps
// such writes in memory until Sync, which writes them with few system calls before it waits for the disk.
//
// Other connections may read a page as soon as it is in the index of the log. A COMMIT adds its pages to the index after Sync, unless
// it is asynchronous: then it does not call Sync, and a logFile must not gather.
type logFile struct {
	vfs.File
	gathering bool
	gathered  []byte // not yet written
	at        int64  // their place in the file
}

// logOf returns the write-ahead log of a connection in a transaction. It returns nil if the database is in another file system, like
// that of databases in memory.
func logOf(c *sqlite3.Conn) *logFile {
	if system, err := c.FileControl("main", sqlite3.FCNTL_VFS_POINTER); err != nil {
		return nil
	} else if _, ok := system.(logFileSystem); !ok {
		return nil
	}
	log, err := c.FileControl("main", sqlite3.FCNTL_JOURNAL_POINTER)
	if err != nil {
		return nil
	}
	return log.(*logFile)
}

// gather begins to gather writes. The receiver may be nil.
func (f *logFile) gather() {
	if f != nil {
		f.gathering = true
	}
}

// release ends what gather began. What was not written belongs to a COMMIT that failed, and is dropped: another process may write to
// the same place next. The receiver may be nil.
func (f *logFile) release() {
	if f != nil {
		f.gathering, f.gathered = false, f.gathered[:0]
	}
}

// write writes what was gathered.
func (f *logFile) write() error {
	if len(f.gathered) == 0 {
		return nil
	}
	_, err := f.File.WriteAt(f.gathered, f.at)
	f.gathered = f.gathered[:0]
	return err
}

// WriteAt implements vfs.File.
func (f *logFile) WriteAt(b []byte, at int64) (int, error) {
	if !f.gathering {
		return f.File.WriteAt(b, at)
	}
	if at != f.at+int64(len(f.gathered)) || len(f.gathered)+len(b) > maxGathered {
		if err := f.write(); err != nil {
			return 0, err
		}
	}
	if len(f.gathered) == 0 {
		f.at = at
	}
	f.gathered = append(f.gathered, b...)
	return len(b), nil
}

// ReadAt implements vfs.File.
func (f *logFile) ReadAt(b []byte, at int64) (int, error) {
	if err := f.write(); err != nil {
		return 0, err
	}
	return f.File.ReadAt(b, at)
}

// Truncate implements vfs.File.
func (f *logFile) Truncate(size int64) error {
	if err := f.write(); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

// Size implements vfs.File.
func (f *logFile) Size() (int64, error) {
	if err := f.write(); err != nil {
		return 0, err
	}
	return f.File.Size()
}

// Sync implements vfs.File.
func (f *logFile) Sync(flags vfs.SyncFlag) error {
	if err := f.write(); err != nil {
		return err
	}
	return f.File.Sync(flags)
}

// Unwrap implements vfs.FileUnwrap.
func (f *logFile) Unwrap() vfs.File { return f.File }

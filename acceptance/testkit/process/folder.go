package process

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// Folder is a folder that is removed when the calling process ends, also after a crash: then the kernel closes the pipe that a
// shell waits for. Collecting the Folder as garbage closes it, too.
type Folder struct {
	Path string
	pipe io.Closer
}

// NewFolder creates a folder.
func NewFolder() (*Folder, error) {
	path, err := os.MkdirTemp("", "keylodge")
	if err != nil {
		return nil, err
	}
	cleaner := exec.CommandContext(context.Background(), "sh", "-c", `read -r word; rm -rf "$FOLDER"`)
	cleaner.Env = []string{"FOLDER=" + path, "PATH=" + os.Getenv("PATH")}
	cleaner.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt at a terminal must not reach it
	pipe, err := cleaner.StdinPipe()
	if err == nil {
		err = cleaner.Start()
	}
	if err != nil {
		return nil, errors.Join(err, os.Remove(path))
	}
	return &Folder{path, pipe}, nil
}

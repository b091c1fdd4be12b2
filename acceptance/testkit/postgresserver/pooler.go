package postgresserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/require"
)

// poolerPort is the number in the name of PgBouncer's Unix socket. No TCP port is opened.
const poolerPort = "6432"

// Pooler is a running PgBouncer in front of one server.
type Pooler struct {
	folder     string // socket, configuration and log
	process    *exec.Cmd
	supervisor io.Closer
}

// StartPooler starts a PgBouncer in front of the server of databaseURL, with the pool_mode and further settings
// ("name = value"). It ends with the test. If PgBouncer is not installed, the test ends as package require says.
func StartPooler(t testing.TB, databaseURL, mode string, settings ...string) *Pooler {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	p, err := startPooler(require.Program(t, require.PgBouncer), u.Query().Get("host"), mode, settings)
	if err != nil {
		t.Fatalf("starting PgBouncer: %v", err)
	}
	t.Cleanup(func() {
		if err := errors.Join(p.supervisor.Close(), p.process.Wait(), os.RemoveAll(p.folder)); err != nil {
			t.Errorf("stopping the test's PgBouncer: %v", err)
		}
	})
	if err := p.awaitStart(); err != nil {
		t.Fatal(err)
	}
	return p
}

// URL returns the URL that reaches the database through PgBouncer.
func (p *Pooler) URL(databaseURL string) string {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return databaseURL
	}
	query := u.Query()
	query.Set("host", p.folder)
	query.Set("port", poolerPort)
	u.RawQuery = query.Encode()
	return u.String()
}

// poolerSupervisorScript runs PgBouncer until its standard input ends, as supervisorScript runs the server.
const poolerSupervisorScript = `
trap '' INT TERM HUP
"$@" </dev/null &
pooler=$!
read -r word
kill -KILL $pooler
wait $pooler
exit 0
`

func startPooler(binary, server, mode string, settings []string) (*Pooler, error) {
	owner, err := serverUser()
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "pb") // a short path, as for the server
	if err != nil {
		return nil, err
	}
	if owner != nil {
		if err := os.Chown(folder, int(owner.Uid), int(owner.Gid)); err != nil {
			return nil, err
		}
	}
	configuration := fmt.Sprintf("[databases]\n* = host=%s\n[pgbouncer]\npool_mode = %s\nlisten_port = %s\nunix_socket_dir = %s\n"+
		"auth_type = trust\nauth_file = %s\n%s\n", server, mode, poolerPort, folder, filepath.Join(folder, "users"), strings.Join(settings, "\n"))
	for name, content := range map[string]string{"pgbouncer.ini": configuration, "users": `"` + superuser + `" ""` + "\n"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o644); err != nil {
			return nil, err
		}
	}
	log, err := os.Create(filepath.Join(folder, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	process := exec.CommandContext(context.Background(), "sh", "-c", poolerSupervisorScript, "supervisor", binary, filepath.Join(folder, "pgbouncer.ini"))
	process.Dir, process.Stdout, process.Stderr = folder, log, log
	process.SysProcAttr = &syscall.SysProcAttr{Credential: owner, Setpgid: true}
	stdin, err := process.StdinPipe()
	if err != nil {
		return nil, err
	}
	return &Pooler{folder: folder, process: process, supervisor: stdin}, process.Start()
}

// awaitStart waits until PgBouncer accepts connections. It does not wait for the server behind it.
func (p *Pooler) awaitStart() error {
	var err error
	for deadline := time.Now().Add(serverTimeout); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		var conn net.Conn
		if conn, err = new(net.Dialer).DialContext(context.Background(), "unix", filepath.Join(p.folder, ".s.PGSQL."+poolerPort)); err == nil {
			return conn.Close()
		}
	}
	log, _ := os.ReadFile(filepath.Join(p.folder, "log"))
	return fmt.Errorf("PgBouncer does not respond: %w\n%s", err, bytes.TrimSpace(log))
}

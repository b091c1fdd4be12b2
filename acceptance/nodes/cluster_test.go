package nodes

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/postgresserver"
)

// cluster is three servers, each a process of its own, behind a load balancer.
type cluster struct {
	t        *testing.T
	database string
	origin   string // of the load balancer, which people see
	nodes    []*node
	binary   string
	settings []string
}

// node is one server.
type node struct {
	name    string
	address string
	process *exec.Cmd
	log     *logbook
}

const size = 3

// built is the program, made once.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "nodes")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "keylodge")
	build := exec.Command("go", "build", "-o", path, "github.com/keylodge/keylodge")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, output)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := built(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// start brings everything up. The servers find an empty database, all at once.
func start(t *testing.T) *cluster {
	t.Helper()
	balancer := requireBalancer(t)
	binary, err := built()
	if err != nil {
		t.Fatal(err)
	}
	secret := make([]byte, 32)
	rand.Read(secret)
	c := &cluster{t: t, binary: binary, database: postgresserver.Empty(t), origin: "http://localhost:" + freePort(t)}
	c.settings = []string{
		"KEYLODGE_PUBLIC_URL=" + c.origin, "KEYLODGE_DATABASE_URL=" + c.database, "KEYLODGE_OPS_LISTEN=",
		"KEYLODGE_SECRET=" + base64.StdEncoding.EncodeToString(secret), "KEYLODGE_TRUSTED_PROXIES=127.0.0.1",
		"KEYLODGE_LOG_LEVEL=debug", "KEYLODGE_LOG_FORMAT=json",
	}
	for i := range size {
		c.nodes = append(c.nodes, &node{name: fmt.Sprintf("node%d", i+1), address: "127.0.0.1:" + freePort(t), log: &logbook{}})
	}
	for _, n := range c.nodes {
		c.run(n)
	}
	for _, n := range c.nodes {
		c.await(n)
	}
	c.balance(balancer)
	return c
}

// run starts a node's process, which ends with the test.
func (c *cluster) run(n *node) {
	c.t.Helper()
	n.process = exec.CommandContext(context.Background(), c.binary)
	n.process.Dir = c.t.TempDir()
	n.process.Env = slices.Concat(c.settings, []string{"KEYLODGE_LISTEN=" + n.address, "PATH=" + os.Getenv("PATH")})
	n.process.Stdout, n.process.Stderr = n.log, n.log
	n.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := n.process.Start(); err != nil {
		c.t.Fatal(err)
	}
	process := n.process
	c.t.Cleanup(func() {
		_ = process.Process.Kill()
		_ = process.Wait()
		if c.t.Failed() {
			c.t.Logf("%s:\n%s", n.name, n.log.tail())
		}
	})
}

func (c *cluster) await(n *node) {
	c.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if answer, err := http.Get("http://" + n.address + "/readyz"); err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("%s is not ready:\n%s", n.name, n.log.tail())
		}
	}
}

// kill ends a node as a power cut would.
func (c *cluster) kill(n *node) {
	c.t.Helper()
	if err := n.process.Process.Kill(); err != nil {
		c.t.Fatal(err)
	}
	_ = n.process.Wait()
}

// requireBalancer finds HAProxy, or skips the test, or fails it where REQUIRE_HAPROXY says that it must be there.
func requireBalancer(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"haproxy", "/usr/sbin/haproxy"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("REQUIRE_HAPROXY") != "" {
		t.Fatal("no HAProxy found, and REQUIRE_HAPROXY is set; `make test` installs it")
	}
	t.Skip("no HAProxy found; `make test` installs it")
	return ""
}

// balance starts HAProxy: each request goes to the next node, on a connection of its own, and says which one that was.
func (c *cluster) balance(haproxy string) {
	c.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, `global
  log stderr format raw local0 err
defaults
  mode http
  timeout connect 2s
  timeout client 20s
  timeout server 20s
  option http-server-close
  http-reuse never
  option redispatch 1
  retries 3
  retry-on conn-failure
frontend front
  bind %s
  default_backend lodges
backend lodges
  balance roundrobin
  option forwardfor
  option httpchk GET /readyz
  http-response set-header X-Node %%s
`, strings.TrimPrefix(strings.Replace(c.origin, "localhost", "127.0.0.1", 1), "http://"))
	for _, n := range c.nodes {
		fmt.Fprintf(&b, "  server %s %s check inter 200 fall 1 rise 1\n", n.name, n.address)
	}
	file := filepath.Join(c.t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		c.t.Fatal(err)
	}
	log := &logbook{}
	balancer := exec.CommandContext(context.Background(), haproxy, "-db", "-f", file)
	balancer.Stdout, balancer.Stderr = log, log
	balancer.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := balancer.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		_ = balancer.Process.Kill()
		_ = balancer.Wait()
	})
	c.await(&node{name: "the load balancer", address: strings.TrimPrefix(c.origin, "http://"), log: log})
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// logbook keeps what a process says.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logbook) tail() string {
	const enough = 4000
	s := l.String()
	return s[max(0, len(s)-enough):]
}

package cluster

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
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/leakcheck"
	"github.com/keylodge/keylodge/acceptance/testkit/postgresserver"
	"github.com/keylodge/keylodge/acceptance/testkit/require"
)

// cluster is three servers, each a separate process, behind a load balancer.
type cluster struct {
	t           *testing.T
	database    string
	origin      string // of the load balancer, which clients use
	adminSocket string // the load balancer's admin socket
	nodes       []*node
	settings    []string
	secrets     leakcheck.Secrets
}

// node is one server.
type node struct {
	cluster  *cluster
	name     string
	address  string
	binary   string   // the path of its program
	settings []string // of this node only
	process  *exec.Cmd
	log      *logRecorder
}

// url returns the node's own URL, with the host name that its cookies are for.
func (n *node) url() string {
	return "http://" + strings.Replace(n.address, "127.0.0.1", "localhost", 1)
}

const clusterSize = 3

// start starts a cluster. All servers start at the same time on an empty database.
func start(t *testing.T) *cluster {
	t.Helper()
	return startWith(t, built(t, buildThisRelease))
}

// startWith is start with another program and more settings, which may differ for each node.
func startWith(t *testing.T, binary string, settings ...func(i int) string) *cluster {
	t.Helper()
	database := postgresserver.EmptyDatabase(t)
	return startOn(t, database, database, binary, settings...)
}

// startOn is startWith on an empty database. The nodes connect to it by url.
func startOn(t *testing.T, database, url, binary string, settings ...func(i int) string) *cluster {
	t.Helper()
	balancer := require.Program(t, require.HAProxy)
	secret := make([]byte, 32)
	rand.Read(secret)
	c := &cluster{t: t, database: database, origin: "http://localhost:" + freePort(t)}
	c.settings = []string{
		"KEYLODGE_PUBLIC_URL=" + c.origin, "KEYLODGE_DATABASE_URL=" + url, "KEYLODGE_OPS_LISTEN=",
		"KEYLODGE_SECRET=" + base64.StdEncoding.EncodeToString(secret), "KEYLODGE_TRUSTED_PROXIES=127.0.0.1",
		"KEYLODGE_LOG_LEVEL=debug", "KEYLODGE_LOG_FORMAT=json",
		"KEYLODGE_RATE_LIMITS=off", // hundreds of requests arrive from one address
	}
	for i := range clusterSize {
		n := &node{cluster: c, name: fmt.Sprintf("node%d", i+1), address: "127.0.0.1:" + freePort(t), binary: binary, log: &logRecorder{}}
		for _, setting := range settings {
			n.settings = append(n.settings, setting(i))
		}
		c.nodes = append(c.nodes, n)
	}
	for _, n := range c.nodes {
		c.run(n)
	}
	for _, n := range c.nodes {
		c.waitUntilReady(n)
	}
	c.balance(balancer)
	return c
}

// run starts a node's process. It ends with the test.
func (c *cluster) run(n *node) {
	c.t.Helper()
	n.process = exec.CommandContext(context.Background(), n.binary)
	n.process.Dir = c.t.TempDir()
	n.process.Env = c.environment(n)
	n.process.Stdout, n.process.Stderr = n.log, n.log
	n.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := n.process.Start(); err != nil {
		c.t.Fatal(err)
	}
	process, log := n.process, n.log
	c.t.Cleanup(func() {
		_ = process.Process.Kill()
		_ = process.Wait()
		if found := c.secrets.FindIn(log.String()); len(found) > 0 || c.secrets.Len() == 0 {
			c.t.Errorf("of %d secrets in responses, these are in the log of %s: %q", c.secrets.Len(), n.name, found)
		}
		if c.t.Failed() {
			c.t.Logf("%s:\n%s", n.name, log.tail())
		}
	})
}

func (c *cluster) environment(n *node) []string {
	return slices.Concat(c.settings, n.settings, []string{"KEYLODGE_LISTEN=" + n.address, "PATH=" + os.Getenv("PATH")})
}

// command runs a command of the node's program with its settings, and returns the output.
func (c *cluster) command(n *node, arguments ...string) (string, error) {
	command := exec.CommandContext(context.Background(), n.binary, arguments...)
	command.Dir, command.Env = c.t.TempDir(), c.environment(n)
	output, err := command.CombinedOutput()
	return string(output), err
}

func (c *cluster) waitUntilReady(n *node) {
	c.t.Helper()
	c.waitFor(n.name+" is ready", func() bool {
		response, err := http.Get("http://" + n.address + "/readyz")
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

// waitFor waits until cond reports true. It fails the test after five minutes.
func (c *cluster) waitFor(what string, cond func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !cond(); time.Sleep(10 * time.Millisecond) {
		if c.t.Failed() || time.Now().After(deadline) {
			var activity string
			_ = c.query(c.t, "SELECT string_agg(concat_ws(' ', pid, state, wait_event_type, wait_event, now() - xact_start, pg_blocking_pids(pid), left(query, 100)), E'\\n') FROM pg_stat_activity WHERE state <> 'idle'", &activity)
			c.t.Fatalf("timeout: waited until %s; active queries:\n%s", what, activity)
		}
	}
}

// stop stops a node with SIGTERM and waits until it has exited.
func (c *cluster) stop(n *node) {
	c.t.Helper()
	if err := n.process.Process.Signal(syscall.SIGTERM); err != nil {
		c.t.Fatal(err)
	}
	if err := n.process.Wait(); err != nil {
		c.t.Fatalf("stopping %s: %v\n%s", n.name, err, n.log.tail())
	}
}

// kill ends a node with SIGKILL, so that it cannot clean up.
func (c *cluster) kill(n *node) {
	c.t.Helper()
	if err := n.process.Process.Kill(); err != nil {
		c.t.Fatal(err)
	}
	_ = n.process.Wait()
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

// logRecorder records the output of a process.
type logRecorder struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *logRecorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *logRecorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

func (r *logRecorder) tail() string {
	const maxLength = 4000
	s := r.String()
	return s[max(0, len(s)-maxLength):]
}

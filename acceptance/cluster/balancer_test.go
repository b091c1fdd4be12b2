package cluster

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/keylodge/keylodge/acceptance/testkit/keylodgeserver"
	"github.com/keylodge/keylodge/acceptance/testkit/process"
)

// balance starts HAProxy. It sends each request to the next node, on a new connection, and names the node in the header X-Node.
func (c *cluster) balance(haproxy string) {
	c.t.Helper()
	folder := c.t.TempDir()
	c.adminSocket = filepath.Join(folder, "admin")
	var b strings.Builder
	fmt.Fprintf(&b, `global
  log stderr format raw local0 err
  stats socket %s level admin
defaults
  mode http
  timeout connect 2s
  timeout client 20s
  timeout server 20s
  timeout check 20s
  option http-server-close
  http-reuse never
  option redispatch 1
  retries 3
  retry-on conn-failure
frontend front
  bind %s
  default_backend nodes
backend nodes
  balance roundrobin
  option forwardfor
  option httpchk GET /readyz
  http-response set-header X-Node %%s
`, c.adminSocket, strings.TrimPrefix(strings.Replace(c.origin, "localhost", "127.0.0.1", 1), "http://"))
	for _, n := range c.nodes {
		fmt.Fprintf(&b, "  server %s %s check inter 200 fall 1 rise 1\n", n.name, n.Address())
	}
	file := filepath.Join(folder, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		c.t.Fatal(err)
	}
	log := &process.Log{}
	command := exec.CommandContext(context.Background(), haproxy, "-db", "-f", file)
	command.Stdout, command.Stderr = log, log
	balancer, err := process.Start(command)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		balancer.Kill()
		if c.t.Failed() {
			c.t.Logf("the load balancer's log:\n%s", log)
		}
	})
	c.waitFor("the load balancer is ready", func() bool {
		status, _ := keylodgeserver.Get(strings.TrimPrefix(c.origin, "http://"), "/readyz")
		return status == http.StatusOK
	})
}

// drain stops requests to a node and waits until its current requests are answered.
func (c *cluster) drain(n *node) {
	c.t.Helper()
	c.proxyCommand("set server nodes/" + n.name + " state maint")
	c.waitFor(n.name+" has no open requests", func() bool { return c.proxyStat(n, "scur") == "0" })
}

// undrain sends requests to a node again. It waits until the load balancer considers the node up.
func (c *cluster) undrain(n *node) {
	c.t.Helper()
	c.proxyCommand("set server nodes/" + n.name + " state ready")
	c.waitFor(n.name+" is up at the load balancer", func() bool { return c.proxyStat(n, "status") == "UP" })
}

// proxyStat returns a statistic of HAProxy about a node.
func (c *cluster) proxyStat(n *node, field string) string {
	c.t.Helper()
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(c.proxyCommand("show stat"), "# "))).ReadAll()
	if err != nil {
		c.t.Fatal(err)
	}
	for _, row := range rows[1:] {
		if row[1] == n.name {
			for i, name := range rows[0] {
				if name == field {
					return row[i]
				}
			}
		}
	}
	c.t.Fatalf("HAProxy has no statistic %s of %s: %v", field, n.name, rows)
	return ""
}

func (c *cluster) proxyCommand(command string) string {
	c.t.Helper()
	conn, err := new(net.Dialer).DialContext(context.Background(), "unix", c.adminSocket)
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, command+"\n"); err != nil {
		c.t.Fatal(err)
	}
	output, err := io.ReadAll(conn)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(output)
}

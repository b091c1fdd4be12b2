package cluster

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/keylodgeserver"
	"github.com/keylodge/keylodge/acceptance/testkit/leakcheck"
	"github.com/keylodge/keylodge/acceptance/testkit/postgresserver"
	"github.com/keylodge/keylodge/acceptance/testkit/process"
	"github.com/keylodge/keylodge/acceptance/testkit/require"
)

// cluster is three servers, each a separate process, behind a load balancer.
type cluster struct {
	t           *testing.T
	database    string
	origin      string // of the load balancer, which clients use
	adminSocket string // the load balancer's admin socket
	nodes       []*node
	secrets     leakcheck.Secrets
}

// node is one server.
type node struct {
	*keylodgeserver.Server
	cluster *cluster
	name    string
}

const clusterSize = 3

// start starts a cluster. All servers start at the same time on an empty database.
func start(t *testing.T) *cluster {
	t.Helper()
	return startWith(t, keylodgeserver.Binary(t))
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
	c := &cluster{t: t, database: database, origin: "http://" + strings.Replace(freeAddress(t), "127.0.0.1", "localhost", 1)}
	t.Cleanup(func() {
		if c.secrets.Len() == 0 {
			t.Error("no response had a secret")
		}
	})
	for i := range clusterSize {
		own := []string{
			"KEYLODGE_PUBLIC_URL=" + c.origin, "KEYLODGE_DATABASE_URL=" + url,
			"KEYLODGE_SECRET=" + base64.StdEncoding.EncodeToString(secret), "KEYLODGE_TRUSTED_PROXIES=127.0.0.1",
			"KEYLODGE_LOG_LEVEL=debug",
			"KEYLODGE_RATE_LIMITS=off", // hundreds of requests arrive from one address
		}
		for _, setting := range settings {
			own = append(own, setting(i))
		}
		n := &node{Server: keylodgeserver.New(t, binary, own...), cluster: c, name: fmt.Sprintf("node%d", i+1)}
		n.Secrets = &c.secrets
		c.nodes = append(c.nodes, n)
	}
	c.launch(c.nodes...)
	c.balance(balancer)
	return c
}

// launch starts nodes at the same time and waits until they are ready.
func (c *cluster) launch(nodes ...*node) {
	c.t.Helper()
	for _, n := range nodes {
		n.Launch()
	}
	for _, n := range nodes {
		c.waitFor(n.name+" is ready", n.IsReady)
	}
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

func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := process.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

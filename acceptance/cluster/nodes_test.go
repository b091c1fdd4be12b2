package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/keylodge/keylodge/acceptance/testkit/client"
)

// Requirement: ASVS-16.2.5, Durability-concurrency
func TestCluster_ThreeNodes(t *testing.T) {
	c := start(t)

	t.Run("one of three nodes that start at once creates the tables", func(t *testing.T) {
		var versions, dirty int
		requireNoError(t, c.query(t, "SELECT count(*), count(*) FILTER (WHERE dirty) FROM schema_migrations", &versions, &dirty))
		if versions != 1 || dirty != 0 {
			t.Errorf("%d versions, %d of them dirty", versions, dirty)
		}
		var keys int
		requireNoError(t, c.query(t, "SELECT count(*) FROM signing_keys", &keys))
		if keys != 1 {
			t.Errorf("%d signing keys, want 1", keys)
		}
	})

	t.Run("a ceremony that begins on one node ends on another", func(t *testing.T) {
		split := 0
		for range 9 {
			ada := c.person()
			requireNoError(t, ada.signUp())
			if ada.nodes[0] != ada.nodes[1] {
				split++
			}
			if _, err := ada.signIn("cookie"); err != nil {
				t.Fatal(err)
			}
		}
		if split == 0 {
			t.Error("no ceremony was split over two nodes")
		}
	})

	t.Run("an ended session is rejected at once by its node, and within a second by the others", func(t *testing.T) {
		ada := c.person()
		requireNoError(t, ada.signUp())
		second := c.person()
		second.device = ada.device
		session, err := second.signIn("cookie")
		requireNoError(t, err)
		for _, n := range c.nodes {
			_, err := second.at(n).whoAmI()
			requireNoError(t, err)
		}
		requireNoError(t, ada.at(c.nodes[0]).EndSession(session.Session.ID))
		ended := time.Now()
		for i, n := range c.nodes {
			for {
				begun := time.Now()
				_, err := second.at(n).whoAmI()
				if problemCode(err) == "session_revoked" {
					break
				}
				if requireNoError(t, err); i == 0 || begun.Sub(ended) >= time.Second {
					t.Fatalf("%s accepts the session %s after its end", n.name, begun.Sub(ended))
				}
				time.Sleep(10 * time.Millisecond)
			}
		}
	})

	t.Run("one of sixteen responses to one challenge on all nodes is accepted", func(t *testing.T) {
		ada := c.person()
		requireNoError(t, ada.signUp())
		request, err := ada.beginSignIn("bearer")
		requireNoError(t, err)
		errs := make([]error, 16)
		var working sync.WaitGroup
		for i := range errs {
			working.Go(func() {
				sameBrowser := c.personWith(ada.device, &client.Client{URL: ada.URL, HTTP: ada.HTTP, Header: ada.Header})
				_, errs[i] = sameBrowser.FinishSignIn(request)
			})
		}
		working.Wait()
		accepted := 0
		for _, err := range errs {
			if err == nil {
				accepted++
			} else if problemCode(err) != "challenge_not_found" {
				t.Errorf("got %v, want challenge_not_found", err)
			}
		}
		if accepted != 1 {
			t.Errorf("%d responses were accepted, want 1", accepted)
		}
	})

	t.Run("all nodes publish the same keys and accept each other's tokens", func(t *testing.T) {
		ada := c.person()
		requireNoError(t, ada.signUp())
		session, err := ada.signIn("bearer")
		requireNoError(t, err)
		var published []string
		for _, n := range c.nodes {
			published = append(published, c.publishedKeys(t, n))
			app := ada.withApp().at(n)
			app.SetTokens(session.Tokens)
			if _, err := app.whoAmI(); err != nil {
				t.Errorf("%s rejects the token: %v", n.name, err)
			}
		}
		if len(slices.Compact(published)) != 1 {
			t.Errorf("published: %q", published)
		}
	})

	t.Run("killing a node loses nothing that was acknowledged", func(t *testing.T) {
		var mu sync.Mutex
		var acknowledged []*person
		var failures int
		stop := make(chan struct{})
		var working sync.WaitGroup
		for range 6 {
			working.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					p := c.person()
					err := p.signUp()
					mu.Lock()
					if err == nil {
						acknowledged = append(acknowledged, p)
					} else {
						failures++
					}
					mu.Unlock()
				}
			})
		}
		atLeast := func(n int) func() bool {
			return func() bool {
				mu.Lock()
				defer mu.Unlock()
				return len(acknowledged) >= n
			}
		}
		c.waitFor("there are 50 sign-ups", atLeast(50))
		c.nodes[1].Kill()
		c.waitFor("there are 50 more without the node", atLeast(100))
		c.launch(c.nodes[1])
		c.waitFor("there are 50 more with it", atLeast(150))
		close(stop)
		working.Wait()
		lost := 0
		for _, p := range acknowledged {
			if _, err := p.signIn("cookie"); err != nil {
				t.Errorf("signing in after an acknowledged sign-up: %v", err)
				lost++
			}
		}
		t.Logf("%d sign-ups were acknowledged, %d failed around the kill, %d lost", len(acknowledged), failures, lost)
		if failures > len(acknowledged) {
			t.Errorf("%d sign-ups and %d failures", len(acknowledged), failures)
		}
	})
}

// One of the nodes deletes the expired data, not each of them.
func TestCluster_OneNodeDeletesExpired(t *testing.T) {
	c := start(t)
	ada := c.person()
	_, err := ada.BeginSignIn(client.SignInOptionsRequest{})
	requireNoError(t, err)
	for _, n := range c.nodes {
		n.Kill()
	}
	requireNoError(t, c.exec(t, "UPDATE webauthn_challenges SET created_at = created_at - interval '1 day', expires_at = expires_at - interval '1 day'; DELETE FROM job_leases"))
	c.launch(c.nodes...)
	var left int
	deletions := 0
	c.waitFor("a node has deleted the expired data, and logged it", func() bool {
		deletions = 0
		for _, n := range c.nodes {
			deletions += strings.Count(n.Log(), `"msg":"expired data deleted"`)
		}
		requireNoError(t, c.query(t, "SELECT count(*) FROM webauthn_challenges", &left))
		return left == 0 && deletions > 0
	})
	var leases int
	requireNoError(t, c.query(t, "SELECT count(*) FROM job_leases", &leases))
	if left != 0 || deletions != 1 || leases != 1 {
		t.Errorf("%d challenges are left, %d nodes have logged a deletion, %d leases", left, deletions, leases)
	}
}

func (c *cluster) publishedKeys(t *testing.T, n *node) string {
	t.Helper()
	response, err := http.Get("http://" + n.Address() + "/.well-known/jwks.json")
	requireNoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	requireNoError(t, err)
	var set struct{ Keys []struct{ Kid string } }
	requireNoError(t, json.Unmarshal(body, &set))
	return fmt.Sprint(set.Keys)
}

func (c *cluster) query(t *testing.T, statement string, into ...any) error {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), c.database)
	requireNoError(t, err)
	defer func() { requireNoError(t, conn.Close(context.Background())) }()
	return conn.QueryRow(context.Background(), statement).Scan(into...)
}

func (c *cluster) exec(t *testing.T, statements string) error {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), c.database)
	requireNoError(t, err)
	defer func() { requireNoError(t, conn.Close(context.Background())) }()
	_, err = conn.Exec(context.Background(), statements, pgx.QueryExecModeSimpleProtocol)
	return err
}

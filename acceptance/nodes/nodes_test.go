package nodes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestCluster_ThreeNodes(t *testing.T) {
	c := start(t)

	t.Run("of three that start at once one makes the tables", func(t *testing.T) {
		var versions, dirty int
		requireNoError(t, c.query(t, "SELECT count(*), count(*) FILTER (WHERE dirty) FROM schema_migrations", &versions, &dirty))
		if versions != 1 || dirty != 0 {
			t.Errorf("%d versions, %d of them dirty", versions, dirty)
		}
		var keys int
		requireNoError(t, c.query(t, "SELECT count(*) FROM signing_keys", &keys))
		if keys != 1 {
			t.Errorf("%d signing keys were made", keys)
		}
	})

	t.Run("a ceremony that begins on one node ends on another", func(t *testing.T) {
		apart := 0
		for range 9 {
			ada := c.person()
			requireNoError(t, ada.signUp())
			if ada.nodes[0] != ada.nodes[1] {
				apart++
			}
			if _, err := ada.signIn("cookie"); err != nil {
				t.Fatal(err)
			}
		}
		if apart == 0 {
			t.Error("none was spread over two nodes")
		}
	})

	t.Run("a session that is ended is refused everywhere at once", func(t *testing.T) {
		ada := c.person()
		requireNoError(t, ada.signUp())
		elsewhere := c.person()
		elsewhere.device = ada.device
		in, err := elsewhere.signIn("cookie")
		requireNoError(t, err)
		for _, n := range c.nodes {
			requireNoError(t, elsewhere.sendTo(n.url(), http.MethodGet, "/v1/session", nil, nil))
		}
		requireNoError(t, ada.send(http.MethodDelete, "/v1/me/sessions/"+in.Session.ID, nil, nil))
		for _, n := range c.nodes {
			err := elsewhere.sendTo(n.url(), http.MethodGet, "/v1/session", nil, nil)
			if r := (problemError{}); !errors.As(err, &r) || r.Code != "session_revoked" {
				t.Errorf("%s says %v", n.name, err)
			}
		}
	})

	t.Run("of sixteen who answer one challenge on all nodes one gets in", func(t *testing.T) {
		ada := c.person()
		requireNoError(t, ada.signUp())
		var begun ceremony
		requireNoError(t, ada.send(http.MethodPost, "/v1/login/options", struct{}{}, &begun))
		answer, err := ada.device.Get(begun.Options)
		requireNoError(t, err)
		errs := make([]error, 16)
		var asking sync.WaitGroup
		for i := range errs {
			asking.Go(func() {
				one := &person{cluster: c, http: ada.http}
				errs[i] = one.openSession("/v1/login/verify", begun, answer, "bearer", nil)
			})
		}
		asking.Wait()
		in := 0
		for _, err := range errs {
			if r := (problemError{}); err == nil {
				in++
			} else if !errors.As(err, &r) || r.Code != "challenge_not_found" {
				t.Errorf("one is answered %v", err)
			}
		}
		if in != 1 {
			t.Errorf("%d got in", in)
		}
	})

	t.Run("all nodes publish the same keys and take each other's tokens", func(t *testing.T) {
		ada := c.person()
		requireNoError(t, ada.signUp())
		in, err := ada.signIn("bearer")
		requireNoError(t, err)
		var published []string
		for _, n := range c.nodes {
			published = append(published, c.publishedKeys(t, n))
			request, _ := http.NewRequest(http.MethodGet, "http://"+n.address+"/v1/session", nil)
			request.Header.Set("Authorization", "Bearer "+in.Tokens.Access)
			response, err := http.DefaultClient.Do(request)
			requireNoError(t, err)
			_ = response.Body.Close()
			if response.StatusCode != http.StatusOK {
				t.Errorf("%s answers %d to the token", n.name, response.StatusCode)
			}
		}
		if len(slices.Compact(published)) != 1 {
			t.Errorf("published: %q", published)
		}
	})

	t.Run("a node that is killed in the middle costs nothing that was acknowledged", func(t *testing.T) {
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
		reached := func(n int) func() bool {
			return func() bool {
				mu.Lock()
				defer mu.Unlock()
				return len(acknowledged) >= n
			}
		}
		c.waitFor("there are 50 sign-ups", reached(50))
		c.kill(c.nodes[1])
		c.waitFor("there are 50 more without the node", reached(100))
		c.run(c.nodes[1])
		c.waitUntilReady(c.nodes[1])
		c.waitFor("there are 50 more with it", reached(150))
		close(stop)
		working.Wait()
		lost := 0
		for _, p := range acknowledged {
			if _, err := p.signIn("cookie"); err != nil {
				t.Errorf("somebody who was told that they have an account: %v", err)
				lost++
			}
		}
		t.Logf("%d sign-ups were acknowledged, %d failed around the kill, %d lost", len(acknowledged), failures, lost)
		if failures > len(acknowledged) {
			t.Errorf("%d sign-ups and %d failures", len(acknowledged), failures)
		}
	})
}

// What has expired is swept by one of the nodes, and not by each.
func TestCluster_OneNodeDeletesExpired(t *testing.T) {
	c := start(t)
	ada := c.person()
	var begun ceremony
	requireNoError(t, ada.send(http.MethodPost, "/v1/login/options", struct{}{}, &begun))
	for _, n := range c.nodes {
		c.kill(n)
	}
	requireNoError(t, c.exec(t, "UPDATE webauthn_challenges SET created_at = created_at - interval '1 day', expires_at = expires_at - interval '1 day'; DELETE FROM duties"))
	for _, n := range c.nodes {
		n.log = &logRecorder{}
		c.run(n)
	}
	for _, n := range c.nodes {
		c.waitUntilReady(n)
	}
	var left int
	swept := 0
	c.waitFor("somebody has swept, and said so", func() bool {
		swept = 0
		for _, n := range c.nodes {
			swept += strings.Count(n.log.String(), `"msg":"swept"`)
		}
		requireNoError(t, c.query(t, "SELECT count(*) FROM webauthn_challenges", &left))
		return left == 0 && swept > 0
	})
	var duties int
	requireNoError(t, c.query(t, "SELECT count(*) FROM duties", &duties))
	if left != 0 || swept != 1 || duties != 1 {
		t.Errorf("%d challenges are left, %d nodes have swept, %d duties", left, swept, duties)
	}
}

func (c *cluster) publishedKeys(t *testing.T, n *node) string {
	t.Helper()
	response, err := http.Get("http://" + n.address + "/.well-known/jwks.json")
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

package cluster

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/client"
)

// Three nodes with a clock skew of a few seconds go through two scheduled key rotations and one manual rotation, while clients
// refresh, issue and use tokens. No valid token is rejected by a node, or by a service whose cached keys are up to an hour old;
// and every node has published a key for an hour before the key signs.
func TestCluster_KeyRotationUnderTraffic(t *testing.T) {
	const step, duration = 40 * time.Minute, 56 * time.Hour
	clock := newClock(t)
	skew := []string{"0s", "3s", "-4s"}
	c := startWith(t, testClock(t), func(i int) string { return "TEST_SKEW=" + skew[i] },
		func(int) string { return "TEST_CLOCK=" + clock.file },
		func(int) string { return "KEYLODGE_JWT_ROTATION_INTERVAL=24h" },
		func(int) string { return "KEYLODGE_ACCESS_TOKEN_TTL=1h" },
		func(int) string { return "KEYLODGE_LOG_LEVEL=warn" })
	service := &verifier{origin: c.origin, clock: clock, cacheTTL: time.Hour}
	traffic := c.tokenTraffic(service)
	ada := c.person()
	requireNoError(t, ada.signUp())
	ada = ada.withApp()
	_, err := ada.signIn("bearer")
	requireNoError(t, err)

	published := map[string]time.Time{} // when every node had published the key
	for kid := range c.waitForSameKeys(t) {
		published[kid] = time.Time{} // no token is older than the first key
	}
	signing := map[string]bool{}
	var previous []string // the tokens of the previous step
	for started := clock.now(); clock.now().Sub(started) < duration; {
		clock.advance(step)
		c.refreshKeys()
		for kid := range c.waitForSameKeys(t) {
			if _, found := published[kid]; !found {
				published[kid] = clock.now()
			}
		}
		tokens := previous
		previous = nil
		for _, n := range c.nodes {
			if err := ada.at(n).refresh(); err != nil {
				t.Fatalf("refreshing at %s: %v", n.name, err)
			}
			token := ada.Tokens().AccessToken
			kid, _, err := parseUnverified(token)
			requireNoError(t, err)
			if since, found := published[kid]; !found || clock.now().Sub(since) < time.Hour {
				t.Fatalf("%s signs with %s at %s, which all nodes publish since %s", n.name, kid, clock.now(), since)
			}
			signing[kid] = true
			previous = append(previous, token)
		}
		for _, token := range append(tokens, previous...) { // of the previous step and of this one
			for _, n := range c.nodes {
				ada.SetTokens(client.Tokens{AccessToken: token, RefreshToken: ada.Tokens().RefreshToken})
				if _, err := ada.at(n).whoAmI(); err != nil {
					t.Fatalf("%s rejects a valid token: %v", n.name, err)
				}
			}
			if err := service.verify(token); err != nil {
				t.Fatalf("the service rejects a valid token: %v", err)
			}
		}
		if len(signing) == 1 && clock.now().Sub(started) > 4*time.Hour && len(published) == 1 {
			output, err := c.nodes[1].Command("keys", "rotate")
			if err != nil || !strings.Contains(output, "announced") {
				t.Fatalf("keys rotate: %v, %s", err, output)
			}
		}
		if t.Failed() {
			break
		}
	}
	uses := traffic.stop()
	if len(signing) != 4 || uses < 100 {
		t.Errorf("%d keys have signed, want 4; %d rounds of traffic, want 100", len(signing), uses)
	}
	t.Logf("%d keys have signed; %d rounds of traffic", len(signing), uses)
}

// waitForSameKeys waits until all nodes publish the same keys.
func (c *cluster) waitForSameKeys(t *testing.T) map[string]bool {
	t.Helper()
	var kids []string
	c.waitFor("all nodes publish the same keys", func() bool {
		kids = kids[:0]
		for _, n := range c.nodes {
			kids = append(kids, c.publishedKeys(t, n))
		}
		return kids[0] == kids[1] && kids[1] == kids[2]
	})
	set := map[string]bool{}
	for _, kid := range strings.Fields(strings.NewReplacer("[", "", "]", "", "{", "", "}", "").Replace(kids[0])) {
		set[kid] = true
	}
	return set
}

// refreshKeys waits until each node has refreshed its keys at the current time.
func (c *cluster) refreshKeys() {
	c.t.Helper()
	want := make([]int, len(c.nodes))
	count := func(i int) int { return strings.Count(c.nodes[i].Log(), keysRefreshed) }
	for i := range c.nodes {
		want[i] = count(i) + 2 // one refresh may have begun before
	}
	for i, n := range c.nodes {
		c.waitFor(n.name+" has refreshed its keys", func() bool { return count(i) >= want[i] })
	}
}

// tokenTraffic runs clients that continuously use, issue and refresh tokens at the load balancer.
type tokenTraffic struct {
	working sync.WaitGroup
	stopped chan struct{}
	mu      sync.Mutex
	rounds  int
}

func (c *cluster) tokenTraffic(service *verifier) *tokenTraffic {
	c.t.Helper()
	traffic := &tokenTraffic{stopped: make(chan struct{})}
	for range 3 {
		ben := c.person()
		requireNoError(c.t, ben.signUp())
		ben = ben.withApp()
		_, err := ben.signIn("bearer")
		requireNoError(c.t, err)
		traffic.working.Go(func() {
			for !c.t.Failed() {
				select {
				case <-traffic.stopped:
					return
				case <-time.After(5 * time.Millisecond):
				}
				if err := service.round(ben); err != nil {
					c.t.Error(err)
					return
				}
				traffic.mu.Lock()
				traffic.rounds++
				traffic.mu.Unlock()
			}
		})
	}
	c.t.Cleanup(func() { traffic.stop() })
	return traffic
}

func (t *tokenTraffic) stop() (rounds int) {
	t.mu.Lock()
	select {
	case <-t.stopped:
	default:
		close(t.stopped)
	}
	t.mu.Unlock()
	t.working.Wait()
	return t.rounds
}

// round uses a token, issues another token with it, verifies that at the service, and refreshes. Only an expired token may be
// rejected.
func (v *verifier) round(p *person) error {
	checkRejection := func(action, token string, err error) error {
		_, expiry, badToken := parseUnverified(token)
		if err == nil || badToken == nil && v.clock.now().Add(10*time.Second).After(expiry) {
			return nil
		}
		return fmt.Errorf("%s with a token that expires at %s, at %s: %w", action, expiry, v.clock.now(), err)
	}
	_, err := p.whoAmI()
	if err := checkRejection("reading the session", p.Tokens().AccessToken, err); err != nil {
		return err
	}
	issued, err := p.IssueAccessToken()
	if err != nil {
		if err := checkRejection("issuing a token", p.Tokens().AccessToken, err); err != nil {
			return err
		}
	} else if err := checkRejection("verifying at the service", issued.AccessToken, v.verify(issued.AccessToken)); err != nil {
		return err
	}
	if err := p.refresh(); err != nil {
		return fmt.Errorf("refreshing: %w", err)
	}
	return nil
}

package nodes

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// Three nodes whose clocks are a few seconds apart go through two rotations by the clock and one by hand, while programs
// refresh, mint and use tokens. None is refused that is valid, by no node and by no service that knows the keys of an hour
// ago; and whatever signs was published by every node long before.
func TestCluster_KeyRotationUnderTraffic(t *testing.T) {
	const step, journey = 40 * time.Minute, 56 * time.Hour
	clock := newClock(t)
	skew := []string{"0s", "3s", "-4s"}
	c := startWith(t, testClockRelease(t), func(i int) string { return "TEST_SKEW=" + skew[i] },
		func(int) string { return "TEST_CLOCK=" + clock.file },
		func(int) string { return "KEYLODGE_JWT_ROTATION_INTERVAL=24h" },
		func(int) string { return "KEYLODGE_ACCESS_TOKEN_TTL=1h" },
		func(int) string { return "KEYLODGE_LOG_LEVEL=warn" })
	service := &verifier{origin: c.origin, clock: clock, cacheTTL: time.Hour}
	traffic := c.tokenTraffic(service)
	ada := c.person()
	requireNoError(t, ada.signUp())
	ada = ada.appClient()
	in, err := ada.signIn("bearer")
	requireNoError(t, err)

	published := map[string]time.Time{} // by every node, since then
	for kid := range c.waitForSameKeys(t) {
		published[kid] = time.Time{} // nobody had a token before there was the first one
	}
	signing := map[string]bool{}
	var before []string // tokens
	for begun := clock.now(); clock.now().Sub(begun) < journey; {
		clock.advance(step)
		c.refreshKeys()
		for kid := range c.waitForSameKeys(t) {
			if _, found := published[kid]; !found {
				published[kid] = clock.now()
			}
		}
		tokens := before
		before = nil
		for _, n := range c.nodes {
			if err := ada.at(n).refresh(&in); err != nil {
				t.Fatalf("%s refreshes: %v", n.name, err)
			}
			kid, _, err := parseUnverified(in.Tokens.Access)
			requireNoError(t, err)
			if since, found := published[kid]; !found || clock.now().Sub(since) < time.Hour {
				t.Fatalf("%s signs with %s, which all publish since %s; it is %s", n.name, kid, since, clock.now())
			}
			signing[kid] = true
			before = append(before, in.Tokens.Access)
		}
		for _, token := range append(tokens, before...) { // of the step before, too
			for _, n := range c.nodes {
				ada.access = token
				if _, err := ada.at(n).whoAmI(); err != nil {
					t.Fatalf("%s does not take a token that is valid: %v", n.name, err)
				}
			}
			if err := service.verify(token); err != nil {
				t.Fatalf("a service does not: %v", err)
			}
		}
		if len(signing) == 1 && clock.now().Sub(begun) > 4*time.Hour && len(published) == 1 {
			said, err := c.command(c.nodes[1], "keys", "rotate")
			if err != nil || !strings.Contains(said, "announced") {
				t.Fatalf("keys rotate: %v, %s", err, said)
			}
		}
		if t.Failed() {
			break
		}
	}
	uses := traffic.stop()
	if len(signing) != 4 || uses < 100 {
		t.Errorf("%d keys have signed, and %d tokens were used meanwhile", len(signing), uses)
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

// refreshKeys waits until each node has looked after its keys, at the time that it is now.
func (c *cluster) refreshKeys() {
	c.t.Helper()
	enough := make([]int, len(c.nodes))
	looks := func(i int) int { return strings.Count(c.nodes[i].log.String(), keysRefreshed) }
	for i := range c.nodes {
		enough[i] = looks(i) + 2 // one may have been under way
	}
	for i, n := range c.nodes {
		c.waitFor(n.name+" looks after its keys", func() bool { return looks(i) >= enough[i] })
	}
}

// tokenTraffic are programs that use, mint and refresh all the time, at the load balancer.
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
		ben = ben.appClient()
		in, err := ben.signIn("bearer")
		requireNoError(c.t, err)
		traffic.working.Go(func() {
			for !c.t.Failed() {
				select {
				case <-traffic.stopped:
					return
				case <-time.After(5 * time.Millisecond):
				}
				if err := service.round(ben, &in); err != nil {
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

// round uses a token, mints another one with it, shows that to the service, and refreshes. Only what has expired meanwhile
// may be refused.
func (v *verifier) round(p *person, in *sessionResponse) error {
	refusal := func(doing, token string, err error) error {
		_, ends, badToken := parseUnverified(token)
		if err == nil || badToken == nil && v.clock.now().Add(10*time.Second).After(ends) {
			return nil
		}
		return fmt.Errorf("%s with a token that is valid until %s, at %s: %w", doing, ends, v.clock.now(), err)
	}
	_, err := p.whoAmI()
	if err := refusal("coming in", p.access, err); err != nil {
		return err
	}
	minted, err := p.issueAccessToken()
	if err != nil {
		if err := refusal("minting", p.access, err); err != nil {
			return err
		}
	} else if err := refusal("showing a service one", minted, v.verify(minted)); err != nil {
		return err
	}
	if err := p.refresh(in); err != nil {
		return fmt.Errorf("refreshing: %w", err)
	}
	return nil
}

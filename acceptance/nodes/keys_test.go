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
func TestKeysRotateUnderTraffic(t *testing.T) {
	const step, journey = 40 * time.Minute, 56 * time.Hour
	clock := newClock(t)
	skew := []string{"0s", "3s", "-4s"}
	c := startWith(t, carriedRelease(t), func(i int) string { return "TEST_SKEW=" + skew[i] },
		func(int) string { return "TEST_CLOCK=" + clock.file },
		func(int) string { return "KEYLODGE_JWT_ROTATION_INTERVAL=24h" },
		func(int) string { return "KEYLODGE_ACCESS_TOKEN_TTL=1h" },
		func(int) string { return "KEYLODGE_LOG_LEVEL=warn" })
	service := &verifier{origin: c.origin, clock: clock, keeps: time.Hour}
	traffic := c.tokenTraffic(service)
	ada := c.person()
	must(t, ada.signUp())
	ada = ada.program()
	in, err := ada.signIn("bearer")
	must(t, err)

	published := map[string]time.Time{} // by every node, since then
	for kid := range c.published(t) {
		published[kid] = time.Time{} // nobody had a token before there was the first one
	}
	signing := map[string]bool{}
	var before []string // tokens
	for begun := clock.now(); clock.now().Sub(begun) < journey; {
		clock.carry(step)
		c.keepKeys()
		for kid := range c.published(t) {
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
			kid, _, err := stated(in.Tokens.Access)
			must(t, err)
			if since, found := published[kid]; !found || clock.now().Sub(since) < time.Hour {
				t.Fatalf("%s signs with %s, which all publish since %s; it is %s", n.name, kid, since, clock.now())
			}
			signing[kid] = true
			before = append(before, in.Tokens.Access)
		}
		for _, token := range append(tokens, before...) { // of the step before, too
			for _, n := range c.nodes {
				ada.access = token
				if _, err := ada.at(n).isIn(); err != nil {
					t.Fatalf("%s does not take a token that is valid: %v", n.name, err)
				}
			}
			if err := service.believes(token); err != nil {
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
	uses := traffic.end()
	if len(signing) != 4 || uses < 100 {
		t.Errorf("%d keys have signed, and %d tokens were used meanwhile", len(signing), uses)
	}
	t.Logf("%d keys have signed; %d rounds of traffic", len(signing), uses)
}

// published waits until all nodes publish the same keys.
func (c *cluster) published(t *testing.T) map[string]bool {
	t.Helper()
	var kids []string
	c.until("all nodes publish the same keys", func() bool {
		kids = kids[:0]
		for _, n := range c.nodes {
			kids = append(kids, c.keysOf(t, n))
		}
		return kids[0] == kids[1] && kids[1] == kids[2]
	})
	set := map[string]bool{}
	for _, kid := range strings.Fields(strings.NewReplacer("[", "", "]", "", "{", "", "}", "").Replace(kids[0])) {
		set[kid] = true
	}
	return set
}

// keepKeys waits until each node has looked after its keys, at the time that it is now.
func (c *cluster) keepKeys() {
	c.t.Helper()
	enough := make([]int, len(c.nodes))
	looks := func(i int) int { return strings.Count(c.nodes[i].log.String(), kept) }
	for i := range c.nodes {
		enough[i] = looks(i) + 2 // one may have been under way
	}
	for i, n := range c.nodes {
		c.until(n.name+" looks after its keys", func() bool { return looks(i) >= enough[i] })
	}
}

// tokenTraffic are programs that use, mint and refresh all the time, at the load balancer.
type tokenTraffic struct {
	working sync.WaitGroup
	left    chan struct{}
	mu      sync.Mutex
	rounds  int
}

func (c *cluster) tokenTraffic(service *verifier) *tokenTraffic {
	c.t.Helper()
	traffic := &tokenTraffic{left: make(chan struct{})}
	for range 3 {
		ben := c.person()
		must(c.t, ben.signUp())
		ben = ben.program()
		in, err := ben.signIn("bearer")
		must(c.t, err)
		traffic.working.Go(func() {
			for !c.t.Failed() {
				select {
				case <-traffic.left:
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
	c.t.Cleanup(func() { traffic.end() })
	return traffic
}

func (t *tokenTraffic) end() (rounds int) {
	t.mu.Lock()
	select {
	case <-t.left:
	default:
		close(t.left)
	}
	t.mu.Unlock()
	t.working.Wait()
	return t.rounds
}

// round uses a token, mints another one with it, shows that to the service, and refreshes. Only what has expired meanwhile
// may be refused.
func (v *verifier) round(p *person, in *entered) error {
	refusal := func(doing, token string, err error) error {
		_, ends, badToken := stated(token)
		if err == nil || badToken == nil && v.clock.now().Add(10*time.Second).After(ends) {
			return nil
		}
		return fmt.Errorf("%s with a token that is valid until %s, at %s: %w", doing, ends, v.clock.now(), err)
	}
	_, err := p.isIn()
	if err := refusal("coming in", p.access, err); err != nil {
		return err
	}
	minted, err := p.mint()
	if err != nil {
		if err := refusal("minting", p.access, err); err != nil {
			return err
		}
	} else if err := refusal("showing a service one", minted, v.believes(minted)); err != nil {
		return err
	}
	if err := p.refresh(in); err != nil {
		return fmt.Errorf("refreshing: %w", err)
	}
	return nil
}

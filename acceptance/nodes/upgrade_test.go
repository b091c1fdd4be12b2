package nodes

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// An installation goes from this release to the next, and a part of it back again, while people come and go.
func TestCluster_RollingUpgrade(t *testing.T) {
	next := nextRelease(t)
	version, err := nextVersion()
	requireNoError(t, err)
	c := start(t)
	here := c.nodes[0].binary
	old := c.person()
	requireNoError(t, old.signUp()) // so that all statements are prepared on some connections

	t.Run("the next release is one", func(t *testing.T) {
		said, err := c.command(&node{binary: next}, "migrate", "status")
		if pending := regexp.MustCompile(fmt.Sprintf(`(?m)^%d +pending +titles$`, version)); err != nil || !pending.MatchString(said) {
			t.Fatalf("%s, %v", said, err)
		}
	})

	crowd := c.startLoad()
	crowd.waitForRounds(40)
	c.replace(c.nodes[0], next)
	crossNodeCeremonies(t, c.nodes[0], c.nodes[1])
	crossNodeCeremonies(t, c.nodes[1], c.nodes[0])
	requireUndisturbed(t, crowd, "while the first node was replaced")

	t.Run("a node of this release that crashes meanwhile comes back", func(t *testing.T) {
		n := c.nodes[1]
		c.kill(n)
		n.log = &logRecorder{}
		c.run(n)
		c.waitUntilReady(n)
		c.undrain(n)
		crowd.waitForRounds(40)
		t.Logf("%d requests were cut off by the crash", crowd.resetConnectionErrors())
		if said := n.log.String(); !strings.Contains(said, `"level":"WARN","msg":"a newer release`) {
			t.Errorf("it does not say that the schema is another release's: %s", said)
		}
		crossNodeCeremonies(t, c.nodes[0], n)
		said, err := c.command(n, "migrate", "status")
		if last := regexp.MustCompile(fmt.Sprintf(`(?m)^%d +newer +\(of a newer release\)$`, version)); err != nil || !last.MatchString(said) {
			t.Errorf("migrate status: %v, %s", err, said)
		}
		said, err = c.command(n, "doctor")
		if err != nil || !strings.Contains(said, "go on with the upgrade") {
			t.Errorf("doctor: %v, %s", err, said)
		}
	})

	c.replace(c.nodes[1], next)
	c.replace(c.nodes[2], next)
	crowd.waitForRounds(40)
	requireUndisturbed(t, crowd, "while the others were replaced")

	t.Run("and back", func(t *testing.T) {
		young := c.person().at(c.nodes[0])
		requireNoError(t, young.signUp())
		requireNames(t, young, title+"Ada", c.nodes[0])
		c.replace(c.nodes[2], here)
		requireNames(t, young, title+"Ada", c.nodes[1])
		requireNames(t, young, "Ada", c.nodes[2])
		requireNames(t, old, "Ada", c.nodes[0], c.nodes[2])
		crossNodeCeremonies(t, c.nodes[2], c.nodes[0])
		crossNodeCeremonies(t, c.nodes[0], c.nodes[2])
		requireUndisturbed(t, crowd, "while one was put back")
	})

	crowd.stop()
	for _, p := range crowd.acknowledged {
		if _, err := p.signIn("cookie"); err != nil {
			t.Errorf("somebody who was told that they have an account: %v", err)
		}
	}
	t.Logf("%d rounds, %d sign-ups", crowd.served.Load(), len(crowd.acknowledged))

	t.Run("a release that the schema locks out does not start", func(t *testing.T) {
		requireNoError(t, c.exec(t, fmt.Sprintf("UPDATE schema_floor SET version = %d", version)))
		n := c.nodes[2]
		c.kill(n)
		n.log = &logRecorder{}
		c.run(n)
		_ = n.process.Wait()
		if said := n.log.String(); !strings.Contains(said, "a newer release made it") {
			t.Errorf("it says: %s", said)
		}
	})
}

// replace lets another program run where a node's does, in the order that docs/operations.md has.
func (c *cluster) replace(n *node, binary string) {
	c.t.Helper()
	c.drain(n)
	c.stop(n)
	n.binary, n.log = binary, &logRecorder{}
	c.run(n)
	c.waitUntilReady(n)
	c.undrain(n)
}

// requireUndisturbed fails the test if anybody was turned away, or has had no answer.
func requireUndisturbed(t *testing.T, b *load, when string) {
	t.Helper()
	b.waitForRounds(40)
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.rejections)+len(b.connectionErrors) > 0 {
		t.Errorf("%s: turned away: %v; cut off: %v", when, b.rejections, b.connectionErrors)
	}
}

func requireNames(t *testing.T, p *person, want string, at ...*node) {
	t.Helper()
	for _, n := range at {
		if name, err := p.at(n).whoAmI(); err != nil || name != want {
			t.Errorf("%s calls somebody %q, %v; want %q", n.name, name, err, want)
		}
	}
}

// crossNodeCeremonies begins on one node what ends on another.
func crossNodeCeremonies(t *testing.T, from, to *node) {
	t.Helper()
	c := from.cluster
	ada := c.person().at(from)
	begun, made, err := ada.beginSignUp()
	requireNoError(t, err)
	requireNoError(t, ada.at(to).openSession("/v1/signup/verify", begun, made, "cookie", nil))

	var codes struct{ Codes []string }
	requireNoError(t, ada.at(from).send(http.MethodPost, "/v1/me/recovery/backup-codes", struct{}{}, &codes))
	requireNoError(t, ada.send(http.MethodPost, "/v1/session/step-up/options", struct{}{}, &begun))
	proof, err := ada.device.Get(begun.Options)
	requireNoError(t, err)
	requireNoError(t, ada.at(to).send(http.MethodPost, "/v1/session/step-up/verify", map[string]any{"challenge_id": begun.ChallengeID, "credential": proof}, nil))

	program := ada.appClient().at(from)
	begun, answer, err := program.beginSignIn()
	requireNoError(t, err)
	var in sessionResponse
	requireNoError(t, program.at(to).openSession("/v1/login/verify", begun, answer, "bearer", &in))
	for _, n := range []*node{from, to, from} {
		if _, err := program.at(n).whoAmI(); err != nil {
			t.Errorf("%s does not take a token: %v", n.name, err)
		}
		requireNoError(t, program.refresh(&in))
	}

	var me struct{ User struct{ ID string } }
	requireNoError(t, ada.at(from).send(http.MethodGet, "/v1/me", nil, &me))
	lost := c.person().at(to)
	var grant struct {
		Token string `json:"grant_token"`
	}
	requireNoError(t, lost.send(http.MethodPost, "/v1/recovery/redeem", map[string]string{"user_id": me.User.ID, "backup_code": codes.Codes[0]}, &grant))
	requireNoError(t, lost.at(from).send(http.MethodPost, "/v1/recovery/options", map[string]string{"grant_token": grant.Token}, &begun))
	made, err = lost.device.Create(begun.Options)
	requireNoError(t, err)
	requireNoError(t, lost.at(to).send(http.MethodPost, "/v1/recovery/verify", map[string]any{
		"grant_token": grant.Token, "challenge_id": begun.ChallengeID, "credential": made, "transport": "cookie",
	}, nil))
	_, err = program.at(from).whoAmI()
	if r := (problemError{}); !errors.As(err, &r) || r.Code != "session_revoked" {
		t.Errorf("after a recovery on %s, %s says to the former session: %v", to.name, from.name, err)
	}
}

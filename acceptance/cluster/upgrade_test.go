package cluster

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/client"
)

// A cluster is upgraded to the next release node by node, and one node is rolled back, under load.
func TestCluster_RollingUpgrade(t *testing.T) {
	next := nextRelease(t)
	version, err := nextVersion()
	requireNoError(t, err)
	c := start(t)
	current := c.nodes[0].Binary
	old := c.person()
	requireNoError(t, old.signUp()) // prepares all statements on some connections

	t.Run("the next release has a pending migration", func(t *testing.T) {
		upgraded := *c.nodes[0].Server
		upgraded.Binary = next
		output, err := upgraded.Command("migrate", "status")
		if pending := regexp.MustCompile(fmt.Sprintf(`(?m)^%d +pending +titles$`, version)); err != nil || !pending.MatchString(output) {
			t.Fatalf("%s, %v", output, err)
		}
	})

	l := c.startLoad()
	l.waitForRounds(40)
	c.replace(c.nodes[0], next)
	crossNodeCeremonies(t, c.nodes[0], c.nodes[1])
	crossNodeCeremonies(t, c.nodes[1], c.nodes[0])
	requireUndisturbed(t, l, "while the first node is replaced")

	t.Run("a node of this release restarts after a crash", func(t *testing.T) {
		n := c.nodes[1]
		n.Kill()
		c.launch(n)
		c.undrain(n)
		l.waitForRounds(40)
		t.Logf("%d requests failed because of the crash", l.resetConnectionErrors())
		if log := n.Log(); !strings.Contains(log, `"level":"WARN","msg":"the database schema is newer`) {
			t.Errorf("no warning about the newer schema: %s", log)
		}
		crossNodeCeremonies(t, c.nodes[0], n)
		output, err := n.Command("migrate", "status")
		if last := regexp.MustCompile(fmt.Sprintf(`(?m)^%d +newer +\(from a newer release\)$`, version)); err != nil || !last.MatchString(output) {
			t.Errorf("migrate status: %v, %s", err, output)
		}
		output, err = n.Command("doctor")
		if err != nil || !strings.Contains(output, "finish the upgrade") {
			t.Errorf("doctor: %v, %s", err, output)
		}
	})

	c.replace(c.nodes[1], next)
	c.replace(c.nodes[2], next)
	l.waitForRounds(40)
	requireUndisturbed(t, l, "while the others are replaced")

	t.Run("one node is rolled back", func(t *testing.T) {
		recent := c.person().at(c.nodes[0])
		requireNoError(t, recent.signUp())
		c.replace(c.nodes[2], current)
		older := c.person().at(c.nodes[2])
		requireNoError(t, older.signUp())
		for p, want := range map[*person]string{old: "", recent: "Countess", older: ""} {
			requireNames(t, p, "Ada", c.nodes...)
			requireTitle(t, p, want)
		}
		crossNodeCeremonies(t, c.nodes[2], c.nodes[0])
		crossNodeCeremonies(t, c.nodes[0], c.nodes[2])
		requireUndisturbed(t, l, "while one is rolled back")
	})

	l.stop()
	for _, p := range l.acknowledged {
		if _, err := p.signIn("cookie"); err != nil {
			t.Errorf("signing in after an acknowledged sign-up: %v", err)
		}
	}
	t.Logf("%d rounds, %d sign-ups", l.served.Load(), len(l.acknowledged))

	t.Run("a release below the schema floor does not start", func(t *testing.T) {
		requireNoError(t, c.exec(t, fmt.Sprintf("UPDATE schema_floor SET version = %d", version)))
		n := c.nodes[2]
		n.Kill()
		n.Launch()
		n.AwaitExit()
		if log := n.Log(); !strings.Contains(log, "of a newer release, and this program knows up to") {
			t.Errorf("log: %s", log)
		}
	})
}

// replace replaces a node's program, in the order of docs/operations/postgresql-and-several-nodes.md.
func (c *cluster) replace(n *node, binary string) {
	c.t.Helper()
	c.drain(n)
	n.Stop()
	n.Binary = binary
	c.launch(n)
	c.undrain(n)
}

// requireUndisturbed fails the test if a request was rejected or got no response.
func requireUndisturbed(t *testing.T, l *load, when string) {
	t.Helper()
	l.waitForRounds(40)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.rejections)+len(l.connectionErrors) > 0 {
		t.Errorf("%s: rejected: %v; connection errors: %v", when, l.rejections, l.connectionErrors)
	}
}

func requireNames(t *testing.T, p *person, want string, at ...*node) {
	t.Helper()
	for _, n := range at {
		if name, err := p.at(n).whoAmI(); err != nil || name != want {
			t.Errorf("%s: name %q, %v; want %q", n.name, name, err, want)
		}
	}
}

// requireTitle fails the test unless the column of the next release's migration has the value; "" for NULL.
func requireTitle(t *testing.T, p *person, want string) {
	t.Helper()
	user, _, err := p.Session()
	requireNoError(t, err)
	var title string
	requireNoError(t, p.cluster.query(t, "SELECT COALESCE(title, '') FROM users WHERE id = '"+user.ID+"'", &title))
	if title != want {
		t.Errorf("title %q, want %q", title, want)
	}
}

// crossNodeCeremonies performs each ceremony with its two calls on different nodes.
func crossNodeCeremonies(t *testing.T, from, to *node) {
	t.Helper()
	c := from.cluster
	ada := c.person().at(from)
	signUp, err := ada.beginSignUp()
	requireNoError(t, err)
	signedUp, err := ada.at(to).FinishSignUp(signUp)
	requireNoError(t, err)

	codes, err := ada.at(from).MakeBackupCodes()
	requireNoError(t, err)
	begun, err := ada.BeginStepUp()
	requireNoError(t, err)
	assertion, err := ada.device.Get(begun.Options)
	requireNoError(t, err)
	_, err = ada.at(to).FinishStepUp(client.StepUpVerifyRequest{ChallengeID: begun.ChallengeID, Credential: assertion})
	requireNoError(t, err)

	app := ada.withApp().at(from)
	signIn, err := app.beginSignIn("bearer")
	requireNoError(t, err)
	_, err = app.at(to).FinishSignIn(signIn)
	requireNoError(t, err)
	for _, n := range []*node{from, to, from} {
		if _, err := app.at(n).whoAmI(); err != nil {
			t.Errorf("%s rejects a token: %v", n.name, err)
		}
		requireNoError(t, app.refresh())
	}

	recovering := c.person().at(to)
	grant, err := recovering.Redeem(client.RedeemRequest{UserID: signedUp.User.ID, BackupCode: codes[0]})
	requireNoError(t, err)
	begun, err = recovering.at(from).BeginRecovery(grant)
	requireNoError(t, err)
	credential, err := recovering.device.Create(begun.Options)
	requireNoError(t, err)
	_, err = recovering.at(to).FinishRecovery(client.RecoveryVerifyRequest{
		GrantRequest:        client.GrantRequest{GrantToken: grant},
		SignUpVerifyRequest: client.SignUpVerifyRequest{ChallengeID: begun.ChallengeID, Credential: credential, Transport: "cookie"},
	})
	requireNoError(t, err)
	if _, err = app.at(from).whoAmI(); problemCode(err) != "session_revoked" {
		t.Errorf("after a recovery on %s, the earlier session on %s: got %v, want session_revoked", to.name, from.name, err)
	}
}

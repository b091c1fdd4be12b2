package acceptance

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/mailserver"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/adapters/sqlite"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/bootstrap"
	"github.com/keylodge/keylodge/domain"
)

// installation is one that is restarted with other secrets, on the same database and at the same address.
type installation struct {
	t      *testing.T
	clock  *clock
	post   *mailserver.Server
	path   string
	origin string // of the first start
	access domain.AccessPolicy
	door   *lodge
}

func newInstallation(t *testing.T) *installation {
	t.Helper()
	return &installation{t: t, clock: newClock(), post: mailserver.Start(t, mailserver.Options{}), path: filepath.Join(t.TempDir(), "keylodge.db")}
}

func (i *installation) settings(secret masterkey.Key, former ...masterkey.Key) func(*bootstrap.Config) {
	return func(c *bootstrap.Config) {
		if i.origin == "" {
			i.origin, i.access = c.PublicURL, c.Access
		}
		c.PublicURL, c.Origins, c.Access = i.origin, []string{i.origin}, i.access
		c.Database, c.SMTP = bootstrap.SQLite(i.path), sendingTo(i.t, i.post, i.origin)
		c.Secret, c.PreviousSecrets = &secret, former
	}
}

// starts is a server under the secret, and the place of whoever was at the one before.
func (i *installation) starts(secret masterkey.Key, former ...masterkey.Key) *server {
	i.t.Helper()
	s := startServer(i.t, i.clock, i.settings(secret, former...))
	s.origin = i.origin
	i.door = &lodge{t: i.t, clock: i.clock, door: httpDoor{s}, post: i.post}
	return s
}

// goOn has people call another server from now on, with all that their devices keep.
func goOn(at *server, people ...*person) {
	for _, p := range people {
		connection := p.script().connection.(*httpConnection)
		connection.server, connection.http.Transport = at, at.wire
	}
}

// useCases is the product as the operator's commands have it, which run where the server does not.
func (i *installation) useCases(secret masterkey.Key) application.UseCases {
	i.t.Helper()
	store, err := sqlite.Open(i.path)
	if err != nil {
		i.t.Fatal(err)
	}
	i.t.Cleanup(func() { _ = store.Close() })
	return openUseCases(i.t, settings(i.t, i.origin, i.settings(secret)), store, i.clock).operator()
}

func aSecret(t testing.TB) masterkey.Key {
	t.Helper()
	return *settings(t, useCaseOrigin, nil).Secret
}

// Nobody is signed out when the secret is replaced, nothing that is under way fails, and what was handed out or written down
// before still does what it is for.
func TestTheSecretIsReplacedAndNobodyNotices(t *testing.T) {
	i := newInstallation(t)
	former, present := aSecret(t), aSecret(t)
	before := i.starts(former)
	l := i.door

	ada := l.confirmed("Ada", phone, "ada@example.org")
	app, codes := l.setsUpApp(ada), ada.writesDownCodes()
	ben := l.program("Ben")
	ben.signsUp()
	bens := ben.script().connection
	outdated := bens.keepsTokens()
	ben.refreshes() // whoever lost that answer may ask again
	eve := l.person("Eve", phone)
	eve.signsUp()
	pending, refused := eve.device.setUpTOTP()
	eve.may(refused)
	zoe := l.person("Zoe", phone)
	zoe.claims("zoe@example.org")
	emailCode := l.codeIn(l.lastLetter("zoe@example.org", 1))
	signsIn, signsUp, stepsUp := l.person("Signing In", phone), l.person("Signing Up", phone), l.person("Stepping Up", phone)
	signsIn.signsUp()
	signsIn.signsOut()
	stepsUp.signsUp()
	signingIn := signsIn.script().beginsSignIn()
	signingUp := signsUp.script().beginsSignUp(signsUp.applicant)
	steppingUp, refused := stepsUp.script().connection.beginStepUp()
	stepsUp.may(refused)
	recovers := l.losesEverything(ada)
	grant, refused := recovers.script().connection.redeem(claim{backupCode: codes[0]})
	recovers.may(refused)
	recovering, refused := recovers.script().connection.beginRecovery(grant)
	recovers.may(refused)
	decoys := decoysOf(t, before)
	file := filepath.Join(t.TempDir(), "lodge.jsonl")
	l.exports(file, 6)

	after := i.starts(present, former)
	l = i.door
	goOn(after, ada, ben, eve, zoe, signsIn, signsUp, stepsUp, recovers)
	app.lodge = l

	if again := decoysOf(t, after); !bytes.Equal(again, decoys) {
		t.Errorf("decoys were %s and are %s", decoys, again)
	}
	stranger := &stranger{t: t, server: after}
	stranger.settles()
	_, listed := stranger.listed("nobody@example.org")
	if got := stranger.shows(stranger.begins("/v1/login/options", nil), "/v1/login/verify", listed[0].ID); got.StatusCode != 422 {
		t.Errorf("a decoy of before is answered %d %s", got.StatusCode, got.body)
	}
	ada.isSignedIn()
	ada.may(ada.device.renamePasskey(ada.passkeyIDs()[0], "Renamed")) // by the CSRF token of before
	ben.isSignedIn()                                                  // by the access token of before
	pair, refused := bens.refreshWith(outdated.refresh)               // within the grace
	ben.may(refused)
	if pair.refresh != bens.keepsTokens().refresh {
		t.Error("an answer that was lost is another one after the secret is")
	}
	ben.refreshes()
	ben.isSignedIn()
	eve.may(eve.device.confirmTOTP(appOf(l, pending).shows()))
	zoe.may(zoe.device.confirmEmail(emailCode))

	who, refused := signsIn.script().connection.finishSignIn(signingIn.challengeID, signsIn.script().answers(signingIn))
	signsIn.mustBe(who, refused)
	who, refused = signsUp.script().connection.finishSignUp(signingUp.challengeID, signsUp.script().makes(signingUp))
	signsUp.mustBe(who, refused)
	stepsUp.may(stepsUp.script().connection.finishStepUp(steppingUp.challengeID, stepsUp.script().answers(steppingUp)))

	again, refused := i.door.losesEverything(ada).script().connection.redeem(claim{backupCode: codes[0]})
	if refused != (refusal{}) || again != grant {
		t.Errorf("the grant that a code has bought is another one: %+v", refused)
	}
	recovering, refused = recovers.script().connection.beginRecovery(grant)
	recovers.may(refused)
	who, refused = recovers.script().connection.finishRecovery(grant, recovering.challengeID, recovers.script().makes(recovering))
	recovers.mustBe(who, refused)
	i.clock.advance(time.Minute)
	l.losesEverything(ada).recovers(claim{email: ada.email, totpCode: app.shows()})
	l.losesEverything(ada).recovers(claim{backupCode: codes[1]})
	eve.email = ""

	elsewhere := &lodge{t: t, clock: i.clock, door: openUseCases(t, settings(t, i.origin, i.settings(present, former)), memoryStore(t), i.clock)}
	elsewhere.importsTheRest(file)
}

// Without the former secret a server does not go on as if nothing was: it does not start while it could not sign, and says
// what to do; and afterwards what was made under that secret is refused like something invented, and never by a fault.
func TestASecretThatIsTakenAwayTooEarlyIsTold(t *testing.T) {
	i := newInstallation(t)
	former, present := aSecret(t), aSecret(t)
	before := i.starts(former)
	l := i.door
	ada := l.confirmed("Ada", phone, "ada@example.org")
	app, codes := l.setsUpApp(ada), ada.writesDownCodes()
	ben := l.program("Ben")
	ben.signsUp()
	outdated := ben.script().connection.keepsTokens().refresh
	ben.refreshes()
	ben.refreshes()
	zoe := l.person("Zoe", phone)
	zoe.claims("zoe@example.org")
	emailCode := l.codeIn(l.lastLetter("zoe@example.org", 1))
	eve := l.person("Eve", phone)
	eve.signsUp()
	pending, refused := eve.device.setUpTOTP()
	eve.may(refused)
	signsIn := l.person("Signing In", phone)
	signsIn.signsUp()
	signsIn.signsOut()
	signingIn := signsIn.script().beginsSignIn()
	grant, refused := l.losesEverything(ada).script().connection.redeem(claim{backupCode: codes[0]})
	ada.may(refused)

	config := settings(t, i.origin, i.settings(present))
	if _, err := bootstrap.Open(config, i.clock, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "KEYLODGE_PREVIOUS_SECRETS") || !strings.Contains(err.Error(), "keylodge keys rotate") {
		t.Fatalf("a server without the secret of its signing keys starts, or does not say what to do: %v", err)
	}
	if _, err := i.useCases(present).Keys.Rotate.Execute(t.Context()); err != nil { // given up
		t.Fatal(err)
	}

	after := i.starts(present)
	l = i.door
	goOn(after, ada, ben, zoe, eve, signsIn)
	app.lodge = l
	ada.isSignedIn() // a session's token is not made under a secret
	if refused := ada.device.renamePasskey(ada.passkeyIDs()[0], "Renamed"); refused.code != "csrf_rejected" {
		t.Errorf("a CSRF token of another secret: %+v", refused)
	}
	ada.script().connection.(*httpConnection).bringsToken(ada.script().connection.keepsToken()) // asks for another CSRF token
	ada.may(ada.device.renamePasskey(ada.passkeyIDs()[0], "Renamed"))
	ben.isAskedToSignIn("unauthenticated")
	_, refused = ben.script().connection.refreshWith(outdated)
	ben.mayNot(refused, "refresh_token_invalid") // under its own secret it would have been known as used, and ended the session
	ben.refreshes()                              // the latest is kept as its digest
	ben.isSignedIn()
	zoe.script().connection.(*httpConnection).bringsToken(zoe.script().connection.keepsToken())
	zoe.mayNot(zoe.device.confirmEmail(emailCode), "invalid_code")
	eve.script().connection.(*httpConnection).bringsToken(eve.script().connection.keepsToken())
	eve.mayNot(eve.device.confirmTOTP(appOf(l, pending).shows()), "invalid_code")
	_, refused = signsIn.script().connection.finishSignIn(signingIn.challengeID, signsIn.script().answers(signingIn))
	signsIn.mayNot(refused, "challenge_not_found")
	l.losesEverything(ada).cannotRecover(claim{backupCode: codes[1]}, "invalid_code")
	l.losesEverything(ada).cannotRecover(claim{email: ada.email, totpCode: app.shows()}, "invalid_code")
	_, refused = l.losesEverything(ada).script().connection.beginRecovery(grant)
	if refused != (refusal{}) { // a grant is a token that is kept as its digest
		t.Errorf("a grant: %+v", refused)
	}
	_ = before
	signsIn.signsIn() // passkeys are not concerned
}

func (p *person) passkeyIDs() (ids []string) {
	p.t.Helper()
	list, refused := p.device.passkeys()
	p.may(refused)
	for _, one := range list {
		ids = append(ids, one.id)
	}
	return ids
}

func appOf(l *lodge, secret string) app { return app{l, secret} }

func decoysOf(t *testing.T, s *server) []byte {
	t.Helper()
	var begun struct {
		Options struct {
			AllowCredentials json.RawMessage `json:"allowCredentials"`
		} `json:"options"`
	}
	if err := json.Unmarshal(s.send(t, http.MethodPost, "/v1/login/options", `{"email":"nobody@example.org"}`).body, &begun); err != nil {
		t.Fatal(err)
	}
	return slices.Clone(begun.Options.AllowCredentials)
}

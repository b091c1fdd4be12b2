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
	"github.com/keylodge/keylodge/acceptance/sqlitestore"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/adapters/sqlite"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/bootstrap"
	"github.com/keylodge/keylodge/domain"
)

// restartableServer is one that is restarted with other secrets, on the same database and at the same address.
type restartableServer struct {
	t          *testing.T
	clock      *clock
	mailServer *mailserver.Server
	path       string
	origin     string // of the first start
	access     domain.AccessPolicy
	env        *env
}

func newInstallation(t *testing.T) *restartableServer {
	t.Helper()
	return &restartableServer{t: t, clock: newClock(), mailServer: mailserver.Start(t, mailserver.Options{}), path: filepath.Join(t.TempDir(), "keylodge.db")}
}

func (i *restartableServer) settings(secret masterkey.Key, former ...masterkey.Key) func(*bootstrap.Config) {
	return func(c *bootstrap.Config) {
		if i.origin == "" {
			i.origin, i.access = c.PublicURL, c.Access
		}
		c.PublicURL, c.Origins, c.Access = i.origin, []string{i.origin}, i.access
		c.Database, c.SMTP = bootstrap.SQLite(i.path), smtpConfig(i.t, i.mailServer, i.origin)
		c.Secret, c.PreviousSecrets = &secret, former
	}
}

// start is a server under the secret, and the place of whoever was at the one before.
func (i *restartableServer) start(secret masterkey.Key, former ...masterkey.Key) *server {
	i.t.Helper()
	s := startServer(i.t, i.clock, i.settings(secret, former...))
	s.origin = i.origin
	i.env = &env{t: i.t, clock: i.clock, driver: httpDriver{s}, mailServer: i.mailServer}
	return s
}

// reconnectTo has people call another server from now on, with all that their devices keep.
func reconnectTo(at *server, people ...*person) {
	for _, p := range people {
		connection := p.apiDevice().api.(*httpAPI)
		connection.server, connection.http.Transport = at, at.transport
	}
}

// useCases is the product as the operator's commands have it, which run where the server does not.
func (i *restartableServer) useCases(secret masterkey.Key) application.UseCases {
	i.t.Helper()
	store, err := sqlite.Open(i.path)
	if err != nil {
		i.t.Fatal(err)
	}
	i.t.Cleanup(func() { _ = store.Close() })
	return newUseCaseDriver(i.t, settings(i.t, i.origin, i.settings(secret)), store, i.clock).operator()
}

func newSecret(t testing.TB) masterkey.Key {
	t.Helper()
	return *settings(t, useCaseOrigin, nil).Secret
}

// Nobody is signed out when the secret is replaced, nothing that is under way fails, and what was handed out or written down
// before still does what it is for.
func TestSecretRotation_IsTransparent(t *testing.T) {
	i := newInstallation(t)
	former, present := newSecret(t), newSecret(t)
	before := i.start(former)
	l := i.env

	ada := l.personWithVerifiedEmail("Ada", phone, "ada@example.org")
	app, codes := l.enrolTOTP(ada), ada.makesBackupCodes()
	ben := l.appClient("Ben")
	ben.signsUp()
	bens := ben.apiDevice().api
	outdated := bens.tokenPair()
	ben.refreshes() // whoever lost that answer may ask again
	eve := l.person("Eve", phone)
	eve.signsUp()
	pending, refused := eve.device.setUpTOTP()
	eve.requireOK(refused)
	zoe := l.person("Zoe", phone)
	zoe.signsUpWithEmail("zoe@example.org")
	emailCode := l.codeIn(l.lastEmail("zoe@example.org", 1))
	signsIn, signsUp, stepsUp := l.person("Signing In", phone), l.person("Signing Up", phone), l.person("Stepping Up", phone)
	signsIn.signsUp()
	signsIn.signsOut()
	stepsUp.signsUp()
	signingIn := signsIn.apiDevice().mustBeginSignIn()
	signingUp := signsUp.apiDevice().mustBeginSignUp(signsUp.profile)
	steppingUp, refused := stepsUp.apiDevice().api.beginStepUp()
	stepsUp.requireOK(refused)
	recovers := l.onNewDevice(ada)
	grant, refused := recovers.apiDevice().api.redeem(recoveryProof{backupCode: codes[0]})
	recovers.requireOK(refused)
	recovering, refused := recovers.apiDevice().api.beginRecovery(grant)
	recovers.requireOK(refused)
	decoys := listDecoys(t, before)
	file := filepath.Join(t.TempDir(), "lodge.jsonl")
	l.exportTo(file, 6)

	after := i.start(present, former)
	l = i.env
	reconnectTo(after, ada, ben, eve, zoe, signsIn, signsUp, stepsUp, recovers)
	app.env = l

	if again := listDecoys(t, after); !bytes.Equal(again, decoys) {
		t.Errorf("decoys were %s and are %s", decoys, again)
	}
	stranger := &anonymousClient{t: t, server: after}
	stranger.signUp()
	_, listed := stranger.beginSignIn("nobody@example.org")
	if got := stranger.sendAssertion(stranger.begin("/v1/login/options", nil), "/v1/login/verify", listed[0].ID); got.StatusCode != 422 {
		t.Errorf("a decoy of before is answered %d %s", got.StatusCode, got.body)
	}
	ada.requireSignedIn()
	ada.requireOK(ada.device.renamePasskey(ada.passkeyIDs()[0], "Renamed")) // by the CSRF token of before
	ben.requireSignedIn()                                                   // by the access token of before
	pair, refused := bens.refresh(outdated.refresh)                         // within the grace
	ben.requireOK(refused)
	if pair.refresh != bens.tokenPair().refresh {
		t.Error("an answer that was lost is another one after the secret is")
	}
	ben.refreshes()
	ben.requireSignedIn()
	eve.requireOK(eve.device.confirmTOTP(newTOTPApp(l, pending).code()))
	zoe.requireOK(zoe.device.confirmEmail(emailCode))

	who, refused := signsIn.apiDevice().api.finishSignIn(signingIn.challengeID, signsIn.apiDevice().getAssertion(signingIn))
	signsIn.requireIdentity(who, refused)
	who, refused = signsUp.apiDevice().api.finishSignUp(signingUp.challengeID, signsUp.apiDevice().makeCredential(signingUp))
	signsUp.requireIdentity(who, refused)
	stepsUp.requireOK(stepsUp.apiDevice().api.finishStepUp(steppingUp.challengeID, stepsUp.apiDevice().getAssertion(steppingUp)))

	again, refused := i.env.onNewDevice(ada).apiDevice().api.redeem(recoveryProof{backupCode: codes[0]})
	if refused != (rejection{}) || again != grant {
		t.Errorf("the grant that a code has bought is another one: %+v", refused)
	}
	recovering, refused = recovers.apiDevice().api.beginRecovery(grant)
	recovers.requireOK(refused)
	who, refused = recovers.apiDevice().api.finishRecovery(grant, recovering.challengeID, recovers.apiDevice().makeCredential(recovering))
	recovers.requireIdentity(who, refused)
	i.clock.advance(time.Minute)
	l.onNewDevice(ada).recovers(recoveryProof{email: ada.email, totpCode: app.code()})
	l.onNewDevice(ada).recovers(recoveryProof{backupCode: codes[1]})
	eve.email = ""

	elsewhere := &env{t: t, clock: i.clock, driver: newUseCaseDriver(t, settings(t, i.origin, i.settings(present, former)), sqlitestore.New(t), i.clock)}
	elsewhere.resumeImport(file)
}

// Without the former secret a server does not go on as if nothing was: it does not start while it could not sign, and says
// what to do; and afterwards what was made under that secret is refused like something invented, and never by a fault.
func TestSecretRotation_MissingPreviousSecretReported(t *testing.T) {
	i := newInstallation(t)
	former, present := newSecret(t), newSecret(t)
	before := i.start(former)
	l := i.env
	ada := l.personWithVerifiedEmail("Ada", phone, "ada@example.org")
	app, codes := l.enrolTOTP(ada), ada.makesBackupCodes()
	ben := l.appClient("Ben")
	ben.signsUp()
	outdated := ben.apiDevice().api.tokenPair().refresh
	ben.refreshes()
	ben.refreshes()
	zoe := l.person("Zoe", phone)
	zoe.signsUpWithEmail("zoe@example.org")
	emailCode := l.codeIn(l.lastEmail("zoe@example.org", 1))
	eve := l.person("Eve", phone)
	eve.signsUp()
	pending, refused := eve.device.setUpTOTP()
	eve.requireOK(refused)
	signsIn := l.person("Signing In", phone)
	signsIn.signsUp()
	signsIn.signsOut()
	signingIn := signsIn.apiDevice().mustBeginSignIn()
	grant, refused := l.onNewDevice(ada).apiDevice().api.redeem(recoveryProof{backupCode: codes[0]})
	ada.requireOK(refused)

	config := settings(t, i.origin, i.settings(present))
	if _, err := bootstrap.Open(config, i.clock, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "KEYLODGE_PREVIOUS_SECRETS") || !strings.Contains(err.Error(), "keylodge keys rotate") {
		t.Fatalf("a server without the secret of its signing keys starts, or does not say what to do: %v", err)
	}
	if _, err := i.useCases(present).SigningKeys.Rotate.Execute(t.Context()); err != nil { // given up
		t.Fatal(err)
	}

	after := i.start(present)
	l = i.env
	reconnectTo(after, ada, ben, zoe, eve, signsIn)
	app.env = l
	ada.requireSignedIn() // a session's token is not made under a secret
	if refused := ada.device.renamePasskey(ada.passkeyIDs()[0], "Renamed"); refused.code != "csrf_rejected" {
		t.Errorf("a CSRF token of another secret: %+v", refused)
	}
	ada.apiDevice().api.(*httpAPI).setSessionToken(ada.apiDevice().api.sessionToken()) // asks for another CSRF token
	ada.requireOK(ada.device.renamePasskey(ada.passkeyIDs()[0], "Renamed"))
	ben.requireSignedOut("unauthenticated")
	_, refused = ben.apiDevice().api.refresh(outdated)
	ben.requireRejected(refused, "refresh_token_invalid") // under its own secret it would have been known as used, and ended the session
	ben.refreshes()                                       // the latest is kept as its digest
	ben.requireSignedIn()
	zoe.apiDevice().api.(*httpAPI).setSessionToken(zoe.apiDevice().api.sessionToken())
	zoe.requireRejected(zoe.device.confirmEmail(emailCode), "invalid_code")
	eve.apiDevice().api.(*httpAPI).setSessionToken(eve.apiDevice().api.sessionToken())
	eve.requireRejected(eve.device.confirmTOTP(newTOTPApp(l, pending).code()), "invalid_code")
	_, refused = signsIn.apiDevice().api.finishSignIn(signingIn.challengeID, signsIn.apiDevice().getAssertion(signingIn))
	signsIn.requireRejected(refused, "challenge_not_found")
	l.onNewDevice(ada).requireRecoveryRejected(recoveryProof{backupCode: codes[1]}, "invalid_code")
	l.onNewDevice(ada).requireRecoveryRejected(recoveryProof{email: ada.email, totpCode: app.code()}, "invalid_code")
	_, refused = l.onNewDevice(ada).apiDevice().api.beginRecovery(grant)
	if refused != (rejection{}) { // a grant is a token that is kept as its digest
		t.Errorf("a grant: %+v", refused)
	}
	_ = before
	signsIn.signsIn() // passkeys are not concerned
}

func (p *person) passkeyIDs() (ids []string) {
	p.t.Helper()
	list, refused := p.device.passkeys()
	p.requireOK(refused)
	for _, one := range list {
		ids = append(ids, one.id)
	}
	return ids
}

func newTOTPApp(l *env, secret string) totpApp { return totpApp{l, secret} }

func listDecoys(t *testing.T, s *server) []byte {
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

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

	"github.com/keylodge/keylodge/acceptance/testkit/mailserver"
	"github.com/keylodge/keylodge/acceptance/testkit/sqlitestore"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/adapters/sqlite"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/bootstrap"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
)

// restartableServer is a server that can be restarted with other secrets, with the same database and origin.
type restartableServer struct {
	t          *testing.T
	clock      *clock
	mailServer *mailserver.Server
	path       string
	origin     string // of the first start
	access     domain.AccessPolicy
	env        *env
}

func newRestartableServer(t *testing.T) *restartableServer {
	t.Helper()
	return &restartableServer{t: t, clock: newClock(), mailServer: mailserver.Start(t, mailserver.Options{}), path: filepath.Join(t.TempDir(), "keylodge.db")}
}

func (r *restartableServer) settings(secret masterkey.Key, previous ...masterkey.Key) func(*config.Config) {
	return func(c *config.Config) {
		if r.origin == "" {
			r.origin, r.access = c.PublicURL, c.Access
		}
		c.PublicURL, c.Origins, c.Access = r.origin, []string{r.origin}, r.access
		c.Database, c.SMTP = config.SQLite(r.path), smtpConfig(r.t, r.mailServer, r.origin)
		c.Secret, c.PreviousSecrets = &secret, previous
	}
}

// start starts a server with the secrets. Its origin is that of the first start.
func (r *restartableServer) start(secret masterkey.Key, previous ...masterkey.Key) *server {
	r.t.Helper()
	s := startServer(r.t, r.clock, r.settings(secret, previous...))
	s.origin = r.origin
	r.env = &env{t: r.t, clock: r.clock, driver: httpDriver{s}, mailServer: r.mailServer}
	return s
}

// reconnectTo makes the users' devices call another server, with their cookies and tokens.
func reconnectTo(at *server, people ...*person) {
	for _, p := range people {
		api := p.apiDevice().api.(*httpAPI)
		api.server, api.URL, api.HTTP.Transport = at, at.origin, at.transport
		api.Header.Set("Origin", at.origin)
	}
}

// useCases returns the use cases of the operator's commands, which run in another process than the server.
func (r *restartableServer) useCases(secret masterkey.Key) application.UseCases {
	r.t.Helper()
	store, err := sqlite.Open(r.path)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = store.Close() })
	return newUseCaseDriver(r.t, settings(r.t, r.origin, r.settings(secret)), store, r.clock).operator()
}

// A new secret, with the previous one configured, signs out no user. Pending ceremonies succeed, and earlier cookies, tokens,
// codes and exports stay valid.
// Requirement: ASVS-13.3.1
func TestSecretRotation_IsTransparent(t *testing.T) {
	t.Parallel()
	r := newRestartableServer(t)
	previous, current := newSecret(t), newSecret(t)
	before := r.start(previous)
	e := r.env

	ada := e.personWithVerifiedEmail("Ada", phone, "ada@example.org")
	app, codes := e.enrolTOTP(ada), ada.makesBackupCodes()
	ben := e.appClient("Ben")
	ben.signsUp()
	benAPI := ben.apiDevice().api
	outdated := benAPI.tokenPair()
	ben.refreshes() // the previous refresh token may be retried, in case the response was lost
	eve := e.person("Eve", phone)
	eve.signsUp()
	pending := eve.setsUpTOTP()
	zoe := e.person("Zoe", phone)
	zoe.signsUpWithEmail("zoe@example.org")
	emailCode := e.codeIn(e.lastEmail("zoe@example.org", 1))
	carl, dora, fred := e.person("Carl", phone), e.person("Dora", phone), e.person("Fred", phone)
	carl.signsUp()
	carl.signsOut()
	fred.signsUp()
	signingIn := carl.apiDevice().mustBeginSignIn()
	signingUp := dora.apiDevice().mustBeginSignUp(dora.profile)
	steppingUp := fred.apiDevice().mustBeginStepUp()
	adaNew := e.onNewDevice(ada)
	grant := adaNew.apiDevice().mustRedeem(withBackupCode(codes[0]))
	recovering := adaNew.apiDevice().mustBeginRecovery(grant)
	decoys := listDecoys(t, before)
	file := filepath.Join(t.TempDir(), "users.jsonl")
	e.exportTo(file, 6)

	after := r.start(current, previous)
	e = r.env
	reconnectTo(after, ada, ben, eve, zoe, carl, dora, fred, adaNew)
	app.env = e

	if got := listDecoys(t, after); !bytes.Equal(got, decoys) {
		t.Errorf("the decoys were %s and are %s", decoys, got)
	}
	attacker := newAnonymousClient(t, after, 0)
	attacker.signUp()
	_, listed := attacker.beginSignIn("unknown@example.org")
	if got := attacker.sendAssertion(attacker.begin("/v1/login/options", nil), "/v1/login/verify", listed[0].ID); got.StatusCode != 422 {
		t.Errorf("a response with an earlier decoy gets %d %s", got.StatusCode, got.Body)
	}
	ada.requireSignedIn()
	ada.requireOK(ada.device.renamePasskey(ada.listPasskeys()[0].id, "Renamed")) // with the earlier CSRF token
	ben.requireSignedIn()                                                        // with the earlier access token
	pair := benAPI.refresh(outdated.refresh).must(ben.t)                         // within the grace period
	if pair.refresh != benAPI.tokenPair().refresh {
		t.Error("a retried refresh has another successor after the secret has changed")
	}
	ben.refreshes()
	ben.requireSignedIn()
	eve.requireOK(eve.device.confirmTOTP(totpApp{e, pending}.code()))
	zoe.requireOK(zoe.device.confirmEmail(emailCode))

	carl.requireIdentity(carl.apiDevice().api.finishSignIn(signingIn.challengeID, carl.apiDevice().getAssertion(signingIn)))
	dora.requireIdentity(dora.apiDevice().api.finishSignUp(signingUp.challengeID, dora.apiDevice().makeCredential(signingUp)))
	fred.requireOK(fred.apiDevice().api.finishStepUp(steppingUp.challengeID, fred.apiDevice().getAssertion(steppingUp)))

	if second := r.env.onNewDevice(ada).apiDevice().mustRedeem(withBackupCode(codes[0])); second != grant {
		t.Error("the same backup code returns another grant")
	}
	recovering = adaNew.apiDevice().mustBeginRecovery(grant)
	adaNew.requireIdentity(adaNew.apiDevice().api.finishRecovery(grant, recovering.challengeID, adaNew.apiDevice().makeCredential(recovering)))
	r.clock.advance(time.Minute)
	e.onNewDevice(ada).recovers(withTOTP(ada.email, app.code()))
	e.onNewDevice(ada).recovers(withBackupCode(codes[1]))
	eve.email = ""

	target := &env{t: t, clock: r.clock, driver: newUseCaseDriver(t, settings(t, r.origin, r.settings(current, previous)), sqlitestore.New(t), r.clock)}
	target.resumeImport(file)
}

// Without the previous secret the server does not start, because it cannot decrypt its signing keys, and the error says what
// to do. After a rotation of the keys it rejects tokens and codes of the previous secret like forged ones, without an internal
// error.
// Requirement: ASVS-13.3.1
func TestSecretRotation_MissingPreviousSecretReported(t *testing.T) {
	r := newRestartableServer(t)
	previous, current := newSecret(t), newSecret(t)
	before := r.start(previous)
	e := r.env
	ada := e.personWithVerifiedEmail("Ada", phone, "ada@example.org")
	app, codes := e.enrolTOTP(ada), ada.makesBackupCodes()
	ben := e.appClient("Ben")
	ben.signsUp()
	outdated := ben.apiDevice().api.tokenPair().refresh
	ben.refreshes()
	ben.refreshes()
	zoe := e.person("Zoe", phone)
	zoe.signsUpWithEmail("zoe@example.org")
	emailCode := e.codeIn(e.lastEmail("zoe@example.org", 1))
	eve := e.person("Eve", phone)
	eve.signsUp()
	pending := eve.setsUpTOTP()
	carl := e.person("Signing In", phone)
	carl.signsUp()
	carl.signsOut()
	signingIn := carl.apiDevice().mustBeginSignIn()
	grant := e.onNewDevice(ada).apiDevice().api.redeem(withBackupCode(codes[0])).must(ada.t)

	cfg := settings(t, r.origin, r.settings(current))
	if _, err := bootstrap.Open(cfg, r.clock, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "KEYLODGE_PREVIOUS_SECRETS") || !strings.Contains(err.Error(), "keylodge keys rotate") {
		t.Fatalf("got %v, want an error that names KEYLODGE_PREVIOUS_SECRETS and `keylodge keys rotate`", err)
	}
	if _, err := r.useCases(current).SigningKeys.Rotate(t.Context()); err != nil { // replaces the keys that cannot be decrypted
		t.Fatal(err)
	}

	after := r.start(current)
	e = r.env
	reconnectTo(after, ada, ben, zoe, eve, carl)
	app.env = e
	ada.requireSignedIn() // a session token does not depend on the secret
	if rejected := ada.device.renamePasskey(ada.listPasskeys()[0].id, "Renamed"); rejected.code != "csrf_rejected" {
		t.Errorf("a CSRF token of another secret: %+v", rejected)
	}
	ada.apiDevice().api.(*httpAPI).setSessionToken(ada.apiDevice().api.sessionToken()) // requests a new CSRF token
	ada.requireOK(ada.device.renamePasskey(ada.listPasskeys()[0].id, "Renamed"))
	ben.requireSignedOut("unauthenticated")
	ben.requireRejected(ben.apiDevice().api.refresh(outdated), "refresh_token_invalid") // with the previous secret it would count as reused, and revoke the session
	ben.refreshes()                                                                     // the current one is stored as a digest without a key
	ben.requireSignedIn()
	zoe.apiDevice().api.(*httpAPI).setSessionToken(zoe.apiDevice().api.sessionToken())
	zoe.requireRejected(zoe.device.confirmEmail(emailCode), "invalid_code")
	eve.apiDevice().api.(*httpAPI).setSessionToken(eve.apiDevice().api.sessionToken())
	eve.requireRejected(eve.device.confirmTOTP(totpApp{e, pending}.code()), "invalid_code")
	carl.requireRejected(carl.apiDevice().api.finishSignIn(signingIn.challengeID, carl.apiDevice().getAssertion(signingIn)), "challenge_not_found")
	e.onNewDevice(ada).requireRecoveryRejected(withBackupCode(codes[1]), "invalid_code")
	e.onNewDevice(ada).requireRecoveryRejected(withTOTP(ada.email, app.code()), "invalid_code")
	e.onNewDevice(ada).apiDevice().mustBeginRecovery(grant) // a grant token is stored as a digest without a key
	_ = before
	carl.signsIn() // passkeys do not depend on the secret
}

func listDecoys(t *testing.T, s *server) []byte {
	t.Helper()
	var begun struct {
		Options struct {
			AllowCredentials json.RawMessage `json:"allowCredentials"`
		} `json:"options"`
	}
	if err := json.Unmarshal(s.send(t, http.MethodPost, "/v1/login/options", `{"email":"unknown@example.org"}`).Body, &begun); err != nil {
		t.Fatal(err)
	}
	return slices.Clone(begun.Options.AllowCredentials)
}

package durability

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/acceptance/testkit/client"
)

// peoplePerWorker is the number of accounts that a worker uses at a time. Replaced accounts are verified at the end.
const peoplePerWorker = 3

// worker performs one action after another for several persons, and records the responses in their models.
type worker struct {
	t            *testing.T
	number       int
	caller       *apiClient
	random       *rand.Rand
	created      int
	probes       int // requests with consumed values
	people       []*person
	former       []*person
	disconnected bool   // a response is missing
	resolve      func() // determines the outcome of the unanswered request; nil if there is none
	tally
}

// run performs actions until the server does not respond.
func (w *worker) run() {
	for w.disconnected = false; !w.disconnected; {
		w.randomAction()
	}
	w.caller.HTTP.CloseIdleConnections()
}

func (w *worker) randomAction() {
	if len(w.people) == 0 || w.chance(18) {
		w.signUp()
		return
	}
	p := w.people[w.random.IntN(len(w.people))]
	usable := p.usableSessions()
	if p.mismatched || p.deleted || len(usable) == 0 {
		return
	}
	s := usable[w.random.IntN(len(usable))]
	switch {
	case len(p.sessions) > 3 || len(usable) > 1 && w.chance(12):
		w.endSession(p)
	case s.refresh != "" && w.chance(40):
		w.refresh(p, s)
	case w.chance(10):
		w.rename(p, s)
	case p.grantToken != "" && w.chance(60):
		w.finishRecovery(p)
	case !s.byPasskey && w.chance(60):
		w.stepUp(p, s)
	case p.codesLeft == 0 && s.byPasskey && w.chance(25), s.byPasskey && w.chance(2):
		w.makeBackupCodes(p, s)
	case len(p.codes) > 0 && w.chance(20):
		w.redeemBackupCode(p)
	case p.app == nil && s.byPasskey && w.chance(15):
		w.setUpTOTP(p, s)
	case p.app != nil && !p.app.confirmed && s.byPasskey:
		w.confirmTOTP(p, s)
	case p.app != nil && p.app.confirmed && w.chance(40):
		w.redeemTOTP(p)
	case s.byPasskey && w.chance(3):
		w.deleteAccount(p, s)
	default:
		w.signIn(p)
	}
}

func (w *worker) chance(percent int) bool { return w.random.IntN(100) < percent }

// try sends a request that changes something. onAck records an acknowledged change in the model. If the response is lost, onLost
// runs after the restart with the request, records the outcome, and reports whether the change was committed.
func (w *worker) try(p *person, kind string, r request, onAck func(apiResponse), onLost func(request) bool) bool {
	got, err := w.caller.send(p.ip, r)
	switch {
	case err != nil:
		w.disconnected = true
		w.unanswered[kind]++
		w.resolve = func() {
			if onLost(r) {
				w.committed[kind]++
			}
		}
		return false
	case w.isOutage(p, got):
		return false
	case !got.OK():
		w.reportMismatch(p, "%s was rejected: %d %s", kind, got.StatusCode, got.Body)
		return false
	}
	w.acknowledged[kind]++
	onAck(got)
	return true
}

// isOutage reports whether the response is 503 while the test prevents writes. Then the request must not have changed anything.
func (w *worker) isOutage(p *person, got apiResponse) bool {
	if got.StatusCode != http.StatusServiceUnavailable || !w.caller.server.outage.Load() {
		return false
	}
	w.refused++
	if got.code != "unavailable" || got.Header.Get("Retry-After") == "" {
		w.reportMismatch(p, "the response to an outage has %v %s", got.Header, got.Body)
	}
	return true
}

// begin starts a ceremony. If the response is lost, the challenge is not used.
func (w *worker) begin(p *person, path string, body any, in *session) (c client.Ceremony, ok bool) {
	got, err := w.caller.send(p.ip, request{http.MethodPost, path, body, in})
	switch {
	case err != nil:
		w.disconnected = true
		return c, false
	case w.isOutage(p, got):
		return c, false
	case !got.OK():
		w.reportMismatch(p, "%s was rejected: %d %s", path, got.StatusCode, got.Body)
		return c, false
	}
	w.acknowledged["challenge"]++
	w.read(p, got, &c)
	return c, true
}

func (w *worker) read(p *person, r apiResponse, into any) {
	if err := r.Decode(into); err != nil {
		w.reportMismatch(p, "reading a response: %v", err)
	}
}

// reportMismatch fails the test for a difference between server and model. It reports only the first one of each person.
func (w *worker) reportMismatch(p *person, format string, arguments ...any) {
	if p.mismatched {
		return
	}
	p.mismatched = true
	w.t.Errorf("%s: %s", p.name, fmt.Sprintf(format, arguments...))
}

func (w *worker) transport() string {
	if w.chance(50) {
		return "bearer"
	}
	return "cookie"
}

func (w *worker) newKey() *key {
	return &key{device: authenticator.New(w.caller.server.URL(), authenticator.DeviceBound(), authenticator.WithAlgorithms(authenticator.ES256))}
}

// createCredential creates the key's passkey.
func (w *worker) createCredential(p *person, k *key, c client.Ceremony) authenticator.RegistrationResponse {
	made, err := k.device.Create(c.Options)
	if err != nil {
		w.reportMismatch(p, "creating a passkey: %v", err)
	}
	k.id, k.signCount, k.acknowledgedCount = made.ID.String(), 1, 0
	return made
}

// getAssertion signs with the key.
func (w *worker) getAssertion(p *person, k *key, c client.Ceremony) authenticator.AuthenticationResponse {
	signed, err := k.device.Get(c.Options)
	if err != nil {
		w.reportMismatch(p, "signing an assertion: %v", err)
	}
	k.signCount++
	return signed
}

const challengeNotFound = "challenge_not_found"

func (w *worker) signUp() {
	w.created++
	p := &person{
		name: fmt.Sprintf("Ada %d.%d", w.number, w.created), ip: fmt.Sprintf("10.%d.%d.%d", w.number, w.created>>8&255, w.created&255),
		events: map[string]int{},
	}
	about := map[string]string{"display_name": p.name}
	if w.chance(30) {
		about["email"] = fmt.Sprintf("ada-%d-%d@example.org", w.number, w.created)
	}
	challenge, ok := w.begin(p, "/v1/signup/options", about, nil)
	if !ok {
		return
	}
	k := w.newKey()
	r := verifyRequest("/v1/signup/verify", challenge, w.createCredential(p, k, challenge), w.transport(), nil)
	onAck := func(got apiResponse) {
		w.addPerson(p)
		w.openSession(p, k, 1, r, got, true)
		p.events["signed_up"]++
	}
	w.try(p, "sign-up", r, onAck, func(r request) bool {
		p.keys = []*key{k}
		if !w.signInAgain(p, k) {
			p.keys = nil
			if got := w.mustSend(p, r); got.OK() {
				onAck(got)
			} else {
				w.reportMismatch(p, "an uncommitted sign-up was rejected: %d %s", got.StatusCode, got.Body)
			}
			return false
		}
		w.addPerson(p)
		k.acknowledgedCount = k.signCount
		p.recordConsumed("a sign-up's challenge", r, challengeNotFound)
		p.events["signed_up"]++
		w.adoptLostSession(p)
		return true
	})
}

func verifyRequest(path string, c client.Ceremony, credential any, transport string, in *session) request {
	body := map[string]any{"challenge_id": c.ChallengeID, "credential": credential}
	if transport != "" {
		body["transport"] = transport
	}
	return request{method: http.MethodPost, path: path, body: body, in: in}
}

func (w *worker) addPerson(p *person) {
	if len(w.people) == peoplePerWorker {
		w.former = append(w.former, w.people[0])
		w.people = w.people[1:]
	}
	w.people = append(w.people, p)
}

// openSession records a ceremony that opened a session.
func (w *worker) openSession(p *person, k *key, count uint32, r request, got apiResponse, byPasskey bool) {
	var body client.SessionResponse
	w.read(p, got, &body)
	s := newSession(body, got)
	s.byPasskey = byPasskey
	p.addSession(s)
	k.acknowledgedCount = count
	if !slices.Contains(p.keys, k) {
		p.keys = append(p.keys, k)
	}
	p.recordConsumed("a challenge", request{method: r.method, path: r.path, body: r.body}, challengeNotFound)
}

// signIn signs in, sometimes in a browser whose session it replaces.
func (w *worker) signIn(p *person) {
	k := p.keys[w.random.IntN(len(p.keys))]
	challenge, ok := w.begin(p, "/v1/login/options", nil, nil)
	if !ok {
		return
	}
	var replaced *session
	if usable := p.usableSessions(); len(usable) > 1 && w.chance(40) && usable[0].cookie != "" {
		replaced = usable[0]
	}
	transport := w.transport()
	if replaced != nil {
		transport = "cookie"
	}
	r := verifyRequest("/v1/login/verify", challenge, w.getAssertion(p, k, challenge), transport, replaced)
	count := k.signCount
	apply := func() {
		p.events["signed_in"]++
		if replaced != nil {
			p.endSession(replaced)
		}
	}
	onAck := func(got apiResponse) { w.openSession(p, k, count, r, got, true); apply() }
	w.try(p, "sign-in", r, onAck, func(r request) bool {
		got := w.mustSend(p, r)
		switch {
		case got.OK():
			onAck(got)
			return false
		case got.code != challengeNotFound:
			w.reportMismatch(p, "the outcome of a sign-in is unclear: %d %s", got.StatusCode, got.Body)
			return false
		}
		k.acknowledgedCount = k.signCount
		apply()
		w.adoptLostSession(p)
		return true
	})
}

// signInAgain reports whether the passkey can sign in, and records the session.
func (w *worker) signInAgain(p *person, k *key) bool {
	challenge := w.mustBegin(p, "/v1/login/options")
	r := verifyRequest("/v1/login/verify", challenge, w.getAssertion(p, k, challenge), "cookie", nil)
	got := w.mustSend(p, r)
	if got.code == "passkey_unknown" {
		return false
	}
	if !got.OK() {
		w.reportMismatch(p, "a sign-in was rejected: %d %s", got.StatusCode, got.Body)
		return false
	}
	w.openSession(p, k, k.signCount, r, got, true)
	p.events["signed_in"]++
	return true
}

// adoptLostSession records the session whose response was lost.
func (w *worker) adoptLostSession(p *person) {
	var unknown []string
	for _, id := range w.sessionIDs(p) {
		if !slices.ContainsFunc(p.sessions, func(s *session) bool { return s.id == id }) {
			unknown = append(unknown, id)
		}
	}
	if len(unknown) != 1 {
		w.reportMismatch(p, "%d unknown sessions, want 1", len(unknown))
		return
	}
	p.addSession(&session{id: unknown[0]})
}

func (w *worker) endSession(p *person) {
	ended, by := p.sessions[0], p.usableSessions()[0]
	if ended == by {
		by = p.usableSessions()[len(p.usableSessions())-1]
	}
	if by == ended {
		return // there is only one session
	}
	kind, event, r := "revocation", "", request{method: http.MethodDelete, path: "/v1/me/sessions/" + ended.id, in: by}
	if ended.usable() && w.chance(70) {
		kind, event, r = "sign-out", "signed_out", request{method: http.MethodDelete, path: "/v1/session", in: ended}
	}
	onAck := func(apiResponse) {
		p.endSession(ended)
		if event != "" {
			p.events[event]++
		}
	}
	w.try(p, kind, r, onAck, func(request) bool {
		committed := true
		for _, s := range p.usableSessions() {
			if s != ended {
				committed = !slices.Contains(w.sessionIDsAs(p, s), ended.id)
				break
			}
		}
		if committed {
			onAck(apiResponse{})
		}
		return committed
	})
}

func (w *worker) refresh(p *person, s *session) {
	r := request{method: http.MethodPost, path: "/v1/session/refresh", body: map[string]string{"refresh_token": s.refresh}}
	onAck := func(got apiResponse) {
		var pair client.SessionResponse
		w.read(p, got, &pair)
		s.secondLastRefresh, s.lastRefresh = s.lastRefresh, s.refresh
		s.access, s.refresh = pair.Tokens.AccessToken, pair.Tokens.RefreshToken
	}
	w.try(p, "refresh", r, onAck, func(r request) bool {
		got := w.mustSend(p, r)
		if got.OK() {
			onAck(got)
		} else {
			w.reportMismatch(p, "repeating an unanswered refresh was rejected: %d %s", got.StatusCode, got.Body)
		}
		return false // the repetition hides whether it was committed
	})
}

func (w *worker) rename(p *person, s *session) {
	name := fmt.Sprintf("%s, %d", p.name[:min(len(p.name), 20)], w.random.IntN(1_000_000))
	onAck := func(apiResponse) { p.name = name; p.events["account_changed"]++ }
	r := request{http.MethodPatch, "/v1/me", map[string]string{"display_name": name}, s}
	w.try(p, "rename", r, onAck, func(request) bool {
		if w.displayName(p) != name {
			return false
		}
		onAck(apiResponse{})
		return true
	})
}

func (w *worker) stepUp(p *person, s *session) {
	challenge, ok := w.begin(p, "/v1/session/step-up/options", nil, s)
	if !ok {
		return
	}
	k := p.keys[w.random.IntN(len(p.keys))]
	r := verifyRequest("/v1/session/step-up/verify", challenge, w.getAssertion(p, k, challenge), "", s)
	onAck := func(got apiResponse) {
		k.acknowledgedCount, s.byPasskey = k.signCount, true
		p.events["stepped_up"]++
		p.recordConsumed("a step-up's challenge", r, challengeNotFound, "session_revoked")
		before := *s
		if cookie := cookieOf(got); cookie != "" {
			p.recordConsumed("a cookie from before a step-up", request{method: http.MethodGet, path: "/v1/session", in: &before}, "unauthenticated")
			s.cookie = cookie
		}
		if s.access != "" {
			var pair client.SessionResponse
			w.read(p, got, &pair)
			s.secondLastRefresh, s.lastRefresh = before.refresh, before.refresh // its use revokes the session
			s.access, s.refresh = pair.Tokens.AccessToken, pair.Tokens.RefreshToken
		}
	}
	w.try(p, "step-up", r, onAck, func(r request) bool {
		got := w.mustSend(p, r)
		byCookie, byToken := s.cookie != "" && got.code == "unauthenticated", s.access != "" && got.code == challengeNotFound
		if byCookie || byToken { // it was committed, and the new cookie or tokens were lost with the response
			s.cookie, s.access, s.refresh, k.acknowledgedCount = "", "", "", k.signCount
			p.events["stepped_up"]++
			if len(p.usableSessions()) == 0 {
				w.signInAgain(p, k)
			}
			return true
		}
		if !got.OK() && got.code != challengeNotFound {
			w.reportMismatch(p, "the outcome of a step-up is unclear: %d %s", got.StatusCode, got.Body)
		}
		onAck(got)
		return !got.OK()
	})
}

func (w *worker) makeBackupCodes(p *person, s *session) {
	replaced := p.codes
	apply := func() {
		for _, code := range replaced {
			p.recordConsumed("a replaced backup code", redeemRequest(code), "invalid_code")
		}
		p.dropGrant()
		p.events["backup_codes_generated"]++
		p.codes, p.codesLeft = nil, 10
	}
	r := request{method: http.MethodPost, path: "/v1/me/recovery/backup-codes", in: s}
	w.try(p, "backup codes", r, func(got apiResponse) {
		apply()
		var made struct{ Codes []string }
		w.read(p, got, &made)
		p.codes = made.Codes
	}, func(request) bool {
		committed := w.codesLeft(p) == 10 && p.codesLeft < 10
		if len(replaced) > 0 { // an old code shows whether the set was replaced
			got := w.mustSend(p, redeemRequest(replaced[0]))
			if committed = got.code == "invalid_code"; !committed {
				w.recordGrant(p, replaced[0], got)
			}
		}
		if committed {
			apply()
		}
		return committed
	})
}

// recordGrant records a recovery grant, and the backup code that its use consumes; "" for none.
func (w *worker) recordGrant(p *person, code string, got apiResponse) {
	var body client.GrantRequest
	w.read(p, got, &body)
	if body.GrantToken != p.grantToken {
		p.dropGrant()
	}
	p.grantToken, p.grantBackupCode = body.GrantToken, code
}

func (w *worker) redeemBackupCode(p *person) {
	code := p.codes[0]
	onAck := func(got apiResponse) { w.recordGrant(p, code, got) }
	w.try(p, "redeemed code", redeemRequest(code), onAck, func(r request) bool {
		got := w.mustSend(p, r)
		if got.OK() {
			onAck(got)
		} else {
			w.reportMismatch(p, "a code was consumed without a grant: %d %s", got.StatusCode, got.Body)
		}
		return false // the repetition hides whether it was committed
	})
}

// finishRecovery uses the grant. In one transaction, the grant, its backup code and all earlier sessions end, and a new session
// begins.
func (w *worker) finishRecovery(p *person) {
	challenge, ok := w.begin(p, "/v1/recovery/options", map[string]string{"grant_token": p.grantToken}, nil)
	if !ok {
		return
	}
	k := w.newKey()
	r := verifyRequest("/v1/recovery/verify", challenge, w.createCredential(p, k, challenge), w.transport(), nil)
	r.body.(map[string]any)["grant_token"] = p.grantToken
	apply := func() {
		p.dropGrant()
		if p.grantBackupCode != "" {
			p.recordConsumed("a backup code", redeemRequest(p.grantBackupCode), "invalid_code")
			p.codes = slices.DeleteFunc(p.codes, func(code string) bool { return code == p.grantBackupCode })
			p.codesLeft, p.grantBackupCode = p.codesLeft-1, ""
		}
		if p.app != nil && !p.app.confirmed {
			p.app = nil
		}
		for len(p.sessions) > 0 {
			p.endSession(p.sessions[0])
		}
		p.events["recovered"]++
	}
	onAck := func(got apiResponse) { apply(); w.openSession(p, k, 1, r, got, false) }
	w.try(p, "enrolment", r, onAck, func(r request) bool {
		got := w.mustSend(p, r)
		switch {
		case got.OK():
			onAck(got)
			return false
		case got.code != challengeNotFound:
			w.reportMismatch(p, "the outcome of an enrolment is unclear: %d %s", got.StatusCode, got.Body)
			return false
		}
		apply()
		p.keys = append(p.keys, k)
		if !w.signInAgain(p, k) {
			w.reportMismatch(p, "an enrolment consumed its challenge, but its passkey is unknown")
			return true
		}
		w.adoptLostSession(p)
		return true
	})
}

func (w *worker) setUpTOTP(p *person, s *session) {
	r := request{method: http.MethodPost, path: "/v1/me/recovery/totp", in: s}
	w.try(p, "app set up", r, func(got apiResponse) {
		var shown struct{ Secret string }
		w.read(p, got, &shown)
		p.app = &totpApp{secret: shown.Secret}
	}, func(request) bool { return false }) // the secret was lost with the response; the next set-up replaces it
}

const totpStep = 30 // seconds

func (a *totpApp) code(at int64) string {
	code, err := totp.GenerateCode(a.secret, time.Unix(at*totpStep, 0))
	if err != nil {
		panic(err) // the secret comes from the server
	}
	return code
}

func (w *worker) confirmTOTP(p *person, s *session) {
	now := time.Now().Unix() / totpStep
	r := request{http.MethodPost, "/v1/me/recovery/totp/confirm", map[string]string{"code": p.app.code(now)}, s}
	onAck := func(apiResponse) {
		p.app.confirmed, p.app.step = true, now
		p.dropGrant()
		p.grantBackupCode = ""
		p.events["totp_added"]++
	}
	w.try(p, "app confirmed", r, onAck, func(r request) bool {
		committed := w.hasTOTP(p)
		if got := w.mustSend(p, r); got.OK() == committed {
			w.reportMismatch(p, "the outcome of an app's confirmation is unclear: %d %s", got.StatusCode, got.Body)
		}
		onAck(apiResponse{})
		return committed
	})
}

func (w *worker) redeemTOTP(p *person) {
	now := time.Now().Unix() / totpStep
	at := max(now, p.app.step+1)
	if at > now+1 {
		return
	}
	me := w.userID(p)
	if me == "" {
		return
	}
	r := request{method: http.MethodPost, path: "/v1/recovery/redeem", body: map[string]string{"user_id": me, "totp_code": p.app.code(at)}}
	apply := func() {
		p.app.step = at
		p.dropGrant()
		p.grantBackupCode = ""
		p.recordConsumed("an app code", r, "invalid_code")
	}
	onAck := func(got apiResponse) { apply(); w.recordGrant(p, "", got) }
	w.try(p, "redeemed app code", r, onAck, func(r request) bool {
		got := w.mustSend(p, r)
		switch {
		case got.OK():
			onAck(got)
			return false
		case got.code != "invalid_code":
			w.reportMismatch(p, "the outcome of a redeemed app code is unclear: %d %s", got.StatusCode, got.Body)
		}
		apply()
		return true
	})
}

func (w *worker) deleteAccount(p *person, s *session) {
	w.try(p, "deletion", request{method: http.MethodDelete, path: "/v1/me", in: s}, func(apiResponse) { p.deleted = true }, func(request) bool {
		p.deleted = !w.signInAgain(p, p.keys[0])
		return p.deleted
	})
}

package durability

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/keylodge/keylodge/acceptance/authenticator"
)

// peoplePerWorker is how many people a worker looks after at a time. Whoever makes room for another is looked at again at the end.
const peoplePerWorker = 3

// worker is somebody's hands, several people's in turn: it does one thing after another and remembers what it was told.
type worker struct {
	t            *testing.T
	number       int
	caller       *apiClient
	random       *rand.Rand
	created      int
	probes       int // tries with what was spent
	people       []*person
	former       []*person
	disconnected bool   // an answer did not come
	resolve      func() // finds out what became of the one request that was not answered; nil if nothing has to be
	tally
}

// run until the server goes away.
func (w *worker) run() {
	for w.disconnected = false; !w.disconnected; {
		w.randomAction()
	}
	w.caller.closeIdle()
}

func (w *worker) randomAction() {
	if len(w.people) == 0 || w.chance(18) {
		w.signUp()
		return
	}
	p := w.people[w.random.IntN(len(w.people))]
	held := p.usableSessions()
	if p.mismatched || p.deleted || len(held) == 0 {
		return
	}
	s := held[w.random.IntN(len(held))]
	switch {
	case len(p.sessions) > 3 || len(held) > 1 && w.chance(12):
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

// try sends what changes something. Once it is acknowledged, done writes it into the ledger; if the answer is lost, settle
// is left to find out after the restart, told how, and returns whether it had been kept.
func (w *worker) try(p *person, kind string, r request, done func(apiResponse), settle func(request) bool) bool {
	got, err := w.caller.sendFrom(p.ip, r.method, r.path, r.body, r.in)
	switch {
	case err != nil:
		w.disconnected = true
		w.unanswered[kind]++
		w.resolve = func() {
			if settle(r) {
				w.kept[kind]++
			}
		}
		return false
	case w.isOutage(p, got):
		return false
	case !got.ok():
		w.reportMismatch(p, "%s is refused: %d %s", kind, got.status, got.body)
		return false
	}
	w.acknowledged[kind]++
	done(got)
	return true
}

// isOutage reports whether the answer is that of a server which cannot write, while a test has made it so. Then nothing of
// what was asked may be there.
func (w *worker) isOutage(p *person, got apiResponse) bool {
	if got.status != http.StatusServiceUnavailable || !w.caller.server.outage.Load() {
		return false
	}
	w.refused++
	if got.code != "unavailable" || got.header.Get("Retry-After") == "" {
		w.reportMismatch(p, "an outage is told by %v %s", got.header, got.body)
	}
	return true
}

type ceremony struct {
	ID      string `json:"challenge_id"`
	Options json.RawMessage
}

// begin asks for a ceremony. One whose options never came is nobody's.
func (w *worker) begin(p *person, path string, body any, in *session) (c ceremony, begun bool) {
	got, err := w.caller.sendFrom(p.ip, http.MethodPost, path, body, in)
	switch {
	case err != nil:
		w.disconnected = true
		return c, false
	case w.isOutage(p, got):
		return c, false
	case !got.ok():
		w.reportMismatch(p, "%s is refused: %d %s", path, got.status, got.body)
		return c, false
	}
	w.acknowledged["challenge"]++
	w.read(p, got, &c)
	return c, true
}

func (w *worker) read(p *person, r apiResponse, into any) {
	if err := r.decode(into); err != nil {
		w.reportMismatch(p, "%v in %s", err, r.body)
	}
}

// reportMismatch tells of a promise that was not kept. What else is wrong with the same person follows from it.
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
	return &key{device: authenticator.New(w.caller.server.origin(), authenticator.DeviceBound(), authenticator.WithAlgorithms(authenticator.ES256))}
}

// createCredential has the key make its passkey.
func (w *worker) createCredential(p *person, k *key, c ceremony) authenticator.RegistrationResponse {
	made, err := k.device.Create(c.Options)
	if err != nil {
		w.reportMismatch(p, "no passkey is made: %v", err)
	}
	k.id, k.signCount, k.acknowledgedCount = made.ID.String(), 1, 0
	return made
}

// getAssertion has the key sign.
func (w *worker) getAssertion(p *person, k *key, c ceremony) authenticator.AuthenticationResponse {
	signed, err := k.device.Get(c.Options)
	if err != nil {
		w.reportMismatch(p, "nothing is signed: %v", err)
	}
	k.signCount++
	return signed
}

const challengeGone = "challenge_not_found"

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
	begun, ok := w.begin(p, "/v1/signup/options", about, nil)
	if !ok {
		return
	}
	k := w.newKey()
	r := verifyRequest("/v1/signup/verify", begun, w.createCredential(p, k, begun), w.transport(), nil)
	done := func(got apiResponse) {
		w.addPerson(p)
		w.openSession(p, k, 1, r, got, true)
		p.events["signed_up"]++
	}
	w.try(p, "sign-up", r, done, func(r request) bool {
		p.keys = []*key{k}
		if !w.signInAgain(p, k) {
			p.keys = nil
			if got := w.mustSend(p, r); got.ok() {
				done(got)
			} else {
				w.reportMismatch(p, "a sign-up was not kept, and is refused now: %d %s", got.status, got.body)
			}
			return false
		}
		w.addPerson(p)
		k.acknowledgedCount = k.signCount
		p.recordSpent("a sign-up's challenge", r, challengeGone)
		p.events["signed_up"]++
		w.adoptLostSession(p)
		return true
	})
}

func verifyRequest(path string, c ceremony, credential any, transport string, in *session) request {
	body := map[string]any{"challenge_id": c.ID, "credential": credential}
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

// openSession is what follows from an acknowledged ceremony that opened a session.
func (w *worker) openSession(p *person, k *key, count uint32, r request, got apiResponse, proved bool) {
	var body sessionResponse
	w.read(p, got, &body)
	s := body.newSession(got.cookie)
	s.byPasskey = proved
	p.addSession(s)
	k.acknowledgedCount = count
	if !slices.Contains(p.keys, k) {
		p.keys = append(p.keys, k)
	}
	p.recordSpent("a challenge", request{method: r.method, path: r.path, body: r.body}, challengeGone)
}

// signIn takes the place of another session in the same browser now and then.
func (w *worker) signIn(p *person) {
	k := p.keys[w.random.IntN(len(p.keys))]
	begun, ok := w.begin(p, "/v1/login/options", nil, nil)
	if !ok {
		return
	}
	var replaced *session
	if held := p.usableSessions(); len(held) > 1 && w.chance(40) && held[0].cookie != "" {
		replaced = held[0]
	}
	transport := w.transport()
	if replaced != nil {
		transport = "cookie"
	}
	r := verifyRequest("/v1/login/verify", begun, w.getAssertion(p, k, begun), transport, replaced)
	count := k.signCount
	follows := func() {
		p.events["signed_in"]++
		if replaced != nil {
			p.endSession(replaced)
		}
	}
	done := func(got apiResponse) { w.openSession(p, k, count, r, got, true); follows() }
	w.try(p, "sign-in", r, done, func(r request) bool {
		got := w.mustSend(p, r)
		switch {
		case got.ok():
			done(got)
			return false
		case got.code != challengeGone:
			w.reportMismatch(p, "a sign-in is neither there nor not: %d %s", got.status, got.body)
			return false
		}
		k.acknowledgedCount = k.signCount
		follows()
		w.adoptLostSession(p)
		return true
	})
}

// signInAgain tells whether the passkey opens the account, and holds the session then.
func (w *worker) signInAgain(p *person, k *key) bool {
	begun := w.mustBegin(p, "/v1/login/options")
	r := verifyRequest("/v1/login/verify", begun, w.getAssertion(p, k, begun), "cookie", nil)
	got := w.mustSend(p, r)
	if got.code == "passkey_unknown" {
		return false
	}
	if !got.ok() {
		w.reportMismatch(p, "a sign-in is refused: %d %s", got.status, got.body)
		return false
	}
	w.openSession(p, k, k.signCount, r, got, true)
	p.events["signed_in"]++
	return true
}

// adoptLostSession finds the one session whose answer was lost.
func (w *worker) adoptLostSession(p *person) {
	var unheld []string
	for _, id := range w.sessionIDs(p) {
		if !slices.ContainsFunc(p.sessions, func(s *session) bool { return s.id == id }) {
			unheld = append(unheld, id)
		}
	}
	if len(unheld) != 1 {
		w.reportMismatch(p, "%d sessions of theirs nobody was told of, want 1", len(unheld))
		return
	}
	p.addSession(&session{id: unheld[0]})
}

func (w *worker) endSession(p *person) {
	ended, by := p.sessions[0], p.usableSessions()[0]
	if ended == by {
		by = p.usableSessions()[len(p.usableSessions())-1]
	}
	if by == ended {
		return // it is the only one
	}
	kind, event, r := "revocation", "", request{method: http.MethodDelete, path: "/v1/me/sessions/" + ended.id, in: by}
	if ended.usable() && w.chance(70) {
		kind, event, r = "sign-out", "signed_out", request{method: http.MethodDelete, path: "/v1/session", in: ended}
	}
	done := func(apiResponse) {
		p.endSession(ended)
		if event != "" {
			p.events[event]++
		}
	}
	w.try(p, kind, r, done, func(request) bool {
		kept := true
		for _, s := range p.usableSessions() {
			if s != ended {
				kept = !slices.Contains(w.sessionIDsAs(p, s), ended.id)
				break
			}
		}
		if kept {
			done(apiResponse{})
		}
		return kept
	})
}

func (w *worker) refresh(p *person, s *session) {
	r := request{method: http.MethodPost, path: "/v1/session/refresh", body: map[string]string{"refresh_token": s.refresh}}
	done := func(got apiResponse) {
		var pair sessionResponse
		w.read(p, got, &pair)
		s.secondLastRefresh, s.lastRefresh = s.lastRefresh, s.refresh
		s.access, s.refresh = pair.Tokens.Access, pair.Tokens.Refresh
	}
	w.try(p, "refresh", r, done, func(r request) bool {
		got := w.mustSend(p, r)
		if got.ok() {
			done(got)
		} else {
			w.reportMismatch(p, "the answer to a refresh was lost, and it is refused now: %d %s", got.status, got.body)
		}
		return false // who can tell?
	})
}

func (w *worker) rename(p *person, s *session) {
	name := fmt.Sprintf("%s, %d", p.name[:min(len(p.name), 20)], w.random.IntN(1_000_000))
	done := func(apiResponse) { p.name = name; p.events["account_changed"]++ }
	r := request{http.MethodPatch, "/v1/me", map[string]string{"display_name": name}, s}
	w.try(p, "rename", r, done, func(request) bool {
		if w.displayName(p) != name {
			return false
		}
		done(apiResponse{})
		return true
	})
}

func (w *worker) stepUp(p *person, s *session) {
	begun, ok := w.begin(p, "/v1/session/step-up/options", nil, s)
	if !ok {
		return
	}
	k := p.keys[w.random.IntN(len(p.keys))]
	r := verifyRequest("/v1/session/step-up/verify", begun, w.getAssertion(p, k, begun), "", s)
	done := func(got apiResponse) {
		k.acknowledgedCount, s.byPasskey = k.signCount, true
		p.events["stepped_up"]++
		p.recordSpent("a step-up's challenge", r, challengeGone, "session_revoked")
		former := *s
		if got.cookie != "" {
			p.recordSpent("a cookie of before a step-up", request{method: http.MethodGet, path: "/v1/session", in: &former}, "unauthenticated")
			s.cookie = got.cookie
		}
		if s.access != "" {
			var pair sessionResponse
			w.read(p, got, &pair)
			s.secondLastRefresh, s.lastRefresh = former.refresh, former.refresh // its use ends the session
			s.access, s.refresh = pair.Tokens.Access, pair.Tokens.Refresh
		}
	}
	w.try(p, "step-up", r, done, func(r request) bool {
		got := w.mustSend(p, r)
		byCookie, byToken := s.cookie != "" && got.code == "unauthenticated", s.access != "" && got.code == challengeGone
		if byCookie || byToken { // it was done, and what carries the session now is lost with the answer
			s.cookie, s.access, s.refresh, k.acknowledgedCount = "", "", "", k.signCount
			p.events["stepped_up"]++
			if len(p.usableSessions()) == 0 {
				w.signInAgain(p, k)
			}
			return true
		}
		if !got.ok() && got.code != challengeGone {
			w.reportMismatch(p, "a step-up is neither there nor not: %d %s", got.status, got.body)
		}
		done(got)
		return !got.ok()
	})
}

func (w *worker) makeBackupCodes(p *person, s *session) {
	former := p.codes
	follows := func() {
		for _, code := range former {
			p.recordSpent("a code of a former set", redeemRequest(code), "invalid_code")
		}
		p.dropGrant()
		p.events["backup_codes_generated"]++
		p.codes, p.codesLeft = nil, 10
	}
	r := request{method: http.MethodPost, path: "/v1/me/recovery/backup-codes", in: s}
	w.try(p, "backup codes", r, func(got apiResponse) {
		follows()
		var made struct{ Codes []string }
		w.read(p, got, &made)
		p.codes = made.Codes
	}, func(request) bool {
		kept := w.codesLeft(p) == 10 && p.codesLeft < 10
		if len(former) > 0 { // only the codes themselves can tell
			got := w.mustSend(p, redeemRequest(former[0]))
			if kept = got.code == "invalid_code"; !kept {
				w.recordGrant(p, former[0], got)
			}
		}
		if kept {
			follows()
		}
		return kept
	})
}

// recordGrant notes what a claim bought, and the backup code that will be spent for it, "" for none.
func (w *worker) recordGrant(p *person, code string, got apiResponse) {
	var body struct {
		Token string `json:"grant_token"`
	}
	w.read(p, got, &body)
	if body.Token != p.grantToken {
		p.dropGrant()
	}
	p.grantToken, p.grantBackupCode = body.Token, code
}

func (w *worker) redeemBackupCode(p *person) {
	code := p.codes[0]
	done := func(got apiResponse) { w.recordGrant(p, code, got) }
	w.try(p, "redeemed code", redeemRequest(code), done, func(r request) bool {
		got := w.mustSend(p, r)
		if got.ok() {
			done(got)
		} else {
			w.reportMismatch(p, "a code is lost before it bought anything: %d %s", got.status, got.body)
		}
		return false // who can tell?
	})
}

// finishRecovery uses the grant: it, the code that paid for it and all earlier sessions end together with the new one's beginning.
func (w *worker) finishRecovery(p *person) {
	begun, ok := w.begin(p, "/v1/recovery/options", map[string]string{"grant_token": p.grantToken}, nil)
	if !ok {
		return
	}
	k := w.newKey()
	r := verifyRequest("/v1/recovery/verify", begun, w.createCredential(p, k, begun), w.transport(), nil)
	r.body.(map[string]any)["grant_token"] = p.grantToken
	follows := func() {
		p.dropGrant()
		if p.grantBackupCode != "" {
			p.recordSpent("a backup code", redeemRequest(p.grantBackupCode), "invalid_code")
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
	done := func(got apiResponse) { follows(); w.openSession(p, k, 1, r, got, false) }
	w.try(p, "enrolment", r, done, func(r request) bool {
		got := w.mustSend(p, r)
		switch {
		case got.ok():
			done(got)
			return false
		case got.code != challengeGone:
			w.reportMismatch(p, "an enrolment is neither there nor not: %d %s", got.status, got.body)
			return false
		}
		follows()
		p.keys = append(p.keys, k)
		if !w.signInAgain(p, k) {
			w.reportMismatch(p, "an enrolment spent its challenge, and its passkey is unknown")
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
	}, func(request) bool { return false }) // a secret that nobody was shown; the next one takes its place
}

const totpStep = 30 // seconds

func (a *totpApp) code(at int64) string {
	code, err := totp.GenerateCode(a.secret, time.Unix(at*totpStep, 0))
	if err != nil {
		panic(err) // the server's own secret
	}
	return code
}

func (w *worker) confirmTOTP(p *person, s *session) {
	now := time.Now().Unix() / totpStep
	r := request{http.MethodPost, "/v1/me/recovery/totp/confirm", map[string]string{"code": p.app.code(now)}, s}
	done := func(apiResponse) {
		p.app.confirmed, p.app.step = true, now
		p.dropGrant()
		p.grantBackupCode = ""
		p.events["totp_added"]++
	}
	w.try(p, "app confirmed", r, done, func(r request) bool {
		kept := w.hasTOTP(p)
		if got := w.mustSend(p, r); got.ok() == kept {
			w.reportMismatch(p, "an app is neither there nor not: %d %s", got.status, got.body)
		}
		done(apiResponse{})
		return kept
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
	follows := func() {
		p.app.step = at
		p.dropGrant()
		p.grantBackupCode = ""
		p.recordSpent("a code of an app", r, "invalid_code")
	}
	done := func(got apiResponse) { follows(); w.recordGrant(p, "", got) }
	w.try(p, "redeemed app code", r, done, func(r request) bool {
		got := w.mustSend(p, r)
		switch {
		case got.ok():
			done(got)
			return false
		case got.code != "invalid_code":
			w.reportMismatch(p, "a code of an app is neither spent nor not: %d %s", got.status, got.body)
		}
		follows()
		return true
	})
}

func (w *worker) deleteAccount(p *person, s *session) {
	w.try(p, "deletion", request{method: http.MethodDelete, path: "/v1/me", in: s}, func(apiResponse) { p.deleted = true }, func(request) bool {
		p.deleted = !w.signInAgain(p, p.keys[0])
		return p.deleted
	})
}

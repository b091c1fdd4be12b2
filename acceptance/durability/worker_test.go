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

// crowd is how many people a worker looks after at a time. Whoever makes room for another is looked at again at the end.
const crowd = 3

// worker is somebody's hands, several people's in turn: it does one thing after another and remembers what it was told.
type worker struct {
	t      *testing.T
	number int
	caller *caller
	random *rand.Rand
	born   int
	probes int // tries with what was spent
	people []*person
	former []*person
	cut    bool   // an answer did not come
	settle func() // finds out what became of the one request that was not answered; nil if nothing has to be
	tally
}

// works until the server goes away.
func (w *worker) works() {
	for w.cut = false; !w.cut; {
		w.doesSomething()
	}
	w.caller.hangUp()
}

func (w *worker) doesSomething() {
	if len(w.people) == 0 || w.chance(18) {
		w.signsUp()
		return
	}
	p := w.people[w.random.IntN(len(w.people))]
	held := p.held()
	if p.broken || p.gone || len(held) == 0 {
		return
	}
	s := held[w.random.IntN(len(held))]
	switch {
	case len(p.sessions) > 3 || len(held) > 1 && w.chance(12):
		w.endsSession(p)
	case s.refresh != "" && w.chance(40):
		w.refreshes(p, s)
	case w.chance(10):
		w.renames(p, s)
	case p.grant != "" && w.chance(60):
		w.enrols(p)
	case !s.proved && w.chance(60):
		w.stepsUp(p, s)
	case p.left == 0 && s.proved && w.chance(25), s.proved && w.chance(2):
		w.makesCodes(p, s)
	case len(p.codes) > 0 && w.chance(20):
		w.redeemsCode(p)
	case p.app == nil && s.proved && w.chance(15):
		w.setsUpApp(p, s)
	case p.app != nil && !p.app.confirmed && s.proved:
		w.confirmsApp(p, s)
	case p.app != nil && p.app.confirmed && w.chance(40):
		w.redeemsAppCode(p)
	case s.proved && w.chance(3):
		w.deletesAccount(p, s)
	default:
		w.signsIn(p)
	}
}

func (w *worker) chance(percent int) bool { return w.random.IntN(100) < percent }

// try sends what changes something. Once it is acknowledged, done writes it into the ledger; if the answer is lost, settle
// is left to find out after the restart, told how, and returns whether it had been kept.
func (w *worker) try(p *person, kind string, r request, done func(reply), settle func(request) bool) bool {
	got, err := w.caller.sendFrom(p.from, r.method, r.path, r.body, r.in)
	switch {
	case err != nil:
		w.cut = true
		w.doubtful[kind]++
		w.settle = func() {
			if settle(r) {
				w.kept[kind]++
			}
		}
		return false
	case w.isOutage(p, got):
		return false
	case !got.good():
		w.disagrees(p, "%s is refused: %d %s", kind, got.status, got.body)
		return false
	}
	w.acknowledged[kind]++
	done(got)
	return true
}

// isOutage reports whether the answer is that of a server which cannot write, while a test has made it so. Then nothing of
// what was asked may be there.
func (w *worker) isOutage(p *person, got reply) bool {
	if got.status != http.StatusServiceUnavailable || !w.caller.server.troubled.Load() {
		return false
	}
	w.refused++
	if got.code != "unavailable" || got.header.Get("Retry-After") == "" {
		w.disagrees(p, "an outage is told by %v %s", got.header, got.body)
	}
	return true
}

type ceremony struct {
	ID      string `json:"challenge_id"`
	Options json.RawMessage
}

// begins asks for a ceremony. One whose options never came is nobody's.
func (w *worker) begins(p *person, path string, body any, in *session) (c ceremony, begun bool) {
	got, err := w.caller.sendFrom(p.from, http.MethodPost, path, body, in)
	switch {
	case err != nil:
		w.cut = true
		return c, false
	case w.isOutage(p, got):
		return c, false
	case !got.good():
		w.disagrees(p, "%s is refused: %d %s", path, got.status, got.body)
		return c, false
	}
	w.acknowledged["challenge"]++
	w.read(p, got, &c)
	return c, true
}

func (w *worker) read(p *person, r reply, into any) {
	if err := r.into(into); err != nil {
		w.disagrees(p, "%v in %s", err, r.body)
	}
}

// disagrees tells of a promise that was not kept. What else is wrong with the same person follows from it.
func (w *worker) disagrees(p *person, format string, arguments ...any) {
	if p.broken {
		return
	}
	p.broken = true
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

// makes has the key make its passkey.
func (w *worker) makes(p *person, k *key, c ceremony) authenticator.RegistrationResponse {
	made, err := k.device.Create(c.Options)
	if err != nil {
		w.disagrees(p, "no passkey is made: %v", err)
	}
	k.id, k.used, k.known = made.ID.String(), 1, 0
	return made
}

// proves has the key sign.
func (w *worker) proves(p *person, k *key, c ceremony) authenticator.AuthenticationResponse {
	signed, err := k.device.Get(c.Options)
	if err != nil {
		w.disagrees(p, "nothing is signed: %v", err)
	}
	k.used++
	return signed
}

const challengeGone = "challenge_not_found"

func (w *worker) signsUp() {
	w.born++
	p := &person{
		name: fmt.Sprintf("Ada %d.%d", w.number, w.born), from: fmt.Sprintf("10.%d.%d.%d", w.number, w.born>>8&255, w.born&255),
		events: map[string]int{},
	}
	about := map[string]string{"display_name": p.name}
	if w.chance(30) {
		about["email"] = fmt.Sprintf("ada-%d-%d@example.org", w.number, w.born)
	}
	begun, ok := w.begins(p, "/v1/signup/options", about, nil)
	if !ok {
		return
	}
	k := w.newKey()
	r := verify("/v1/signup/verify", begun, w.makes(p, k, begun), w.transport(), nil)
	done := func(got reply) {
		w.admits(p)
		w.enters(p, k, 1, r, got, true)
		p.events["signed_up"]++
	}
	w.try(p, "sign-up", r, done, func(r request) bool {
		p.keys = []*key{k}
		if !w.signsInAgain(p, k) {
			p.keys = nil
			if got := w.must(p, r); got.good() {
				done(got)
			} else {
				w.disagrees(p, "a sign-up was not kept, and is refused now: %d %s", got.status, got.body)
			}
			return false
		}
		w.admits(p)
		k.known = k.used
		p.spends("a sign-up's challenge", r, challengeGone)
		p.events["signed_up"]++
		w.findsUnheld(p)
		return true
	})
}

func verify(path string, c ceremony, credential any, transport string, in *session) request {
	body := map[string]any{"challenge_id": c.ID, "credential": credential}
	if transport != "" {
		body["transport"] = transport
	}
	return request{method: http.MethodPost, path: path, body: body, in: in}
}

func (w *worker) admits(p *person) {
	if len(w.people) == crowd {
		w.former = append(w.former, w.people[0])
		w.people = w.people[1:]
	}
	w.people = append(w.people, p)
}

// enters is what follows from an acknowledged ceremony that opened a session.
func (w *worker) enters(p *person, k *key, count uint32, r request, got reply, proved bool) {
	var body sessionBody
	w.read(p, got, &body)
	s := body.opened(got.cookie)
	s.proved = proved
	p.opened(s)
	k.known = count
	if !slices.Contains(p.keys, k) {
		p.keys = append(p.keys, k)
	}
	p.spends("a challenge", request{method: r.method, path: r.path, body: r.body}, challengeGone)
}

// signsIn takes the place of another session in the same browser now and then.
func (w *worker) signsIn(p *person) {
	k := p.keys[w.random.IntN(len(p.keys))]
	begun, ok := w.begins(p, "/v1/login/options", nil, nil)
	if !ok {
		return
	}
	var replaced *session
	if held := p.held(); len(held) > 1 && w.chance(40) && held[0].cookie != "" {
		replaced = held[0]
	}
	transport := w.transport()
	if replaced != nil {
		transport = "cookie"
	}
	r := verify("/v1/login/verify", begun, w.proves(p, k, begun), transport, replaced)
	count := k.used
	follows := func() {
		p.events["signed_in"]++
		if replaced != nil {
			p.ends(replaced)
		}
	}
	done := func(got reply) { w.enters(p, k, count, r, got, true); follows() }
	w.try(p, "sign-in", r, done, func(r request) bool {
		got := w.must(p, r)
		switch {
		case got.good():
			done(got)
			return false
		case got.code != challengeGone:
			w.disagrees(p, "a sign-in is neither there nor not: %d %s", got.status, got.body)
			return false
		}
		k.known = k.used
		follows()
		w.findsUnheld(p)
		return true
	})
}

// signsInAgain tells whether the passkey opens the account, and holds the session then.
func (w *worker) signsInAgain(p *person, k *key) bool {
	begun := w.mustBegin(p, "/v1/login/options")
	r := verify("/v1/login/verify", begun, w.proves(p, k, begun), "cookie", nil)
	got := w.must(p, r)
	if got.code == "passkey_unknown" {
		return false
	}
	if !got.good() {
		w.disagrees(p, "a sign-in is refused: %d %s", got.status, got.body)
		return false
	}
	w.enters(p, k, k.used, r, got, true)
	p.events["signed_in"]++
	return true
}

// findsUnheld finds the one session whose answer was lost.
func (w *worker) findsUnheld(p *person) {
	var unheld []string
	for _, id := range w.sessionsOf(p) {
		if !slices.ContainsFunc(p.sessions, func(s *session) bool { return s.id == id }) {
			unheld = append(unheld, id)
		}
	}
	if len(unheld) != 1 {
		w.disagrees(p, "%d sessions of theirs nobody was told of, want 1", len(unheld))
		return
	}
	p.opened(&session{id: unheld[0]})
}

func (w *worker) endsSession(p *person) {
	ended, by := p.sessions[0], p.held()[0]
	if ended == by {
		by = p.held()[len(p.held())-1]
	}
	if by == ended {
		return // it is the only one
	}
	kind, event, r := "revocation", "", request{method: http.MethodDelete, path: "/v1/me/sessions/" + ended.id, in: by}
	if ended.held() && w.chance(70) {
		kind, event, r = "sign-out", "signed_out", request{method: http.MethodDelete, path: "/v1/session", in: ended}
	}
	done := func(reply) {
		p.ends(ended)
		if event != "" {
			p.events[event]++
		}
	}
	w.try(p, kind, r, done, func(request) bool {
		kept := true
		for _, s := range p.held() {
			if s != ended {
				kept = !slices.Contains(w.sessionsThrough(p, s), ended.id)
				break
			}
		}
		if kept {
			done(reply{})
		}
		return kept
	})
}

func (w *worker) refreshes(p *person, s *session) {
	r := request{method: http.MethodPost, path: "/v1/session/refresh", body: map[string]string{"refresh_token": s.refresh}}
	done := func(got reply) {
		var pair sessionBody
		w.read(p, got, &pair)
		s.formerRefresh, s.refreshBefore = s.refreshBefore, s.refresh
		s.access, s.refresh = pair.Tokens.Access, pair.Tokens.Refresh
	}
	w.try(p, "refresh", r, done, func(r request) bool {
		got := w.must(p, r)
		if got.good() {
			done(got)
		} else {
			w.disagrees(p, "the answer to a refresh was lost, and it is refused now: %d %s", got.status, got.body)
		}
		return false // who can tell?
	})
}

func (w *worker) renames(p *person, s *session) {
	name := fmt.Sprintf("%s, %d", p.name[:min(len(p.name), 20)], w.random.IntN(1_000_000))
	done := func(reply) { p.name = name; p.events["account_changed"]++ }
	r := request{http.MethodPatch, "/v1/me", map[string]string{"display_name": name}, s}
	w.try(p, "rename", r, done, func(request) bool {
		if w.nameOf(p) != name {
			return false
		}
		done(reply{})
		return true
	})
}

func (w *worker) stepsUp(p *person, s *session) {
	begun, ok := w.begins(p, "/v1/session/step-up/options", nil, s)
	if !ok {
		return
	}
	k := p.keys[w.random.IntN(len(p.keys))]
	r := verify("/v1/session/step-up/verify", begun, w.proves(p, k, begun), "", s)
	done := func(got reply) {
		k.known, s.proved = k.used, true
		p.events["stepped_up"]++
		p.spends("a step-up's challenge", r, challengeGone, "session_revoked")
		former := *s
		if got.cookie != "" {
			p.spends("a cookie of before a step-up", request{method: http.MethodGet, path: "/v1/session", in: &former}, "unauthenticated")
			s.cookie = got.cookie
		}
		if s.access != "" {
			var pair sessionBody
			w.read(p, got, &pair)
			s.formerRefresh, s.refreshBefore = former.refresh, former.refresh // its use ends the session
			s.access, s.refresh = pair.Tokens.Access, pair.Tokens.Refresh
		}
	}
	w.try(p, "step-up", r, done, func(r request) bool {
		got := w.must(p, r)
		byCookie, byToken := s.cookie != "" && got.code == "unauthenticated", s.access != "" && got.code == challengeGone
		if byCookie || byToken { // it was done, and what carries the session now is lost with the answer
			s.cookie, s.access, s.refresh, k.known = "", "", "", k.used
			p.events["stepped_up"]++
			if len(p.held()) == 0 {
				w.signsInAgain(p, k)
			}
			return true
		}
		if !got.good() && got.code != challengeGone {
			w.disagrees(p, "a step-up is neither there nor not: %d %s", got.status, got.body)
		}
		done(got)
		return !got.good()
	})
}

func (w *worker) makesCodes(p *person, s *session) {
	former := p.codes
	follows := func() {
		for _, code := range former {
			p.spends("a code of a former set", redeeming(code), "invalid_code")
		}
		p.losesGrant()
		p.events["backup_codes_made"]++
		p.codes, p.left = nil, 10
	}
	r := request{method: http.MethodPost, path: "/v1/me/recovery/backup-codes", in: s}
	w.try(p, "backup codes", r, func(got reply) {
		follows()
		var made struct{ Codes []string }
		w.read(p, got, &made)
		p.codes = made.Codes
	}, func(request) bool {
		kept := w.codesLeft(p) == 10 && p.left < 10
		if len(former) > 0 { // only the codes themselves can tell
			got := w.must(p, redeeming(former[0]))
			if kept = got.code == "invalid_code"; !kept {
				w.granted(p, former[0], got)
			}
		}
		if kept {
			follows()
		}
		return kept
	})
}

// granted notes what a claim bought, and the backup code that will be spent for it, "" for none.
func (w *worker) granted(p *person, code string, got reply) {
	var body struct {
		Token string `json:"grant_token"`
	}
	w.read(p, got, &body)
	if body.Token != p.grant {
		p.losesGrant()
	}
	p.grant, p.grantCode = body.Token, code
}

func (w *worker) redeemsCode(p *person) {
	code := p.codes[0]
	done := func(got reply) { w.granted(p, code, got) }
	w.try(p, "redeemed code", redeeming(code), done, func(r request) bool {
		got := w.must(p, r)
		if got.good() {
			done(got)
		} else {
			w.disagrees(p, "a code is lost before it bought anything: %d %s", got.status, got.body)
		}
		return false // who can tell?
	})
}

// enrols uses the grant: it, the code that paid for it and all earlier sessions end together with the new one's beginning.
func (w *worker) enrols(p *person) {
	begun, ok := w.begins(p, "/v1/recovery/options", map[string]string{"grant_token": p.grant}, nil)
	if !ok {
		return
	}
	k := w.newKey()
	r := verify("/v1/recovery/verify", begun, w.makes(p, k, begun), w.transport(), nil)
	r.body.(map[string]any)["grant_token"] = p.grant
	follows := func() {
		p.losesGrant()
		if p.grantCode != "" {
			p.spends("a backup code", redeeming(p.grantCode), "invalid_code")
			p.codes = slices.DeleteFunc(p.codes, func(code string) bool { return code == p.grantCode })
			p.left, p.grantCode = p.left-1, ""
		}
		if p.app != nil && !p.app.confirmed {
			p.app = nil
		}
		for len(p.sessions) > 0 {
			p.ends(p.sessions[0])
		}
		p.events["recovered"]++
	}
	done := func(got reply) { follows(); w.enters(p, k, 1, r, got, false) }
	w.try(p, "enrolment", r, done, func(r request) bool {
		got := w.must(p, r)
		switch {
		case got.good():
			done(got)
			return false
		case got.code != challengeGone:
			w.disagrees(p, "an enrolment is neither there nor not: %d %s", got.status, got.body)
			return false
		}
		follows()
		p.keys = append(p.keys, k)
		if !w.signsInAgain(p, k) {
			w.disagrees(p, "an enrolment spent its challenge, and its passkey is unknown")
			return true
		}
		w.findsUnheld(p)
		return true
	})
}

func (w *worker) setsUpApp(p *person, s *session) {
	r := request{method: http.MethodPost, path: "/v1/me/recovery/totp", in: s}
	w.try(p, "app set up", r, func(got reply) {
		var shown struct{ Secret string }
		w.read(p, got, &shown)
		p.app = &app{secret: shown.Secret}
	}, func(request) bool { return false }) // a secret that nobody was shown; the next one takes its place
}

const step = 30 // seconds

func (a *app) code(at int64) string {
	code, err := totp.GenerateCode(a.secret, time.Unix(at*step, 0))
	if err != nil {
		panic(err) // the server's own secret
	}
	return code
}

func (w *worker) confirmsApp(p *person, s *session) {
	now := time.Now().Unix() / step
	r := request{http.MethodPost, "/v1/me/recovery/totp/confirm", map[string]string{"code": p.app.code(now)}, s}
	done := func(reply) {
		p.app.confirmed, p.app.step = true, now
		p.losesGrant()
		p.grantCode = ""
		p.events["totp_added"]++
	}
	w.try(p, "app confirmed", r, done, func(r request) bool {
		kept := w.hasApp(p)
		if got := w.must(p, r); got.good() == kept {
			w.disagrees(p, "an app is neither there nor not: %d %s", got.status, got.body)
		}
		done(reply{})
		return kept
	})
}

func (w *worker) redeemsAppCode(p *person) {
	now := time.Now().Unix() / step
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
		p.losesGrant()
		p.grantCode = ""
		p.spends("a code of an app", r, "invalid_code")
	}
	done := func(got reply) { follows(); w.granted(p, "", got) }
	w.try(p, "redeemed app code", r, done, func(r request) bool {
		got := w.must(p, r)
		switch {
		case got.good():
			done(got)
			return false
		case got.code != "invalid_code":
			w.disagrees(p, "a code of an app is neither spent nor not: %d %s", got.status, got.body)
		}
		follows()
		return true
	})
}

func (w *worker) deletesAccount(p *person, s *session) {
	w.try(p, "deletion", request{method: http.MethodDelete, path: "/v1/me", in: s}, func(reply) { p.gone = true }, func(request) bool {
		p.gone = !w.signsInAgain(p, p.keys[0])
		return p.gone
	})
}

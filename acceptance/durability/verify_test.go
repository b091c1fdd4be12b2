package durability

import (
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/keylodge/keylodge/acceptance/testkit/client"
)

// verifyAll resolves the unanswered request, and compares the server with the model.
func (w *worker) verifyAll() {
	if w.resolve != nil {
		w.resolve()
		w.resolve = nil
	}
	for _, p := range w.people {
		w.verifyPerson(p)
	}
}

func (w *worker) verifyPerson(p *person) {
	if p.mismatched {
		return
	}
	if p.deleted {
		if w.signInAgain(p, p.keys[0]) {
			w.reportMismatch(p, "the account was deleted and exists again")
		}
		p.consumed, p.ended = nil, nil
		return
	}
	w.verifyConsumed(p)
	w.verifySessions(p)
	w.verifyAccount(p)
	if p.grantToken != "" {
		w.verified++
		if got := w.mustSend(p, recoveryOptionsRequest(p.grantToken)); !got.OK() {
			w.reportMismatch(p, "the grant is lost: %d %s", got.StatusCode, got.Body)
		}
	}
	w.reuseOldRefreshToken(p)
}

func (w *worker) verifyConsumed(p *person) {
	for _, used := range p.consumed {
		w.consumed++
		w.probes++ // each from another address, so that the limit of wrong codes is not reached
		got := w.mustSendFrom(fmt.Sprintf("11.%d.%d.%d", w.number, w.probes>>8&255, w.probes&255), p, used.request)
		if !slices.Contains(used.codes, got.code) {
			w.reportMismatch(p, "%s was consumed: got %d %s", used.what, got.StatusCode, got.Body)
		}
	}
	p.consumed = nil
}

func (w *worker) verifySessions(p *person) {
	for _, s := range p.usableSessions() {
		if got := w.mustSend(p, request{method: http.MethodGet, path: "/v1/session", in: s}); !got.OK() {
			w.reportMismatch(p, "a session is lost: %d %s", got.StatusCode, got.Body)
			return
		}
	}
	var want []string
	for _, s := range p.sessions {
		want = append(want, s.id)
	}
	got := w.sessionIDs(p)
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		w.reportMismatch(p, "sessions %v, want %v", got, want)
	}
	for _, s := range p.ended {
		if !s.usable() {
			continue
		}
		w.consumed++
		if got := w.mustSend(p, request{method: http.MethodGet, path: "/v1/session", in: s}); got.StatusCode != http.StatusUnauthorized {
			w.reportMismatch(p, "an ended session: got %d %s", got.StatusCode, got.Body)
		}
		if s.refresh == "" {
			continue
		}
		refresh := request{method: http.MethodPost, path: "/v1/session/refresh", body: map[string]string{"refresh_token": s.refresh}}
		if got := w.mustSend(p, refresh); got.StatusCode != http.StatusUnauthorized {
			w.reportMismatch(p, "refreshing an ended session: got %d %s", got.StatusCode, got.Body)
		}
	}
	p.ended = nil
}

func (w *worker) verifyAccount(p *person) {
	if name := w.displayName(p); name != p.name {
		w.reportMismatch(p, "the name is %q, want %q", name, p.name)
	}
	if left := w.codesLeft(p); left != p.codesLeft {
		w.reportMismatch(p, "%d backup codes, want %d", left, p.codesLeft)
	}
	if enrolled := w.hasTOTP(p); enrolled != (p.app != nil && p.app.confirmed) {
		w.reportMismatch(p, "an authenticator app is set up: %t", enrolled)
	}
	want := map[string]uint32{}
	for _, k := range p.keys {
		want[k.id] = k.acknowledgedCount
	}
	var listed struct {
		Items []client.Passkey
	}
	w.get(p, "/v1/me/passkeys", &listed)
	got := map[string]uint32{}
	for _, item := range listed.Items {
		got[item.ID] = item.SignCount
	}
	if !maps.Equal(got, want) {
		w.reportMismatch(p, "the passkeys' counters are %v, want %v", got, want)
	}
	events := w.countEvents(p)
	for kind, n := range p.events {
		if events[kind] != n {
			w.reportMismatch(p, "%d events %s, want %d", events[kind], kind, n)
		}
	}
}

// reuseOldRefreshToken sometimes uses a refresh token that is two rotations old, which revokes the session.
func (w *worker) reuseOldRefreshToken(p *person) {
	usable := p.usableSessions()
	if len(usable) < 2 || p.mismatched {
		return
	}
	index := slices.IndexFunc(usable, func(s *session) bool { return s.secondLastRefresh != "" })
	if index < 0 || !w.chance(30) {
		return
	}
	s := usable[index]
	refresh := func(token string) apiResponse {
		return w.mustSend(p, request{method: http.MethodPost, path: "/v1/session/refresh", body: map[string]string{"refresh_token": token}})
	}
	if got := refresh(s.refresh); !got.OK() {
		w.reportMismatch(p, "the latest refresh token is lost: %d %s", got.StatusCode, got.Body)
		return
	}
	w.consumed++
	if got := refresh(s.secondLastRefresh); got.code != "refresh_token_reused" {
		w.reportMismatch(p, "a refresh token that is two rotations old: got %d %s", got.StatusCode, got.Body)
		return
	}
	w.acknowledged["reuse"]++
	p.events["refresh_token_reused"]++
	p.endSession(s)
}

// mustSend sends a request that the running server must answer.
func (w *worker) mustSend(p *person, r request) apiResponse { return w.mustSendFrom(p.ip, p, r) }

func (w *worker) mustSendFrom(from string, p *person, r request) apiResponse {
	w.verified++
	got, err := w.caller.send(from, r)
	if err != nil {
		w.reportMismatch(p, "%s %s got no response: %v", r.method, r.path, err)
	} else if got.StatusCode >= http.StatusInternalServerError {
		w.reportMismatch(p, "%s %s: %d %s", r.method, r.path, got.StatusCode, got.Body)
	}
	return got
}

func (w *worker) mustBegin(p *person, path string) (c client.Ceremony) {
	w.read(p, w.mustSend(p, request{method: http.MethodPost, path: path}), &c)
	return c
}

func (w *worker) get(p *person, path string, into any) {
	usable := p.usableSessions()
	if len(usable) == 0 {
		w.reportMismatch(p, "no usable session is left")
		return
	}
	w.getAs(p, usable[0], path, into)
}

func (w *worker) getAs(p *person, s *session, path string, into any) {
	got := w.mustSend(p, request{method: http.MethodGet, path: path, in: s})
	if !got.OK() {
		w.reportMismatch(p, "%s: %d %s", path, got.StatusCode, got.Body)
		return
	}
	w.read(p, got, into)
}

func (w *worker) sessionIDs(p *person) []string {
	if usable := p.usableSessions(); len(usable) > 0 {
		return w.sessionIDsAs(p, usable[0])
	}
	w.reportMismatch(p, "no usable session is left")
	return nil
}

func (w *worker) sessionIDsAs(p *person, s *session) (ids []string) {
	var listed struct{ Items []client.Session }
	w.getAs(p, s, "/v1/me/sessions?limit=100", &listed)
	for _, item := range listed.Items {
		ids = append(ids, item.ID)
	}
	return ids
}

func (w *worker) countEvents(p *person) map[string]int {
	kinds := map[string]int{}
	for cursor := ""; ; {
		var page struct {
			Items      []client.Event
			NextCursor *string `json:"next_cursor"`
		}
		w.get(p, "/v1/me/events?limit=100&cursor="+cursor, &page)
		for _, item := range page.Items {
			kinds[item.Kind]++
		}
		if page.NextCursor == nil {
			return kinds
		}
		cursor = *page.NextCursor
	}
}

func (w *worker) displayName(p *person) string {
	var me struct{ User client.User }
	w.get(p, "/v1/me", &me)
	return me.User.DisplayName
}

func (w *worker) codesLeft(p *person) int {
	var f client.Factors
	w.get(p, "/v1/me/recovery", &f)
	return f.BackupCodes.Remaining
}

func (w *worker) hasTOTP(p *person) bool {
	var f client.Factors
	w.get(p, "/v1/me/recovery", &f)
	return f.TOTP.Enrolled
}

// userID returns the account's id, which a recovery by app needs; "" if there is no response.
func (w *worker) userID(p *person) string {
	got, err := w.caller.send(p.ip, request{method: http.MethodGet, path: "/v1/me", in: p.usableSessions()[0]})
	if err != nil {
		w.disconnected = true
		return ""
	}
	if w.isOutage(p, got) {
		return ""
	}
	var me struct{ User client.User }
	w.read(p, got, &me)
	return me.User.ID
}

// verifyFormer verifies the accounts that the workers no longer use.
func (w *worker) verifyFormer() {
	for _, p := range w.former {
		w.verifyPerson(p)
	}
}

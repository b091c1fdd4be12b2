package durability

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
)

// looks settles what was in doubt, and compares the server with the ledger.
func (w *worker) looks() {
	if w.settle != nil {
		w.settle()
		w.settle = nil
	}
	for _, p := range w.people {
		w.looksAt(p)
	}
}

func (w *worker) looksAt(p *person) {
	if p.broken {
		return
	}
	if p.gone {
		if w.signsInAgain(p, p.keys[0]) {
			w.disagrees(p, "the account was deleted and is there again")
		}
		p.spent, p.ended = nil, nil
		return
	}
	w.triesWhatIsSpent(p)
	w.looksAtSessions(p)
	w.looksAtAccount(p)
	if p.grant != "" {
		w.looked++
		if got := w.must(p, optionsFor(p.grant)); !got.good() {
			w.disagrees(p, "the grant is lost: %d %s", got.status, got.body)
		}
	}
	w.usesFormerRefreshToken(p)
}

func (w *worker) triesWhatIsSpent(p *person) {
	for _, one := range p.spent {
		w.spent++
		w.probes++ // each from another address: too many wrong codes from one would have it wait
		got := w.mustFrom(fmt.Sprintf("11.%d.%d.%d", w.number, w.probes>>8&255, w.probes&255), p, one.request)
		if !slices.Contains(one.codes, got.code) {
			w.disagrees(p, "%s was spent and is answered with %d %s", one.what, got.status, got.body)
		}
	}
	p.spent = nil
}

func (w *worker) looksAtSessions(p *person) {
	for _, s := range p.held() {
		if got := w.must(p, request{method: http.MethodGet, path: "/v1/session", in: s}); !got.good() {
			w.disagrees(p, "a session is lost: %d %s", got.status, got.body)
			return
		}
	}
	var want []string
	for _, s := range p.sessions {
		want = append(want, s.id)
	}
	got := w.sessionsOf(p)
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		w.disagrees(p, "sessions %v, want %v", got, want)
	}
	for _, s := range p.ended {
		if !s.held() {
			continue
		}
		w.spent++
		if got := w.must(p, request{method: http.MethodGet, path: "/v1/session", in: s}); got.status != http.StatusUnauthorized {
			w.disagrees(p, "a session was ended and is answered with %d %s", got.status, got.body)
		}
		if s.refresh == "" {
			continue
		}
		refresh := request{method: http.MethodPost, path: "/v1/session/refresh", body: map[string]string{"refresh_token": s.refresh}}
		if got := w.must(p, refresh); got.status != http.StatusUnauthorized {
			w.disagrees(p, "a session was ended and is refreshed: %d %s", got.status, got.body)
		}
	}
	p.ended = nil
}

func (w *worker) looksAtAccount(p *person) {
	if name := w.nameOf(p); name != p.name {
		w.disagrees(p, "they are called %q", name)
	}
	if left := w.codesLeft(p); left != p.left {
		w.disagrees(p, "%d backup codes, want %d", left, p.left)
	}
	if app := w.hasApp(p); app != (p.app != nil && p.app.confirmed) {
		w.disagrees(p, "an app is set up: %t", app)
	}
	want := map[string]uint32{}
	for _, k := range p.keys {
		want[k.id] = k.known
	}
	var listed struct {
		Items []struct {
			ID        string
			SignCount uint32 `json:"sign_count"`
		}
	}
	w.asks(p, "/v1/me/passkeys", &listed)
	got := map[string]uint32{}
	for _, item := range listed.Items {
		got[item.ID] = item.SignCount
	}
	if !maps.Equal(got, want) {
		w.disagrees(p, "passkeys and their counters are %v, want %v", got, want)
	}
	events := w.eventsOf(p)
	for kind, n := range p.events {
		if events[kind] != n {
			w.disagrees(p, "%d events %s, want %d: the log and what it tells of went different ways", events[kind], kind, n)
		}
	}
}

// usesFormerRefreshToken does what ends a session, now and then: a refresh token is used that was replaced long ago.
func (w *worker) usesFormerRefreshToken(p *person) {
	held := p.held()
	if len(held) < 2 || p.broken {
		return
	}
	at := slices.IndexFunc(held, func(s *session) bool { return s.formerRefresh != "" })
	if at < 0 || !w.chance(30) {
		return
	}
	s := held[at]
	refresh := func(token string) reply {
		return w.must(p, request{method: http.MethodPost, path: "/v1/session/refresh", body: map[string]string{"refresh_token": token}})
	}
	if got := refresh(s.refresh); !got.good() {
		w.disagrees(p, "the latest refresh token is lost: %d %s", got.status, got.body)
		return
	}
	w.spent++
	if got := refresh(s.formerRefresh); got.code != "refresh_token_reused" {
		w.disagrees(p, "a refresh token that was replaced twice is answered with %d %s", got.status, got.body)
		return
	}
	w.acknowledged["reuse"]++
	p.events["refresh_token_reused"]++
	p.ends(s)
}

// must sends what has to be answered: the server is up.
func (w *worker) must(p *person, r request) reply { return w.mustFrom(p.from, p, r) }

func (w *worker) mustFrom(from string, p *person, r request) reply {
	w.looked++
	got, err := w.caller.sendFrom(from, r.method, r.path, r.body, r.in)
	if err != nil {
		w.disagrees(p, "%s %s is not answered: %v", r.method, r.path, err)
	} else if got.status >= http.StatusInternalServerError {
		w.disagrees(p, "%s %s: %d %s", r.method, r.path, got.status, got.body)
	}
	return got
}

func (w *worker) mustBegin(p *person, path string) (c ceremony) {
	w.read(p, w.must(p, request{method: http.MethodPost, path: path}), &c)
	return c
}

func (w *worker) asks(p *person, path string, into any) {
	held := p.held()
	if len(held) == 0 {
		w.disagrees(p, "none of their sessions is left")
		return
	}
	w.asksThrough(p, held[0], path, into)
}

func (w *worker) asksThrough(p *person, s *session, path string, into any) {
	got := w.must(p, request{method: http.MethodGet, path: path, in: s})
	if !got.good() {
		w.disagrees(p, "%s: %d %s", path, got.status, got.body)
		return
	}
	w.read(p, got, into)
}

func (w *worker) sessionsOf(p *person) []string {
	if held := p.held(); len(held) > 0 {
		return w.sessionsThrough(p, held[0])
	}
	w.disagrees(p, "none of their sessions is left")
	return nil
}

func (w *worker) sessionsThrough(p *person, s *session) (ids []string) {
	var listed struct{ Items []struct{ ID string } }
	w.asksThrough(p, s, "/v1/me/sessions?limit=100", &listed)
	for _, item := range listed.Items {
		ids = append(ids, item.ID)
	}
	return ids
}

func (w *worker) eventsOf(p *person) map[string]int {
	kinds := map[string]int{}
	for cursor := ""; ; {
		var page struct {
			Items      []struct{ Kind string }
			NextCursor *string `json:"next_cursor"`
		}
		w.asks(p, "/v1/me/events?limit=100&cursor="+cursor, &page)
		for _, item := range page.Items {
			kinds[item.Kind]++
		}
		if page.NextCursor == nil {
			return kinds
		}
		cursor = *page.NextCursor
	}
}

type account struct {
	User struct {
		ID          string
		DisplayName string `json:"display_name"`
	}
}

func (w *worker) nameOf(p *person) string {
	var me account
	w.asks(p, "/v1/me", &me)
	return me.User.DisplayName
}

type factors struct {
	TOTP        struct{ Enrolled bool }
	BackupCodes struct{ Remaining int } `json:"backup_codes"`
}

func (w *worker) codesLeft(p *person) int {
	var f factors
	w.asks(p, "/v1/me/recovery", &f)
	return f.BackupCodes.Remaining
}

func (w *worker) hasApp(p *person) bool {
	var f factors
	w.asks(p, "/v1/me/recovery", &f)
	return f.TOTP.Enrolled
}

// userID is what they are called by for recovery; "" if the answer does not come.
func (w *worker) userID(p *person) string {
	got, err := w.caller.sendFrom(p.from, http.MethodGet, "/v1/me", nil, p.held()[0])
	if err != nil {
		w.cut = true
		return ""
	}
	var me account
	w.read(p, got, &me)
	return me.User.ID
}

// looksAtFormer comes back to those who made room for others.
func (w *worker) looksAtFormer() {
	for _, p := range w.former {
		w.looksAt(p)
	}
}

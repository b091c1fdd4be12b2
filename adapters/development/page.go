package development

import (
	"encoding/json"
	"fmt"
	"html"
	"net"
	"net/http"
	"strings"
	"time"
)

// Page is the page of the development mode, and the same as JSON for tests. It answers only requests that name this machine, so that
// no page of another site can read the codes (DNS rebinding), and only changes that come from itself or from a program.
type Page struct {
	Mailbox *Mailbox
	Clock   *Clock
	URL     string // of the server
}

// maxAdvance limits one step of the clock.
const maxAdvance = 400 * 24 * time.Hour

// Handler returns the handler of the page:
//
//	GET /              the page
//	GET /emails        {"emails": [{to, kind, at, subject, text, html, code}]}, newest first
//	DELETE /emails     deletes them: 204
//	GET /clock         {"now": …, "ahead_seconds": …}
//	POST /clock        moves the clock forward by the form value advance, such as 15m or 24h, and returns to the page
func (p *Page) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.show)
	mux.HandleFunc("GET /emails", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, map[string]any{"emails": p.Mailbox.Emails()})
	})
	mux.HandleFunc("DELETE /emails", func(w http.ResponseWriter, _ *http.Request) {
		p.Mailbox.Clear()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /clock", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, map[string]any{"now": p.Clock.Now(), "ahead_seconds": int64(p.Clock.Ahead().Seconds())})
	})
	mux.HandleFunc("POST /clock", p.advance)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
		w.Header().Set("Cache-Control", "no-store")
		if !isLocal(r.Host) {
			http.Error(w, "open this page at localhost", http.StatusMisdirectedRequest)
			return
		}
		if origin := r.Header.Get("Origin"); r.Method != http.MethodGet && origin != "" && origin != "http://"+r.Host {
			http.Error(w, "another page must not do this", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// isLocal reports whether the value of a Host header is a name or an address of this machine.
func isLocal(hostPort string) bool {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		host = hostPort
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func writeJSON(w http.ResponseWriter, document any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(document) // the client is gone
}

func (p *Page) advance(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 1024)
	by, err := time.ParseDuration(r.PostFormValue("advance"))
	if err != nil || by <= 0 || by > maxAdvance {
		http.Error(w, "advance must be a duration such as 15m or 24h, of at most 9600h", http.StatusBadRequest)
		return
	}
	p.Clock.Advance(by)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

const pageStart = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Keylodge in development mode</title>
<style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { max-width: 48rem; margin: 2rem auto; padding: 0 1rem; }
strong.warning { display: block; padding: .75rem 1rem; border: 2px solid; border-radius: .5rem; }
article { border-top: 1px solid; padding: .5rem 0; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
button { font: inherit; padding: .5rem 1rem; }
</style>
<h1>Keylodge in development mode</h1>
<strong class="warning">Not for real accounts: the data is deleted when the server stops, all users of this machine can read the codes
below, and rate limits are off.</strong>
`

func (p *Page) show(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	var b strings.Builder
	b.WriteString(pageStart)
	fmt.Fprintf(&b, "<p>The server: <a href=\"%[1]s\">%[1]s</a></p>\n", html.EscapeString(p.URL))
	fmt.Fprintf(&b, "<h2>Clock</h2>\n<p>%s, %s ahead.</p>\n<form method=\"post\" action=\"/clock\">\n<p>Move it forward by:\n",
		p.Clock.Now().Format(time.DateTime+" MST"), p.Clock.Ahead())
	for _, by := range []string{"1m", "15m", "1h", "24h", "720h"} {
		fmt.Fprintf(&b, "<button name=\"advance\" value=\"%[1]s\">%[1]s</button>\n", by)
	}
	b.WriteString("</p>\n</form>\n<h2>E-mails</h2>\n<p>Newest first. Reload the page for new ones. As JSON: <a href=\"/emails\">/emails</a>.</p>\n")
	emails := p.Mailbox.Emails()
	if len(emails) == 0 {
		b.WriteString("<p>None yet.</p>\n")
	}
	for _, e := range emails {
		fmt.Fprintf(&b, "<article>\n<h3>%s</h3>\n<p>To %s, %s</p>\n<pre>%s</pre>\n</article>\n",
			html.EscapeString(e.Subject), html.EscapeString(e.To), e.At.Format(time.DateTime+" MST"), html.EscapeString(e.Text))
	}
	_, _ = w.Write([]byte(b.String())) // the client is gone
}

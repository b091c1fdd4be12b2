package acceptance

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"unicode"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
)

// sendRaw writes to a new connection and reads until the server closes it.
func (s *server) sendRaw(t testing.TB, request string) []byte {
	t.Helper()
	connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.recording.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if _, err := io.WriteString(connection, request); err != nil {
		t.Fatal(err)
	}
	answered, err := io.ReadAll(connection)
	if err != nil {
		t.Fatal(err)
	}
	return answered
}

// requirePrintableLines fails the test if a line has a control character, with which a client could forge a line or control
// the reader's terminal.
func requirePrintableLines(t testing.TB, name string, output []byte) {
	t.Helper()
	for line := range bytes.Lines(output) {
		if text, ended := strings.CutSuffix(string(line), "\n"); !ended || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%s has a line with a control character: %q", name, line)
		}
	}
}

// Requirement: ASVS-16.2.5
func TestLog_LinesCannotBeForged(t *testing.T) {
	t.Parallel()
	s := startServer(t, newClock(), nil)
	const hostile = "Ada\x1b]0;owned\x07\x1b[2J\u009b31m\u202e\u2028\x7f\u200b \" level=ERROR msg=forged"
	const forged = "%0A%7B%22level%22:%22ERROR%22,%22msg%22:%22forged%22%7D%0D%0Atime=now%20level=ERROR%20msg=forged%1B[2J%C2%9B31m%E2%80%AE%E2%80%A8%FF"
	lines := func() int { return strings.Count(s.log.text(), "\n") + strings.Count(s.textLog.text(), "\n") }
	for name, ask := range map[string]func() apiResponse{
		"path":  func() apiResponse { return s.send(t, http.MethodGet, "/v1/"+forged, "") },
		"query": func() apiResponse { return s.send(t, http.MethodGet, "/v1/config?x="+forged, "") },
		"id":    func() apiResponse { return s.send(t, http.MethodDelete, "/v1/me/passkeys/"+forged, "") },
		"agent": func() apiResponse {
			return s.send(t, http.MethodGet, "/v1/config", "", "User-Agent", "Ada\u009b31m\u202e level=ERROR")
		},
		"request": func() apiResponse {
			return s.send(t, http.MethodGet, "/v1/config", "", "X-Request-Id", "request\u009b31m level=ERROR")
		},
		"origin": func() apiResponse {
			return s.send(t, http.MethodPost, "/v1/login/options", "", "Origin", "https://\u009b31m\u202e")
		},
		"hop": func() apiResponse {
			return s.send(t, http.MethodGet, "/v1/config", "", "X-Forwarded-For", "\u009b31m, x")
		},
		"cookie": func() apiResponse {
			return s.send(t, http.MethodGet, "/v1/session", "", "Cookie", "keylodge_session=\u009b31m")
		},
		"token": func() apiResponse {
			return s.send(t, http.MethodGet, "/v1/session", "", "Authorization", "Bearer \u009b31m.x.x")
		},
		"name": func() apiResponse {
			return s.send(t, http.MethodPost, "/v1/signup/options", string(encode(t, map[string]string{"display_name": hostile})))
		},
		"address": func() apiResponse {
			return s.send(t, http.MethodPost, "/v1/login/options", string(encode(t, map[string]string{"email": hostile})))
		},
		"member": func() apiResponse {
			return s.send(t, http.MethodPost, "/v1/login/options", string(encode(t, map[string]any{"email": map[string]any{hostile: 1}})))
		},
		"code": func() apiResponse {
			return s.send(t, http.MethodPost, "/v1/recovery/redeem", string(encode(t, map[string]string{"backup_code": hostile})))
		},
	} {
		before := lines()
		ask()
		if more := lines() - before; more != 2 {
			t.Errorf("%s: one request writes %d lines to the two logs, want 2\n%s", name, more, s.textLog.text())
		}
	}
	for _, raw := range []string{"\u009b31m\u202e\u2028\u200b", "\x1b[2J", "\xff\xfe", "\x7f", strings.Repeat("\u202e", 100) + "x"} { // no browser sends these bytes
		s.sendRaw(t, "GET /v1/"+raw+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nUser-Agent: "+raw+"\r\n\r\n")
	}
	mallory := (&env{t: t, clock: newClock(), driver: httpDriver{s}}).person("Mallory", phone)
	for _, forge := range []authenticator.Variation{authenticator.ForgeOrigin("https://" + hostile), authenticator.ForgeType(hostile), authenticator.ForgeClientDataJSON(func(honest []byte) []byte {
		return append([]byte(`{"`+strings.Repeat("\u202e", 300)+`\u001b[2J":`), honest...)
	})} {
		mallory.requireRejected(mallory.device.signUp(mallory.profile, forgery{forge: forge}), "passkey_rejected")
	}
	if entries := strings.Count(s.textLog.text(), "level=WARN"); entries != 3 {
		t.Errorf("%d warnings for three forged responses:\n%s", entries, s.textLog.text())
	}
	for line := range strings.Lines(s.log.text()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry["level"] == "ERROR" {
			t.Errorf("the line is not JSON or has level ERROR, error %v: %s", err, line)
		}
	}
}

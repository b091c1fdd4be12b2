package acceptance

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/keylodge/keylodge/acceptance/authenticator"
	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/bootstrap"
)

// holdsItsTongue is the end of every server of these tests: nothing that it handed out or was shown stands in its log, at its
// most talkative and in both forms, in its metrics, or in an error that somebody else might be shown.
func (s *server) holdsItsTongue(t testing.TB, metrics []byte, config bootstrap.Config) {
	t.Helper()
	exchanges := s.heard.exchanges()
	var secrets []string
	for _, x := range exchanges {
		secrets = append(secrets, x.secrets()...)
		if x.response.StatusCode >= 400 {
			refused := bytes.ReplaceAll(x.answered, []byte("write it like ada@example.org"), nil)
			for _, leak := range leaks(refused, x.secretsSent()) {
				t.Errorf("%s %s is refused with what it was sent: %s\n%s", x.request.Method, x.request.URL.Path, leak, x.answered)
			}
		}
	}
	secrets = append(secrets, secretsOf(t, config)...)
	secrets = slices.DeleteFunc(secrets, func(s string) bool { return s == config.RPName })
	for name, told := range map[string][]byte{"the log": []byte(s.log.text()), "the log as text": []byte(s.plain.text()), "the metrics": metrics} {
		if name != "the metrics" {
			isPlain(t, name, told)
		}
		for _, leak := range leaks(told, secrets) {
			t.Errorf("%s has what nobody may read there: %s\n%s", name, leak, lineWith(told, leak))
		}
	}
}

func (x exchange) secretsSent() []string {
	x.response, x.answered = &http.Response{}, nil
	return x.secrets()
}

// purposes are those that keys are derived for, as the sources have them, so that none is forgotten here.
var purposes = sync.OnceValues(func() (found []string, err error) {
	for _, pattern := range []string{"../bootstrap/*.go", "../adapters/masterkey/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			source, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			for _, match := range aPurpose.FindAllSubmatch(source, -1) {
				found = append(found, string(match[1]))
			}
		}
	}
	if len(found) < 10 {
		return nil, fmt.Errorf("only %q are derived from the secret: somewhere else than in the sources that were looked at?", found)
	}
	return found, nil
})

var aPurpose = regexp.MustCompile(`(?:Derive|deriveAll)\("([^"]+)"`)

// secretsOf are those of the settings, in each way in which bytes are written.
func secretsOf(t testing.TB, config bootstrap.Config) (secrets []string) {
	t.Helper()
	derived, err := purposes()
	if err != nil {
		t.Fatal(err)
	}
	var keys [][]byte
	for _, secret := range append(slices.Clone(config.PreviousSecrets), *config.Secret) {
		keys = append(keys, reflect.ValueOf(secret).Field(0).Bytes()) // nothing else gives it away
		for _, purpose := range derived {
			key, err := secret.Derive(purpose)
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, key)
		}
	}
	for _, key := range keys {
		secrets = append(secrets, hex.EncodeToString(key), base64.RawStdEncoding.EncodeToString(key), base64.RawURLEncoding.EncodeToString(key), fmt.Sprint(key))
	}
	if config.SMTP != nil {
		secrets = append(secrets, config.SMTP.Password.Reveal())
	}
	return secrets
}

const (
	shortestDigits = 6 // of an app's code
	shortestSecret = 8 // of anything else: shorter texts are words
)

// leaks are the secrets that stand in the text, however they are written there: in either letter case, and with or without
// hyphens and spaces. Digits count where they are a number of their own, since times and ports are full of digits.
func leaks(text []byte, secrets []string) (found []string) {
	squeezed := []byte(squeeze(string(text)))
	begins := map[[shortestSecret]byte][]string{}
	for _, secret := range secrets {
		bare := squeeze(secret)
		switch {
		case strings.Trim(bare, "0123456789") == "":
			if len(bare) >= shortestDigits && standsAlone(text, bare) {
				found = append(found, secret)
			}
		case len(bare) >= shortestSecret:
			begin := [shortestSecret]byte([]byte(bare))
			begins[begin] = append(begins[begin], bare)
		}
	}
	for i := 0; i+shortestSecret <= len(squeezed); i++ {
		for _, bare := range begins[[shortestSecret]byte(squeezed[i:])] {
			if bytes.HasPrefix(squeezed[i:], []byte(bare)) {
				found = append(found, bare)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

var betweenGroups = strings.NewReplacer("-", "", " ", "")

func squeeze(s string) string { return betweenGroups.Replace(strings.ToLower(s)) }

func standsAlone(text []byte, digits string) bool {
	half := len(digits) / 2
	pattern := `(?i)(^|[^0-9a-z.:+-])` + digits[:half] + `[- ]?` + digits[half:] + `($|[^0-9a-z.-])`
	return regexp.MustCompile(pattern).Match(text)
}

// TestALeakIsFound shows that the search above finds what it is for: everything that a day in Ada's life handed out is
// overheard, and each of it is found in a log that has it.
func TestALeakIsFound(t *testing.T) {
	s := startServer(t, newClock(), nil)
	l := &lodge{t: t, clock: newClock(), door: httpDoor{s}}
	ada := l.person("Ada Lovelace", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	device := ada.script()
	connection := device.connection.(*httpConnection)
	kept := map[string]string{"cookie": connection.keepsToken(), "CSRF token": connection.csrf, "name": ada.name, "address": ada.email}
	codes, refused := ada.device.makeBackupCodes()
	ada.may(refused)
	app, refused := ada.device.setUpTOTP()
	ada.may(refused)
	kept["app"], kept["backup code"] = app, codes[3]
	kept["code of an app"] = "490154"
	ada.mayNot(ada.device.confirmTOTP("490154"), "invalid_code")
	program := &script{t: t, authenticator: device.authenticator, connection: s.connect(t)}
	program.connection.becomesProgram()
	begun := program.beginsSignIn()
	kept["challenge id"] = begun.challengeID
	if _, refused := program.connection.finishSignIn(begun.challengeID, program.answers(begun)); refused != (refusal{}) {
		t.Fatal(refused)
	}
	pair := program.connection.keepsTokens()
	kept["access token"], kept["refresh token"] = pair.access, pair.refresh
	grant, refused := connection.anew().redeem(claim{backupCode: strings.ToUpper(codes[3])})
	ada.may(refused)
	kept["grant"] = grant

	var heard []string
	for _, x := range s.heard.exchanges() {
		heard = append(heard, x.secrets()...)
	}
	for name, secret := range kept {
		for _, written := range []string{secret, strings.ToLower(secret), strings.ToUpper(secret), strings.ReplaceAll(secret, "-", ""), strings.ReplaceAll(secret, "-", " ")} {
			if found := leaks([]byte(`{"time":"2026-11-25T12:00:00.123456789Z","msg":"request","path":"`+written+`"}`), heard); len(found) == 0 {
				t.Errorf("the %s is not found as %s", name, written)
			}
		}
	}
	for _, secret := range secretsOf(t, *s.config) {
		if len(leaks([]byte("a key: "+secret+" of the server"), secretsOf(t, *s.config))) == 0 {
			t.Errorf("a key of the server is not found as %q", secret)
		}
	}
	for _, innocent := range []string{"12:00:00.490154Z", "127.0.0.1:490154", "took_ms=0.490154", "01a206fa-490154"} {
		if found := leaks([]byte("time="+innocent+" level=INFO"), []string{"490154"}); len(found) > 0 {
			t.Errorf("%s is taken for a code", innocent)
		}
	}
}

// readMetrics asks the server's other listener.
func (s *server) readMetrics(t testing.TB) []byte {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer s.app.ServeOperations(listener)()
	response, err := http.Get("http://" + listener.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	metrics, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%d, %v", response.StatusCode, err)
	}
	return metrics
}

// sendRaw writes to the server's listener and reads until it closes the connection.
func (s *server) sendRaw(t testing.TB, request string) []byte {
	t.Helper()
	connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.heard.Addr().String())
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

// isPlain holds a log to lines of what can be printed, so that nobody forges one, or writes to the reader's terminal.
func isPlain(t testing.TB, name string, told []byte) {
	t.Helper()
	for line := range bytes.Lines(told) {
		if text, ended := strings.CutSuffix(string(line), "\n"); !ended || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%s has a line that is not plain: %q", name, line)
		}
	}
}

func TestNobodyForgesALineOfTheLog(t *testing.T) {
	s := startServer(t, newClock(), nil)
	const hostile = "Ada\x1b]0;owned\x07\x1b[2J\u009b31m\u202e\u2028\x7f\u200b \" level=ERROR msg=forged"
	const forged = "%0A%7B%22level%22:%22ERROR%22,%22msg%22:%22forged%22%7D%0D%0Atime=now%20level=ERROR%20msg=forged%1B[2J%C2%9B31m%E2%80%AE%E2%80%A8%FF"
	lines := func() int { return strings.Count(s.log.text(), "\n") + strings.Count(s.plain.text(), "\n") }
	for name, ask := range map[string]func() answer{
		"path":  func() answer { return s.send(t, http.MethodGet, "/v1/"+forged, "") },
		"query": func() answer { return s.send(t, http.MethodGet, "/v1/config?x="+forged, "") },
		"id":    func() answer { return s.send(t, http.MethodDelete, "/v1/me/passkeys/"+forged, "") },
		"agent": func() answer {
			return s.send(t, http.MethodGet, "/v1/config", "", "User-Agent", "Ada\u009b31m\u202e level=ERROR")
		},
		"request": func() answer {
			return s.send(t, http.MethodGet, "/v1/config", "", "X-Request-Id", "request\u009b31m level=ERROR")
		},
		"origin": func() answer {
			return s.send(t, http.MethodPost, "/v1/login/options", "", "Origin", "https://\u009b31m\u202e")
		},
		"hop": func() answer { return s.send(t, http.MethodGet, "/v1/config", "", "X-Forwarded-For", "\u009b31m, x") },
		"cookie": func() answer {
			return s.send(t, http.MethodGet, "/v1/session", "", "Cookie", "keylodge_session=\u009b31m")
		},
		"token": func() answer {
			return s.send(t, http.MethodGet, "/v1/session", "", "Authorization", "Bearer \u009b31m.x.x")
		},
		"name": func() answer {
			return s.send(t, http.MethodPost, "/v1/signup/options", string(encode(t, map[string]string{"display_name": hostile})))
		},
		"address": func() answer {
			return s.send(t, http.MethodPost, "/v1/login/options", string(encode(t, map[string]string{"email": hostile})))
		},
		"member": func() answer {
			return s.send(t, http.MethodPost, "/v1/login/options", string(encode(t, map[string]any{"email": map[string]any{hostile: 1}})))
		},
		"code": func() answer {
			return s.send(t, http.MethodPost, "/v1/recovery/redeem", string(encode(t, map[string]string{"backup_code": hostile})))
		},
	} {
		before := lines()
		ask()
		if more := lines() - before; more != 2 {
			t.Errorf("%s: one request is %d lines of the two logs\n%s", name, more, s.plain.text())
		}
	}
	for _, raw := range []string{"\u009b31m\u202e\u2028\u200b", "\x1b[2J", "\xff\xfe", "\x7f", strings.Repeat("\u202e", 100) + "x"} { // as no browser sends them
		s.sendRaw(t, "GET /v1/"+raw+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nUser-Agent: "+raw+"\r\n\r\n")
	}
	mallory := (&lodge{t: t, clock: newClock(), door: httpDoor{s}}).person("Mallory", phone)
	for _, forge := range []authenticator.Variation{authenticator.ForgeOrigin("https://" + hostile), authenticator.ForgeType(hostile), authenticator.ForgeClientDataJSON(func(honest []byte) []byte {
		return append([]byte(`{"`+strings.Repeat("\u202e", 300)+`\u001b[2J":`), honest...)
	})} {
		_, refused := mallory.device.signUp(mallory.applicant, trick{forge: forge})
		mallory.mayNot(refused, "passkey_rejected")
	}
	if entries := strings.Count(s.plain.text(), "level=WARN"); entries != 3 {
		t.Errorf("%d warnings for three forgeries:\n%s", entries, s.plain.text())
	}
	for line := range strings.Lines(s.log.text()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry["level"] == "ERROR" {
			t.Errorf("%v: %s", err, line)
		}
	}
}

func lineWith(text []byte, leak string) string {
	for line := range bytes.Lines(text) {
		if len(leaks(line, []string{leak})) > 0 {
			return string(line)
		}
	}
	return ""
}

// What the operator's commands print, and what an export holds, opens nothing either. Names and addresses are what was asked for.
func TestTheOperatorsCommandsShowNoSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keylodge.db")
	raw := bytes.Repeat([]byte{7}, masterkey.Size)
	secret, err := masterkey.Parse(base64.StdEncoding.EncodeToString(raw))
	if err != nil {
		t.Fatal(err)
	}
	clock := newClock()
	s := startServer(t, clock, func(c *bootstrap.Config) { c.Database, c.Secret = bootstrap.SQLite(path), &secret })
	l := &lodge{t: t, clock: clock, door: httpDoor{s}}
	ada, ben := l.person("Ada Lovelace", phone), l.program("Ben")
	ada.email = "ada@example.org"
	ada.signsUp()
	app, codes := l.setsUpApp(ada), ada.writesDownCodes()
	ben.signsUp()
	ben.refreshes()
	if _, refused := l.losesEverything(ada).script().connection.redeem(claim{email: ada.email, totpCode: app.shows(30 * time.Second)}); refused != (refusal{}) {
		t.Fatalf("%+v", refused)
	}
	l.losesEverything(ada).recovers(claim{backupCode: codes[2]})

	keys := secretsOf(t, *s.config) // which reads the sources
	t.Chdir(filepath.Dir(path))
	t.Setenv("KEYLODGE_DATABASE_URL", "sqlite:"+path)
	t.Setenv("KEYLODGE_SECRET", base64.StdEncoding.EncodeToString(raw))
	t.Setenv("KEYLODGE_OPS_LISTEN", "")
	var printed bytes.Buffer
	for _, line := range []string{"users list", "users show ada@example.org", "keys list", "keys rotate", "migrate status", "doctor", "backup saved.db", "export lodge.jsonl", "sessions revoke nobody", "nonsense"} {
		for _, form := range []string{"", " --json"} {
			fmt.Fprintf(&printed, "\n$ %s%s\n", line, form)
			bootstrap.Main(strings.Fields(line+form), strings.NewReader(""), &printed, &printed)
		}
	}
	if said := printed.String(); !strings.Contains(said, "ada@example.org") || !strings.Contains(said, "users are in lodge.jsonl") {
		t.Fatalf("the commands said\n%s", said)
	}
	exported, err := os.ReadFile("lodge.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	secrets := slices.Clone(keys)
	for _, x := range s.heard.exchanges() {
		secrets = append(secrets, x.secrets()...)
	}
	known := []string{ada.name, ada.email, s.config.RPName, s.origin, "localhost", "Go-http-client", "Go-http-client/1.1"}
	secrets = slices.DeleteFunc(secrets, func(secret string) bool {
		return slices.ContainsFunc(known, func(name string) bool { return strings.EqualFold(name, secret) })
	})
	for _, leak := range leaks(printed.Bytes(), secrets) {
		t.Errorf("a command prints %s\n%s", leak, lineWith(printed.Bytes(), leak))
	}
	// What clients and authenticators said of a passkey is part of it. What opens something is not.
	opens := append(slices.Concat(keys, codes), app.secret)
	for _, secret := range secrets {
		if strings.HasPrefix(secret, "kl") || strings.Count(secret, ".") == 2 {
			opens = append(opens, secret)
		}
	}
	for _, leak := range leaks(exported, opens) {
		t.Errorf("an export has %s", leak)
	}
}

package acceptance

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

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
	if signing := signingKeysOf(t, *s.config); len(signing) != 2 {
		t.Errorf("the server has %d forms of one signing key", len(signing))
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

func lineWith(text []byte, leak string) string {
	for line := range bytes.Lines(text) {
		if len(leaks(line, []string{leak})) > 0 {
			return string(line)
		}
	}
	return ""
}

package acceptance

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/inprocess"
	"github.com/keylodge/keylodge/bootstrap/config"
)

// assertNoSecretLeaks runs at the end of every server: no secret that the server sent or received may be in its debug log, in
// both formats, in its metrics, or in the error response to the request.
func (s *server) assertNoSecretLeaks(t testing.TB, metrics []byte, cfg config.Config) {
	t.Helper()
	exchanges := s.recording.exchanges()
	var secrets []string
	for _, x := range exchanges {
		secrets = append(secrets, x.secrets()...)
		if x.response.StatusCode >= 400 {
			body := bytes.ReplaceAll(x.received, []byte("write it like ada@example.org"), nil)
			for _, leak := range findLeaks(body, x.requestSecrets()) {
				t.Errorf("the error response to %s %s repeats a secret of the request: %s\n%s", x.request.Method, x.request.URL.Path, leak, x.received)
			}
		}
	}
	secrets = append(secrets, encodedSecrets(t, cfg)...)
	secrets = slices.DeleteFunc(secrets, func(s string) bool { return s == cfg.RPName })
	for name, output := range map[string][]byte{"the log": []byte(s.log.text()), "the log as text": []byte(s.textLog.text()), "the metrics": metrics} {
		if name != "the metrics" {
			requirePrintableLines(t, name, output)
		}
		for _, leak := range findLeaks(output, secrets) {
			t.Errorf("%s has the secret %s\n%s", name, leak, lineContaining(output, leak))
		}
	}
}

func (x exchange) requestSecrets() []string {
	x.response, x.received = &http.Response{}, nil
	return x.secrets()
}

const (
	minCodeDigits   = 6 // the length of a TOTP code
	minSecretLength = 8 // of all other secrets: shorter texts may be words
)

// findLeaks returns the secrets in the text, in upper or lower case, with or without hyphens and spaces. A secret of digits
// must be a number of its own, because times and ports have digits, too.
func findLeaks(text []byte, secrets []string) (found []string) {
	normalized := []byte(normalize(string(text)))
	byPrefix := map[[minSecretLength]byte][]string{}
	for _, secret := range secrets {
		bare := normalize(secret)
		switch {
		case strings.Trim(bare, "0123456789") == "":
			if len(bare) >= minCodeDigits && isWholeNumber(text, bare) {
				found = append(found, secret)
			}
		case len(bare) >= minSecretLength:
			prefix := [minSecretLength]byte([]byte(bare))
			byPrefix[prefix] = append(byPrefix[prefix], bare)
		}
	}
	for i := 0; i+minSecretLength <= len(normalized); i++ {
		for _, bare := range byPrefix[[minSecretLength]byte(normalized[i:])] {
			if bytes.HasPrefix(normalized[i:], []byte(bare)) {
				found = append(found, bare)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

var groupSeparators = strings.NewReplacer("-", "", " ", "")

func normalize(s string) string { return groupSeparators.Replace(strings.ToLower(s)) }

// isWholeNumber reports whether the text has the digits, with or without a separator in the middle, as a number of its own. It is
// no regular expression, which would be compiled for each code and read the whole log.
func isWholeNumber(text []byte, digits string) bool {
	first, second := digits[:len(digits)/2], digits[len(digits)/2:]
	for _, separator := range []string{"", "-", " "} {
		number := []byte(first + separator + second)
		for start := 0; ; start++ {
			i := bytes.Index(text[start:], number)
			if i < 0 {
				break
			}
			start += i
			before, after := text[:start], text[start+len(number):]
			if (len(before) == 0 || !continuesNumber(before[len(before)-1], ".:+-")) && (len(after) == 0 || !continuesNumber(after[0], ".-")) {
				return true
			}
		}
	}
	return false
}

func continuesNumber(c byte, punctuation string) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' || strings.IndexByte(punctuation, c) >= 0
}

// TestLeakCheck_FindsEverySecret checks findLeaks: the listener records every kind of secret, and findLeaks finds each of them
// in a log.
// Requirement: ASVS-16.2.5
func TestLeakCheck_FindsEverySecret(t *testing.T) {
	s := startServer(t, newClock(), nil)
	e := &env{t: t, clock: newClock(), driver: httpDriver{s}}
	ada := e.person("Ada Lovelace", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	device := ada.apiDevice()
	api := device.api.(*httpAPI)
	issued := map[string]string{"cookie": api.sessionToken(), "CSRF token": api.CSRFToken(), "name": ada.name, "address": ada.email}
	codes := ada.makesBackupCodes()
	app := ada.setsUpTOTP()
	issued["app"], issued["backup code"] = app, codes[3]
	issued["code of an app"] = "490154"
	ada.requireRejected(ada.device.confirmTOTP("490154"), "invalid_code")
	appClient := &apiDevice{t: t, authenticator: device.authenticator, api: s.newAPI(t)}
	appClient.api.useBearerTokens()
	begun := appClient.mustBeginSignIn()
	issued["challenge id"] = begun.challengeID
	appClient.api.finishSignIn(begun.challengeID, appClient.getAssertion(begun)).must(t)
	pair := appClient.api.tokenPair()
	issued["access token"], issued["refresh token"] = pair.access, pair.refresh
	grant := api.reconnect().redeem(recoveryProof{backupCode: strings.ToUpper(codes[3])}).must(ada.t)
	issued["grant"] = grant

	var recorded []string
	for _, x := range s.recording.exchanges() {
		recorded = append(recorded, x.secrets()...)
	}
	for name, secret := range issued {
		for _, written := range []string{secret, strings.ToLower(secret), strings.ToUpper(secret), strings.ReplaceAll(secret, "-", ""), strings.ReplaceAll(secret, "-", " ")} {
			if found := findLeaks([]byte(`{"time":"2026-11-25T12:00:00.123456789Z","msg":"request","path":"`+written+`"}`), recorded); len(found) == 0 {
				t.Errorf("the %s is not found in the form %s", name, written)
			}
		}
	}
	if signing := signingKeySecrets(t, *s.config); len(signing) != 2 {
		t.Errorf("%d secrets of one signing key, want 2", len(signing))
	}
	for _, secret := range encodedSecrets(t, *s.config) {
		if len(findLeaks([]byte("a key: "+secret+" of the server"), encodedSecrets(t, *s.config))) == 0 {
			t.Errorf("a key of the server is not found in the form %q", secret)
		}
	}
	for _, leaking := range []string{"490154", `"490154"`, "490-154", "490 154", "0.490154 490154", "id=7490154 code=490154"} {
		if found := findLeaks([]byte("code="+leaking), []string{"490154"}); len(found) != 1 {
			t.Errorf("the code is not found in %s", leaking)
		}
	}
	for _, innocent := range []string{
		"12:00:00.490154Z", "127.0.0.1:490154", "took_ms=0.490154", "01a206fa-490154", "490154.25", "490154-01a206fa", "7490154", "4901547",
	} {
		if found := findLeaks([]byte("time="+innocent+" level=INFO"), []string{"490154"}); len(found) > 0 {
			t.Errorf("%s is found as a code", innocent)
		}
	}
}

// readMetrics returns the response of /metrics.
func (s *server) readMetrics(t testing.TB) []byte {
	t.Helper()
	listener := inprocess.Listen(t, "127.0.0.1:0")
	defer s.app.ServeOperations(listener)()
	response, err := http.Get("http://" + listener.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	metrics, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("/metrics has status %d, error %v", response.StatusCode, err)
	}
	return metrics
}

func lineContaining(text []byte, leak string) string {
	for line := range bytes.Lines(text) {
		if len(findLeaks(line, []string{leak})) > 0 {
			return string(line)
		}
	}
	return ""
}

package runbooks

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/acceptance/testkit/client"
	"github.com/keylodge/keylodge/acceptance/testkit/inprocess"
	"github.com/keylodge/keylodge/acceptance/testkit/settings"
	"github.com/keylodge/keylodge/adapters/system"
	"github.com/keylodge/keylodge/bootstrap"
	"github.com/keylodge/keylodge/bootstrap/config"
)

// situation is a deployment with a problem. It records what the operator and the users see: the log, the output of commands, and
// responses.
type situation struct {
	t        *testing.T
	blocks   []*block
	names    map[string]string       // of this deployment, by those in the blocks
	units    map[string]func() error // start services
	api      *client.Client          // of the server that was started last
	address  string
	stop     func()
	passkeys *authenticator.Authenticator

	mu   sync.Mutex
	seen bytes.Buffer
}

func (s *situation) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen.Write(p)
}

func (s *situation) output() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen.String()
}

// set makes an empty directory the working directory, and sets the settings: NAME=value without the prefix.
func (s *situation) set(lines ...string) {
	s.t.Helper()
	settings.Set(s.t, lines...)
}

// symptomTimeout is how long a test waits for a symptom, or for the end of it. Only a failing test reaches it.
const symptomTimeout = 5 * time.Minute

// failsToStart runs the server with the settings until it ends by itself.
func (s *situation) failsToStart(lines ...string) {
	s.t.Helper()
	settings.Add(s.t, lines...)
	exited := make(chan int, 1)
	go func() { exited <- bootstrap.Main(nil, strings.NewReader(""), io.Discard, s) }()
	select {
	case code := <-exited:
		if code == 0 {
			s.t.Errorf("with %q the server starts and stops", lines)
		}
	case <-time.After(symptomTimeout):
		s.t.Fatalf("with %q the server starts:\n%s", lines, s.output())
	}
}

// command runs a command of the operator with the settings.
func (s *situation) command(arguments ...string) string {
	s.t.Helper()
	var stdout bytes.Buffer
	bootstrap.Main(arguments, strings.NewReader(""), io.MultiWriter(&stdout, s), s)
	return stdout.String()
}

// start runs a server with further settings until the end of the test, or until stop is called. Its address is a free one, unless
// the settings have one; its public URL does not change.
func (s *situation) start(lines ...string) {
	s.t.Helper()
	address := "127.0.0.1:0"
	for _, line := range lines {
		if wanted, found := strings.CutPrefix(line, "LISTEN="); found {
			address = wanted
		}
	}
	listener := inprocess.Listen(s.t, address)
	address = listener.Addr().String()
	if s.passkeys != nil && os.Getenv("KEYLODGE_PUBLIC_URL") == "" {
		settings.Add(s.t, "PUBLIC_URL="+s.passkeys.Origin())
	}
	settings.Add(s.t, append([]string{"OPS_LISTEN="}, append(lines, "LISTEN="+address)...)...)
	cfg, err := config.Load()
	if err != nil {
		s.t.Fatal(err)
	}
	_, s.stop = inprocess.Start(s.t, listener, cfg, system.Clock{}, slog.New(slog.NewJSONHandler(s, nil)))
	s.address = address
	s.api = client.New("http://"+address, nil)
	s.api.OnResponse = s.record
	if s.passkeys == nil {
		s.passkeys = authenticator.New(cfg.PublicURL, authenticator.DeviceBound())
	}
}

// requireCured fails the test if the commands after each fix do not say that the server is ready.
func (s *situation) requireCured() {
	s.t.Helper()
	s.follow("systemctl restart keylodge", `"ready"`)
	s.stop()
}

// ask sends a request, in Ada's session if there is one, and records the response if it is an error.
func (s *situation) ask(method, path string, body any, header ...string) *client.Response {
	s.t.Helper()
	fields := http.Header{}
	for i := 0; i < len(header); i += 2 {
		fields.Set(header[i], header[i+1])
	}
	response, err := s.api.Do(method, path, body, fields)
	if err != nil {
		s.t.Fatal(err)
	}
	return response
}

func (s *situation) record(response *client.Response) {
	if response.StatusCode >= http.StatusBadRequest {
		_, _ = fmt.Fprintf(s, "%d\n%s\n", response.StatusCode, response.Body)
	}
}

// signUp creates the account of Ada. The server may reject the response.
func (s *situation) signUp(variations ...authenticator.Variation) {
	s.t.Helper()
	begun, err := s.api.BeginSignUp(client.SignUpOptionsRequest{DisplayName: new("Ada"), Email: new("ada@example.org")})
	if err != nil {
		s.t.Fatal(err)
	}
	credential, err := s.passkeys.Create(begun.Options, variations...)
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = s.api.FinishSignUp(client.SignUpVerifyRequest{ChallengeID: begun.ChallengeID, Credential: credential, Transport: "bearer"})
	s.requireProblem(err)
}

// signIn signs Ada in. The server may reject the response.
func (s *situation) signIn(variations ...authenticator.Variation) {
	s.t.Helper()
	begun, err := s.api.BeginSignIn(client.SignInOptionsRequest{})
	if err != nil {
		s.t.Fatal(err)
	}
	credential, err := s.passkeys.Get(begun.Options, variations...)
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = s.api.FinishSignIn(client.SignInVerifyRequest{ChallengeID: begun.ChallengeID, Credential: credential, Transport: "bearer"})
	s.requireProblem(err)
}

// recover opens the link that the operator gave Ada on a new device, and registers a passkey with it.
func (s *situation) recover(output string) {
	s.t.Helper()
	_, token, found := strings.Cut(output, "#recover=")
	if !found {
		s.t.Fatalf("no link in %q", output)
	}
	token = strings.TrimSpace(token)
	s.passkeys = authenticator.New(s.passkeys.Origin(), authenticator.DeviceBound())
	begun, err := s.api.BeginRecovery(token)
	if err != nil {
		s.t.Fatal(err)
	}
	credential, err := s.passkeys.Create(begun.Options)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.api.FinishRecovery(client.RecoveryVerifyRequest{
		SignUpVerifyRequest: client.SignUpVerifyRequest{ChallengeID: begun.ChallengeID, Credential: credential, Transport: "bearer"},
		GrantRequest:        client.GrantRequest{GrantToken: token},
	}); err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.api.BeginRecovery(token); err == nil {
		s.t.Error("the link works again")
	}
}

// requireProblem fails the test if an error is no response of the server.
func (s *situation) requireProblem(err error) {
	s.t.Helper()
	if problem := (*client.Problem)(nil); err != nil && !errors.As(err, &problem) {
		s.t.Fatal(err)
	}
}

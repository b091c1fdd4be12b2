package durability

import (
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/keylodgeserver"
)

// server is the program with its own database.
type server struct {
	*keylodgeserver.Server
	t        testing.TB
	outage   atomic.Bool  // the test prevents writes
	answered atomic.Int64 // responses that clients received
}

// newServer returns a server whose database is in the folder.
func newServer(t testing.TB, folder string, settings ...string) *server {
	t.Helper()
	s := &server{t: t, Server: keylodgeserver.New(t, keylodgeserver.Binary(t))}
	s.Folder = folder
	s.Settings = append(s.Settings,
		"KEYLODGE_DATABASE_URL=sqlite:"+s.database(), "KEYLODGE_LOG_LEVEL=error", "KEYLODGE_TRUSTED_PROXIES=127.0.0.1",
		// Nothing may expire during a test on a slow machine.
		"KEYLODGE_RATE_LIMITS=off", // hundreds of requests arrive at once
		"KEYLODGE_CHALLENGE_TTL=1h", "KEYLODGE_ACCESS_TOKEN_TTL=1h", "KEYLODGE_STEP_UP_TTL=24h")
	s.Settings = append(s.Settings, settings...)
	return s
}

func (s *server) database() string { return filepath.Join(s.Folder, "keylodge.db") }

// awaitAnswers waits until clients have received more further responses.
func (s *server) awaitAnswers(more int) {
	s.t.Helper()
	enough := s.answered.Load() + int64(more)
	for deadline := time.Now().Add(keylodgeserver.Timeout); s.answered.Load() < enough; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("%d responses are missing", enough-s.answered.Load())
		}
	}
}

package acceptance

import (
	"testing"
	"time"

	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
)

// An account has no more sessions than its limit: a further sign-in ends the least recently used one, never the one that opens.
// Requirement: ASVS-7.4.3
func TestSessionLimit(t *testing.T) {
	t.Parallel()
	for engine, open := range map[string]func(testing.TB, func(*config.Config)) func(*config.Config){"SQLite": onSQLite, "PostgreSQL": onPostgres} {
		t.Run(engine, func(t *testing.T) {
			const limit = 3
			clock := newClock()
			s := startServer(t, clock, open(t, func(c *config.Config) { c.SessionLimit = limit }))
			e := &env{t: t, clock: clock, driver: httpDriver{s}}
			ada := e.person("Ada", phone)
			ada.signsUp()
			devices := []*person{ada}
			for range limit - 1 {
				e.advance(2 * time.Minute)
				devices = append(devices, ada.onSecondDevice())
			}
			e.advance(2 * time.Minute)
			ada.requireSignedIn() // so that the second one is the least recently used
			e.driver.runJobs(t)
			e.advance(2 * time.Minute)
			newest := ada.onSecondDevice()
			newest.requireSignedIn()
			ada.requireSignedIn()
			devices[1].requireSignedOut("session_revoked")
			devices[2].requireSignedIn()
			if got := len(ada.listSessions()); got != limit {
				t.Errorf("%d sessions, want %d", got, limit)
			}
			ada.requireEvents(shownEvent{kind: "signed_in"}, shownEvent{kind: "session_revoked", reason: domain.ReasonSessionLimit}, shownEvent{kind: "signed_in"})
		})
	}
}

// Concurrent sign-ins do not exceed the limit, whether it is small or the account is near a large one.
// Requirement: ASVS-7.4.3
func TestSessionLimit_ConcurrentSignIns(t *testing.T) {
	t.Parallel()
	for engine, open := range map[string]func(testing.TB, func(*config.Config)) func(*config.Config){"SQLite": onSQLite, "PostgreSQL": onPostgres} {
		for _, limit := range []domain.SessionLimit{2, 40} {
			t.Run(engine, func(t *testing.T) {
				clock := newClock()
				s := startServer(t, clock, open(t, func(c *config.Config) { c.SessionLimit = limit }))
				e := &env{t: t, clock: clock, driver: httpDriver{s}}
				ada := e.person("Ada", phone)
				ada.signsUp()
				for range int(limit) - 2 {
					ada.onSecondDevice()
				}
				var devices []device
				for range 16 {
					devices = append(devices, ada.device.syncedDevice())
				}
				outcomes := concurrently(t, 16, func(i int) result[shownUser] { return devices[i].signIn("") })
				if outcomes[""] != 16 {
					t.Fatalf("sixteen sign-ins at once: %v", outcomes)
				}
				last := ada.onSecondDevice()
				if got := len(last.listSessions()); got != int(limit) {
					t.Errorf("%d sessions, want %d", got, limit)
				}
			})
		}
	}
}

func onSQLite(_ testing.TB, configure func(*config.Config)) func(*config.Config) {
	return configure
}

package acceptance

import (
	"testing"
	"time"

	"github.com/keylodge/keylodge/bootstrap"
	"github.com/keylodge/keylodge/domain"
)

// An account has no more sessions than its limit: a further sign-in ends the least recently used one, never the one that opens.
func TestSessionLimit(t *testing.T) {
	for engine, open := range map[string]func(testing.TB, func(*bootstrap.Config)) func(*bootstrap.Config){"SQLite": onSQLite, "PostgreSQL": onPostgres} {
		t.Run(engine, func(t *testing.T) {
			const limit = 3
			clock := newClock()
			s := startServer(t, clock, open(t, func(c *bootstrap.Config) { c.SessionLimit = limit }))
			l := &lodge{t: t, clock: clock, door: httpDoor{s}}
			ada := l.person("Ada", phone)
			ada.signsUp()
			devices := []*person{ada}
			for range limit - 1 {
				l.waits(2 * time.Minute)
				devices = append(devices, ada.elsewhere())
			}
			l.waits(2 * time.Minute)
			ada.isSignedIn() // so that the second one is the least recently used
			l.door.settle(t)
			l.waits(2 * time.Minute)
			newest := ada.elsewhere()
			newest.isSignedIn()
			ada.isSignedIn()
			devices[1].isAskedToSignIn("session_revoked")
			devices[2].isSignedIn()
			if got := len(ada.seesSessions()); got != limit {
				t.Errorf("%d sessions, want %d", got, limit)
			}
			ada.seesEvents(shownEvent{kind: "signed_in"}, shownEvent{kind: "session_revoked", reason: domain.ReasonSessionLimit}, shownEvent{kind: "signed_in"})
		})
	}
}

// Sign-ins at the same moment do not exceed it together, whether the limit is small or the account near a large one.
func TestSessionLimit_ofParallelSignIns(t *testing.T) {
	for engine, open := range map[string]func(testing.TB, func(*bootstrap.Config)) func(*bootstrap.Config){"SQLite": onSQLite, "PostgreSQL": onPostgres} {
		for _, limit := range []domain.SessionLimit{2, 40} {
			t.Run(engine, func(t *testing.T) {
				clock := newClock()
				s := startServer(t, clock, open(t, func(c *bootstrap.Config) { c.SessionLimit = limit }))
				l := &lodge{t: t, clock: clock, door: httpDoor{s}}
				ada := l.person("Ada", phone)
				ada.signsUp()
				for range int(limit) - 2 {
					ada.elsewhere()
				}
				var twins []client
				for range 16 {
					twins = append(twins, ada.device.twin())
				}
				outcomes := atOnce(16, func(i int) refusal {
					_, refused := twins[i].signIn("")
					return refused
				})
				if outcomes[""] != 16 {
					t.Fatalf("sixteen sign-ins at once: %v", outcomes)
				}
				last := ada.elsewhere()
				if got := len(last.seesSessions()); got != int(limit) {
					t.Errorf("%d sessions, want %d", got, limit)
				}
			})
		}
	}
}

func onSQLite(_ testing.TB, adjust func(*bootstrap.Config)) func(*bootstrap.Config) { return adjust }

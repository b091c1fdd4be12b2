package acceptance

import (
	"testing"
	"time"

	"github.com/keylodge/keylodge/bootstrap"
	"github.com/keylodge/keylodge/domain"
)

// NIST SP 800-63B-4, section 2.2.3, wants a person to prove themselves again after so long, used or not. An installation that
// is held to it says so in two settings.
func TestTheSettingsThatMeetNIST(t *testing.T) {
	for name, want := range map[string]domain.SessionLifetime{
		"AAL2": {TTL: 24 * time.Hour, IdleTTL: time.Hour},
		"AAL3": {TTL: 12 * time.Hour, IdleTTL: 15 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			clock := newClock()
			l := &lodge{t: t, clock: clock, door: httpDoor{startServer(t, clock, func(c *bootstrap.Config) { c.Sessions = want })}}
			ada, ben := l.person("Ada", phone), l.person("Ben", phone)
			program := l.program("Ada")
			for _, p := range []*person{ada, ben, program} {
				p.signsUp()
			}
			held := program.script().connection.keepsTokens()
			const beforeItsEnd = time.Minute
			for used := time.Duration(0); used+want.IdleTTL-beforeItsEnd < want.TTL; used += want.IdleTTL - beforeItsEnd {
				l.waits(want.IdleTTL - beforeItsEnd)
				ada.isSignedIn() // who is busy
				program.refreshes()
				if used == 0 {
					ben.isSignedIn()
				}
			}
			ben.isAskedToSignIn("session_expired") // who has long gone for lunch
			l.waits(want.TTL)
			ada.isAskedToSignIn("session_expired")
			connection := program.script().connection
			program.mayNot(second(connection.refreshWith(connection.keepsTokens().refresh)), "session_expired")
			program.mayNot(second(connection.refreshWith(held.refresh)), "session_expired")
			ada.signsIn()
		})
	}
}

func TestASessionThatIsUsedEndsAtTheHour(t *testing.T) {
	clock := newClock()
	l := &lodge{t: t, clock: clock, door: httpDoor{startServer(t, clock, func(c *bootstrap.Config) {
		c.Sessions = domain.SessionLifetime{TTL: 24 * time.Hour, IdleTTL: time.Hour}
	})}}
	ada := l.person("Ada", phone)
	ada.signsUp()
	for range 47 {
		l.waits(30 * time.Minute)
		ada.isSignedIn()
	}
	l.waits(30*time.Minute - time.Second)
	ada.isSignedIn()
	l.waits(time.Second)
	ada.isAskedToSignIn("session_expired")
}

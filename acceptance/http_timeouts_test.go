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
			const beforeItsEnd = time.Minute
			ben := l.person("Ben", phone)
			ben.signsUp()
			laptop := ben.elsewhere()
			l.waits(want.IdleTTL - beforeItsEnd)
			ben.isSignedIn()
			l.waits(beforeItsEnd)
			laptop.isAskedToSignIn("session_expired") // which nobody has used since

			ada, program := l.person("Ada", phone), l.program("Ada")
			ada.signsUp()
			program.signsUp()
			held := program.script().connection.keepsTokens()
			for used := time.Duration(0); used+want.IdleTTL-beforeItsEnd < want.TTL; used += want.IdleTTL - beforeItsEnd {
				l.waits(want.IdleTTL - beforeItsEnd)
				ada.isSignedIn() // who is busy
				program.refreshes()
			}
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

package acceptance

import (
	"testing"
	"time"

	"github.com/keylodge/keylodge/bootstrap"
	"github.com/keylodge/keylodge/domain"
)

// NIST SP 800-63B-4, section 2.2.3, wants a person to prove themselves again after so long, used or not. An installation that
// is held to it says so in two settings.
func TestSessionLifetime_NISTSettings(t *testing.T) {
	for name, want := range map[string]domain.SessionLifetime{
		"AAL2": {TTL: 24 * time.Hour, IdleTTL: time.Hour},
		"AAL3": {TTL: 12 * time.Hour, IdleTTL: 15 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			clock := newClock()
			l := &env{t: t, clock: clock, driver: httpDriver{startServer(t, clock, func(c *bootstrap.Config) { c.Sessions = want })}}
			const beforeItsEnd = time.Minute
			ben := l.person("Ben", phone)
			ben.signsUp()
			laptop := ben.onSecondDevice()
			l.advance(want.IdleTTL - beforeItsEnd)
			ben.requireSignedIn()
			l.advance(beforeItsEnd)
			laptop.requireSignedOut("session_expired") // which nobody has used since

			ada, program := l.person("Ada", phone), l.appClient("Ada")
			ada.signsUp()
			program.signsUp()
			held := program.apiDevice().api.tokenPair()
			for used := time.Duration(0); used+want.IdleTTL-beforeItsEnd < want.TTL; used += want.IdleTTL - beforeItsEnd {
				l.advance(want.IdleTTL - beforeItsEnd)
				ada.requireSignedIn() // who is busy
				program.refreshes()
			}
			l.advance(want.TTL)
			ada.requireSignedOut("session_expired")
			connection := program.apiDevice().api
			program.requireRejected(onlyRejection(connection.refresh(connection.tokenPair().refresh)), "session_expired")
			program.requireRejected(onlyRejection(connection.refresh(held.refresh)), "session_expired")
			ada.signsIn()
		})
	}
}

func TestSessionLifetime_ActiveSessionEndsAtMaxAge(t *testing.T) {
	clock := newClock()
	l := &env{t: t, clock: clock, driver: httpDriver{startServer(t, clock, func(c *bootstrap.Config) {
		c.Sessions = domain.SessionLifetime{TTL: 24 * time.Hour, IdleTTL: time.Hour}
	})}}
	ada := l.person("Ada", phone)
	ada.signsUp()
	for range 47 {
		l.advance(30 * time.Minute)
		ada.requireSignedIn()
	}
	l.advance(30*time.Minute - time.Second)
	ada.requireSignedIn()
	l.advance(time.Second)
	ada.requireSignedOut("session_expired")
}

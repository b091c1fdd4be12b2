package acceptance

import (
	"testing"
	"time"

	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
)

// NIST SP 800-63B-4, section 2.2.3, requires reauthentication after a total and an idle time. Two settings implement it.
// Requirement: NIST-2.2.3
func TestSessionLifetime_NISTSettings(t *testing.T) {
	for name, want := range map[string]domain.SessionLifetime{
		"AAL2": {TTL: 24 * time.Hour, IdleTTL: time.Hour},
		"AAL3": {TTL: 12 * time.Hour, IdleTTL: 15 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			clock := newClock()
			e := &env{t: t, clock: clock, driver: httpDriver{startServer(t, clock, func(c *config.Config) { c.Sessions = want })}}
			const margin = time.Minute
			ben := e.person("Ben", phone)
			ben.signsUp()
			laptop := ben.onSecondDevice()
			e.advance(want.IdleTTL - margin)
			ben.requireSignedIn()
			e.advance(margin)
			laptop.requireSignedOut("session_expired") // idle since its sign-in

			ada, appClient := e.person("Ada", phone), e.appClient("Ada")
			ada.signsUp()
			appClient.signsUp()
			tokens := appClient.apiDevice().api.tokenPair()
			for used := time.Duration(0); used+want.IdleTTL-margin < want.TTL; used += want.IdleTTL - margin {
				e.advance(want.IdleTTL - margin)
				ada.requireSignedIn() // this use restarts the idle time
				appClient.refreshes()
			}
			e.advance(want.TTL)
			ada.requireSignedOut("session_expired")
			api := appClient.apiDevice().api
			appClient.requireRejected(api.refresh(api.tokenPair().refresh), "session_expired")
			appClient.requireRejected(api.refresh(tokens.refresh), "session_expired")
			ada.signsIn()
		})
	}
}

// Requirement: NIST-2.2.3
func TestSessionLifetime_ActiveSessionEndsAtMaxAge(t *testing.T) {
	clock := newClock()
	e := &env{t: t, clock: clock, driver: httpDriver{startServer(t, clock, func(c *config.Config) {
		c.Sessions = domain.SessionLifetime{TTL: 24 * time.Hour, IdleTTL: time.Hour}
	})}}
	ada := e.person("Ada", phone)
	ada.signsUp()
	for range 47 {
		e.advance(30 * time.Minute)
		ada.requireSignedIn()
	}
	e.advance(30*time.Minute - time.Second)
	ada.requireSignedIn()
	e.advance(time.Second)
	ada.requireSignedOut("session_expired")
}

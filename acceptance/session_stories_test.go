package acceptance

import "time"

const day = 24 * time.Hour

func aSessionEndsIdle(e *env) {
	ada := e.person("Ada", phone)
	ada.signsUp()
	e.advance(6 * day)
	ada.requireSignedIn()
	e.advance(6 * day)
	ada.requireSignedIn()
	e.advance(8 * day)
	ada.requireSignedOut("session_expired")
	ada.signsIn()
}

func aSessionEndsAtItsMaxAge(e *env) {
	ada := e.person("Ada", phone)
	ada.signsUp()
	for range 5 {
		e.advance(5*day + 23*time.Hour)
		ada.requireSignedIn()
	}
	e.advance(5 * time.Hour)
	ada.requireSignedOut("session_expired")
}

func signingInReplacesTheSession(e *env) {
	ada := e.person("Ada", phone)
	ada.signsUp()
	before := ada.apiDevice().api.sessionToken()
	ada.signsIn()
	ada.requireSignedIn()
	now := ada.apiDevice().api.sessionToken()
	ada.apiDevice().api.setSessionToken(before)
	ada.requireSignedOut("session_revoked")
	ada.apiDevice().api.setSessionToken(now)
	ada.requireSignedIn()
	ada.signsOut()
	ada.apiDevice().api.setSessionToken(now)
	ada.requireSignedOut("session_revoked")
}

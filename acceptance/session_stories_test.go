package acceptance

import "time"

const day = 24 * time.Hour

func aSessionEndsIdle(l *env) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	l.advance(6 * day)
	ada.requireSignedIn()
	l.advance(6 * day)
	ada.requireSignedIn()
	l.advance(8 * day)
	ada.requireSignedOut("session_expired")
	ada.signsIn()
}

func aSessionEndsAtItsMaxAge(l *env) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	for range 5 {
		l.advance(5*day + 23*time.Hour)
		ada.requireSignedIn()
	}
	l.advance(5 * time.Hour)
	ada.requireSignedOut("session_expired")
}

func signingInReplacesTheSession(l *env) {
	ada := l.person("Ada", phone)
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

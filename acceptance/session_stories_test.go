package acceptance

import "time"

const day = 24 * time.Hour

func aSessionEndsIdle(l *lodge) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	l.waits(6 * day)
	ada.isSignedIn()
	l.waits(6 * day)
	ada.isSignedIn()
	l.waits(8 * day)
	ada.isAskedToSignIn("session_expired")
	ada.signsIn()
}

func aSessionEndsOld(l *lodge) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	for range 5 {
		l.waits(5*day + 23*time.Hour)
		ada.isSignedIn()
	}
	l.waits(5 * time.Hour)
	ada.isAskedToSignIn("session_expired")
}

func signingInReplacesTheSession(l *lodge) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	before := ada.script().connection.keepsToken()
	ada.signsIn()
	ada.isSignedIn()
	now := ada.script().connection.keepsToken()
	ada.script().connection.bringsToken(before)
	ada.isAskedToSignIn("session_revoked")
	ada.script().connection.bringsToken(now)
	ada.isSignedIn()
	ada.signsOut()
	ada.script().connection.bringsToken(now)
	ada.isAskedToSignIn("session_revoked")
}

package acceptance

import (
	"time"

	"github.com/keylodge/keylodge/bootstrap"
	"github.com/keylodge/keylodge/domain"
)

func addsAPasskey(l *env) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	ada.requirePasskeys("")
	ada.addsPasskey("Blue key", securityKey)
	ada.requirePasskeys("", "Blue key")
	ada.requireEvents(shownEvent{kind: "passkey_added"}, shownEvent{kind: "signed_up"})
	ada.signsOut()
	ada.signsIn()
	ada.requireSignedIn()
}

func renamesAPasskey(l *env) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	key := ada.addsPasskey("Blue key", securityKey)
	ada.requireOK(ada.device.renamePasskey(key.id, " Red key "))
	ada.requirePasskeys("", "Red key")
	ada.requireRejected(ada.device.renamePasskey(key.id, "one\u202eeno"), "invalid_request")
	ada.requirePasskeys("", "Red key")
	ada.requireOK(ada.device.renamePasskey(key.id, ""))
	ada.requirePasskeys("", "")
	ada.requireEvents(shownEvent{kind: "passkey_renamed"}, shownEvent{kind: "passkey_renamed"}, shownEvent{kind: "passkey_added"})
}

func deletesAPasskey(l *env) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	laptop := ada.onSecondDevice()
	first := ada.listPasskeys()[0]
	ada.addsPasskey("Blue key", securityKey)
	ada.requireOK(ada.device.removePasskey(first.id))
	ada.requirePasskeys("Blue key")
	ada.requireSignedIn()
	laptop.requireSignedOut("session_revoked") // what the lost passkey opened is closed with it
	if device, isScript := laptop.device.(*apiDevice); isScript {
		device.api = device.api.reconnect()
		laptop.requireSignInRejected("passkey_unknown", "")
	}
	ada.requireEvents(shownEvent{"session_revoked", "passkey_removed"}, shownEvent{kind: "passkey_removed"}, shownEvent{kind: "passkey_added"})
	ada.signsOut()
	ada.signsIn()
}

func cannotRemoveTheLastPasskey(l *env) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	only := ada.listPasskeys()[0]
	ada.requireRejected(ada.device.removePasskey(only.id), "last_passkey")
	ada.requirePasskeys("")
	second := ada.addsPasskey("Blue key", securityKey)
	ada.requireOK(ada.device.removePasskey(only.id))
	ada.requireRejected(ada.device.removePasskey(second.id), "last_passkey")
	ada.requirePasskeys("Blue key")
}

func onePasskeyPerAuthenticator(l *env) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	ada.requireRejected(ada.device.addPasskey("Again"), "InvalidStateError")
	ada.requirePasskeys("")
}

func twoPasskeysAtMost(c *bootstrap.Config) { c.PasskeyLimit = 2 }

func reachesThePasskeyLimit(l *env) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	ada.addsPasskey("Blue key", securityKey)
	ada.device.useAuthenticator(phone)
	ada.requireRejected(ada.device.addPasskey("One too many"), "passkey_limit_reached")
	ada.requirePasskeys("", "Blue key")
}

func stepsUpForSensitiveActions(l *env) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	l.advance(10 * time.Minute)
	ada.addsPasskey("Blue key", securityKey) // ten minutes are fresh
	blue := ada.passkeyNamed("Blue key")
	l.advance(time.Minute)
	if device, isScript := ada.device.(*apiDevice); isScript {
		ada.requireRejected(ada.device.removePasskey(blue.id), "step_up_required")
		ada.requireRejected(ada.device.deleteAccount(), "step_up_required")
		ada.requireRejected(onlyRejection(device.api.beginAddPasskey()), "step_up_required")
		ada.requireRejected(onlyRejection(device.setUpTOTP()), "step_up_required")
		ada.requireRejected(device.removeTOTP(), "step_up_required")
		ada.requireRejected(onlyRejection(device.makeBackupCodes()), "step_up_required")
		ada.requirePasskeys("", "Blue key")
	}
	ada.stepsUp()
	ada.requireOK(ada.device.removePasskey(ada.listPasskeys()[0].id))
	ada.requirePasskeys("Blue key")
	if _, isScript := ada.device.(*apiDevice); isScript {
		ada.requireEvents(shownEvent{kind: "passkey_removed"}, shownEvent{kind: "stepped_up"}, shownEvent{kind: "passkey_added"})
		l.advance(10*time.Minute + time.Microsecond)
		ada.requireRejected(ada.device.deleteAccount(), "step_up_required")
	}
}

// stepUpRotatesTheToken: the session stays, and what a thief may have copied before opens it no longer.
func stepUpRotatesTheToken(l *env) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	device := ada.apiDevice()
	before, sessions := device.api.sessionToken(), ada.listSessions()
	l.advance(time.Hour)
	ada.requireOK(device.stepUp())
	if now := ada.listSessions(); len(now) != 1 || now[0] != sessions[0] {
		l.t.Fatalf("the session was %+v and is %+v", sessions, now)
	}
	after := device.api.sessionToken()
	if after == before {
		l.t.Fatal("whoever copied the session's token is as fresh as its owner")
	}
	device.api.setSessionToken(before)
	ada.requireSignedOut("unauthenticated")
	ada.requireRejected(ada.device.deleteAccount(), "unauthenticated")
	device.api.setSessionToken(after)
	ada.requireOK(ada.device.deleteAccount())
}

func stepUpIsBoundToItsSession(l *env) {
	ada, ben := l.person("Ada", phone), l.person("Ben", phone)
	ada.signsUp()
	ben.signsUp()
	laptop := ada.onSecondDevice()
	l.advance(time.Hour)
	adas, bens := ada.apiDevice(), ben.apiDevice()
	step := func(s *apiDevice) pendingCeremony {
		begun, refused := s.api.beginStepUp()
		ada.requireOK(refused)
		return begun
	}
	notFresh := func() {
		l.t.Helper()
		ada.requireRejected(ada.device.deleteAccount(), "step_up_required")
	}

	// Another session's challenge, though the passkey is the right one.
	begun := step(laptop.apiDevice())
	ada.requireRejected(adas.api.finishStepUp(begun.challengeID, adas.getAssertion(begun)), "challenge_not_found")
	notFresh()

	// A sign-in's challenge, and a step-up's to sign in.
	begun = adas.mustBeginSignIn()
	ada.requireRejected(adas.api.finishStepUp(begun.challengeID, adas.getAssertion(begun)), "challenge_not_found")
	begun = step(adas)
	ada.requireRejected(onlyRejection(adas.api.finishSignIn(begun.challengeID, adas.getAssertion(begun))), "challenge_not_found")
	notFresh()

	// Another person's passkey.
	begun = step(adas)
	answer, err := bens.authenticator.Get(dropAllowCredentials(l, begun.options))
	if err != nil {
		l.t.Fatal(err)
	}
	ada.requireRejected(adas.api.finishStepUp(begun.challengeID, answer), "passkey_unknown")
	notFresh()

	// A bad answer spends the challenge and stands in the log.
	begun = step(adas)
	ada.requireRejected(adas.api.finishStepUp(begun.challengeID, adas.getAssertion(begun, badSignature)), "passkey_rejected")
	ada.requireRejected(adas.api.finishStepUp(begun.challengeID, adas.getAssertion(begun)), "challenge_not_found")
	notFresh()
	ada.requireEvents(shownEvent{"step_up_refused", string(domain.ReasonSignatureInvalid)})

	// Fresh in one session is fresh in that one.
	ada.requireOK(laptop.apiDevice().stepUp())
	notFresh()
	ada.requireOK(adas.stepUp())
	ada.requireOK(ada.device.deleteAccount())
}

func addedPasskeyIsBoundToItsSession(l *env) {
	ada, ben := l.person("Ada", phone), l.person("Ben", phone)
	ada.signsUp()
	ben.signsUp()
	adas, bens := ada.apiDevice(), ben.apiDevice()
	begun, refused := bens.api.beginAddPasskey()
	ben.requireOK(refused)
	adas.useAuthenticator(phone)
	made := adas.makeCredential(begun)
	ada.requireRejected(adas.api.finishAddPasskey(begun.challengeID, "", made), "challenge_not_found")
	ben.requireRejected(bens.api.finishAddPasskey(begun.challengeID, "", made), "challenge_not_found") // spent
	ada.requirePasskeys("")
	ben.requirePasskeys("")

	begun, refused = adas.api.beginAddPasskey()
	ada.requireOK(refused)
	ada.requireRejected(adas.api.finishAddPasskey(begun.challengeID, "", adas.makeCredential(begun, otherOrigin)), "passkey_rejected")
	ada.requireEvents(shownEvent{"passkey_add_refused", string(domain.ReasonOriginNotAllowed)})
	ada.requirePasskeys("")
}

func lastPasskeysAreDeletedConcurrently(l *env) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	ada.addsPasskey("Blue key", securityKey)
	keys := ada.listPasskeys()
	outcomes := concurrently(16, func(i int) rejection { return ada.device.removePasskey(keys[i%2].id) })
	if outcomes[""] != 1 || outcomes["last_passkey"]+outcomes["not_found"] != 15 {
		l.t.Fatalf("deleting two passkeys sixteen times at once: %v", outcomes)
	}
	if left := ada.listPasskeys(); len(left) != 1 {
		l.t.Fatalf("left are %+v", left)
	}
}

func passkeyLimitIsReachedConcurrently(l *env) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	device := ada.apiDevice()
	type made struct {
		id     string
		answer func() rejection
	}
	var all []made
	for range 16 {
		begun, refused := device.api.beginAddPasskey()
		ada.requireOK(refused)
		device.useAuthenticator(phone)
		answer := device.makeCredential(begun)
		all = append(all, made{begun.challengeID, func() rejection { return device.api.finishAddPasskey(begun.challengeID, "", answer) }})
	}
	outcomes := concurrently(16, func(i int) rejection { return all[i].answer() })
	if outcomes[""] != 1 || outcomes["passkey_limit_reached"] != 15 {
		l.t.Fatalf("sixteen who want the last place at once: %v", outcomes)
	}
	ada.requirePasskeys("", "")
}

func deletesASuspendedPasskey(l *env) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	atHand := ada.apiDevice().authenticator
	ada.addsPasskey("Blue key", securityKey)
	ada.signsOut()
	for range 3 {
		ada.signsIn()
		ada.signsOut()
	}
	ada.requireSignInRejected("passkey_rejected", domain.ReasonCounterRegressed, forgedSignCount(1))
	ada.requireSignInRejected("passkey_suspended", "")

	ada.apiDevice().authenticator = atHand
	ada.signsIn()
	ada.requireEvents(shownEvent{kind: "signed_in"},
		shownEvent{"sign_in_refused", "passkey_suspended"},
		shownEvent{"sign_in_refused", "counter_regressed"},
		shownEvent{"passkey_suspended", "counter_regressed"})
	if key := ada.passkeyNamed("Blue key"); key.status != "suspended" {
		l.t.Fatalf("%+v", key)
	}
	only := ada.passkeyNamed("")
	ada.requireRejected(ada.device.removePasskey(only.id), "last_passkey") // a suspended one opens nothing
	ada.requireOK(ada.device.removePasskey(ada.passkeyNamed("Blue key").id))
	ada.requirePasskeys("")
}

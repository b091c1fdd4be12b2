package acceptance

import (
	"time"

	"github.com/keylodge/keylodge/bootstrap"
	"github.com/keylodge/keylodge/domain"
)

func addsAPasskey(l *lodge) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	ada.hasPasskeys("")
	ada.addsPasskey("Blue key", securityKey)
	ada.hasPasskeys("", "Blue key")
	ada.seesEvents(shownEvent{kind: "passkey_added"}, shownEvent{kind: "signed_up"})
	ada.signsOut()
	ada.signsIn()
	ada.isSignedIn()
}

func renamesAPasskey(l *lodge) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	key := ada.addsPasskey("Blue key", securityKey)
	ada.may(ada.device.renamePasskey(key.id, " Red key "))
	ada.hasPasskeys("", "Red key")
	ada.mayNot(ada.device.renamePasskey(key.id, "one\u202eeno"), "invalid_request")
	ada.hasPasskeys("", "Red key")
	ada.may(ada.device.renamePasskey(key.id, ""))
	ada.hasPasskeys("", "")
	ada.seesEvents(shownEvent{kind: "passkey_renamed"}, shownEvent{kind: "passkey_renamed"}, shownEvent{kind: "passkey_added"})
}

func deletesAPasskey(l *lodge) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	laptop := ada.elsewhere()
	first := ada.seesPasskeys()[0]
	ada.addsPasskey("Blue key", securityKey)
	ada.may(ada.device.removePasskey(first.id))
	ada.hasPasskeys("Blue key")
	ada.isSignedIn()
	laptop.isAskedToSignIn("session_revoked") // what the lost passkey opened is closed with it
	if device, isScript := laptop.device.(*script); isScript {
		device.connection = device.connection.anew()
		laptop.isRefusedSignIn("passkey_unknown", "")
	}
	ada.seesEvents(shownEvent{"session_revoked", "passkey_removed"}, shownEvent{kind: "passkey_removed"}, shownEvent{kind: "passkey_added"})
	ada.signsOut()
	ada.signsIn()
}

func keepsTheLastPasskey(l *lodge) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	only := ada.seesPasskeys()[0]
	ada.mayNot(ada.device.removePasskey(only.id), "last_passkey")
	ada.hasPasskeys("")
	second := ada.addsPasskey("Blue key", securityKey)
	ada.may(ada.device.removePasskey(only.id))
	ada.mayNot(ada.device.removePasskey(second.id), "last_passkey")
	ada.hasPasskeys("Blue key")
}

func addsOneWhereOneIs(l *lodge) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	ada.mayNot(ada.device.addPasskey("Again"), "InvalidStateError")
	ada.hasPasskeys("")
}

func twoPasskeysAtMost(c *bootstrap.Config) { c.PasskeyLimit = 2 }

func reachesTheLimit(l *lodge) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	ada.addsPasskey("Blue key", securityKey)
	ada.device.takes(phone)
	ada.mayNot(ada.device.addPasskey("One too many"), "passkey_limit_reached")
	ada.hasPasskeys("", "Blue key")
}

func stepsUpForWhatIsSensitive(l *lodge) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	l.waits(10 * time.Minute)
	ada.addsPasskey("Blue key", securityKey) // ten minutes are fresh
	blue := ada.passkeyCalled("Blue key")
	l.waits(time.Minute)
	if device, isScript := ada.device.(*script); isScript {
		ada.mayNot(ada.device.removePasskey(blue.id), "step_up_required")
		ada.mayNot(ada.device.deleteAccount(), "step_up_required")
		ada.mayNot(second(device.connection.beginAddPasskey()), "step_up_required")
		ada.mayNot(second(device.setUpTOTP()), "step_up_required")
		ada.mayNot(device.removeTOTP(), "step_up_required")
		ada.mayNot(second(device.makeBackupCodes()), "step_up_required")
		ada.hasPasskeys("", "Blue key")
	}
	ada.stepsUp()
	ada.may(ada.device.removePasskey(ada.seesPasskeys()[0].id))
	ada.hasPasskeys("Blue key")
	if _, isScript := ada.device.(*script); isScript {
		ada.seesEvents(shownEvent{kind: "passkey_removed"}, shownEvent{kind: "stepped_up"}, shownEvent{kind: "passkey_added"})
		l.waits(10*time.Minute + time.Microsecond)
		ada.mayNot(ada.device.deleteAccount(), "step_up_required")
	}
}

// stepUpRenewsTheToken: the session stays, and what a thief may have copied before opens it no longer.
func stepUpRenewsTheToken(l *lodge) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	device := ada.script()
	before, sessions := device.connection.keepsToken(), ada.seesSessions()
	l.waits(time.Hour)
	ada.may(device.stepUp())
	if now := ada.seesSessions(); len(now) != 1 || now[0] != sessions[0] {
		l.t.Fatalf("the session was %+v and is %+v", sessions, now)
	}
	after := device.connection.keepsToken()
	if after == before {
		l.t.Fatal("whoever copied the session's token is as fresh as its owner")
	}
	device.connection.bringsToken(before)
	ada.isAskedToSignIn("unauthenticated")
	ada.mayNot(ada.device.deleteAccount(), "unauthenticated")
	device.connection.bringsToken(after)
	ada.may(ada.device.deleteAccount())
}

func stepUpIsNotBorrowed(l *lodge) {
	ada, ben := l.person("Ada", phone), l.person("Ben", phone)
	ada.signsUp()
	ben.signsUp()
	laptop := ada.elsewhere()
	l.waits(time.Hour)
	adas, bens := ada.script(), ben.script()
	step := func(s *script) attempt {
		begun, refused := s.connection.beginStepUp()
		ada.may(refused)
		return begun
	}
	notFresh := func() {
		l.t.Helper()
		ada.mayNot(ada.device.deleteAccount(), "step_up_required")
	}

	// Another session's challenge, though the passkey is the right one.
	begun := step(laptop.script())
	ada.mayNot(adas.connection.finishStepUp(begun.challengeID, adas.answers(begun)), "challenge_not_found")
	notFresh()

	// A sign-in's challenge, and a step-up's to sign in.
	begun = adas.beginsSignIn()
	ada.mayNot(adas.connection.finishStepUp(begun.challengeID, adas.answers(begun)), "challenge_not_found")
	begun = step(adas)
	ada.mayNot(second(adas.connection.finishSignIn(begun.challengeID, adas.answers(begun))), "challenge_not_found")
	notFresh()

	// Another person's passkey.
	begun = step(adas)
	answer, err := bens.authenticator.Get(authenticatorOptionsWithout(l, begun.options))
	if err != nil {
		l.t.Fatal(err)
	}
	ada.mayNot(adas.connection.finishStepUp(begun.challengeID, answer), "passkey_unknown")
	notFresh()

	// A bad answer spends the challenge and stands in the log.
	begun = step(adas)
	ada.mayNot(adas.connection.finishStepUp(begun.challengeID, adas.answers(begun, badSignature)), "passkey_rejected")
	ada.mayNot(adas.connection.finishStepUp(begun.challengeID, adas.answers(begun)), "challenge_not_found")
	notFresh()
	ada.seesEvents(shownEvent{"step_up_refused", string(domain.ReasonSignatureInvalid)})

	// Fresh in one session is fresh in that one.
	ada.may(laptop.script().stepUp())
	notFresh()
	ada.may(adas.stepUp())
	ada.may(ada.device.deleteAccount())
}

func aPasskeyIsAddedInItsOwnSession(l *lodge) {
	ada, ben := l.person("Ada", phone), l.person("Ben", phone)
	ada.signsUp()
	ben.signsUp()
	adas, bens := ada.script(), ben.script()
	begun, refused := bens.connection.beginAddPasskey()
	ben.may(refused)
	adas.takes(phone)
	made := adas.makes(begun)
	ada.mayNot(adas.connection.finishAddPasskey(begun.challengeID, "", made), "challenge_not_found")
	ben.mayNot(bens.connection.finishAddPasskey(begun.challengeID, "", made), "challenge_not_found") // spent
	ada.hasPasskeys("")
	ben.hasPasskeys("")

	begun, refused = adas.connection.beginAddPasskey()
	ada.may(refused)
	ada.mayNot(adas.connection.finishAddPasskey(begun.challengeID, "", adas.makes(begun, otherOrigin)), "passkey_rejected")
	ada.seesEvents(shownEvent{"passkey_add_refused", string(domain.ReasonOriginNotAllowed)})
	ada.hasPasskeys("")
}

func theLastPasskeyIsDeletedTwiceAtOnce(l *lodge) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	ada.addsPasskey("Blue key", securityKey)
	keys := ada.seesPasskeys()
	outcomes := atOnce(16, func(i int) refusal { return ada.device.removePasskey(keys[i%2].id) })
	if outcomes[""] != 1 || outcomes["last_passkey"]+outcomes["not_found"] != 15 {
		l.t.Fatalf("deleting two passkeys sixteen times at once: %v", outcomes)
	}
	if left := ada.seesPasskeys(); len(left) != 1 {
		l.t.Fatalf("left are %+v", left)
	}
}

func theLimitIsReachedTwiceAtOnce(l *lodge) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	device := ada.script()
	type made struct {
		id     string
		answer func() refusal
	}
	var all []made
	for range 16 {
		begun, refused := device.connection.beginAddPasskey()
		ada.may(refused)
		device.takes(phone)
		answer := device.makes(begun)
		all = append(all, made{begun.challengeID, func() refusal { return device.connection.finishAddPasskey(begun.challengeID, "", answer) }})
	}
	outcomes := atOnce(16, func(i int) refusal { return all[i].answer() })
	if outcomes[""] != 1 || outcomes["passkey_limit_reached"] != 15 {
		l.t.Fatalf("sixteen who want the last place at once: %v", outcomes)
	}
	ada.hasPasskeys("", "")
}

func ownsASuspendedPasskey(l *lodge) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	atHand := ada.script().authenticator
	ada.addsPasskey("Blue key", securityKey)
	ada.signsOut()
	for range 3 {
		ada.signsIn()
		ada.signsOut()
	}
	ada.isRefusedSignIn("passkey_rejected", domain.ReasonCounterRegressed, countsBackTo(1))
	ada.isRefusedSignIn("passkey_suspended", "")

	ada.script().authenticator = atHand
	ada.signsIn()
	ada.seesEvents(shownEvent{kind: "signed_in"},
		shownEvent{"sign_in_refused", "passkey_suspended"},
		shownEvent{"sign_in_refused", "counter_regressed"},
		shownEvent{"passkey_suspended", "counter_regressed"})
	if key := ada.passkeyCalled("Blue key"); key.status != "suspended" {
		l.t.Fatalf("%+v", key)
	}
	only := ada.passkeyCalled("")
	ada.mayNot(ada.device.removePasskey(only.id), "last_passkey") // a suspended one opens nothing
	ada.may(ada.device.removePasskey(ada.passkeyCalled("Blue key").id))
	ada.hasPasskeys("")
}

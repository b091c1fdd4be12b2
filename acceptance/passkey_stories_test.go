package acceptance

import (
	"time"

	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
)

func addsAPasskey(e *env) {
	ada := e.person("Ada", phone)
	ada.signsUp()
	ada.requirePasskeys("")
	ada.addsPasskey("Blue key", securityKey)
	ada.requirePasskeys("", "Blue key")
	ada.requireEvents(shownEvent{kind: "passkey_added"}, shownEvent{kind: "signed_up"})
	ada.signsOut()
	ada.signsIn()
	ada.requireSignedIn()
}

func renamesAPasskey(e *env) {
	ada := e.person("Ada", phone)
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

func removesAPasskey(e *env) {
	ada := e.person("Ada", phone)
	ada.signsUp()
	laptop := ada.onSecondDevice()
	first := ada.listPasskeys()[0]
	ada.addsPasskey("Blue key", securityKey)
	ada.requireOK(ada.device.removePasskey(first.id))
	ada.requirePasskeys("Blue key")
	ada.requireSignedIn()
	laptop.requireSignedOut("session_revoked") // the removed passkey opened this session
	if device, isAPI := laptop.device.(*apiDevice); isAPI {
		device.api = device.api.reconnect()
		laptop.requireSignInRejected("passkey_unknown", "")
	}
	ada.requireEvents(shownEvent{"session_revoked", "passkey_removed"}, shownEvent{kind: "passkey_removed"}, shownEvent{kind: "passkey_added"})
	ada.signsOut()
	ada.signsIn()
}

func cannotRemoveTheLastPasskey(e *env) {
	ada := e.person("Ada", phone)
	ada.signsUp()
	only := ada.listPasskeys()[0]
	ada.requireRejected(ada.device.removePasskey(only.id), "last_passkey")
	ada.requirePasskeys("")
	second := ada.addsPasskey("Blue key", securityKey)
	ada.requireOK(ada.device.removePasskey(only.id))
	ada.requireRejected(ada.device.removePasskey(second.id), "last_passkey")
	ada.requirePasskeys("Blue key")
}

func onePasskeyPerAuthenticator(e *env) {
	ada := e.person("Ada", phone)
	ada.signsUp()
	ada.requireRejected(ada.device.addPasskey("Again"), "InvalidStateError")
	ada.requirePasskeys("")
}

func twoPasskeysAtMost(c *config.Config) { c.PasskeyLimit = 2 }

func reachesThePasskeyLimit(e *env) {
	ada := e.person("Ada", phone)
	ada.signsUp()
	ada.addsPasskey("Blue key", securityKey)
	ada.device.useAuthenticator(phone)
	ada.requireRejected(ada.device.addPasskey("One too many"), "passkey_limit_reached")
	ada.requirePasskeys("", "Blue key")
}

func stepsUpForSensitiveActions(e *env) {
	ada := e.person("Ada", phone)
	ada.signsUp()
	e.advance(10 * time.Minute)
	ada.addsPasskey("Blue key", securityKey) // an authentication is recent for ten minutes
	blue := ada.passkeyNamed("Blue key")
	e.advance(time.Minute)
	if device, isAPI := ada.device.(*apiDevice); isAPI {
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
	if _, isAPI := ada.device.(*apiDevice); isAPI {
		ada.requireEvents(shownEvent{kind: "passkey_removed"}, shownEvent{kind: "stepped_up"}, shownEvent{kind: "passkey_added"})
		e.advance(10*time.Minute + time.Microsecond)
		ada.requireRejected(ada.device.deleteAccount(), "step_up_required")
	}
}

// stepUpRotatesTheToken checks that the session continues, and that a copy of its old token is rejected.
func stepUpRotatesTheToken(e *env) {
	ada := e.person("Ada", phone)
	ada.signsUp()
	device := ada.apiDevice()
	before, sessions := device.api.sessionToken(), ada.listSessions()
	e.advance(time.Hour)
	ada.requireOK(device.stepUp())
	if now := ada.listSessions(); len(now) != 1 || now[0] != sessions[0] {
		e.t.Fatalf("the session was %+v before the step-up and is %+v", sessions, now)
	}
	after := device.api.sessionToken()
	if after == before {
		e.t.Fatal("the session token did not change: a copy of it is as recent as its owner's")
	}
	device.api.setSessionToken(before)
	ada.requireSignedOut("unauthenticated")
	ada.requireRejected(ada.device.deleteAccount(), "unauthenticated")
	device.api.setSessionToken(after)
	ada.requireOK(ada.device.deleteAccount())
}

func stepUpIsBoundToItsSession(e *env) {
	ada, ben := e.person("Ada", phone), e.person("Ben", phone)
	ada.signsUp()
	ben.signsUp()
	laptop := ada.onSecondDevice()
	e.advance(time.Hour)
	adaDevice, benDevice := ada.apiDevice(), ben.apiDevice()
	step := func(d *apiDevice) pendingCeremony {
		begun, rejected := d.api.beginStepUp()
		ada.requireOK(rejected)
		return begun
	}
	requireNotRecent := func() {
		e.t.Helper()
		ada.requireRejected(ada.device.deleteAccount(), "step_up_required")
	}

	// Another session's challenge, though the passkey is the right one.
	begun := step(laptop.apiDevice())
	ada.requireRejected(adaDevice.api.finishStepUp(begun.challengeID, adaDevice.getAssertion(begun)), "challenge_not_found")
	requireNotRecent()

	// A challenge for a sign-in, and a challenge for a step-up at a sign-in.
	begun = adaDevice.mustBeginSignIn()
	ada.requireRejected(adaDevice.api.finishStepUp(begun.challengeID, adaDevice.getAssertion(begun)), "challenge_not_found")
	begun = step(adaDevice)
	ada.requireRejected(onlyRejection(adaDevice.api.finishSignIn(begun.challengeID, adaDevice.getAssertion(begun))), "challenge_not_found")
	requireNotRecent()

	// Another person's passkey.
	begun = step(adaDevice)
	response, err := benDevice.authenticator.Get(withoutAllowCredentials(e.t, begun.options))
	if err != nil {
		e.t.Fatal(err)
	}
	ada.requireRejected(adaDevice.api.finishStepUp(begun.challengeID, response), "passkey_unknown")
	requireNotRecent()

	// An invalid response consumes the challenge and is in the audit log.
	begun = step(adaDevice)
	ada.requireRejected(adaDevice.api.finishStepUp(begun.challengeID, adaDevice.getAssertion(begun, badSignature)), "passkey_rejected")
	ada.requireRejected(adaDevice.api.finishStepUp(begun.challengeID, adaDevice.getAssertion(begun)), "challenge_not_found")
	requireNotRecent()
	ada.requireEvents(shownEvent{"step_up_refused", string(domain.ReasonSignatureInvalid)})

	// A step-up counts only for its own session.
	ada.requireOK(laptop.apiDevice().stepUp())
	requireNotRecent()
	ada.requireOK(adaDevice.stepUp())
	ada.requireOK(ada.device.deleteAccount())
}

func addedPasskeyIsBoundToItsSession(e *env) {
	ada, ben := e.person("Ada", phone), e.person("Ben", phone)
	ada.signsUp()
	ben.signsUp()
	adaDevice, benDevice := ada.apiDevice(), ben.apiDevice()
	begun, rejected := benDevice.api.beginAddPasskey()
	ben.requireOK(rejected)
	adaDevice.useAuthenticator(phone)
	credential := adaDevice.makeCredential(begun)
	ada.requireRejected(adaDevice.api.finishAddPasskey(begun.challengeID, "", credential), "challenge_not_found")
	ben.requireRejected(benDevice.api.finishAddPasskey(begun.challengeID, "", credential), "challenge_not_found") // consumed
	ada.requirePasskeys("")
	ben.requirePasskeys("")

	begun, rejected = adaDevice.api.beginAddPasskey()
	ada.requireOK(rejected)
	ada.requireRejected(adaDevice.api.finishAddPasskey(begun.challengeID, "", adaDevice.makeCredential(begun, otherOrigin)), "passkey_rejected")
	ada.requireEvents(shownEvent{"passkey_add_refused", string(domain.ReasonOriginNotAllowed)})
	ada.requirePasskeys("")
}

func lastPasskeysAreRemovedConcurrently(e *env) {
	ada := e.person("Ada", phone)
	ada.signsUp()
	ada.addsPasskey("Blue key", securityKey)
	keys := ada.listPasskeys()
	outcomes := concurrently(16, func(i int) rejection { return ada.device.removePasskey(keys[i%2].id) })
	if outcomes[""] != 1 || outcomes["last_passkey"]+outcomes["not_found"] != 15 {
		e.t.Fatalf("sixteen concurrent removals of two passkeys: %v", outcomes)
	}
	if left := ada.listPasskeys(); len(left) != 1 {
		e.t.Fatalf("the remaining passkeys are %+v, want one", left)
	}
}

func passkeyLimitIsReachedConcurrently(e *env) {
	ada := e.person("Ada", phone)
	ada.signsUp()
	device := ada.apiDevice()
	var registrations []func() rejection
	for range 16 {
		begun, rejected := device.api.beginAddPasskey()
		ada.requireOK(rejected)
		device.useAuthenticator(phone)
		response := device.makeCredential(begun)
		registrations = append(registrations, func() rejection { return device.api.finishAddPasskey(begun.challengeID, "", response) })
	}
	outcomes := concurrently(16, func(i int) rejection { return registrations[i]() })
	if outcomes[""] != 1 || outcomes["passkey_limit_reached"] != 15 {
		e.t.Fatalf("sixteen concurrent registrations with one passkey allowed: %v", outcomes)
	}
	ada.requirePasskeys("", "")
}

func removesASuspendedPasskey(e *env) {
	ada := e.person("Ada", phone)
	ada.signsUp()
	original := ada.apiDevice().authenticator
	ada.addsPasskey("Blue key", securityKey)
	ada.signsOut()
	for range 3 {
		ada.signsIn()
		ada.signsOut()
	}
	ada.requireSignInRejected("passkey_rejected", domain.ReasonCounterRegressed, forgedSignCount(1))
	ada.requireSignInRejected("passkey_suspended", "")

	ada.apiDevice().authenticator = original
	ada.signsIn()
	ada.requireEvents(shownEvent{kind: "signed_in"},
		shownEvent{"sign_in_refused", "passkey_suspended"},
		shownEvent{"sign_in_refused", "counter_regressed"},
		shownEvent{"passkey_suspended", "counter_regressed"})
	if key := ada.passkeyNamed("Blue key"); key.status != "suspended" {
		e.t.Fatalf("the passkey is %+v", key)
	}
	only := ada.passkeyNamed("")
	ada.requireRejected(ada.device.removePasskey(only.id), "last_passkey") // the suspended one does not count
	ada.requireOK(ada.device.removePasskey(ada.passkeyNamed("Blue key").id))
	ada.requirePasskeys("")
}

package acceptance

import (
	"time"

	"github.com/keylodge/keylodge/bootstrap/config"
)

func addsAPasskey(e *env) {
	ada := e.newUser("Ada", phone)
	ada.requirePasskeys("")
	ada.addsPasskey("Blue key", securityKey)
	ada.requirePasskeys("", "Blue key")
	ada.requireEvents(shownEvent{kind: "passkey_added"}, shownEvent{kind: "signed_up"})
	ada.signsOut()
	ada.signsIn()
	ada.requireSignedIn()
}

func renamesAPasskey(e *env) {
	ada := e.newUser("Ada", phone)
	key := ada.addsPasskey("Blue key", securityKey)
	ada.renamesPasskey(key, " Red key ")
	ada.requirePasskeys("", "Red key")
	ada.requireRejected(ada.device.renamePasskey(key.id, "one\u202eeno"), "invalid_request")
	ada.requirePasskeys("", "Red key")
	ada.renamesPasskey(key, "")
	ada.requirePasskeys("", "")
	ada.requireEvents(shownEvent{kind: "passkey_renamed"}, shownEvent{kind: "passkey_renamed"}, shownEvent{kind: "passkey_added"})
}

func removesAPasskey(e *env) {
	ada := e.newUser("Ada", phone)
	laptop := ada.onSecondDevice()
	first := ada.passkeyNamed("")
	ada.addsPasskey("Blue key", securityKey)
	ada.removesPasskey(first)
	ada.requirePasskeys("Blue key")
	ada.requireSignedIn()
	laptop.requireSignedOut("session_revoked") // the removed passkey opened this session
	laptop.requireSignInRejected("passkey_unknown", "")
	ada.requireEvents(shownEvent{"session_revoked", "passkey_removed"}, shownEvent{kind: "passkey_removed"}, shownEvent{kind: "passkey_added"})
	ada.signsOut()
	ada.signsIn()
}

func cannotRemoveTheLastPasskey(e *env) {
	ada := e.newUser("Ada", phone)
	only := ada.passkeyNamed("")
	ada.requireRejected(ada.device.removePasskey(only.id), "last_passkey")
	ada.requirePasskeys("")
	second := ada.addsPasskey("Blue key", securityKey)
	ada.removesPasskey(only)
	ada.requireRejected(ada.device.removePasskey(second.id), "last_passkey")
	ada.requirePasskeys("Blue key")
}

func onePasskeyPerAuthenticator(e *env) {
	ada := e.newUser("Ada", phone)
	ada.requireRejected(ada.device.addPasskey("Again"), "already_registered")
	ada.requirePasskeys("")
}

func twoPasskeysAtMost(c *config.Config) { c.PasskeyLimit = 2 }

func reachesThePasskeyLimit(e *env) {
	ada := e.newUser("Ada", phone)
	ada.addsPasskey("Blue key", securityKey)
	ada.device.useAuthenticator(phone)
	ada.requireRejected(ada.device.addPasskey("One too many"), "passkey_limit_reached")
	ada.requirePasskeys("", "Blue key")
}

func stepsUpForASensitiveAction(e *env) {
	ada := e.newUser("Ada", phone)
	e.advance(10 * time.Minute)
	ada.addsPasskey("Blue key", securityKey) // an authentication is recent for ten minutes
	e.advance(time.Minute)
	ada.stepsUp()
	ada.removesPasskey(ada.passkeyNamed(""))
	ada.requirePasskeys("Blue key")
	ada.requireEvents(shownEvent{kind: "passkey_removed"}, shownEvent{kind: "stepped_up"}, shownEvent{kind: "passkey_added"})
}

package acceptance

import (
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
)

func addedPasskeyIsBoundToItsSession(e *env) {
	ada, ben := e.newUser("Ada", phone), e.newUser("Ben", phone)
	adaDevice, benDevice := ada.apiDevice(), ben.apiDevice()
	begun := benDevice.mustBeginAddPasskey()
	adaDevice.useAuthenticator(phone)
	credential := adaDevice.makeCredential(begun)
	ada.requireRejected(adaDevice.api.finishAddPasskey(begun.challengeID, "", credential), "challenge_not_found")
	ben.requireRejected(benDevice.api.finishAddPasskey(begun.challengeID, "", credential), "challenge_not_found") // consumed
	ada.requirePasskeys("")
	ben.requirePasskeys("")

	begun = adaDevice.mustBeginAddPasskey()
	ada.requireRejected(adaDevice.api.finishAddPasskey(begun.challengeID, "", adaDevice.makeCredential(begun, otherOrigin)), "passkey_rejected")
	ada.requireEvents(shownEvent{"passkey_add_refused", string(domain.ReasonOriginNotAllowed)})
	ada.requirePasskeys("")
}

func lastPasskeysAreRemovedConcurrently(e *env) {
	ada := e.newUser("Ada", phone)
	ada.addsPasskey("Blue key", securityKey)
	keys := ada.listPasskeys()
	outcomes := concurrently(e.t, 16, func(i int) rejection { return ada.device.removePasskey(keys[i%2].id) })
	if outcomes[""] != 1 || outcomes["last_passkey"]+outcomes["not_found"] != 15 {
		e.t.Fatalf("sixteen concurrent removals of two passkeys: %v", outcomes)
	}
	if left := ada.listPasskeys(); len(left) != 1 {
		e.t.Fatalf("the remaining passkeys are %+v, want one", left)
	}
}

func passkeyLimitIsReachedConcurrently(e *env) {
	ada := e.newUser("Ada", phone)
	device := ada.apiDevice()
	var registrations []func() rejection
	for range 16 {
		begun := device.mustBeginAddPasskey()
		device.useAuthenticator(phone)
		response := device.makeCredential(begun)
		registrations = append(registrations, func() rejection { return device.api.finishAddPasskey(begun.challengeID, "", response) })
	}
	outcomes := concurrently(e.t, 16, func(i int) rejection { return registrations[i]() })
	if outcomes[""] != 1 || outcomes["passkey_limit_reached"] != 15 {
		e.t.Fatalf("sixteen concurrent registrations with one passkey allowed: %v", outcomes)
	}
	ada.requirePasskeys("", "")
}

func removesASuspendedPasskey(e *env) {
	ada := e.newUser("Ada", phone)
	original := ada.apiDevice().authenticator
	blue := ada.addsPasskey("Blue key", securityKey)
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
	ada.requireRejected(ada.device.removePasskey(ada.passkeyNamed("").id), "last_passkey") // the suspended one does not count
	ada.removesPasskey(blue)
	ada.requirePasskeys("")
}

func denyModel(c *config.Config) {
	c.Authenticators = domain.AuthenticatorPolicy{Denied: []domain.AAGUID{modelAAGUID(1)}}
}

// deniedAuthenticatorIsRejected registers a passkey at sign-up, in a session and by recovery.
func deniedAuthenticatorIsRejected(e *env) {
	denied := claimsModel(modelAAGUID(1))
	ada := e.person("Ada", phone)
	ada.requireSignUpRejected("passkey_rejected", domain.ReasonAttestationRejected, denied)
	ada.signsUp()

	ada.device.useAuthenticator(securityKey)
	ada.requireRejected(ada.device.addPasskey("Blue key", denied), "passkey_rejected")
	ada.requireEvents(shownEvent{"passkey_add_refused", "attestation_rejected"}, shownEvent{kind: "signed_up"})
	ada.requireOK(ada.device.addPasskey("Blue key"))

	codes := ada.makesBackupCodes()
	ada.signsOut()
	ada.device.useAuthenticator(phone)
	ada.requireRejectedAndSignedOut(ada.device.recover(withBackupCode(codes[0]), denied), "passkey_rejected", domain.ReasonAttestationRejected)
	ada.recovers(withBackupCode(codes[0]))
}

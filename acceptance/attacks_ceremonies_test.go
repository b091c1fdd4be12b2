package acceptance

import (
	"time"

	"github.com/keylodge/keylodge/domain"
)

func aResponseIsReplayed(e *env) {
	ada := e.newUser("Ada", phone)
	ada.signsOut()
	device := ada.apiDevice()
	begun := device.mustBeginSignIn()
	response := device.getAssertion(begun)
	ada.requireIdentity(device.api.finishSignIn(begun.challengeID, response))
	ada.signsOut()
	ada.requireRejectedAndSignedOut(device.api.finishSignIn(begun.challengeID, response), "challenge_not_found", "")

	// The same response for a new challenge.
	begun = device.mustBeginSignIn()
	ada.requireRejectedAndSignedOut(device.api.finishSignIn(begun.challengeID, response), "passkey_rejected", domain.ReasonChallengeMismatch)
}

func sixteenResponsesAtOnce(e *env) {
	ada := e.newUser("Ada", phone)
	ada.signsOut()
	device := ada.apiDevice()
	begun := device.mustBeginSignIn()
	response := device.getAssertion(begun)
	outcomes := concurrently(e.t, 16, func(int) result[shownUser] { return device.api.finishSignIn(begun.challengeID, response) })
	if outcomes[""] != 1 || outcomes["challenge_not_found"] != 15 {
		e.t.Fatalf("sixteen copies of one response: %v, want 1 session and 15 times no challenge", outcomes)
	}
}

func rejectedResponseConsumesItsChallenge(e *env) {
	ada := e.person("Ada", phone)
	device := ada.apiDevice()
	signUp := device.mustBeginSignUp(ada.profile)
	ada.requireRejectedAndSignedOut(device.api.finishSignUp(signUp.challengeID, device.makeCredential(signUp, otherOrigin)), "passkey_rejected", domain.ReasonOriginNotAllowed)
	ada.requireRejectedAndSignedOut(device.api.finishSignUp(signUp.challengeID, device.makeCredential(signUp)), "challenge_not_found", "")
	ada.signsUp()
	ada.signsOut()

	begun := device.mustBeginSignIn()
	ada.requireRejectedAndSignedOut(device.api.finishSignIn(begun.challengeID, device.getAssertion(begun, badSignature)), "passkey_rejected", domain.ReasonSignatureInvalid)
	ada.requireRejectedAndSignedOut(device.api.finishSignIn(begun.challengeID, device.getAssertion(begun)), "challenge_not_found", "")
	ada.signsIn()
}

func aChallengeExpires(e *env) {
	ada := e.newUser("Ada", phone)
	ada.signsOut()
	ada.requireIdentity(ada.device.signInDelayed(func() { e.advance(5*time.Minute - time.Microsecond) }))
	ada.signsOut()
	ada.requireRejectedAndSignedOut(ada.device.signInDelayed(func() { e.advance(5 * time.Minute) }), "challenge_expired", "")

	ben := e.person("Ben", phone)
	device := ben.apiDevice()
	signUp := device.mustBeginSignUp(ben.profile)
	e.advance(5 * time.Minute)
	ben.requireRejectedAndSignedOut(device.api.finishSignUp(signUp.challengeID, device.makeCredential(signUp)), "challenge_expired", "")
	ben.signsUp()
}

func answeredFromAnotherBrowser(e *env) {
	ada, mallory := e.newUser("Ada", phone), e.person("Mallory", phone)
	ada.signsOut()
	adaDevice, malloryDevice := ada.apiDevice(), mallory.apiDevice()

	// Mallory begins the ceremony, and Ada's device responds.
	begun := malloryDevice.mustBeginSignIn()
	assertion := adaDevice.getAssertion(begun)
	ada.requireRejectedAndSignedOut(adaDevice.api.finishSignIn(begun.challengeID, assertion), "challenge_not_found", domain.ReasonChallengeMismatch)
	mallory.requireRejectedAndSignedOut(malloryDevice.api.finishSignIn(begun.challengeID, assertion), "challenge_not_found", "")

	signUp := malloryDevice.mustBeginSignUp(mallory.profile)
	ada.requireRejectedAndSignedOut(adaDevice.api.finishSignUp(signUp.challengeID, adaDevice.makeCredential(signUp)), "challenge_not_found", domain.ReasonChallengeMismatch)
}

func aChallengeForAnotherPurpose(e *env) {
	ada := e.newUser("Ada", phone)
	ada.signsOut()
	device := ada.apiDevice()
	signUp := device.mustBeginSignUp(ada.profile)
	ada.requireRejectedAndSignedOut(device.api.finishSignIn(signUp.challengeID, device.getAssertion(device.mustBeginSignIn())), "challenge_not_found", domain.ReasonChallengeMismatch)

	begun := device.mustBeginSignIn()
	ada.requireRejectedAndSignedOut(device.api.finishSignUp(begun.challengeID, device.makeCredential(device.mustBeginSignUp(ada.profile))), "challenge_not_found", domain.ReasonChallengeMismatch)
}

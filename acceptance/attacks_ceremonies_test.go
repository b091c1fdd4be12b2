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
	user, rejected := device.api.finishSignIn(begun.challengeID, response)
	ada.requireIdentity(user, rejected)
	ada.signsOut()
	_, rejected = device.api.finishSignIn(begun.challengeID, response)
	ada.requireRejectedAndSignedOut(rejected, "challenge_not_found", "")

	// The same response for a new challenge.
	begun = device.mustBeginSignIn()
	_, rejected = device.api.finishSignIn(begun.challengeID, response)
	ada.requireRejectedAndSignedOut(rejected, "passkey_rejected", domain.ReasonChallengeMismatch)
}

func sixteenResponsesAtOnce(e *env) {
	ada := e.newUser("Ada", phone)
	ada.signsOut()
	device := ada.apiDevice()
	begun := device.mustBeginSignIn()
	response := device.getAssertion(begun)
	outcomes := concurrently(16, func(int) rejection { return onlyRejection(device.api.finishSignIn(begun.challengeID, response)) })
	if outcomes[""] != 1 || outcomes["challenge_not_found"] != 15 {
		e.t.Fatalf("sixteen copies of one response: %v, want 1 session and 15 times no challenge", outcomes)
	}
}

func rejectedResponseConsumesItsChallenge(e *env) {
	ada := e.person("Ada", phone)
	device := ada.apiDevice()
	signUp := device.mustBeginSignUp(ada.profile)
	_, rejected := device.api.finishSignUp(signUp.challengeID, device.makeCredential(signUp, otherOrigin))
	ada.requireRejectedAndSignedOut(rejected, "passkey_rejected", domain.ReasonOriginNotAllowed)
	_, rejected = device.api.finishSignUp(signUp.challengeID, device.makeCredential(signUp))
	ada.requireRejectedAndSignedOut(rejected, "challenge_not_found", "")
	ada.signsUp()
	ada.signsOut()

	begun := device.mustBeginSignIn()
	_, rejected = device.api.finishSignIn(begun.challengeID, device.getAssertion(begun, badSignature))
	ada.requireRejectedAndSignedOut(rejected, "passkey_rejected", domain.ReasonSignatureInvalid)
	_, rejected = device.api.finishSignIn(begun.challengeID, device.getAssertion(begun))
	ada.requireRejectedAndSignedOut(rejected, "challenge_not_found", "")
	ada.signsIn()
}

func aChallengeExpires(e *env) {
	ada := e.newUser("Ada", phone)
	ada.signsOut()
	user, rejected := ada.device.signInDelayed(func() { e.advance(5*time.Minute - time.Microsecond) })
	ada.requireIdentity(user, rejected)
	ada.signsOut()
	_, rejected = ada.device.signInDelayed(func() { e.advance(5 * time.Minute) })
	ada.requireRejectedAndSignedOut(rejected, "challenge_expired", "")

	ben := e.person("Ben", phone)
	device := ben.apiDevice()
	signUp := device.mustBeginSignUp(ben.profile)
	e.advance(5 * time.Minute)
	_, rejected = device.api.finishSignUp(signUp.challengeID, device.makeCredential(signUp))
	ben.requireRejectedAndSignedOut(rejected, "challenge_expired", "")
	ben.signsUp()
}

func answeredFromAnotherBrowser(e *env) {
	ada, mallory := e.newUser("Ada", phone), e.person("Mallory", phone)
	ada.signsOut()
	adaDevice, malloryDevice := ada.apiDevice(), mallory.apiDevice()

	// Mallory begins the ceremony, and Ada's device responds.
	begun := malloryDevice.mustBeginSignIn()
	assertion := adaDevice.getAssertion(begun)
	_, rejected := adaDevice.api.finishSignIn(begun.challengeID, assertion)
	ada.requireRejectedAndSignedOut(rejected, "challenge_not_found", domain.ReasonChallengeMismatch)
	_, rejected = malloryDevice.api.finishSignIn(begun.challengeID, assertion)
	mallory.requireRejectedAndSignedOut(rejected, "challenge_not_found", "")

	signUp := malloryDevice.mustBeginSignUp(mallory.profile)
	_, rejected = adaDevice.api.finishSignUp(signUp.challengeID, adaDevice.makeCredential(signUp))
	ada.requireRejectedAndSignedOut(rejected, "challenge_not_found", domain.ReasonChallengeMismatch)
}

func aChallengeForAnotherPurpose(e *env) {
	ada := e.newUser("Ada", phone)
	ada.signsOut()
	device := ada.apiDevice()
	signUp := device.mustBeginSignUp(ada.profile)
	_, rejected := device.api.finishSignIn(signUp.challengeID, device.getAssertion(device.mustBeginSignIn()))
	ada.requireRejectedAndSignedOut(rejected, "challenge_not_found", domain.ReasonChallengeMismatch)

	begun := device.mustBeginSignIn()
	_, rejected = device.api.finishSignUp(begun.challengeID, device.makeCredential(device.mustBeginSignUp(ada.profile)))
	ada.requireRejectedAndSignedOut(rejected, "challenge_not_found", domain.ReasonChallengeMismatch)
}

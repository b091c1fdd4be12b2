package acceptance

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/keylodge/keylodge/domain"
)

func aResponseIsReplayed(e *env) {
	ada := e.person("Ada", phone)
	ada.signsUp()
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
	ada := e.person("Ada", phone)
	ada.signsUp()
	ada.signsOut()
	device := ada.apiDevice()
	begun := device.mustBeginSignIn()
	response := device.getAssertion(begun)
	var callers sync.WaitGroup
	var sessions, notFound atomic.Int32
	for range 16 {
		callers.Go(func() {
			switch _, rejected := device.api.finishSignIn(begun.challengeID, response); rejected.code {
			case "":
				sessions.Add(1)
			case "challenge_not_found":
				notFound.Add(1)
			default:
				e.t.Errorf("rejected: %+v", rejected)
			}
		})
	}
	callers.Wait()
	if sessions.Load() != 1 || notFound.Load() != 15 {
		e.t.Fatalf("copies of one response opened %d sessions, and %d of them had no challenge; want 1 and 15", sessions.Load(), notFound.Load())
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
	ada := e.person("Ada", phone)
	ada.signsUp()
	ada.signsOut()
	if browser, isPage := ada.device.(*browserPage); isPage {
		_, rejected := browser.signInDelayed(func() { e.advance(5 * time.Minute) })
		ada.requireRejectedAndSignedOut(rejected, "challenge_expired", "")
		ada.signsIn()
		return
	}
	device := ada.apiDevice()
	begun := device.mustBeginSignIn()
	e.advance(5*time.Minute - time.Microsecond)
	user, rejected := device.api.finishSignIn(begun.challengeID, device.getAssertion(begun))
	ada.requireIdentity(user, rejected)
	ada.signsOut()

	begun = device.mustBeginSignIn()
	e.advance(5 * time.Minute)
	_, rejected = device.api.finishSignIn(begun.challengeID, device.getAssertion(begun))
	ada.requireRejectedAndSignedOut(rejected, "challenge_expired", "")
	ada.signsIn()

	ben := e.person("Ben", phone)
	device = ben.apiDevice()
	signUp := device.mustBeginSignUp(ben.profile)
	e.advance(5 * time.Minute)
	_, rejected = device.api.finishSignUp(signUp.challengeID, device.makeCredential(signUp))
	ben.requireRejectedAndSignedOut(rejected, "challenge_expired", "")
	ben.signsUp()
}

func expiredDataIsPurged(e *env) {
	ada := e.person("Ada", phone)
	ada.signsUp()
	device := ada.apiDevice()
	abandoned := device.mustBeginSignIn()
	e.advance(2 * time.Hour)
	fresh := device.mustBeginSignIn()
	e.driver.purgeExpired(e.t)
	ada.requireSignedIn()

	ben := e.person("Ben", phone)
	ben.requireRejectedAndSignedOut(onlyRejection(device.api.finishSignIn(abandoned.challengeID, device.getAssertion(abandoned))), "challenge_not_found", "")
	user, rejected := device.api.finishSignIn(fresh.challengeID, device.getAssertion(fresh))
	ada.requireIdentity(user, rejected)

	e.advance(7*24*time.Hour + 23*time.Hour)
	e.driver.purgeExpired(e.t)
	ada.requireSignedOut("session_expired")
	e.advance(time.Hour)
	e.driver.purgeExpired(e.t)
	ada.requireSignedOut("unauthenticated")
	ada.signsIn() // the device still sends the expired token
}

func onlyRejection[T any](_ T, rejected rejection) rejection { return rejected }

func answeredFromAnotherBrowser(e *env) {
	ada, mallory := e.person("Ada", phone), e.person("Mallory", phone)
	ada.signsUp()
	ada.signsOut()

	// Mallory begins the ceremony, and Ada's device responds.
	begun := mallory.apiDevice().mustBeginSignIn()
	assertion := ada.apiDevice().getAssertion(begun)
	_, rejected := ada.apiDevice().api.finishSignIn(begun.challengeID, assertion)
	ada.requireRejectedAndSignedOut(rejected, "challenge_not_found", domain.ReasonChallengeMismatch)
	_, rejected = mallory.apiDevice().api.finishSignIn(begun.challengeID, assertion)
	mallory.requireRejectedAndSignedOut(rejected, "challenge_not_found", "")

	signUp := mallory.apiDevice().mustBeginSignUp(mallory.profile)
	response, err := ada.apiDevice().authenticator.Create(signUp.options)
	if err != nil {
		e.t.Fatal(err)
	}
	_, rejected = ada.apiDevice().api.finishSignUp(signUp.challengeID, response)
	ada.requireRejectedAndSignedOut(rejected, "challenge_not_found", domain.ReasonChallengeMismatch)
}

func aChallengeForAnotherPurpose(e *env) {
	ada := e.person("Ada", phone)
	ada.signsUp()
	ada.signsOut()
	device := ada.apiDevice()
	signUp := device.mustBeginSignUp(ada.profile)
	_, rejected := device.api.finishSignIn(signUp.challengeID, device.getAssertion(device.mustBeginSignIn()))
	ada.requireRejectedAndSignedOut(rejected, "challenge_not_found", domain.ReasonChallengeMismatch)

	begun := device.mustBeginSignIn()
	response, err := device.authenticator.Create(device.mustBeginSignUp(ada.profile).options)
	if err != nil {
		e.t.Fatal(err)
	}
	_, rejected = device.api.finishSignUp(begun.challengeID, response)
	ada.requireRejectedAndSignedOut(rejected, "challenge_not_found", domain.ReasonChallengeMismatch)
}

package acceptance

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/keylodge/keylodge/domain"
)

func anAnswerIsReplayed(l *env) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	ada.signsOut()
	device := ada.apiDevice()
	begun := device.mustBeginSignIn()
	answer := device.getAssertion(begun)
	who, refused := device.api.finishSignIn(begun.challengeID, answer)
	ada.requireIdentity(who, refused)
	ada.signsOut()
	_, refused = device.api.finishSignIn(begun.challengeID, answer)
	ada.requireRejectedAndSignedOut(refused, "challenge_not_found", "")

	// The same answer for a fresh challenge.
	begun = device.mustBeginSignIn()
	_, refused = device.api.finishSignIn(begun.challengeID, answer)
	ada.requireRejectedAndSignedOut(refused, "passkey_rejected", domain.ReasonChallengeMismatch)
}

func sixteenAnswersAtOnce(l *env) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	ada.signsOut()
	device := ada.apiDevice()
	begun := device.mustBeginSignIn()
	answer := device.getAssertion(begun)
	var callers sync.WaitGroup
	var sessions, latecomers atomic.Int32
	for range 16 {
		callers.Go(func() {
			switch _, refused := device.api.finishSignIn(begun.challengeID, answer); refused.code {
			case "":
				sessions.Add(1)
			case "challenge_not_found":
				latecomers.Add(1)
			default:
				l.t.Errorf("refused: %+v", refused)
			}
		})
	}
	callers.Wait()
	if sessions.Load() != 1 || latecomers.Load() != 15 {
		l.t.Fatalf("one answer opened %d sessions and was late %d times", sessions.Load(), latecomers.Load())
	}
}

func failedAnswerConsumesItsChallenge(l *env) {
	ada := l.person("Ada", phone)
	device := ada.apiDevice()
	made := device.mustBeginSignUp(ada.profile)
	_, refused := device.api.finishSignUp(made.challengeID, device.makeCredential(made, otherOrigin))
	ada.requireRejectedAndSignedOut(refused, "passkey_rejected", domain.ReasonOriginNotAllowed)
	_, refused = device.api.finishSignUp(made.challengeID, device.makeCredential(made))
	ada.requireRejectedAndSignedOut(refused, "challenge_not_found", "")
	ada.signsUp()
	ada.signsOut()

	begun := device.mustBeginSignIn()
	_, refused = device.api.finishSignIn(begun.challengeID, device.getAssertion(begun, badSignature))
	ada.requireRejectedAndSignedOut(refused, "passkey_rejected", domain.ReasonSignatureInvalid)
	_, refused = device.api.finishSignIn(begun.challengeID, device.getAssertion(begun))
	ada.requireRejectedAndSignedOut(refused, "challenge_not_found", "")
	ada.signsIn()
}

func aChallengeExpires(l *env) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	ada.signsOut()
	if browser, isPage := ada.device.(*browserPage); isPage {
		_, refused := browser.signInDelayed(func() { l.advance(5 * time.Minute) })
		ada.requireRejectedAndSignedOut(refused, "challenge_expired", "")
		ada.signsIn()
		return
	}
	device := ada.apiDevice()
	begun := device.mustBeginSignIn()
	l.advance(5*time.Minute - time.Microsecond)
	who, refused := device.api.finishSignIn(begun.challengeID, device.getAssertion(begun))
	ada.requireIdentity(who, refused)
	ada.signsOut()

	begun = device.mustBeginSignIn()
	l.advance(5 * time.Minute)
	_, refused = device.api.finishSignIn(begun.challengeID, device.getAssertion(begun))
	ada.requireRejectedAndSignedOut(refused, "challenge_expired", "")
	ada.signsIn()

	ben := l.person("Ben", phone)
	device = ben.apiDevice()
	made := device.mustBeginSignUp(ben.profile)
	l.advance(5 * time.Minute)
	_, refused = device.api.finishSignUp(made.challengeID, device.makeCredential(made))
	ben.requireRejectedAndSignedOut(refused, "challenge_expired", "")
	ben.signsUp()
}

func expiredDataIsPurged(l *env) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	device := ada.apiDevice()
	abandoned := device.mustBeginSignIn()
	l.advance(2 * time.Hour)
	fresh := device.mustBeginSignIn()
	l.driver.purgeExpired(l.t)
	ada.requireSignedIn()

	ben := l.person("Ben", phone)
	ben.requireRejectedAndSignedOut(onlyRejection(device.api.finishSignIn(abandoned.challengeID, device.getAssertion(abandoned))), "challenge_not_found", "")
	who, refused := device.api.finishSignIn(fresh.challengeID, device.getAssertion(fresh))
	ada.requireIdentity(who, refused)

	l.advance(7*24*time.Hour + 23*time.Hour)
	l.driver.purgeExpired(l.t)
	ada.requireSignedOut("session_expired")
	l.advance(time.Hour)
	l.driver.purgeExpired(l.t)
	ada.requireSignedOut("unauthenticated")
	ada.signsIn() // with the token that opens nothing any more still in hand
}

func onlyRejection[T any](_ T, refused rejection) rejection { return refused }

func answeredFromAnotherBrowser(l *env) {
	ada, mallory := l.person("Ada", phone), l.person("Mallory", phone)
	ada.signsUp()
	ada.signsOut()

	// Mallory begins, and has Ada's device answer.
	begun := mallory.apiDevice().mustBeginSignIn()
	answer := ada.apiDevice().getAssertion(begun)
	_, refused := ada.apiDevice().api.finishSignIn(begun.challengeID, answer)
	ada.requireRejectedAndSignedOut(refused, "challenge_not_found", domain.ReasonChallengeMismatch)
	_, refused = mallory.apiDevice().api.finishSignIn(begun.challengeID, answer)
	mallory.requireRejectedAndSignedOut(refused, "challenge_not_found", "")

	made := mallory.apiDevice().mustBeginSignUp(mallory.profile)
	response, err := ada.apiDevice().authenticator.Create(made.options)
	if err != nil {
		l.t.Fatal(err)
	}
	_, refused = ada.apiDevice().api.finishSignUp(made.challengeID, response)
	ada.requireRejectedAndSignedOut(refused, "challenge_not_found", domain.ReasonChallengeMismatch)
}

func aChallengeForAnotherPurpose(l *env) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	ada.signsOut()
	device := ada.apiDevice()
	made := device.mustBeginSignUp(ada.profile)
	_, refused := device.api.finishSignIn(made.challengeID, device.getAssertion(device.mustBeginSignIn()))
	ada.requireRejectedAndSignedOut(refused, "challenge_not_found", domain.ReasonChallengeMismatch)

	begun := device.mustBeginSignIn()
	response, err := device.authenticator.Create(device.mustBeginSignUp(ada.profile).options)
	if err != nil {
		l.t.Fatal(err)
	}
	_, refused = device.api.finishSignUp(begun.challengeID, response)
	ada.requireRejectedAndSignedOut(refused, "challenge_not_found", domain.ReasonChallengeMismatch)
}

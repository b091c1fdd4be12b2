package acceptance

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/keylodge/keylodge/domain"
)

func anAnswerIsReplayed(l *lodge) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	ada.signsOut()
	device := ada.script()
	begun := device.beginsSignIn()
	answer := device.answers(begun)
	who, refused := device.connection.finishSignIn(begun.challengeID, answer)
	ada.mustBe(who, refused)
	ada.signsOut()
	_, refused = device.connection.finishSignIn(begun.challengeID, answer)
	ada.mustBeRefused(refused, "challenge_not_found", "")

	// The same answer for a fresh challenge.
	begun = device.beginsSignIn()
	_, refused = device.connection.finishSignIn(begun.challengeID, answer)
	ada.mustBeRefused(refused, "passkey_rejected", domain.ReasonChallengeMismatch)
}

func sixteenAnswersAtOnce(l *lodge) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	ada.signsOut()
	device := ada.script()
	begun := device.beginsSignIn()
	answer := device.answers(begun)
	var callers sync.WaitGroup
	var sessions, latecomers atomic.Int32
	for range 16 {
		callers.Go(func() {
			switch _, refused := device.connection.finishSignIn(begun.challengeID, answer); refused.code {
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

func aFailedAnswerSpendsItsChallenge(l *lodge) {
	ada := l.person("Ada", phone)
	device := ada.script()
	made := device.beginsSignUp(ada.applicant)
	_, refused := device.connection.finishSignUp(made.challengeID, device.makes(made, otherOrigin))
	ada.mustBeRefused(refused, "passkey_rejected", domain.ReasonOriginNotAllowed)
	_, refused = device.connection.finishSignUp(made.challengeID, device.makes(made))
	ada.mustBeRefused(refused, "challenge_not_found", "")
	ada.signsUp()
	ada.signsOut()

	begun := device.beginsSignIn()
	_, refused = device.connection.finishSignIn(begun.challengeID, device.answers(begun, badSignature))
	ada.mustBeRefused(refused, "passkey_rejected", domain.ReasonSignatureInvalid)
	_, refused = device.connection.finishSignIn(begun.challengeID, device.answers(begun))
	ada.mustBeRefused(refused, "challenge_not_found", "")
	ada.signsIn()
}

func aChallengeExpires(l *lodge) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	ada.signsOut()
	if browser, isPage := ada.device.(*tab); isPage {
		_, refused := browser.signInSlowly(func() { l.waits(5 * time.Minute) })
		ada.mustBeRefused(refused, "challenge_expired", "")
		ada.signsIn()
		return
	}
	device := ada.script()
	begun := device.beginsSignIn()
	l.waits(5*time.Minute - time.Microsecond)
	who, refused := device.connection.finishSignIn(begun.challengeID, device.answers(begun))
	ada.mustBe(who, refused)
	ada.signsOut()

	begun = device.beginsSignIn()
	l.waits(5 * time.Minute)
	_, refused = device.connection.finishSignIn(begun.challengeID, device.answers(begun))
	ada.mustBeRefused(refused, "challenge_expired", "")
	ada.signsIn()

	ben := l.person("Ben", phone)
	device = ben.script()
	made := device.beginsSignUp(ben.applicant)
	l.waits(5 * time.Minute)
	_, refused = device.connection.finishSignUp(made.challengeID, device.makes(made))
	ben.mustBeRefused(refused, "challenge_expired", "")
	ben.signsUp()
}

func whatExpiredIsSweptAway(l *lodge) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	device := ada.script()
	abandoned := device.beginsSignIn()
	l.waits(2 * time.Hour)
	fresh := device.beginsSignIn()
	l.door.sweep(l.t)
	ada.isSignedIn()

	ben := l.person("Ben", phone)
	ben.mustBeRefused(second(device.connection.finishSignIn(abandoned.challengeID, device.answers(abandoned))), "challenge_not_found", "")
	who, refused := device.connection.finishSignIn(fresh.challengeID, device.answers(fresh))
	ada.mustBe(who, refused)

	l.waits(7*24*time.Hour + 23*time.Hour)
	l.door.sweep(l.t)
	ada.isAskedToSignIn("session_expired")
	l.waits(time.Hour)
	l.door.sweep(l.t)
	ada.isAskedToSignIn("unauthenticated")
	ada.signsIn() // with the token that opens nothing any more still in hand
}

func second[T any](_ T, refused refusal) refusal { return refused }

func answeredFromAnotherBrowser(l *lodge) {
	ada, mallory := l.person("Ada", phone), l.person("Mallory", phone)
	ada.signsUp()
	ada.signsOut()

	// Mallory begins, and has Ada's device answer.
	begun := mallory.script().beginsSignIn()
	answer := ada.script().answers(begun)
	_, refused := ada.script().connection.finishSignIn(begun.challengeID, answer)
	ada.mustBeRefused(refused, "challenge_not_found", domain.ReasonChallengeMismatch)
	_, refused = mallory.script().connection.finishSignIn(begun.challengeID, answer)
	mallory.mustBeRefused(refused, "challenge_not_found", "")

	made := mallory.script().beginsSignUp(mallory.applicant)
	response, err := ada.script().authenticator.Create(made.options)
	if err != nil {
		l.t.Fatal(err)
	}
	_, refused = ada.script().connection.finishSignUp(made.challengeID, response)
	ada.mustBeRefused(refused, "challenge_not_found", domain.ReasonChallengeMismatch)
}

func aChallengeForAnotherPurpose(l *lodge) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	ada.signsOut()
	device := ada.script()
	made := device.beginsSignUp(ada.applicant)
	_, refused := device.connection.finishSignIn(made.challengeID, device.answers(device.beginsSignIn()))
	ada.mustBeRefused(refused, "challenge_not_found", domain.ReasonChallengeMismatch)

	begun := device.beginsSignIn()
	response, err := device.authenticator.Create(device.beginsSignUp(ada.applicant).options)
	if err != nil {
		l.t.Fatal(err)
	}
	_, refused = device.connection.finishSignUp(begun.challengeID, response)
	ada.mustBeRefused(refused, "challenge_not_found", domain.ReasonChallengeMismatch)
}

package acceptance

import (
	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/domain"
)

// requireForgeryRejected sends a forged response at sign-up, which must not create an account, and at sign-in. Unforged responses
// must succeed.
func requireForgeryRejected(e *env, code string, reason domain.Reason, atSignUp, atSignIn forgery) {
	e.t.Helper()
	ada := e.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.requireSignUpRejected(code, reason, atSignUp)
	ada.signsUp()
	ada.signsOut()
	ada.requireSignInRejected(code, reason, atSignIn)
	ada.signsIn()
}

func otherOriginIsRejected(e *env) {
	requireForgeryRejected(e, "passkey_rejected", domain.ReasonOriginNotAllowed, otherOrigin, otherOrigin)
}

func crossOriginFrameIsRejected(e *env) {
	requireForgeryRejected(e, "passkey_rejected", domain.ReasonCrossOrigin, crossOriginFrame, crossOriginFrame)
}

func otherRPIDIsRejected(e *env) {
	requireForgeryRejected(e, "passkey_rejected", domain.ReasonRPIDMismatch, otherRPID, otherRPID)
}

func wrongTypeIsRejected(e *env) {
	requireForgeryRejected(e, "passkey_rejected", domain.ReasonTypeMismatch, typeGet, typeCreate)
}

func otherChallengeIsRejected(e *env) {
	requireForgeryRejected(e, "passkey_rejected", domain.ReasonChallengeMismatch, otherChallenge, otherChallenge)
}

func duplicateMemberIsRejected(e *env) {
	requireForgeryRejected(e, "passkey_rejected", domain.ReasonMalformed, duplicateMember, duplicateMember)
}

func impossibleBackupStateIsRejected(e *env) {
	requireForgeryRejected(e, "passkey_rejected", domain.ReasonBackupStateInvalid, bsWithoutBE, bsWithoutBE)
}

func userVerificationIsRequired(e *env) {
	requireForgeryRejected(e, "user_verification_required", domain.ReasonUserVerificationMissing, noUserVerification, noUserVerification)
}

func userPresenceIsRequired(e *env) {
	requireForgeryRejected(e, "passkey_rejected", domain.ReasonUserPresenceMissing, noUserPresence, noUserPresence)
}

func badSignatureIsRejected(e *env) {
	ada := e.person("Ada", phone)
	ada.signsUp()
	ada.signsOut()
	ada.requireSignInRejected("passkey_rejected", domain.ReasonSignatureInvalid, badSignature)
	ada.signsIn()
}

func credentialIDIsRegisteredOnce(e *env) {
	ada, mallory := e.person("Ada", phone), e.person("Mallory", phone)
	ada.signsUp()
	ada.signsOut()
	device := ada.apiDevice()
	adaID := device.getAssertion(device.mustBeginSignIn()).ID

	mallory.email = "mallory@example.org"
	mallory.requireSignUpRejected("passkey_already_registered", "", forgery{forge: authenticator.ForgeCredentialID(adaID)})
	ada.signsIn()
	mallory.signsUp()
}

func forgedSignCount(n uint32) forgery {
	return forgery{authenticator.ForgeSignCount(n), setSignCount(n)}
}

func lowerCounterIsRejected(e *env) {
	ada := e.person("Ada", securityKey)
	signsInRepeatedly(ada, 3)
	ada.requireSignInRejected("passkey_rejected", domain.ReasonCounterRegressed, forgedSignCount(1))
	if _, isPage := ada.device.(*browserPage); !isPage {
		ada.signsIn() // the signature counter of the original key is higher
	}
}

func lowerCounterIsFlagged(e *env) {
	ada := e.person("Ada", securityKey)
	signsInRepeatedly(ada, 3)
	user, rejected := ada.device.signIn("", forgedSignCount(1))
	ada.requireIdentity(user, rejected)
}

func lowerCounterSuspends(e *env) {
	ada := e.person("Ada", securityKey)
	signsInRepeatedly(ada, 3)
	ada.requireSignInRejected("passkey_rejected", domain.ReasonCounterRegressed, forgedSignCount(1))
	ada.requireSignInRejected("passkey_suspended", "")
}

func syncedCounterIsIgnored(e *env) {
	ada := e.person("Ada", phone)
	signsInRepeatedly(ada, 1)
	for _, count := range []uint32{9, 5, 5} {
		user, rejected := ada.device.signIn("", forgedSignCount(count))
		ada.requireIdentity(user, rejected)
		ada.signsOut()
	}
}

// signsInRepeatedly signs up, and signs in and out several times, so that the signature counter increases.
func signsInRepeatedly(p *person, times int) {
	p.t.Helper()
	p.signsUp()
	p.signsOut()
	for range times {
		p.signsIn()
		p.signsOut()
	}
}

var backupEligibilityCleared = forgery{authenticator.ForgeFlags(0, authenticator.BackupEligible|authenticator.BackedUp), (*browserPage).clearBackupEligibility}

func changedBackupEligibilityIsRejected(e *env) {
	ada := e.person("Ada", phone)
	signsInRepeatedly(ada, 0)
	ada.requireSignInRejected("passkey_rejected", domain.ReasonBackupEligibilityChanged, backupEligibilityCleared)
}

func changedBackupEligibilityIsAccepted(e *env) {
	ada := e.person("Ada", phone)
	signsInRepeatedly(ada, 0)
	for range 2 {
		user, rejected := ada.device.signIn("", backupEligibilityCleared)
		ada.requireIdentity(user, rejected)
		ada.signsOut()
	}
}

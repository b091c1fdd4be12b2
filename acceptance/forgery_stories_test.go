package acceptance

import (
	"github.com/keylodge/keylodge/acceptance/authenticator"
	"github.com/keylodge/keylodge/domain"
)

// requireForgeryRejected plays a trick at sign-up, where it must leave no account behind, and at sign-in; then the same
// person does both honestly.
func requireForgeryRejected(l *env, code string, reason domain.Reason, atSignUp, atSignIn forgery) {
	l.t.Helper()
	ada := l.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.requireSignUpRejected(code, reason, atSignUp)
	ada.signsUp()
	ada.signsOut()
	ada.requireSignInRejected(code, reason, atSignIn)
	ada.signsIn()
}

func otherOriginIsRejected(l *env) {
	requireForgeryRejected(l, "passkey_rejected", domain.ReasonOriginNotAllowed, otherOrigin, otherOrigin)
}

func crossOriginFrameIsRejected(l *env) {
	requireForgeryRejected(l, "passkey_rejected", domain.ReasonCrossOrigin, crossOriginFrame, crossOriginFrame)
}

func otherRPIDIsRejected(l *env) {
	requireForgeryRejected(l, "passkey_rejected", domain.ReasonRPIDMismatch, otherRPID, otherRPID)
}

func wrongTypeIsRejected(l *env) {
	requireForgeryRejected(l, "passkey_rejected", domain.ReasonTypeMismatch, typeGet, typeCreate)
}

func otherChallengeIsRejected(l *env) {
	requireForgeryRejected(l, "passkey_rejected", domain.ReasonChallengeMismatch, otherChallenge, otherChallenge)
}

func duplicateMemberIsRejected(l *env) {
	requireForgeryRejected(l, "passkey_rejected", domain.ReasonMalformed, duplicateMember, duplicateMember)
}

func impossibleBackupStateIsRejected(l *env) {
	requireForgeryRejected(l, "passkey_rejected", domain.ReasonBackupStateInvalid, bsWithoutBE, bsWithoutBE)
}

func userVerificationIsRequired(l *env) {
	requireForgeryRejected(l, "user_verification_required", domain.ReasonUserVerificationMissing, noUserVerification, noUserVerification)
}

func userPresenceIsRequired(l *env) {
	requireForgeryRejected(l, "passkey_rejected", domain.ReasonUserPresenceMissing, noUserPresence, noUserPresence)
}

func badSignatureIsRejected(l *env) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	ada.signsOut()
	ada.requireSignInRejected("passkey_rejected", domain.ReasonSignatureInvalid, badSignature)
	ada.signsIn()
}

func credentialIDIsRegisteredOnce(l *env) {
	ada, mallory := l.person("Ada", phone), l.person("Mallory", phone)
	ada.signsUp()
	ada.signsOut()
	device := ada.apiDevice()
	adasID := device.getAssertion(device.mustBeginSignIn()).ID

	mallory.email = "mallory@example.org"
	mallory.requireSignUpRejected("passkey_already_registered", "", forgery{forge: authenticator.ForgeCredentialID(adasID)})
	ada.signsIn()
	mallory.signsUp()
}

func forgedSignCount(n uint32) forgery {
	return forgery{authenticator.ForgeSignCount(n), setSignCount(n)}
}

func aCounterGoesBack(l *env) {
	ada := l.person("Ada", securityKey)
	signsInRepeatedly(ada, 3)
	ada.requireSignInRejected("passkey_rejected", domain.ReasonCounterRegressed, forgedSignCount(1))
	if _, isPage := ada.device.(*browserPage); !isPage {
		ada.signsIn() // the genuine key counts on
	}
}

func aCounterGoesBackFlagged(l *env) {
	ada := l.person("Ada", securityKey)
	signsInRepeatedly(ada, 3)
	who, refused := ada.device.signIn("", forgedSignCount(1))
	ada.requireIdentity(who, refused)
}

func aCounterGoesBackSuspended(l *env) {
	ada := l.person("Ada", securityKey)
	signsInRepeatedly(ada, 3)
	ada.requireSignInRejected("passkey_rejected", domain.ReasonCounterRegressed, forgedSignCount(1))
	ada.requireSignInRejected("passkey_suspended", "")
}

func aSyncedCounterGoesBack(l *env) {
	ada := l.person("Ada", phone)
	signsInRepeatedly(ada, 1)
	for _, count := range []uint32{9, 5, 5} {
		who, refused := ada.device.signIn("", forgedSignCount(count))
		ada.requireIdentity(who, refused)
		ada.signsOut()
	}
}

// signsInRepeatedly signs up and then in and out, so that the key has counted.
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

func backupEligibilityChanges(l *env) {
	ada := l.person("Ada", phone)
	signsInRepeatedly(ada, 0)
	ada.requireSignInRejected("passkey_rejected", domain.ReasonBackupEligibilityChanged, backupEligibilityCleared)
}

func backupEligibilityChangesAccepted(l *env) {
	ada := l.person("Ada", phone)
	signsInRepeatedly(ada, 0)
	for range 2 {
		who, refused := ada.device.signIn("", backupEligibilityCleared)
		ada.requireIdentity(who, refused)
		ada.signsOut()
	}
}

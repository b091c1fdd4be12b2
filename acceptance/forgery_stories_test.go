package acceptance

import (
	"github.com/keylodge/keylodge/acceptance/authenticator"
	"github.com/keylodge/keylodge/domain"
)

// isRefusedEverywhere plays a trick at sign-up, where it must leave no account behind, and at sign-in; then the same
// person does both honestly.
func isRefusedEverywhere(l *lodge, code string, reason domain.Reason, atSignUp, atSignIn trick) {
	l.t.Helper()
	ada := l.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.isRefusedSignUp(code, reason, atSignUp)
	ada.signsUp()
	ada.signsOut()
	ada.isRefusedSignIn(code, reason, atSignIn)
	ada.signsIn()
}

func anotherOrigin(l *lodge) {
	isRefusedEverywhere(l, "passkey_rejected", domain.ReasonOriginNotAllowed, otherOrigin, otherOrigin)
}

func insideAnotherSitesFrame(l *lodge) {
	isRefusedEverywhere(l, "passkey_rejected", domain.ReasonCrossOrigin, insideAFrame, insideAFrame)
}

func anotherRPID(l *lodge) {
	isRefusedEverywhere(l, "passkey_rejected", domain.ReasonRPIDMismatch, otherRPID, otherRPID)
}

func theWrongType(l *lodge) {
	isRefusedEverywhere(l, "passkey_rejected", domain.ReasonTypeMismatch, asALogin, asARegister)
}

func anotherChallenge(l *lodge) {
	isRefusedEverywhere(l, "passkey_rejected", domain.ReasonChallengeMismatch, oldChallenge, oldChallenge)
}

func clientDataWithTwoFaces(l *lodge) {
	isRefusedEverywhere(l, "passkey_rejected", domain.ReasonMalformed, duplicateKeys, duplicateKeys)
}

func anImpossibleBackup(l *lodge) {
	isRefusedEverywhere(l, "passkey_rejected", domain.ReasonBackupStateInvalid, impossiblySafe, impossiblySafe)
}

func notVerifiedByTheDevice(l *lodge) {
	isRefusedEverywhere(l, "user_verification_required", domain.ReasonUserVerificationMissing, notVerified, notVerified)
}

func nobodyTouchedTheDevice(l *lodge) {
	isRefusedEverywhere(l, "passkey_rejected", domain.ReasonUserPresenceMissing, nobodyThere, nobodyThere)
}

func aBadSignature(l *lodge) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	ada.signsOut()
	ada.isRefusedSignIn("passkey_rejected", domain.ReasonSignatureInvalid, badSignature)
	ada.signsIn()
}

func aCredentialIDTwice(l *lodge) {
	ada, mallory := l.person("Ada", phone), l.person("Mallory", phone)
	ada.signsUp()
	ada.signsOut()
	device := ada.script()
	adasID := device.answers(device.beginsSignIn()).ID

	mallory.email = "mallory@example.org"
	mallory.isRefusedSignUp("passkey_already_registered", "", trick{forge: authenticator.ForgeCredentialID(adasID)})
	ada.signsIn()
	mallory.signsUp()
}

func countsBackTo(n uint32) trick {
	return trick{authenticator.ForgeSignCount(n), countsInBrowser(n)}
}

func aCounterGoesBack(l *lodge) {
	ada := l.person("Ada", securityKey)
	usesTheKey(ada, 3)
	ada.isRefusedSignIn("passkey_rejected", domain.ReasonCounterRegressed, countsBackTo(1))
	if _, isPage := ada.device.(*tab); !isPage {
		ada.signsIn() // the genuine key counts on
	}
}

func aCounterGoesBackNoted(l *lodge) {
	ada := l.person("Ada", securityKey)
	usesTheKey(ada, 3)
	who, refused := ada.device.signIn("", countsBackTo(1))
	ada.mustBe(who, refused)
}

func aCounterGoesBackSuspended(l *lodge) {
	ada := l.person("Ada", securityKey)
	usesTheKey(ada, 3)
	ada.isRefusedSignIn("passkey_rejected", domain.ReasonCounterRegressed, countsBackTo(1))
	ada.isRefusedSignIn("passkey_suspended", "")
}

func aSyncedCounterGoesBack(l *lodge) {
	ada := l.person("Ada", phone)
	usesTheKey(ada, 1)
	for _, count := range []uint32{9, 5, 5} {
		who, refused := ada.device.signIn("", countsBackTo(count))
		ada.mustBe(who, refused)
		ada.signsOut()
	}
}

// usesTheKey signs up and then in and out, so that the key has counted.
func usesTheKey(p *person, times int) {
	p.t.Helper()
	p.signsUp()
	p.signsOut()
	for range times {
		p.signsIn()
		p.signsOut()
	}
}

var noLongerEligible = trick{authenticator.ForgeFlags(0, authenticator.BackupEligible|authenticator.BackedUp), (*tab).losesBackupEligibility}

func backupEligibilityChanges(l *lodge) {
	ada := l.person("Ada", phone)
	usesTheKey(ada, 0)
	ada.isRefusedSignIn("passkey_rejected", domain.ReasonBackupEligibilityChanged, noLongerEligible)
}

func backupEligibilityChangesAccepted(l *lodge) {
	ada := l.person("Ada", phone)
	usesTheKey(ada, 0)
	for range 2 {
		who, refused := ada.device.signIn("", noLongerEligible)
		ada.mustBe(who, refused)
		ada.signsOut()
	}
}

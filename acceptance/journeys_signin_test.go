package acceptance

import (
	"time"

	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
)

func signsInWithoutEmail(e *env) {
	ada := e.newUser("Ada", autofillPhone)
	ada.requireSignedIn()
	ada.signsOut()
	ada.requireSignedOut("unauthenticated")
	ada.signsIn()
	ada.requireSignedIn()
}

func signsUpWithoutNameOrEmail(e *env) {
	ada := e.newUser("", phone)
	ada.requireSignedIn()
	ada.signsOut()
	ada.signsIn()
}

func signsInByEmail(e *env) {
	ada := e.newUserWithEmail("Ada", phone, "ada@example.org")
	ada.signsOut()
	ada.signsInByEmail()
	ada.signsOut()
	ada.requireIdentity(ada.device.signIn(" Ada@Example.ORG"))
}

func signsInWithASecurityKey(e *env) {
	ada := e.newUser("Ada", securityKey)
	for range 3 {
		ada.signsOut()
		ada.signsIn()
	}
}

func twoUsersOnTwoDevices(e *env) {
	ada, ben := e.newUser("Ada", phone), e.person("Ben", phone)
	ben.requireSignedOut("unauthenticated")
	ben.signsUp()
	ada.requireSignedIn()
	ben.requireSignedIn()
	ada.signsOut()
	ben.requireSignedIn()
	ada.signsIn()
	ben.signsOut()
	ada.requireSignedIn()
	ben.signsIn()
}

func twoUsersShareADevice(e *env) {
	ada := e.newUserWithEmail("Ada", phone, "ada@example.org")
	ada.signsOut()

	ben := &person{t: e.t, device: ada.device, profile: profile{name: "Ben", email: "ben@example.org"}}
	ben.signsUp()
	ben.signsOut()

	ada.signsInByEmail()
	ada.signsOut()
	ben.signsInByEmail()
}

func correctsAnInvalidEmail(e *env) {
	ada := e.person("Ada", phone)
	ada.email = "ada@example.123"
	ada.requireSignUpRejected("invalid_request", "")
	ada.email = "ada@example.org"
	ada.signsUp()
}

func emailIsTaken(e *env) {
	ada, ben := e.newUserWithEmail("Ada", phone, "ada@example.org"), e.person("Ben", phone)
	ben.email = "ada@example.org"
	ben.requireSignUpRejected("email_taken", "")
	ben.requireSignInRejected("cancelled", "") // the authenticator created no passkey
	ben.email = "ben@example.org"
	ben.signsUp()
	ada.requireSignedIn()
}

func dismissesThePrompt(e *env) {
	ada := e.newUser("Ada", phone)
	ada.signsOut()
	ada.requireSignInRejected("cancelled", "", promptDismissed)
	ada.signsIn()
}

func hasNoPasskey(e *env) {
	e.newUser("Ada", phone)
	e.person("Ben", phone).requireSignInRejected("cancelled", "")
}

func closeRegistration(c *config.Config) { c.Registration = domain.RegistrationClosed }

func signUpIsClosed(e *env) {
	e.person("Ada", phone).requireSignUpRejected("registration_closed", "")
}

func respondsTooLate(e *env) {
	ada := e.newUser("Ada", phone)
	ada.signsOut()
	ada.requireRejectedAndSignedOut(ada.device.signInDelayed(func() { e.advance(5 * time.Minute) }), "challenge_expired", "")
	ada.signsIn()
}

func badSignatureIsRejected(e *env) {
	ada := e.newUser("Ada", phone)
	ada.signsOut()
	ada.requireSignInRejected("passkey_rejected", domain.ReasonSignatureInvalid, badSignature)
	ada.signsIn()
}

func userVerificationIsRequired(e *env) {
	requireForgeriesRejected(e, forgeryCase{"user_verification_required", domain.ReasonUserVerificationMissing, noUserVerification, noUserVerification})
}

func userPresenceIsRequired(e *env) {
	requireForgeriesRejected(e, forgeryCase{"passkey_rejected", domain.ReasonUserPresenceMissing, noUserPresence, noUserPresence})
}

func flagLowerCounters(c *config.Config)    { c.Use.Counter = domain.CounterFlag }
func suspendLowerCounters(c *config.Config) { c.Use.Counter = domain.CounterSuspend }

func lowerCounterIsRejected(e *env) {
	ada := e.signedOutUserWithSignIns(securityKey, 3)
	ada.requireSignInRejected("passkey_rejected", domain.ReasonCounterRegressed, forgedSignCount(1))
	ada.signsIn(forgedSignCount(9)) // the original key has a higher counter
}

func lowerCounterIsFlagged(e *env) {
	ada := e.signedOutUserWithSignIns(securityKey, 3)
	ada.signsIn(forgedSignCount(1))
}

func lowerCounterSuspends(e *env) {
	ada := e.signedOutUserWithSignIns(securityKey, 3)
	ada.requireSignInRejected("passkey_rejected", domain.ReasonCounterRegressed, forgedSignCount(1))
	ada.requireSignInRejected("passkey_suspended", "")
}

func syncedCounterIsIgnored(e *env) {
	ada := e.signedOutUserWithSignIns(phone, 1)
	for _, count := range []uint32{9, 5, 5} {
		ada.signsIn(forgedSignCount(count))
		ada.signsOut()
	}
}

// signedOutUserWithSignIns returns Ada after several sign-ins, each of which increased the signature counter of a security key.
func (e *env) signedOutUserWithSignIns(kind deviceKind, times int) *person {
	e.t.Helper()
	ada := e.newUser("Ada", kind)
	ada.signsOut()
	for range times {
		ada.signsIn()
		ada.signsOut()
	}
	return ada
}

func acceptChangedBackupEligibility(c *config.Config) {
	c.Use.BackupEligibility = domain.BackupEligibilityAcceptAndRecord
}

func changedBackupEligibilityIsRejected(e *env) {
	ada := e.signedOutUserWithSignIns(phone, 0)
	ada.requireSignInRejected("passkey_rejected", domain.ReasonBackupEligibilityChanged, backupEligibilityCleared)
}

func changedBackupEligibilityIsAccepted(e *env) {
	ada := e.signedOutUserWithSignIns(phone, 0)
	for range 2 {
		ada.signsIn(backupEligibilityCleared)
		ada.signsOut()
	}
}

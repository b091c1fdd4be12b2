package acceptance

import (
	"strings"
	"time"
)

func grantRegistersOnePasskey(e *env) {
	ada := e.newUser("Ada", phone)
	codes := ada.makesBackupCodes()
	recovered := e.onNewDevice(ada)
	device := recovered.apiDevice()
	grant := device.mustRedeem(withBackupCode(codes[0]))

	// The response was lost: the same code returns the same grant, and no other code is used.
	second := device.mustRedeem(withBackupCode(codes[0]))
	if second != grant {
		e.t.Fatal("one code returned two different grants")
	}
	ada.requireFactors(shownFactors{codesLeft: 10})

	// The grant is not an access token.
	device.api.setTokenPair(tokenPair{access: grant})
	recovered.requireSignedOut("unauthenticated")
	device.api.setTokenPair(tokenPair{})

	// A rejected registration consumes its challenge, and the grant stays valid.
	begun := device.mustBeginRecovery(grant)
	recovered.requireRejected(device.api.finishRecovery(grant, begun.challengeID, device.makeCredential(begun, otherOrigin)), "passkey_rejected")
	recovered.requireRejected(device.api.finishRecovery(grant, begun.challengeID, device.makeCredential(begun)), "challenge_not_found")
	ada.requireFactors(shownFactors{codesLeft: 10})

	recovered.requireIdentity(device.registerWithGrant(grant))
	recovered.requireFactors(shownFactors{codesLeft: 9})
	recovered.requireRejected(device.registerWithGrant(grant), "invalid_code")
	recovered.requireRejected(device.api.beginRecovery(grant), "invalid_code")
	recovered.requireRejected(device.api.redeem(withBackupCode(codes[0])), "invalid_code")
}

func aGrantExpires(e *env) {
	ada := e.newUser("Ada", phone)
	codes := ada.makesBackupCodes()
	recovered := e.onNewDevice(ada)
	device := recovered.apiDevice()
	grant := device.mustRedeem(withBackupCode(codes[0]))
	e.advance(6 * time.Minute)
	begun := device.mustBeginRecovery(grant)
	e.advance(4 * time.Minute)
	recovered.requireRejected(device.api.finishRecovery(grant, begun.challengeID, device.makeCredential(begun)), "invalid_code")
	recovered.requireRejected(device.api.beginRecovery(grant), "invalid_code")
	recovered.recovers(withBackupCode(codes[0])) // the code is still unused
}

func grantIsBoundToItsOwner(e *env) {
	ada, ben := e.newUser("Ada", phone), e.newUser("Ben", phone)
	adaCodes, benCodes := ada.makesBackupCodes(), ben.makesBackupCodes()
	recovered := e.onNewDevice(ada)
	device := recovered.apiDevice()
	grant := device.mustRedeem(withBackupCode(adaCodes[0]))
	other := device.mustRedeem(withBackupCode(benCodes[0]))
	begun := device.mustBeginRecovery(grant)
	recovered.requireRejected(device.api.finishRecovery(other, begun.challengeID, device.makeCredential(begun)), "challenge_not_found")
	// A challenge for a sign-up, and a challenge for a recovery at a sign-up.
	begun = device.mustBeginSignUp(profile{name: "Ada"})
	recovered.requireRejected(device.api.finishRecovery(grant, begun.challengeID, device.makeCredential(begun)), "challenge_not_found")
	begun = device.mustBeginRecovery(grant)
	recovered.requireRejected(device.api.finishSignUp(begun.challengeID, device.makeCredential(begun)), "challenge_not_found")
	for _, invented := range []string{"klg_" + strings.Repeat("A", 43), "klg_", "x", grant + "A", grant[:len(grant)-1]} {
		recovered.requireRejected(device.api.beginRecovery(invented), "invalid_code")
	}
}

func sixteenRecoveriesAtOnce(e *env) {
	ada := e.newUserWithEmail("Ada", phone, "ada@example.org")
	codes, phoneApp := ada.makesBackupCodes(), e.enrolTOTP(ada)
	e.advance(time.Minute)
	recovered := e.onNewDevice(ada)
	device := recovered.apiDevice()

	code := phoneApp.code()
	outcomes := concurrently(e.t, 16, func(int) result[string] { return device.api.redeem(withTOTP(ada.email, code)) })
	if outcomes[""] != 1 || outcomes["invalid_code"] != 15 { // a used code is not a wrong one, so there is no wait
		e.t.Fatalf("sixteen concurrent uses of one TOTP code: %v", outcomes)
	}

	grants := make([]string, 16)
	outcomes = concurrently(e.t, 16, func(i int) result[string] {
		got := device.api.redeem(withBackupCode(codes[0]))
		grants[i] = got.value
		return got
	})
	for _, grant := range grants {
		if outcomes[""] != 16 || grant != grants[0] {
			e.t.Fatalf("sixteen concurrent uses of one backup code: %v, grants %q and %q", outcomes, grant, grants[0])
		}
	}
	enrolments := make([]func() result[shownUser], 16)
	for i := range enrolments {
		begun := device.mustBeginRecovery(grants[0])
		device.useAuthenticator(phone)
		response := device.makeCredential(begun)
		enrolments[i] = func() result[shownUser] { return device.api.finishRecovery(grants[0], begun.challengeID, response) }
	}
	outcomes = concurrently(e.t, 16, func(i int) result[shownUser] { return enrolments[i]() })
	if outcomes[""] != 1 || outcomes["invalid_code"]+outcomes["challenge_not_found"] != 15 { // a used grant's challenges are deleted
		e.t.Fatalf("sixteen concurrent registrations with one grant: %v", outcomes)
	}
	recovered.requirePasskeys("", "")
	recovered.requireFactors(shownFactors{hasTOTP: true, codesLeft: 9})
}

func guessesUntilBackoff(e *env) {
	ada := e.newUserWithEmail("Ada", phone, "ada@example.org")
	phoneApp := e.enrolTOTP(ada)
	ada.signsOut()
	mallory := e.person("Mallory", phone)
	requireGuessesRejected := func(code string) { // alike for an account and for none
		e.t.Helper()
		for _, email := range []string{"ada@example.org", "unknown@example.org"} {
			mallory.requireRecoveryRejected(withTOTP(email, phoneApp.wrongCode()), code)
		}
	}
	e.advance(time.Minute)
	for range 5 {
		requireGuessesRejected("invalid_code")
	}
	ada.requireRecoveryRejected(withTOTP(ada.email, phoneApp.code()), "rate_limited")
	for _, wait := range []time.Duration{15 * time.Minute, 30 * time.Minute, time.Hour} {
		requireGuessesRejected("rate_limited")
		ada.signsIn() // the owner can sign in meanwhile
		ada.signsOut()
		requireGuessesRejected("rate_limited") // the sign-in does not change the responses
		e.advance(wait)
		requireGuessesRejected("invalid_code")
	}
	ada.signsIn() // this resets the account's lockout; the network still has to wait for wrong codes
	e.onNewDevice(ada).recovers(withTOTP(ada.email, phoneApp.code()))
}

func guessesUntilRecoveryLocked(e *env) {
	ada := e.newUserWithEmail("Ada", phone, "ada@example.org")
	phoneApp := e.enrolTOTP(ada)
	codes := ada.makesBackupCodes()
	ada.signsOut()
	mallory := e.person("Mallory", phone)
	for range 20 {
		e.advance(25 * time.Hour)
		mallory.requireRecoveryRejected(withTOTP(ada.email, phoneApp.wrongCode()), "invalid_code")
	}
	e.advance(60 * day)
	recovered := e.onNewDevice(ada)
	recovered.requireRecoveryRejected(withTOTP(ada.email, phoneApp.code()), "invalid_code") // the code is valid, but TOTP is locked
	ada.signsIn()
	recovered.recovers(withTOTP(ada.email, phoneApp.code()))
	recovered.device.useAuthenticator(phone)
	recovered.recovers(withBackupCode(codes[0]))
}

// grantEndsWithItsFactor checks the ways in which an owner can stop a recovery by an attacker.
func grantEndsWithItsFactor(e *env) {
	ada := e.newUserWithEmail("Ada", phone, "ada@example.org")
	thief := e.onNewDevice(ada).apiDevice()
	for name, stops := range map[string]func(){
		"removing the app":     ada.removesTOTP,
		"replacing the app":    func() { e.enrolTOTP(ada) },
		"generating new codes": func() { ada.makesBackupCodes() },
		"disabling the account": func() {
			e.disables(ada)
			e.enables(ada)
			ada.signsIn()
		},
	} {
		stolen := e.enrolTOTP(ada)
		e.advance(time.Minute)
		grant := thief.mustRedeem(withTOTP(ada.email, stolen.code()))
		begun := thief.mustBeginRecovery(grant)
		ada.stepsUp()
		stops()
		if got := thief.api.finishRecovery(grant, begun.challengeID, thief.makeCredential(begun)); got.code != "challenge_not_found" {
			e.t.Fatalf("after %s the grant is still valid: %+v", name, got)
		}
		ada.requireRejected(thief.api.beginRecovery(grant), "invalid_code")
		ada.requireSignedIn()
		thief.useAuthenticator(phone)
	}
}

func oneFactorIsRejectedWhereBothAreRequired(e *env) {
	ada := e.newUserWithEmail("Ada", phone, "ada@example.org")
	phoneApp, codes := e.enrolTOTP(ada), ada.makesBackupCodes()
	recovered := e.onNewDevice(ada)
	e.advance(time.Minute)
	recovered.requireRecoveryRejected(withBackupCode(codes[0]), "invalid_request")
	recovered.requireRecoveryRejected(withTOTP(ada.email, phoneApp.code()), "invalid_request")
	recovered.recovers(recoveryProof{email: ada.email, totpCode: phoneApp.code(), backupCode: codes[0]})
}

func verificationEmailsAreLimited(e *env) {
	for _, name := range []string{"Ben", "Carol", "Dora", "Eve", "Fred"} {
		e.person(name, phone).signsUpWithEmail("ada@example.org")
	}
	e.lastEmail("ada@example.org", 5)
	mallory := e.person("Mallory", phone)
	mallory.signsUpWithEmail("ada@example.org") // the response does not reveal the limit
	mallory.requireRejected(mallory.device.sendEmailCode(), "rate_limited")
	mallory.requestsEmail("ada@example.com")
	mallory.requireChangeRejected("Mallory", "ada@example.org", "rate_limited")
	e.lastEmail("ada@example.org", 5)
	e.advance(15 * time.Minute)
	mallory.device.signOut()

	ada := e.person("Ada", phone)
	ada.signsUpWithEmail("ada@example.org")
	ada.confirmsEmail(e.codeIn(e.lastEmail("ada@example.org", 6)))
	ada.email = "ada@example.org"
	ada.requireSignedIn()
}

func confirmedEmailCodeIsRejected(e *env) {
	ada := e.person("Ada", phone)
	ada.signsUpWithEmail("ada@example.org")
	code := e.codeIn(e.lastEmail("ada@example.org", 1))
	ada.confirmsEmail(code)
	ada.requireRejected(ada.device.confirmEmail(code), "invalid_code")
	ada.requireRejected(ada.device.sendEmailCode(), "not_found")
	e.lastEmail("ada@example.org", 1)
}

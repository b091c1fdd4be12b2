package acceptance

import (
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
)

// totpApp is a user's authenticator app.
type totpApp struct {
	env    *env
	secret string
}

// code returns the code for the current time, or for a clock with the given deviation.
func (a totpApp) code(off ...time.Duration) string {
	a.env.t.Helper()
	at := a.env.clock.Now()
	for _, d := range off {
		at = at.Add(d)
	}
	code, err := totp.GenerateCodeCustom(a.secret, at, totp.ValidateOpts{Period: 30, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		a.env.t.Fatal(err)
	}
	return code
}

// wrongCode returns a code that is not valid at any time near the current one.
func (a totpApp) wrongCode() string {
	a.env.t.Helper()
	near := map[string]bool{}
	for step := -2; step <= 2; step++ {
		near[a.code(time.Duration(step)*30*time.Second)] = true
	}
	for _, code := range []string{"000000", "111111", "222222", "333333", "444444", "555555"} {
		if !near[code] {
			return code
		}
	}
	panic("five valid codes exclude six codes")
}

func (e *env) enrolTOTP(p *person) totpApp {
	e.t.Helper()
	secret, rejected := p.device.setUpTOTP()
	p.requireOK(rejected)
	a := totpApp{e, secret}
	p.requireOK(p.device.confirmTOTP(a.code()))
	return a
}

func (p *person) makesBackupCodes() []string {
	p.t.Helper()
	codes, rejected := p.device.makeBackupCodes()
	p.requireOK(rejected)
	if len(codes) != 10 {
		p.t.Fatalf("%d backup codes, want 10", len(codes))
	}
	return codes
}

func (p *person) requireFactors(want shownFactors) {
	p.t.Helper()
	have, rejected := p.device.recoveryFactors()
	p.requireOK(rejected)
	if have != want {
		p.t.Fatalf("%s has the recovery factors %+v, want %+v", p.name, have, want)
	}
}

// onNewDevice returns the same user with a new device that has no passkeys.
func (e *env) onNewDevice(p *person) *person {
	e.t.Helper()
	return &person{t: e.t, device: e.driver.newDevice(e.t, phone), profile: p.profile}
}

// recovers fails the test if the recovery is rejected.
func (p *person) recovers(proof recoveryProof) {
	p.t.Helper()
	user, rejected := p.device.recover(proof)
	p.requireIdentity(user, rejected)
}

func (p *person) requireRecoveryRejected(proof recoveryProof, code string) {
	p.t.Helper()
	p.requireRejected(onlyRejection(p.device.recover(proof)), code)
}

func recoversWithABackupCode(e *env) {
	ada := e.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	codes := ada.makesBackupCodes()
	ada.requireFactors(shownFactors{codesLeft: 10})
	recovered := e.onNewDevice(ada)
	recovered.recovers(recoveryProof{backupCode: codes[3]})
	recovered.requireSignedIn()
	ada.requireSignedOut("session_revoked") // on the lost phone
	recovered.requireFactors(shownFactors{codesLeft: 9})
	recovered.requireEvents(shownEvent{kind: "recovered"}, shownEvent{"session_revoked", "recovered"}, shownEvent{kind: "recovery_granted"})
	second := e.onNewDevice(ada)
	second.requireRecoveryRejected(recoveryProof{backupCode: codes[3]}, "invalid_code")
	second.recovers(recoveryProof{backupCode: " " + strings.ToUpper(strings.ReplaceAll(codes[4], "-", " "))})
	second.signsOut()
	second.signsIn()
}

func recoversWithTheApp(e *env) {
	ada := e.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	phoneApp := e.enrolTOTP(ada)
	ada.requireFactors(shownFactors{hasTOTP: true})
	e.advance(time.Minute)
	code := phoneApp.code()
	recovered := e.onNewDevice(ada)
	recovered.recovers(recoveryProof{email: " Ada@Example.org", totpCode: code})
	ada.requireSignedOut("session_revoked")
	second := e.onNewDevice(ada)
	for range 6 { // a used code is not counted as a wrong one
		second.requireRecoveryRejected(recoveryProof{email: "ada@example.org", totpCode: code}, "invalid_code")
	}
	e.advance(time.Minute)
	second.recovers(recoveryProof{email: "ada@example.org", totpCode: phoneApp.code(-30 * time.Second)}) // the app's clock is slow
}

// entersCodesInOtherScripts enters valid codes with digits of other scripts, dashes, spaces and invisible characters. It also
// enters malformed codes, which must not count as wrong ones.
func entersCodesInOtherScripts(e *env) {
	ada := e.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	secret, rejected := ada.device.setUpTOTP()
	ada.requireOK(rejected)
	phoneApp := totpApp{e, secret}
	ada.requireOK(ada.device.confirmTOTP("\u2066" + toDigitsOf('０', phoneApp.code()) + "\u2069"))
	codes := ada.makesBackupCodes()
	for _, zero := range []rune{'٠', '۰', '०', '০'} {
		e.advance(time.Minute)
		code := toDigitsOf(zero, phoneApp.code())
		recovered := e.onNewDevice(ada)
		for _, malformed := range []string{"12345", "1234567", "12345x"} {
			recovered.requireRecoveryRejected(recoveryProof{email: ada.email, totpCode: malformed}, "invalid_code")
			recovered.requireRecoveryRejected(recoveryProof{backupCode: codes[0] + "0"}, "invalid_code")
		}
		recovered.recovers(recoveryProof{email: ada.email, totpCode: code[:6] + "\u200f\u2011" + code[6:]})
		ada.device = recovered.device
	}
	recovered := e.onNewDevice(ada)
	recovered.recovers(recoveryProof{backupCode: "\ufeff" + toDigitsOf('٠', strings.ToUpper(strings.ReplaceAll(codes[1], "-", "\u2014\u00ad")))})
}

// toDigitsOf writes ASCII digits in the script with the given zero.
func toDigitsOf(zero rune, code string) string {
	return strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return zero + r - '0'
		}
		return r
	}, code)
}

func requireBothFactors(c *config.Config) { c.Recovery = domain.RecoveryBoth }

func bothFactorsAreRequired(e *env) {
	ada := e.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	phoneApp, codes := e.enrolTOTP(ada), ada.makesBackupCodes()
	ben := e.person("Ben", phone)
	ben.signsUp()
	benCodes := ben.makesBackupCodes()
	recovered := e.onNewDevice(ada)
	e.advance(time.Minute)
	if _, isPage := recovered.device.(*browserPage); !isPage { // the page asks for both
		recovered.requireRecoveryRejected(recoveryProof{backupCode: codes[0]}, "invalid_request")
		recovered.requireRecoveryRejected(recoveryProof{email: ada.email, totpCode: phoneApp.code()}, "invalid_request")
	}
	recovered.requireRecoveryRejected(recoveryProof{email: ada.email, totpCode: phoneApp.wrongCode(), backupCode: codes[0]}, "invalid_code")
	recovered.requireRecoveryRejected(recoveryProof{email: ada.email, totpCode: phoneApp.code(), backupCode: benCodes[0]}, "invalid_code")
	e.advance(time.Minute)
	recovered.recovers(recoveryProof{email: ada.email, totpCode: phoneApp.code(), backupCode: codes[0]})
}

func recoveryIsOff(e *env) {
	ada := e.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	ada.requireRejected(onlyRejection(ada.device.recoveryFactors()), "not_found")
	ada.requireRejected(onlyRejection(ada.device.setUpTOTP()), "not_found")
	ada.requireRejected(onlyRejection(ada.device.makeBackupCodes()), "not_found")
	ada.requireRecoveryRejected(recoveryProof{email: ada.email, totpCode: "123456"}, "not_found")
}

func recoveryIsNoStepUp(e *env) {
	ada := e.person("Ada", phone)
	ada.signsUp()
	codes := ada.makesBackupCodes()
	lost := ada.listPasskeys()[0]
	recovered := e.onNewDevice(ada)
	recovered.recovers(recoveryProof{backupCode: codes[0]})
	if device, isAPI := recovered.device.(*apiDevice); isAPI {
		recovered.requireRejected(device.removePasskey(lost.id), "step_up_required")
		recovered.requireRejected(device.deleteAccount(), "step_up_required")
		recovered.requireRejected(onlyRejection(device.makeBackupCodes()), "step_up_required")
		recovered.requireRejected(onlyRejection(device.setUpTOTP()), "step_up_required")
		recovered.requireRejected(device.removeTOTP(), "step_up_required")
		recovered.requireRejected(device.confirmTOTP("123456"), "step_up_required")
		recovered.requireRejected(onlyRejection(device.changeAccount("Ada", "mallory@example.org")), "step_up_required")
		recovered.requireRejected(onlyRejection(device.api.beginAddPasskey()), "step_up_required")
	}
	recovered.stepsUp()
	recovered.requireOK(recovered.device.removePasskey(lost.id))
	recovered.requirePasskeys("")
	recovered.requireFactors(shownFactors{codesLeft: 9})
}

func grantRegistersOnePasskey(e *env) {
	ada := e.person("Ada", phone)
	ada.signsUp()
	codes := ada.makesBackupCodes()
	recovered := e.onNewDevice(ada)
	device := recovered.apiDevice()
	grant, rejected := device.api.redeem(recoveryProof{backupCode: codes[0]})
	recovered.requireOK(rejected)

	// The response was lost: the same code returns the same grant, and no other code is used.
	second, rejected := device.api.redeem(recoveryProof{backupCode: codes[0]})
	recovered.requireOK(rejected)
	if second != grant {
		e.t.Fatal("one code returned two different grants")
	}
	ada.requireFactors(shownFactors{codesLeft: 10})

	// The grant is not an access token.
	device.api.setTokenPair(tokenPair{access: grant})
	recovered.requireSignedOut("unauthenticated")
	device.api.setTokenPair(tokenPair{})

	// A rejected registration consumes its challenge, and the grant stays valid.
	begun, rejected := device.api.beginRecovery(grant)
	recovered.requireOK(rejected)
	recovered.requireRejected(onlyRejection(device.api.finishRecovery(grant, begun.challengeID, device.makeCredential(begun, otherOrigin))), "passkey_rejected")
	recovered.requireRejected(onlyRejection(device.api.finishRecovery(grant, begun.challengeID, device.makeCredential(begun))), "challenge_not_found")
	ada.requireFactors(shownFactors{codesLeft: 10})

	user, rejected := device.registerWithGrant(grant)
	recovered.requireIdentity(user, rejected)
	recovered.requireFactors(shownFactors{codesLeft: 9})
	recovered.requireRejected(onlyRejection(device.registerWithGrant(grant)), "invalid_code")
	recovered.requireRejected(onlyRejection(device.api.beginRecovery(grant)), "invalid_code")
	recovered.requireRejected(onlyRejection(device.api.redeem(recoveryProof{backupCode: codes[0]})), "invalid_code")
}

func aGrantExpires(e *env) {
	ada := e.person("Ada", phone)
	ada.signsUp()
	codes := ada.makesBackupCodes()
	recovered := e.onNewDevice(ada)
	device := recovered.apiDevice()
	grant, rejected := device.api.redeem(recoveryProof{backupCode: codes[0]})
	recovered.requireOK(rejected)
	e.advance(6 * time.Minute)
	begun, rejected := device.api.beginRecovery(grant)
	recovered.requireOK(rejected)
	e.advance(4 * time.Minute)
	recovered.requireRejected(onlyRejection(device.api.finishRecovery(grant, begun.challengeID, device.makeCredential(begun))), "invalid_code")
	recovered.requireRejected(onlyRejection(device.api.beginRecovery(grant)), "invalid_code")
	recovered.recovers(recoveryProof{backupCode: codes[0]}) // the code is still unused
}

func grantIsBoundToItsOwner(e *env) {
	ada, ben := e.person("Ada", phone), e.person("Ben", phone)
	ada.signsUp()
	ben.signsUp()
	adaCodes, benCodes := ada.makesBackupCodes(), ben.makesBackupCodes()
	recovered := e.onNewDevice(ada)
	device := recovered.apiDevice()
	grant, rejected := device.api.redeem(recoveryProof{backupCode: adaCodes[0]})
	recovered.requireOK(rejected)
	other, rejected := device.api.redeem(recoveryProof{backupCode: benCodes[0]})
	recovered.requireOK(rejected)
	begun, rejected := device.api.beginRecovery(grant)
	recovered.requireOK(rejected)
	recovered.requireRejected(onlyRejection(device.api.finishRecovery(other, begun.challengeID, device.makeCredential(begun))), "challenge_not_found")
	// A challenge for a sign-up, and a challenge for a recovery at a sign-up.
	begun = device.mustBeginSignUp(profile{name: "Ada"})
	recovered.requireRejected(onlyRejection(device.api.finishRecovery(grant, begun.challengeID, device.makeCredential(begun))), "challenge_not_found")
	begun, rejected = device.api.beginRecovery(grant)
	recovered.requireOK(rejected)
	recovered.requireRejected(onlyRejection(device.api.finishSignUp(begun.challengeID, device.makeCredential(begun))), "challenge_not_found")
	for _, invented := range []string{"klg_" + strings.Repeat("A", 43), "klg_", "x", grant + "A", grant[:len(grant)-1]} {
		recovered.requireRejected(onlyRejection(device.api.beginRecovery(invented)), "invalid_code")
	}
}

func sixteenRecoveriesAtOnce(e *env) {
	ada := e.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	codes, phoneApp := ada.makesBackupCodes(), e.enrolTOTP(ada)
	e.advance(time.Minute)
	recovered := e.onNewDevice(ada)
	device := recovered.apiDevice()

	code := phoneApp.code()
	outcomes := concurrently(16, func(int) rejection {
		return onlyRejection(device.api.redeem(recoveryProof{email: ada.email, totpCode: code}))
	})
	if outcomes[""] != 1 || outcomes["invalid_code"] != 15 { // a used code is not a wrong one, so there is no wait
		e.t.Fatalf("sixteen concurrent uses of one TOTP code: %v", outcomes)
	}

	grants := make([]string, 16)
	outcomes = concurrently(16, func(i int) (rejected rejection) {
		grants[i], rejected = device.api.redeem(recoveryProof{backupCode: codes[0]})
		return rejected
	})
	for _, grant := range grants {
		if outcomes[""] != 16 || grant != grants[0] {
			e.t.Fatalf("sixteen concurrent uses of one backup code: %v, grants %q and %q", outcomes, grant, grants[0])
		}
	}
	enrolments := make([]func() rejection, 16)
	for i := range enrolments {
		begun, rejected := device.api.beginRecovery(grants[0])
		recovered.requireOK(rejected)
		device.useAuthenticator(phone)
		response := device.makeCredential(begun)
		enrolments[i] = func() rejection {
			return onlyRejection(device.api.finishRecovery(grants[0], begun.challengeID, response))
		}
	}
	outcomes = concurrently(16, func(i int) rejection { return enrolments[i]() })
	if outcomes[""] != 1 || outcomes["invalid_code"]+outcomes["challenge_not_found"] != 15 { // a used grant's challenges are deleted
		e.t.Fatalf("sixteen concurrent registrations with one grant: %v", outcomes)
	}
	recovered.requirePasskeys("", "")
	recovered.requireFactors(shownFactors{hasTOTP: true, codesLeft: 9})
}

func guessesUntilBackoff(e *env) {
	ada := e.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	phoneApp := e.enrolTOTP(ada)
	ada.signsOut()
	mallory := e.person("Mallory", phone)
	guess := func(email string) string {
		e.t.Helper()
		_, rejected := mallory.device.recover(recoveryProof{email: email, totpCode: phoneApp.wrongCode()})
		return rejected.code
	}
	e.advance(time.Minute)
	for range 5 {
		for _, email := range []string{"ada@example.org", "unknown@example.org"} {
			if code := guess(email); code != "invalid_code" {
				e.t.Fatalf("%s: code %s", email, code)
			}
		}
	}
	ada.requireRecoveryRejected(recoveryProof{email: ada.email, totpCode: phoneApp.code()}, "rate_limited")
	for _, wait := range []time.Duration{15 * time.Minute, 30 * time.Minute, time.Hour} {
		for _, email := range []string{"ada@example.org", "unknown@example.org"} {
			if code := guess(email); code != "rate_limited" {
				e.t.Fatalf("%s: code %s", email, code)
			}
		}
		ada.signsIn() // the owner can sign in meanwhile
		ada.signsOut()
		for _, email := range []string{"ada@example.org", "unknown@example.org"} { // the sign-in does not change the responses
			if code := guess(email); code != "rate_limited" {
				e.t.Fatalf("%s, after the owner's sign-in: %s", email, code)
			}
		}
		e.advance(wait)
		for _, email := range []string{"ada@example.org", "unknown@example.org"} {
			if code := guess(email); code != "invalid_code" {
				e.t.Fatalf("%s, after %s: %s", email, wait, code)
			}
		}
	}
	ada.signsIn() // this resets the account's lockout; the network still has to wait for wrong codes
	e.onNewDevice(ada).recovers(recoveryProof{email: ada.email, totpCode: phoneApp.code()})
}

func guessesUntilRecoveryLocked(e *env) {
	ada := e.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	phoneApp := e.enrolTOTP(ada)
	codes := ada.makesBackupCodes()
	ada.signsOut()
	mallory := e.person("Mallory", phone)
	for range 20 {
		e.advance(25 * time.Hour)
		mallory.requireRecoveryRejected(recoveryProof{email: ada.email, totpCode: phoneApp.wrongCode()}, "invalid_code")
	}
	e.advance(60 * day)
	recovered := e.onNewDevice(ada)
	recovered.requireRecoveryRejected(recoveryProof{email: ada.email, totpCode: phoneApp.code()}, "invalid_code") // the code is valid, but TOTP is locked
	ada.signsIn()
	recovered.recovers(recoveryProof{email: ada.email, totpCode: phoneApp.code()})
	recovered.device.useAuthenticator(phone)
	recovered.recovers(recoveryProof{backupCode: codes[0]})
}

func wrongBackupCodesCountAgainstTheIP(e *env) {
	ada := e.person("Ada", phone)
	ada.signsUp()
	codes := ada.makesBackupCodes()
	recovered := e.onNewDevice(ada)
	for range 5 {
		recovered.requireRecoveryRejected(recoveryProof{backupCode: "0000-0000-0000-0000"}, "invalid_code")
	}
	recovered.requireRecoveryRejected(recoveryProof{backupCode: "0000-0000-0000-0000"}, "rate_limited")
	recovered.recovers(recoveryProof{backupCode: codes[0]}) // a valid code is accepted: several users may share the IP address
	second := e.onNewDevice(ada)
	second.requireRecoveryRejected(recoveryProof{backupCode: "0000-0000-0000-0000"}, "rate_limited")
	e.advance(25 * time.Hour)
	for range 5 { // the counter was deleted after a day
		second.requireRecoveryRejected(recoveryProof{backupCode: "0000-0000-0000-0000"}, "invalid_code")
	}
}

func changesTheFactors(e *env) {
	ada := e.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	old, oldCodes := e.enrolTOTP(ada), ada.makesBackupCodes()
	secret, rejected := ada.device.setUpTOTP()
	ada.requireOK(rejected)
	replacement := totpApp{e, secret}
	ada.requireRejected(ada.device.confirmTOTP(replacement.wrongCode()), "invalid_code")
	ada.requireOK(ada.device.confirmTOTP(replacement.code()))
	codes := ada.makesBackupCodes()
	ada.requireFactors(shownFactors{hasTOTP: true, codesLeft: 10})
	e.advance(time.Minute)
	recovered := e.onNewDevice(ada)
	recovered.requireRecoveryRejected(recoveryProof{email: ada.email, totpCode: old.code()}, "invalid_code")
	recovered.requireRecoveryRejected(recoveryProof{backupCode: oldCodes[0]}, "invalid_code")
	ada.requireOK(ada.device.removeTOTP())
	ada.requireFactors(shownFactors{codesLeft: 10})
	recovered.requireRecoveryRejected(recoveryProof{email: ada.email, totpCode: replacement.code()}, "invalid_code")
	recovered.recovers(recoveryProof{backupCode: codes[0]})
}

// grantEndsWithItsFactor checks the ways in which an owner can stop a recovery by an attacker.
func grantEndsWithItsFactor(e *env) {
	ada := e.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	thief := e.onNewDevice(ada).apiDevice()
	for name, stops := range map[string]func(){
		"removing the app":     func() { ada.requireOK(ada.device.removeTOTP()) },
		"replacing the app":    func() { e.enrolTOTP(ada) },
		"generating new codes": func() { ada.makesBackupCodes() },
		"disabling the account": func() {
			user := domain.UserRef{Email: "ada@example.org"}
			if _, err := e.driver.operator().Admin.DisableUser(e.t.Context(), user); err != nil {
				e.t.Fatal(err)
			}
			if err := e.driver.operator().Admin.EnableUser(e.t.Context(), user); err != nil {
				e.t.Fatal(err)
			}
			ada.device.(*apiDevice).api = ada.device.(*apiDevice).api.reconnect()
			ada.signsIn()
		},
	} {
		stolen := e.enrolTOTP(ada)
		e.advance(time.Minute)
		grant, rejected := thief.api.redeem(recoveryProof{email: ada.email, totpCode: stolen.code()})
		ada.requireOK(rejected)
		begun, rejected := thief.api.beginRecovery(grant)
		ada.requireOK(rejected)
		ada.stepsUp()
		stops()
		if rejected := onlyRejection(thief.api.finishRecovery(grant, begun.challengeID, thief.makeCredential(begun))); rejected.code != "challenge_not_found" {
			e.t.Fatalf("after %s the grant is still valid: %+v", name, rejected)
		}
		ada.requireRejected(onlyRejection(thief.api.beginRecovery(grant)), "invalid_code")
		ada.requireSignedIn()
		thief.useAuthenticator(phone)
	}
}

func operatorIssuesARecoveryLink(e *env) {
	ada := e.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	given, err := e.driver.operator().Admin.RecoverUser(e.t.Context(), domain.UserRef{Email: "ada@example.org"})
	if err != nil {
		e.t.Fatal(err)
	}
	recovered := e.onNewDevice(ada)
	e.advance(14 * time.Minute)
	user, rejected := recovered.apiDevice().registerWithGrant(given.Token.Reveal())
	recovered.requireIdentity(user, rejected)
	recovered.requireRejected(onlyRejection(recovered.apiDevice().registerWithGrant(given.Token.Reveal())), "invalid_code")
	recovered.requireRejected(recovered.device.deleteAccount(), "step_up_required")
	ada.requireSignedOut("session_revoked")

	given, err = e.driver.operator().Admin.RecoverUser(e.t.Context(), domain.UserRef{Email: "ada@example.org"})
	if err != nil {
		e.t.Fatal(err)
	}
	e.advance(15 * time.Minute)
	recovered.requireRejected(onlyRejection(recovered.apiDevice().registerWithGrant(given.Token.Reveal())), "invalid_code")
}

package acceptance

import (
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"github.com/keylodge/keylodge/bootstrap"
	"github.com/keylodge/keylodge/domain"
)

// totpApp is a person's authenticator app.
type totpApp struct {
	env    *env
	secret string
}

// code is its code at the moment, or, for a clock that goes wrong, at another one.
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

// wrongCode is a code that is right at no moment near.
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
	panic("five codes near are six")
}

func (l *env) enrolTOTP(p *person) totpApp {
	l.t.Helper()
	secret, refused := p.device.setUpTOTP()
	p.requireOK(refused)
	a := totpApp{l, secret}
	p.requireOK(p.device.confirmTOTP(a.code()))
	return a
}

func (p *person) makesBackupCodes() []string {
	p.t.Helper()
	codes, refused := p.device.makeBackupCodes()
	p.requireOK(refused)
	if len(codes) != 10 {
		p.t.Fatalf("%d codes", len(codes))
	}
	return codes
}

func (p *person) requireFactors(want shownFactors) {
	p.t.Helper()
	have, refused := p.device.recoveryFactors()
	p.requireOK(refused)
	if have != want {
		p.t.Fatalf("%s has %+v to recover with, want %+v", p.name, have, want)
	}
}

// onNewDevice is the person with nothing but what they remember or wrote down, and a new device.
func (l *env) onNewDevice(p *person) *person {
	l.t.Helper()
	return &person{t: l.t, device: l.driver.newDevice(l.t, phone), profile: p.profile}
}

// recovers must succeed.
func (p *person) recovers(c recoveryProof) {
	p.t.Helper()
	who, refused := p.device.recover(c)
	p.requireIdentity(who, refused)
}

func (p *person) requireRecoveryRejected(c recoveryProof, code string) {
	p.t.Helper()
	p.requireRejected(onlyRejection(p.device.recover(c)), code)
}

func comesBackWithABackupCode(l *env) {
	ada := l.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	codes := ada.makesBackupCodes()
	ada.requireFactors(shownFactors{codesLeft: 10})
	back := l.onNewDevice(ada)
	back.recovers(recoveryProof{backupCode: codes[3]})
	back.requireSignedIn()
	ada.requireSignedOut("session_revoked") // whoever holds the lost phone is out
	back.requireFactors(shownFactors{codesLeft: 9})
	back.requireEvents(shownEvent{kind: "recovered"}, shownEvent{"session_revoked", "recovered"}, shownEvent{kind: "recovery_granted"})
	again := l.onNewDevice(ada)
	again.requireRecoveryRejected(recoveryProof{backupCode: codes[3]}, "invalid_code")
	again.recovers(recoveryProof{backupCode: " " + strings.ToUpper(strings.ReplaceAll(codes[4], "-", " "))})
	again.signsOut()
	again.signsIn()
}

func comesBackWithTheApp(l *env) {
	ada := l.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	phoneApp := l.enrolTOTP(ada)
	ada.requireFactors(shownFactors{hasTOTP: true})
	l.advance(time.Minute)
	code := phoneApp.code()
	back := l.onNewDevice(ada)
	back.recovers(recoveryProof{email: " Ada@Example.org", totpCode: code})
	ada.requireSignedOut("session_revoked")
	again := l.onNewDevice(ada)
	for range 6 { // looked over a shoulder; and since nobody guesses, the way stays open
		again.requireRecoveryRejected(recoveryProof{email: "ada@example.org", totpCode: code}, "invalid_code")
	}
	l.advance(time.Minute)
	again.recovers(recoveryProof{email: "ada@example.org", totpCode: phoneApp.code(-30 * time.Second)}) // a slow clock
}

// typesCodesOnAnotherKeyboard spells right codes in other scripts' digits, with dashes, spaces and invisible marks, and shows codes that
// cannot be right, which do not count as guesses.
func typesCodesOnAnotherKeyboard(l *env) {
	ada := l.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	secret, refused := ada.device.setUpTOTP()
	ada.requireOK(refused)
	phoneApp := totpApp{l, secret}
	ada.requireOK(ada.device.confirmTOTP("\u2066" + toDigitsOf('０', phoneApp.code()) + "\u2069"))
	codes := ada.makesBackupCodes()
	for _, zero := range []rune{'٠', '۰', '०', '০'} {
		l.advance(time.Minute)
		code := toDigitsOf(zero, phoneApp.code())
		back := l.onNewDevice(ada)
		for _, malformed := range []string{"12345", "1234567", "12345x"} {
			back.requireRecoveryRejected(recoveryProof{email: ada.email, totpCode: malformed}, "invalid_code")
			back.requireRecoveryRejected(recoveryProof{backupCode: codes[0] + "0"}, "invalid_code")
		}
		back.recovers(recoveryProof{email: ada.email, totpCode: code[:6] + "\u200f\u2011" + code[6:]})
		ada.device = back.device
	}
	back := l.onNewDevice(ada)
	back.recovers(recoveryProof{backupCode: "\ufeff" + toDigitsOf('٠', strings.ToUpper(strings.ReplaceAll(codes[1], "-", "\u2014\u00ad")))})
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

func requireBothFactors(c *bootstrap.Config) { c.Recovery = domain.RecoveryBoth }

func bothFactorsAreRequired(l *env) {
	ada := l.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	phoneApp, codes := l.enrolTOTP(ada), ada.makesBackupCodes()
	ben := l.person("Ben", phone)
	ben.signsUp()
	bens := ben.makesBackupCodes()
	back := l.onNewDevice(ada)
	l.advance(time.Minute)
	if _, isPage := back.device.(*browserPage); !isPage { // the page asks for both
		back.requireRecoveryRejected(recoveryProof{backupCode: codes[0]}, "invalid_request")
		back.requireRecoveryRejected(recoveryProof{email: ada.email, totpCode: phoneApp.code()}, "invalid_request")
	}
	back.requireRecoveryRejected(recoveryProof{email: ada.email, totpCode: phoneApp.wrongCode(), backupCode: codes[0]}, "invalid_code")
	back.requireRecoveryRejected(recoveryProof{email: ada.email, totpCode: phoneApp.code(), backupCode: bens[0]}, "invalid_code")
	l.advance(time.Minute)
	back.recovers(recoveryProof{email: ada.email, totpCode: phoneApp.code(), backupCode: codes[0]})
}

func recoveryIsOff(l *env) {
	ada := l.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	ada.requireRejected(onlyRejection(ada.device.recoveryFactors()), "not_found")
	ada.requireRejected(onlyRejection(ada.device.setUpTOTP()), "not_found")
	ada.requireRejected(onlyRejection(ada.device.makeBackupCodes()), "not_found")
	ada.requireRecoveryRejected(recoveryProof{email: ada.email, totpCode: "123456"}, "not_found")
}

func recoveryIsNoStepUp(l *env) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	codes := ada.makesBackupCodes()
	lost := ada.listPasskeys()[0]
	back := l.onNewDevice(ada)
	back.recovers(recoveryProof{backupCode: codes[0]})
	if device, isScript := back.device.(*apiDevice); isScript {
		back.requireRejected(device.removePasskey(lost.id), "step_up_required")
		back.requireRejected(device.deleteAccount(), "step_up_required")
		back.requireRejected(onlyRejection(device.makeBackupCodes()), "step_up_required")
		back.requireRejected(onlyRejection(device.setUpTOTP()), "step_up_required")
		back.requireRejected(device.removeTOTP(), "step_up_required")
		back.requireRejected(device.confirmTOTP("123456"), "step_up_required")
		back.requireRejected(onlyRejection(device.changeAccount("Ada", "mallory@example.org")), "step_up_required")
		back.requireRejected(onlyRejection(device.api.beginAddPasskey()), "step_up_required")
	}
	back.stepsUp()
	back.requireOK(back.device.removePasskey(lost.id))
	back.requirePasskeys("")
	back.requireFactors(shownFactors{codesLeft: 9})
}

func grantRegistersOnePasskey(l *env) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	codes := ada.makesBackupCodes()
	back := l.onNewDevice(ada)
	device := back.apiDevice()
	grant, refused := device.api.redeem(recoveryProof{backupCode: codes[0]})
	back.requireOK(refused)

	// The answer was lost: the same code gives the same grant, and no other is spent.
	again, refused := device.api.redeem(recoveryProof{backupCode: codes[0]})
	back.requireOK(refused)
	if again != grant {
		l.t.Fatal("a second grant for one code")
	}
	ada.requireFactors(shownFactors{codesLeft: 10})

	// It is no session.
	device.api.setTokenPair(tokenPair{access: grant})
	back.requireSignedOut("unauthenticated")
	device.api.setTokenPair(tokenPair{})

	// A refused enrolment leaves it; its challenge is spent.
	begun, refused := device.api.beginRecovery(grant)
	back.requireOK(refused)
	back.requireRejected(onlyRejection(device.api.finishRecovery(grant, begun.challengeID, device.makeCredential(begun, otherOrigin))), "passkey_rejected")
	back.requireRejected(onlyRejection(device.api.finishRecovery(grant, begun.challengeID, device.makeCredential(begun))), "challenge_not_found")
	ada.requireFactors(shownFactors{codesLeft: 10})

	who, refused := device.registerWithGrant(grant)
	back.requireIdentity(who, refused)
	back.requireFactors(shownFactors{codesLeft: 9})
	back.requireRejected(onlyRejection(device.registerWithGrant(grant)), "invalid_code")
	back.requireRejected(onlyRejection(device.api.beginRecovery(grant)), "invalid_code")
	back.requireRejected(onlyRejection(device.api.redeem(recoveryProof{backupCode: codes[0]})), "invalid_code")
}

func aGrantExpires(l *env) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	codes := ada.makesBackupCodes()
	back := l.onNewDevice(ada)
	device := back.apiDevice()
	grant, refused := device.api.redeem(recoveryProof{backupCode: codes[0]})
	back.requireOK(refused)
	l.advance(6 * time.Minute)
	begun, refused := device.api.beginRecovery(grant)
	back.requireOK(refused)
	l.advance(4 * time.Minute)
	back.requireRejected(onlyRejection(device.api.finishRecovery(grant, begun.challengeID, device.makeCredential(begun))), "invalid_code")
	back.requireRejected(onlyRejection(device.api.beginRecovery(grant)), "invalid_code")
	back.recovers(recoveryProof{backupCode: codes[0]}) // the code was not spent for nothing
}

func grantIsBoundToItsOwner(l *env) {
	ada, ben := l.person("Ada", phone), l.person("Ben", phone)
	ada.signsUp()
	ben.signsUp()
	adas, bens := ada.makesBackupCodes(), ben.makesBackupCodes()
	back := l.onNewDevice(ada)
	device := back.apiDevice()
	grant, refused := device.api.redeem(recoveryProof{backupCode: adas[0]})
	back.requireOK(refused)
	other, refused := device.api.redeem(recoveryProof{backupCode: bens[0]})
	back.requireOK(refused)
	begun, refused := device.api.beginRecovery(grant)
	back.requireOK(refused)
	back.requireRejected(onlyRejection(device.api.finishRecovery(other, begun.challengeID, device.makeCredential(begun))), "challenge_not_found")
	// A sign-up's challenge, and a recovery's to sign up.
	begun = device.mustBeginSignUp(profile{name: "Ada"})
	back.requireRejected(onlyRejection(device.api.finishRecovery(grant, begun.challengeID, device.makeCredential(begun))), "challenge_not_found")
	begun, refused = device.api.beginRecovery(grant)
	back.requireOK(refused)
	back.requireRejected(onlyRejection(device.api.finishSignUp(begun.challengeID, device.makeCredential(begun))), "challenge_not_found")
	for _, invented := range []string{"klg_" + strings.Repeat("A", 43), "klg_", "x", grant + "A", grant[:len(grant)-1]} {
		back.requireRejected(onlyRejection(device.api.beginRecovery(invented)), "invalid_code")
	}
}

func sixteenRecoveriesAtOnce(l *env) {
	ada := l.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	codes, phoneApp := ada.makesBackupCodes(), l.enrolTOTP(ada)
	l.advance(time.Minute)
	back := l.onNewDevice(ada)
	device := back.apiDevice()

	code := phoneApp.code()
	outcomes := concurrently(16, func(int) rejection {
		return onlyRejection(device.api.redeem(recoveryProof{email: ada.email, totpCode: code}))
	})
	if outcomes[""] != 1 || outcomes["invalid_code"] != 15 { // and no wait: nobody has guessed
		l.t.Fatalf("sixteen who show one code of an app: %v", outcomes)
	}

	grants := make([]string, 16)
	outcomes = concurrently(16, func(i int) (refused rejection) {
		grants[i], refused = device.api.redeem(recoveryProof{backupCode: codes[0]})
		return refused
	})
	for _, grant := range grants {
		if outcomes[""] != 16 || grant != grants[0] {
			l.t.Fatalf("sixteen who show one backup code: %v, %q and %q", outcomes, grant, grants[0])
		}
	}
	enrolments := make([]func() rejection, 16)
	for i := range enrolments {
		begun, refused := device.api.beginRecovery(grants[0])
		back.requireOK(refused)
		device.useAuthenticator(phone)
		answer := device.makeCredential(begun)
		enrolments[i] = func() rejection {
			return onlyRejection(device.api.finishRecovery(grants[0], begun.challengeID, answer))
		}
	}
	outcomes = concurrently(16, func(i int) rejection { return enrolments[i]() })
	if outcomes[""] != 1 || outcomes["invalid_code"]+outcomes["challenge_not_found"] != 15 { // with the grant its challenges go
		l.t.Fatalf("sixteen who enrol by one grant: %v", outcomes)
	}
	back.requirePasskeys("", "")
	back.requireFactors(shownFactors{hasTOTP: true, codesLeft: 9})
}

func guessesUntilBackoff(l *env) {
	ada := l.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	phoneApp := l.enrolTOTP(ada)
	ada.signsOut()
	mallory := l.person("Mallory", phone)
	guess := func(email string) string {
		l.t.Helper()
		_, refused := mallory.device.recover(recoveryProof{email: email, totpCode: phoneApp.wrongCode()})
		return refused.code
	}
	l.advance(time.Minute)
	for range 5 {
		for _, email := range []string{"ada@example.org", "nobody@example.org"} { // one like the other
			if code := guess(email); code != "invalid_code" {
				l.t.Fatalf("%s: %s", email, code)
			}
		}
	}
	ada.requireRecoveryRejected(recoveryProof{email: ada.email, totpCode: phoneApp.code()}, "rate_limited")
	for _, wait := range []time.Duration{15 * time.Minute, 30 * time.Minute, time.Hour} {
		for _, email := range []string{"ada@example.org", "nobody@example.org"} {
			if code := guess(email); code != "rate_limited" {
				l.t.Fatalf("%s: %s", email, code)
			}
		}
		ada.signsIn() // the owner is not shut out
		ada.signsOut()
		for _, email := range []string{"ada@example.org", "nobody@example.org"} { // and the one who guesses sees nothing of it
			if code := guess(email); code != "rate_limited" {
				l.t.Fatalf("%s, after the owner's sign-in: %s", email, code)
			}
		}
		l.advance(wait)
		for _, email := range []string{"ada@example.org", "nobody@example.org"} {
			if code := guess(email); code != "invalid_code" {
				l.t.Fatalf("%s, after %s: %s", email, wait, code)
			}
		}
	}
	ada.signsIn() // which opens the app's way again, although this network has to wait
	l.onNewDevice(ada).recovers(recoveryProof{email: ada.email, totpCode: phoneApp.code()})
}

func guessesUntilRecoveryLocked(l *env) {
	ada := l.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	phoneApp := l.enrolTOTP(ada)
	codes := ada.makesBackupCodes()
	ada.signsOut()
	mallory := l.person("Mallory", phone)
	for range 20 {
		l.advance(25 * time.Hour)
		mallory.requireRecoveryRejected(recoveryProof{email: ada.email, totpCode: phoneApp.wrongCode()}, "invalid_code")
	}
	l.advance(60 * day)
	back := l.onNewDevice(ada)
	back.requireRecoveryRejected(recoveryProof{email: ada.email, totpCode: phoneApp.code()}, "invalid_code") // the code is right, and the way is closed
	ada.signsIn()
	back.recovers(recoveryProof{email: ada.email, totpCode: phoneApp.code()})
	back.device.useAuthenticator(phone)
	back.recovers(recoveryProof{backupCode: codes[0]})
}

func wrongBackupCodesCountAgainstTheIP(l *env) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	codes := ada.makesBackupCodes()
	back := l.onNewDevice(ada)
	for range 5 {
		back.requireRecoveryRejected(recoveryProof{backupCode: "0000-0000-0000-0000"}, "invalid_code")
	}
	back.requireRecoveryRejected(recoveryProof{backupCode: "0000-0000-0000-0000"}, "rate_limited")
	back.recovers(recoveryProof{backupCode: codes[0]}) // a right one is let through: others may share the address
	again := l.onNewDevice(ada)
	again.requireRecoveryRejected(recoveryProof{backupCode: "0000-0000-0000-0000"}, "rate_limited")
	l.advance(25 * time.Hour)
	for range 5 { // forgotten after a day
		again.requireRecoveryRejected(recoveryProof{backupCode: "0000-0000-0000-0000"}, "invalid_code")
	}
}

func changesTheFactors(l *env) {
	ada := l.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	old, oldCodes := l.enrolTOTP(ada), ada.makesBackupCodes()
	secret, refused := ada.device.setUpTOTP()
	ada.requireOK(refused)
	replacement := totpApp{l, secret}
	ada.requireRejected(ada.device.confirmTOTP(replacement.wrongCode()), "invalid_code")
	ada.requireOK(ada.device.confirmTOTP(replacement.code()))
	codes := ada.makesBackupCodes()
	ada.requireFactors(shownFactors{hasTOTP: true, codesLeft: 10})
	l.advance(time.Minute)
	back := l.onNewDevice(ada)
	back.requireRecoveryRejected(recoveryProof{email: ada.email, totpCode: old.code()}, "invalid_code")
	back.requireRecoveryRejected(recoveryProof{backupCode: oldCodes[0]}, "invalid_code")
	ada.requireOK(ada.device.removeTOTP())
	ada.requireFactors(shownFactors{codesLeft: 10})
	back.requireRecoveryRejected(recoveryProof{email: ada.email, totpCode: replacement.code()}, "invalid_code")
	back.recovers(recoveryProof{backupCode: codes[0]})
}

// grantEndsWithItsFactor: an owner who hears of a recovery that is not theirs can stop it.
func grantEndsWithItsFactor(l *env) {
	ada := l.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	thief := l.onNewDevice(ada).apiDevice()
	for name, stops := range map[string]func(){
		"removing the app": func() { ada.requireOK(ada.device.removeTOTP()) },
		"replacing it":     func() { l.enrolTOTP(ada) },
		"making new codes": func() { ada.makesBackupCodes() },
		"shutting the account": func() {
			who := domain.UserRef{Email: "ada@example.org"}
			if _, err := l.driver.operator().Admin.DisableUser(l.t.Context(), who); err != nil {
				l.t.Fatal(err)
			}
			if err := l.driver.operator().Admin.EnableUser(l.t.Context(), who); err != nil {
				l.t.Fatal(err)
			}
			ada.device.(*apiDevice).api = ada.device.(*apiDevice).api.reconnect()
			ada.signsIn()
		},
	} {
		stolen := l.enrolTOTP(ada)
		l.advance(time.Minute)
		grant, refused := thief.api.redeem(recoveryProof{email: ada.email, totpCode: stolen.code()})
		ada.requireOK(refused)
		begun, refused := thief.api.beginRecovery(grant)
		ada.requireOK(refused)
		ada.stepsUp()
		stops()
		if refused := onlyRejection(thief.api.finishRecovery(grant, begun.challengeID, thief.makeCredential(begun))); refused.code != "challenge_not_found" {
			l.t.Fatalf("after %s the grant enrols: %+v", name, refused)
		}
		ada.requireRejected(onlyRejection(thief.api.beginRecovery(grant)), "invalid_code")
		ada.requireSignedIn()
		thief.useAuthenticator(phone)
	}
}

func operatorIssuesARecovery(l *env) {
	ada := l.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	given, err := l.driver.operator().Admin.RecoverUser(l.t.Context(), domain.UserRef{Email: "ada@example.org"})
	if err != nil {
		l.t.Fatal(err)
	}
	back := l.onNewDevice(ada)
	l.advance(14 * time.Minute)
	who, refused := back.apiDevice().registerWithGrant(given.Token.Reveal())
	back.requireIdentity(who, refused)
	back.requireRejected(onlyRejection(back.apiDevice().registerWithGrant(given.Token.Reveal())), "invalid_code")
	back.requireRejected(back.device.deleteAccount(), "step_up_required")
	ada.requireSignedOut("session_revoked")

	given, err = l.driver.operator().Admin.RecoverUser(l.t.Context(), domain.UserRef{Email: "ada@example.org"})
	if err != nil {
		l.t.Fatal(err)
	}
	l.advance(15 * time.Minute)
	back.requireRejected(onlyRejection(back.apiDevice().registerWithGrant(given.Token.Reveal())), "invalid_code")
}

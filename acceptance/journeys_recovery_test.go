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
	a := totpApp{e, p.setsUpTOTP()}
	p.confirmsTOTP(a.code())
	return a
}

// setsUpTOTP returns the secret of a new authenticator app, which is not confirmed yet.
func (p *person) setsUpTOTP() string {
	p.t.Helper()
	return p.device.setUpTOTP().must(p.t)
}

func (p *person) confirmsTOTP(code string) {
	p.t.Helper()
	p.requireOK(p.device.confirmTOTP(code))
}

func (p *person) removesTOTP() {
	p.t.Helper()
	p.requireOK(p.device.removeTOTP())
}

func (p *person) makesBackupCodes() []string {
	p.t.Helper()
	codes := p.device.makeBackupCodes().must(p.t)
	if len(codes) != 10 {
		p.t.Fatalf("%d backup codes, want 10", len(codes))
	}
	return codes
}

func (p *person) requireFactors(want shownFactors) {
	p.t.Helper()
	if have := p.device.recoveryFactors().must(p.t); have != want {
		p.t.Fatalf("%s has the recovery factors %+v, want %+v", p.name, have, want)
	}
}

// onNewDevice returns the same user with a new device that has no passkeys.
func (e *env) onNewDevice(p *person) *person {
	e.t.Helper()
	return &person{t: e.t, device: e.driver.newDevice(e.t, phone), profile: p.profile}
}

func withBackupCode(code string) recoveryProof { return recoveryProof{backupCode: code} }

func withTOTP(email, code string) recoveryProof { return recoveryProof{email: email, totpCode: code} }

// recovers fails the test if the recovery is rejected.
func (p *person) recovers(proof recoveryProof) {
	p.t.Helper()
	p.requireIdentity(p.device.recover(proof))
}

func (p *person) requireRecoveryRejected(proof recoveryProof, code string) {
	p.t.Helper()
	p.requireRejected(p.device.recover(proof), code)
}

func recoversWithABackupCode(e *env) {
	ada := e.newUserWithEmail("Ada", phone, "ada@example.org")
	codes := ada.makesBackupCodes()
	ada.requireFactors(shownFactors{codesLeft: 10})
	recovered := e.onNewDevice(ada)
	recovered.recovers(withBackupCode(codes[3]))
	recovered.requireSignedIn()
	ada.requireSignedOut("session_revoked") // on the lost phone
	recovered.requireFactors(shownFactors{codesLeft: 9})
	recovered.requireEvents(shownEvent{kind: "recovered"}, shownEvent{"session_revoked", "recovered"}, shownEvent{kind: "recovery_granted"})
	second := e.onNewDevice(ada)
	second.requireRecoveryRejected(withBackupCode(codes[3]), "invalid_code")
	second.recovers(withBackupCode(" " + strings.ToUpper(strings.ReplaceAll(codes[4], "-", " "))))
	second.signsOut()
	second.signsIn()
}

func recoversWithTheApp(e *env) {
	ada := e.newUserWithEmail("Ada", phone, "ada@example.org")
	phoneApp := e.enrolTOTP(ada)
	ada.requireFactors(shownFactors{hasTOTP: true})
	e.advance(time.Minute)
	code := phoneApp.code()
	recovered := e.onNewDevice(ada)
	recovered.recovers(withTOTP(" Ada@Example.org", code))
	ada.requireSignedOut("session_revoked")
	second := e.onNewDevice(ada)
	for range 6 { // a used code is not counted as a wrong one
		second.requireRecoveryRejected(withTOTP("ada@example.org", code), "invalid_code")
	}
	e.advance(time.Minute)
	second.recovers(withTOTP("ada@example.org", phoneApp.code(-30*time.Second))) // the app's clock is slow
}

// entersCodesInOtherScripts enters valid codes with digits of other scripts, dashes, spaces and invisible characters. It also
// enters malformed codes, which must not count as wrong ones.
func entersCodesInOtherScripts(e *env) {
	ada := e.newUserWithEmail("Ada", phone, "ada@example.org")
	phoneApp := totpApp{e, ada.setsUpTOTP()}
	ada.confirmsTOTP("\u2066" + toDigitsOf('０', phoneApp.code()) + "\u2069")
	codes := ada.makesBackupCodes()
	for _, zero := range []rune{'٠', '۰', '०', '০'} {
		e.advance(time.Minute)
		code := toDigitsOf(zero, phoneApp.code())
		recovered := e.onNewDevice(ada)
		for _, malformed := range []string{"12345", "1234567", "12345x"} {
			recovered.requireRecoveryRejected(withTOTP(ada.email, malformed), "invalid_code")
			recovered.requireRecoveryRejected(withBackupCode(codes[0]+"0"), "invalid_code")
		}
		recovered.recovers(withTOTP(ada.email, code[:6]+"\u200f\u2011"+code[6:]))
		ada.device = recovered.device
	}
	recovered := e.onNewDevice(ada)
	recovered.recovers(withBackupCode("\ufeff" + toDigitsOf('٠', strings.ToUpper(strings.ReplaceAll(codes[1], "-", "\u2014\u00ad")))))
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

func recoversWithBothFactors(e *env) {
	ada := e.newUserWithEmail("Ada", phone, "ada@example.org")
	phoneApp, codes := e.enrolTOTP(ada), ada.makesBackupCodes()
	ben := e.newUser("Ben", phone)
	benCodes := ben.makesBackupCodes()
	recovered := e.onNewDevice(ada)
	e.advance(time.Minute)
	recovered.requireRecoveryRejected(recoveryProof{email: ada.email, totpCode: phoneApp.wrongCode(), backupCode: codes[0]}, "invalid_code")
	recovered.requireRecoveryRejected(recoveryProof{email: ada.email, totpCode: phoneApp.code(), backupCode: benCodes[0]}, "invalid_code")
	e.advance(time.Minute)
	recovered.recovers(recoveryProof{email: ada.email, totpCode: phoneApp.code(), backupCode: codes[0]})
}

func removesTheLostPasskey(e *env) {
	ada := e.newUser("Ada", phone)
	codes, lost := ada.makesBackupCodes(), ada.passkeyNamed("")
	recovered := e.onNewDevice(ada)
	recovered.recovers(withBackupCode(codes[0]))
	recovered.stepsUp() // a recovery is no step-up
	recovered.removesPasskey(lost)
	recovered.requirePasskeys("")
	recovered.requireFactors(shownFactors{codesLeft: 9})
}

func wrongBackupCodesCountAgainstTheIP(e *env) {
	ada := e.newUser("Ada", phone)
	codes := ada.makesBackupCodes()
	recovered := e.onNewDevice(ada)
	for range 5 {
		recovered.requireRecoveryRejected(withBackupCode("0000-0000-0000-0000"), "invalid_code")
	}
	recovered.requireRecoveryRejected(withBackupCode("0000-0000-0000-0000"), "rate_limited")
	recovered.recovers(withBackupCode(codes[0])) // a valid code is accepted: several users may share the IP address
	second := e.onNewDevice(ada)
	second.requireRecoveryRejected(withBackupCode("0000-0000-0000-0000"), "rate_limited")
	e.advance(25 * time.Hour)
	for range 5 { // the counter was deleted after a day
		second.requireRecoveryRejected(withBackupCode("0000-0000-0000-0000"), "invalid_code")
	}
}

func changesTheFactors(e *env) {
	ada := e.newUserWithEmail("Ada", phone, "ada@example.org")
	old, oldCodes := e.enrolTOTP(ada), ada.makesBackupCodes()
	replacement := totpApp{e, ada.setsUpTOTP()}
	ada.requireRejected(ada.device.confirmTOTP(replacement.wrongCode()), "invalid_code")
	ada.confirmsTOTP(replacement.code())
	codes := ada.makesBackupCodes()
	ada.requireFactors(shownFactors{hasTOTP: true, codesLeft: 10})
	e.advance(time.Minute)
	recovered := e.onNewDevice(ada)
	recovered.requireRecoveryRejected(withTOTP(ada.email, old.code()), "invalid_code")
	recovered.requireRecoveryRejected(withBackupCode(oldCodes[0]), "invalid_code")
	ada.removesTOTP()
	ada.requireFactors(shownFactors{codesLeft: 10})
	recovered.requireRecoveryRejected(withTOTP(ada.email, replacement.code()), "invalid_code")
	recovered.recovers(withBackupCode(codes[0]))
}

package acceptance

import (
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/bootstrap"
	"github.com/keylodge/keylodge/domain"
)

// app is a person's authenticator app.
type app struct {
	lodge  *lodge
	secret string
}

// shows is its code at the moment, or, for a clock that goes wrong, at another one.
func (a app) shows(off ...time.Duration) string {
	a.lodge.t.Helper()
	at := a.lodge.clock.Now()
	for _, d := range off {
		at = at.Add(d)
	}
	code, err := totp.GenerateCodeCustom(a.secret, at, totp.ValidateOpts{Period: 30, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		a.lodge.t.Fatal(err)
	}
	return code
}

// wrong is a code that is right at no moment near.
func (a app) wrong() string {
	a.lodge.t.Helper()
	near := map[string]bool{}
	for step := -2; step <= 2; step++ {
		near[a.shows(time.Duration(step)*30*time.Second)] = true
	}
	for _, code := range []string{"000000", "111111", "222222", "333333", "444444", "555555"} {
		if !near[code] {
			return code
		}
	}
	panic("five codes near are six")
}

func (l *lodge) setsUpApp(p *person) app {
	l.t.Helper()
	secret, refused := p.device.setUpTOTP()
	p.may(refused)
	a := app{l, secret}
	p.may(p.device.confirmTOTP(a.shows()))
	return a
}

func (p *person) writesDownCodes() []string {
	p.t.Helper()
	codes, refused := p.device.makeBackupCodes()
	p.may(refused)
	if len(codes) != 10 {
		p.t.Fatalf("%d codes", len(codes))
	}
	return codes
}

func (p *person) has(want shownFactors) {
	p.t.Helper()
	have, refused := p.device.recoveryFactors()
	p.may(refused)
	if have != want {
		p.t.Fatalf("%s has %+v to recover with, want %+v", p.name, have, want)
	}
}

// losesEverything is the person with nothing but what they remember or wrote down, and a new device.
func (l *lodge) losesEverything(p *person) *person {
	l.t.Helper()
	return &person{t: l.t, device: l.door.client(l.t, phone), applicant: p.applicant}
}

// recovers must succeed.
func (p *person) recovers(c claim) {
	p.t.Helper()
	who, refused := p.device.recover(c)
	p.mustBe(who, refused)
}

func (p *person) cannotRecover(c claim, code string) {
	p.t.Helper()
	p.mayNot(second(p.device.recover(c)), code)
}

func comesBackWithABackupCode(l *lodge) {
	ada := l.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	codes := ada.writesDownCodes()
	ada.has(shownFactors{codesLeft: 10})
	back := l.losesEverything(ada)
	back.recovers(claim{backupCode: codes[3]})
	back.isSignedIn()
	ada.isAskedToSignIn("session_revoked") // whoever holds the lost phone is out
	back.has(shownFactors{codesLeft: 9})
	back.seesEvents(shownEvent{kind: "recovered"}, shownEvent{"session_revoked", "recovered"}, shownEvent{kind: "recovery_granted"})
	again := l.losesEverything(ada)
	again.cannotRecover(claim{backupCode: codes[3]}, "invalid_code")
	again.recovers(claim{backupCode: " " + strings.ToUpper(strings.ReplaceAll(codes[4], "-", " "))})
	again.signsOut()
	again.signsIn()
}

func comesBackWithTheApp(l *lodge) {
	ada := l.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	phoneApp := l.setsUpApp(ada)
	ada.has(shownFactors{app: true})
	l.waits(time.Minute)
	code := phoneApp.shows()
	back := l.losesEverything(ada)
	back.recovers(claim{email: " Ada@Example.org", totpCode: code})
	ada.isAskedToSignIn("session_revoked")
	again := l.losesEverything(ada)
	for range 6 { // looked over a shoulder; and since nobody guesses, the way stays open
		again.cannotRecover(claim{email: "ada@example.org", totpCode: code}, "invalid_code")
	}
	l.waits(time.Minute)
	again.recovers(claim{email: "ada@example.org", totpCode: phoneApp.shows(-30 * time.Second)}) // a slow clock
}

// typesCodesOnAnotherKeyboard spells right codes in other scripts' digits, with dashes, spaces and invisible marks, and shows codes that
// cannot be right, which do not count as guesses.
func typesCodesOnAnotherKeyboard(l *lodge) {
	ada := l.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	secret, refused := ada.device.setUpTOTP()
	ada.may(refused)
	phoneApp := app{l, secret}
	ada.may(ada.device.confirmTOTP("\u2066" + inDigitsFrom('０', phoneApp.shows()) + "\u2069"))
	codes := ada.writesDownCodes()
	for _, zero := range []rune{'٠', '۰', '०', '০'} {
		l.waits(time.Minute)
		code := inDigitsFrom(zero, phoneApp.shows())
		back := l.losesEverything(ada)
		for _, malformed := range []string{"12345", "1234567", "12345x"} {
			back.cannotRecover(claim{email: ada.email, totpCode: malformed}, "invalid_code")
			back.cannotRecover(claim{backupCode: codes[0] + "0"}, "invalid_code")
		}
		back.recovers(claim{email: ada.email, totpCode: code[:6] + "\u200f\u2011" + code[6:]})
		ada.device = back.device
	}
	back := l.losesEverything(ada)
	back.recovers(claim{backupCode: "\ufeff" + inDigitsFrom('٠', strings.ToUpper(strings.ReplaceAll(codes[1], "-", "\u2014\u00ad")))})
}

// inDigitsFrom writes ASCII digits in the script with the given zero.
func inDigitsFrom(zero rune, code string) string {
	return strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return zero + r - '0'
		}
		return r
	}, code)
}

func needsBoth(c *bootstrap.Config) { c.Recovery = domain.RecoveryBoth }

func bothAreNeeded(l *lodge) {
	ada := l.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	phoneApp, codes := l.setsUpApp(ada), ada.writesDownCodes()
	ben := l.person("Ben", phone)
	ben.signsUp()
	bens := ben.writesDownCodes()
	back := l.losesEverything(ada)
	l.waits(time.Minute)
	if _, isPage := back.device.(*tab); !isPage { // the page asks for both
		back.cannotRecover(claim{backupCode: codes[0]}, "invalid_request")
		back.cannotRecover(claim{email: ada.email, totpCode: phoneApp.shows()}, "invalid_request")
	}
	back.cannotRecover(claim{email: ada.email, totpCode: phoneApp.wrong(), backupCode: codes[0]}, "invalid_code")
	back.cannotRecover(claim{email: ada.email, totpCode: phoneApp.shows(), backupCode: bens[0]}, "invalid_code")
	l.waits(time.Minute)
	back.recovers(claim{email: ada.email, totpCode: phoneApp.shows(), backupCode: codes[0]})
}

func recoveryIsOff(l *lodge) {
	ada := l.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	ada.mayNot(second(ada.device.recoveryFactors()), "not_found")
	ada.mayNot(second(ada.device.setUpTOTP()), "not_found")
	ada.mayNot(second(ada.device.makeBackupCodes()), "not_found")
	ada.cannotRecover(claim{email: ada.email, totpCode: "123456"}, "not_found")
}

func recoveryIsNoStepUp(l *lodge) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	codes := ada.writesDownCodes()
	lost := ada.seesPasskeys()[0]
	back := l.losesEverything(ada)
	back.recovers(claim{backupCode: codes[0]})
	if device, isScript := back.device.(*script); isScript {
		back.mayNot(device.removePasskey(lost.id), "step_up_required")
		back.mayNot(device.deleteAccount(), "step_up_required")
		back.mayNot(second(device.makeBackupCodes()), "step_up_required")
		back.mayNot(second(device.setUpTOTP()), "step_up_required")
		back.mayNot(device.removeTOTP(), "step_up_required")
		back.mayNot(device.confirmTOTP("123456"), "step_up_required")
		back.mayNot(second(device.changeAccount("Ada", "mallory@example.org")), "step_up_required")
		back.mayNot(second(device.connection.beginAddPasskey()), "step_up_required")
	}
	back.stepsUp()
	back.may(back.device.removePasskey(lost.id))
	back.hasPasskeys("")
	back.has(shownFactors{codesLeft: 9})
}

func aGrantEnrolsOnce(l *lodge) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	codes := ada.writesDownCodes()
	back := l.losesEverything(ada)
	device := back.script()
	grant, refused := device.connection.redeem(claim{backupCode: codes[0]})
	back.may(refused)

	// The answer was lost: the same code gives the same grant, and no other is spent.
	again, refused := device.connection.redeem(claim{backupCode: codes[0]})
	back.may(refused)
	if again != grant {
		l.t.Fatal("a second grant for one code")
	}
	ada.has(shownFactors{codesLeft: 10})

	// It is no session.
	device.connection.bringsTokens(tokenPair{access: grant})
	back.isAskedToSignIn("unauthenticated")
	device.connection.bringsTokens(tokenPair{})

	// A refused enrolment leaves it; its challenge is spent.
	begun, refused := device.connection.beginRecovery(grant)
	back.may(refused)
	back.mayNot(second(device.connection.finishRecovery(grant, begun.challengeID, device.makes(begun, otherOrigin))), "passkey_rejected")
	back.mayNot(second(device.connection.finishRecovery(grant, begun.challengeID, device.makes(begun))), "challenge_not_found")
	ada.has(shownFactors{codesLeft: 10})

	who, refused := device.enrols(grant)
	back.mustBe(who, refused)
	back.has(shownFactors{codesLeft: 9})
	back.mayNot(second(device.enrols(grant)), "invalid_code")
	back.mayNot(second(device.connection.beginRecovery(grant)), "invalid_code")
	back.mayNot(second(device.connection.redeem(claim{backupCode: codes[0]})), "invalid_code")
}

func aGrantExpires(l *lodge) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	codes := ada.writesDownCodes()
	back := l.losesEverything(ada)
	device := back.script()
	grant, refused := device.connection.redeem(claim{backupCode: codes[0]})
	back.may(refused)
	l.waits(6 * time.Minute)
	begun, refused := device.connection.beginRecovery(grant)
	back.may(refused)
	l.waits(4 * time.Minute)
	back.mayNot(second(device.connection.finishRecovery(grant, begun.challengeID, device.makes(begun))), "invalid_code")
	back.mayNot(second(device.connection.beginRecovery(grant)), "invalid_code")
	back.recovers(claim{backupCode: codes[0]}) // the code was not spent for nothing
}

func aGrantIsSomebodysOwn(l *lodge) {
	ada, ben := l.person("Ada", phone), l.person("Ben", phone)
	ada.signsUp()
	ben.signsUp()
	adas, bens := ada.writesDownCodes(), ben.writesDownCodes()
	back := l.losesEverything(ada)
	device := back.script()
	grant, refused := device.connection.redeem(claim{backupCode: adas[0]})
	back.may(refused)
	other, refused := device.connection.redeem(claim{backupCode: bens[0]})
	back.may(refused)
	begun, refused := device.connection.beginRecovery(grant)
	back.may(refused)
	back.mayNot(second(device.connection.finishRecovery(other, begun.challengeID, device.makes(begun))), "challenge_not_found")
	// A sign-up's challenge, and a recovery's to sign up.
	begun = device.beginsSignUp(applicant{name: "Ada"})
	back.mayNot(second(device.connection.finishRecovery(grant, begun.challengeID, device.makes(begun))), "challenge_not_found")
	begun, refused = device.connection.beginRecovery(grant)
	back.may(refused)
	back.mayNot(second(device.connection.finishSignUp(begun.challengeID, device.makes(begun))), "challenge_not_found")
	for _, invented := range []string{"klg_" + strings.Repeat("A", 43), "klg_", "x", grant + "A", grant[:len(grant)-1]} {
		back.mayNot(second(device.connection.beginRecovery(invented)), "invalid_code")
	}
}

func sixteenRecoveriesAtOnce(l *lodge) {
	ada := l.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	codes, phoneApp := ada.writesDownCodes(), l.setsUpApp(ada)
	l.waits(time.Minute)
	back := l.losesEverything(ada)
	device := back.script()

	code := phoneApp.shows()
	outcomes := atOnce(16, func(int) refusal { return second(device.connection.redeem(claim{email: ada.email, totpCode: code})) })
	if outcomes[""] != 1 || outcomes["invalid_code"] != 15 { // and no wait: nobody has guessed
		l.t.Fatalf("sixteen who show one code of an app: %v", outcomes)
	}

	grants := make([]string, 16)
	outcomes = atOnce(16, func(i int) (refused refusal) {
		grants[i], refused = device.connection.redeem(claim{backupCode: codes[0]})
		return refused
	})
	for _, grant := range grants {
		if outcomes[""] != 16 || grant != grants[0] {
			l.t.Fatalf("sixteen who show one backup code: %v, %q and %q", outcomes, grant, grants[0])
		}
	}
	enrolments := make([]func() refusal, 16)
	for i := range enrolments {
		begun, refused := device.connection.beginRecovery(grants[0])
		back.may(refused)
		device.takes(phone)
		answer := device.makes(begun)
		enrolments[i] = func() refusal { return second(device.connection.finishRecovery(grants[0], begun.challengeID, answer)) }
	}
	outcomes = atOnce(16, func(i int) refusal { return enrolments[i]() })
	if outcomes[""] != 1 || outcomes["invalid_code"]+outcomes["challenge_not_found"] != 15 { // with the grant its challenges go
		l.t.Fatalf("sixteen who enrol by one grant: %v", outcomes)
	}
	back.hasPasskeys("", "")
	back.has(shownFactors{app: true, codesLeft: 9})
}

func guessesUntilLocked(l *lodge) {
	ada := l.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	phoneApp := l.setsUpApp(ada)
	ada.signsOut()
	mallory := l.person("Mallory", phone)
	guess := func(email string) string {
		l.t.Helper()
		_, refused := mallory.device.recover(claim{email: email, totpCode: phoneApp.wrong()})
		return refused.code
	}
	l.waits(time.Minute)
	for range 5 {
		for _, email := range []string{"ada@example.org", "nobody@example.org"} { // one like the other
			if code := guess(email); code != "invalid_code" {
				l.t.Fatalf("%s: %s", email, code)
			}
		}
	}
	ada.cannotRecover(claim{email: ada.email, totpCode: phoneApp.shows()}, "rate_limited")
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
		l.waits(wait)
		for _, email := range []string{"ada@example.org", "nobody@example.org"} {
			if code := guess(email); code != "invalid_code" {
				l.t.Fatalf("%s, after %s: %s", email, wait, code)
			}
		}
	}
	ada.signsIn() // which opens the app's way again, although this network has to wait
	l.losesEverything(ada).recovers(claim{email: ada.email, totpCode: phoneApp.shows()})
}

func guessesUntilClosed(l *lodge) {
	ada := l.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	phoneApp := l.setsUpApp(ada)
	codes := ada.writesDownCodes()
	ada.signsOut()
	mallory := l.person("Mallory", phone)
	for range 20 {
		l.waits(25 * time.Hour)
		mallory.cannotRecover(claim{email: ada.email, totpCode: phoneApp.wrong()}, "invalid_code")
	}
	l.waits(60 * day)
	back := l.losesEverything(ada)
	back.cannotRecover(claim{email: ada.email, totpCode: phoneApp.shows()}, "invalid_code") // the code is right, and the way is closed
	ada.signsIn()
	back.recovers(claim{email: ada.email, totpCode: phoneApp.shows()})
	back.device.takes(phone)
	back.recovers(claim{backupCode: codes[0]})
}

func wrongBackupCodesCountAgainstTheAddress(l *lodge) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	codes := ada.writesDownCodes()
	back := l.losesEverything(ada)
	for range 5 {
		back.cannotRecover(claim{backupCode: "0000-0000-0000-0000"}, "invalid_code")
	}
	back.cannotRecover(claim{backupCode: "0000-0000-0000-0000"}, "rate_limited")
	back.recovers(claim{backupCode: codes[0]}) // a right one is let through: others may share the address
	again := l.losesEverything(ada)
	again.cannotRecover(claim{backupCode: "0000-0000-0000-0000"}, "rate_limited")
	l.waits(25 * time.Hour)
	for range 5 { // forgotten after a day
		again.cannotRecover(claim{backupCode: "0000-0000-0000-0000"}, "invalid_code")
	}
}

func changesTheFactors(l *lodge) {
	ada := l.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	old, oldCodes := l.setsUpApp(ada), ada.writesDownCodes()
	secret, refused := ada.device.setUpTOTP()
	ada.may(refused)
	replacement := app{l, secret}
	ada.mayNot(ada.device.confirmTOTP(replacement.wrong()), "invalid_code")
	ada.may(ada.device.confirmTOTP(replacement.shows()))
	codes := ada.writesDownCodes()
	ada.has(shownFactors{app: true, codesLeft: 10})
	l.waits(time.Minute)
	back := l.losesEverything(ada)
	back.cannotRecover(claim{email: ada.email, totpCode: old.shows()}, "invalid_code")
	back.cannotRecover(claim{backupCode: oldCodes[0]}, "invalid_code")
	ada.may(ada.device.removeTOTP())
	ada.has(shownFactors{codesLeft: 10})
	back.cannotRecover(claim{email: ada.email, totpCode: replacement.shows()}, "invalid_code")
	back.recovers(claim{backupCode: codes[0]})
}

// aGrantEndsWithWhatBoughtIt: an owner who hears of a recovery that is not theirs can stop it.
func aGrantEndsWithWhatBoughtIt(l *lodge) {
	ada := l.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	thief := l.losesEverything(ada).script()
	for name, stops := range map[string]func(){
		"removing the app": func() { ada.may(ada.device.removeTOTP()) },
		"replacing it":     func() { l.setsUpApp(ada) },
		"making new codes": func() { ada.writesDownCodes() },
		"shutting the account": func() {
			who := admin.Who{Email: "ada@example.org"}
			if _, err := l.door.operator().Admin.DisableUser.Execute(l.t.Context(), who); err != nil {
				l.t.Fatal(err)
			}
			if err := l.door.operator().Admin.EnableUser.Execute(l.t.Context(), who); err != nil {
				l.t.Fatal(err)
			}
			ada.device.(*script).connection = ada.device.(*script).connection.anew()
			ada.signsIn()
		},
	} {
		stolen := l.setsUpApp(ada)
		l.waits(time.Minute)
		grant, refused := thief.connection.redeem(claim{email: ada.email, totpCode: stolen.shows()})
		ada.may(refused)
		begun, refused := thief.connection.beginRecovery(grant)
		ada.may(refused)
		ada.stepsUp()
		stops()
		if refused := second(thief.connection.finishRecovery(grant, begun.challengeID, thief.makes(begun))); refused.code != "challenge_not_found" {
			l.t.Fatalf("after %s the grant enrols: %+v", name, refused)
		}
		ada.mayNot(second(thief.connection.beginRecovery(grant)), "invalid_code")
		ada.isSignedIn()
		thief.takes(phone)
	}
}

func theOperatorKnowsThem(l *lodge) {
	ada := l.person("Ada", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	given, err := l.door.operator().Admin.RecoverUser.Execute(l.t.Context(), admin.Who{Email: "ada@example.org"})
	if err != nil {
		l.t.Fatal(err)
	}
	back := l.losesEverything(ada)
	l.waits(14 * time.Minute)
	who, refused := back.script().enrols(given.Token.Reveal())
	back.mustBe(who, refused)
	back.mayNot(second(back.script().enrols(given.Token.Reveal())), "invalid_code")
	back.mayNot(back.device.deleteAccount(), "step_up_required")
	ada.isAskedToSignIn("session_revoked")

	given, err = l.door.operator().Admin.RecoverUser.Execute(l.t.Context(), admin.Who{Email: "ada@example.org"})
	if err != nil {
		l.t.Fatal(err)
	}
	l.waits(15 * time.Minute)
	back.mayNot(second(back.script().enrols(given.Token.Reveal())), "invalid_code")
}

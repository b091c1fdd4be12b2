package acceptance

import (
	"time"

	"github.com/keylodge/keylodge/domain"
)

const day = 24 * time.Hour

func aSessionEndsIdle(e *env) {
	ada := e.newUser("Ada", phone)
	e.advance(6 * day)
	ada.requireSignedIn()
	e.advance(6 * day)
	ada.requireSignedIn()
	e.advance(8 * day)
	ada.requireSignedOut("session_expired")
	ada.signsIn()
}

func aSessionEndsAtItsMaxAge(e *env) {
	ada := e.newUser("Ada", phone)
	for range 5 {
		e.advance(5*day + 23*time.Hour)
		ada.requireSignedIn()
	}
	e.advance(5 * time.Hour)
	ada.requireSignedOut("session_expired")
}

func seesTheirDevices(e *env) {
	ada := e.newUser("Ada", phone)
	laptop, tablet := ada.onSecondDevice(), ada.onSecondDevice()
	ada.requireSessions(3)
	tablet.signsOut()
	ada.revokesSession(ada.otherSession())
	laptop.requireSignedOut("session_revoked")
	ada.requireSignedIn()
	ada.requireSessions(1)
	ada.requireEvents(shownEvent{kind: "session_revoked"}, shownEvent{kind: "signed_out"}, shownEvent{kind: "signed_in"}, shownEvent{kind: "signed_in"})
}

func signsOutEverywhereElse(e *env) {
	ada, ben := e.newUser("Ada", phone), e.newUser("Ben", phone)
	laptop, tablet := ada.onSecondDevice(), ada.onSecondDevice()
	if ended := ada.revokesOtherSessions(); ended != 2 {
		e.t.Fatalf("%d sessions were revoked, want 2", ended)
	}
	laptop.requireSignedOut("session_revoked")
	tablet.requireSignedOut("session_revoked")
	ada.requireSignedIn()
	ben.requireSignedIn()
}

func idleSessionLeavesTheList(e *env) {
	ada := e.newUser("Ada", phone)
	laptop := ada.onSecondDevice()
	e.advance(6 * day)
	ada.requireSignedIn()
	e.advance(2 * day)
	laptop.requireSignedOut("session_expired")
	ada.requireSessions(1)
}

func changesNameAndEmail(e *env) {
	ada := e.newUserWithEmail("Ada", phone, "ada@example.org")
	e.newUserWithEmail("Ben", phone, "ben@example.org")
	ada.changesAccount("Ada Lovelace", "ada@example.org")
	ada.requireSignedIn()
	ada.changesAccount("Ada Lovelace", "lovelace@example.org")
	ada.requireSignedIn()
	ada.requireEvents(shownEvent{kind: "account_changed"}, shownEvent{kind: "account_changed"}, shownEvent{kind: "signed_up"})
	ada.requireChangeRejected("Ada", "ben@example.org", "email_taken")
	ada.requireChangeRejected("Ada", "ada@example.123", "invalid_request")
	ada.requireSignedIn()
	ada.signsOut()
	ada.signsInByEmail()
	ada.signsOut()

	e.newUserWithEmail("Carol", phone, "ada@example.org") // Ada no longer uses it
}

func deletesTheAccount(e *env) {
	ada, ben := e.newUserWithEmail("Ada", phone, "ada@example.org"), e.newUser("Ben", phone)
	laptop := ada.onSecondDevice()
	ada.deletesAccount()
	ada.requireSignedOut("unauthenticated")
	laptop.requireSignedOut("unauthenticated")
	laptop.requireSignInRejected("passkey_unknown", "")
	ben.requireSignedIn()
	second := e.newUserWithEmail("Ada", phone, "ada@example.org")
	second.requireEvents(shownEvent{kind: "signed_up"})
}

func readsRejectedAttempts(e *env) {
	ada := e.newUser("Ada", phone)
	ada.signsOut()
	ada.requireSignInRejected("passkey_rejected", domain.ReasonSignatureInvalid, badSignature)
	ada.requireSignInRejected("user_verification_required", domain.ReasonUserVerificationMissing, noUserVerification)
	ada.signsIn()
	ada.requireEvents(
		shownEvent{kind: "signed_in"},
		shownEvent{"sign_in_refused", string(domain.ReasonUserVerificationMissing)},
		shownEvent{"sign_in_refused", string(domain.ReasonSignatureInvalid)},
		shownEvent{kind: "signed_out"},
		shownEvent{kind: "signed_up"})
}

func operatorDisablesAnAccount(e *env) {
	ada, ben := e.newUserWithEmail("Ada", phone, "ada@example.org"), e.newUser("Ben", phone)
	if ended := e.disables(ada); ended != 1 {
		e.t.Fatalf("%d sessions were revoked, want 1", ended)
	}
	ada.requireSignedOut("session_revoked")
	ben.requireSignedIn()
	ada.requireSignInRejected("user_disabled", "")
	// A client that does not prove ownership of the account does not learn that it is disabled.
	ada.requireSignInRejected("passkey_rejected", domain.ReasonSignatureInvalid, badSignature)
	e.enables(ada)
	ada.signsIn()
	ada.requireEvents(shownEvent{kind: "signed_in"}, shownEvent{kind: "account_enabled"},
		shownEvent{"sign_in_refused", string(domain.ReasonSignatureInvalid)}, shownEvent{"sign_in_refused", "user_disabled"},
		shownEvent{"session_revoked", "account_disabled"}, shownEvent{kind: "account_disabled"})
}

package acceptance

import (
	"time"

	"github.com/keylodge/keylodge/domain"
)

func seesTheirDevices(e *env) {
	ada := e.person("Ada", phone)
	ada.signsUp()
	laptop := ada.onSecondDevice()
	tablet := ada.onSecondDevice()
	if sessions := ada.listSessions(); len(sessions) != 3 {
		e.t.Fatalf("the sessions are %+v", sessions)
	}
	tablet.signsOut()
	other := ada.otherSession()
	ada.requireOK(ada.device.revokeSession(other.id))
	laptop.requireSignedOut("session_revoked")
	ada.requireSignedIn()
	if sessions := ada.listSessions(); len(sessions) != 1 {
		e.t.Fatalf("the sessions are %+v", sessions)
	}
	ada.requireEvents(shownEvent{kind: "session_revoked"}, shownEvent{kind: "signed_out"}, shownEvent{kind: "signed_in"}, shownEvent{kind: "signed_in"})
}

func signsOutEverywhereElse(e *env) {
	ada, ben := e.person("Ada", phone), e.person("Ben", phone)
	ada.signsUp()
	ben.signsUp()
	laptop, tablet := ada.onSecondDevice(), ada.onSecondDevice()
	ended, rejected := ada.device.revokeOtherSessions()
	ada.requireOK(rejected)
	if ended != 2 {
		e.t.Fatalf("%d sessions were revoked, want 2", ended)
	}
	laptop.requireSignedOut("session_revoked")
	tablet.requireSignedOut("session_revoked")
	ada.requireSignedIn()
	ben.requireSignedIn()
}

func endsTheCurrentSession(e *env) {
	ada := e.person("Ada", phone)
	ada.signsUp()
	token := ada.apiDevice().api.sessionToken()
	ada.requireOK(ada.device.revokeSession(ada.listSessions()[0].id))
	ada.apiDevice().api.setSessionToken(token)
	ada.requireSignedOut("session_revoked")
}

func idleSessionLeavesTheList(e *env) {
	ada := e.person("Ada", phone)
	ada.signsUp()
	laptop := ada.onSecondDevice()
	e.advance(6 * day)
	ada.requireSignedIn()
	e.advance(2 * day)
	laptop.requireSignedOut("session_expired")
	if sessions := ada.listSessions(); len(sessions) != 1 { // expired sessions are not listed
		e.t.Fatalf("the sessions are %+v", sessions)
	}
}

func changesNameAndEmail(e *env) {
	ada, ben := e.person("Ada", phone), e.person("Ben", phone)
	ada.email, ben.email = "ada@example.org", "ben@example.org"
	ada.signsUp()
	ben.signsUp()
	changed := func(name, email string) {
		e.t.Helper()
		user, rejected := ada.device.changeAccount(name, email)
		ada.name, ada.email = name, email
		ada.requireIdentity(user, rejected)
		ada.requireSignedIn()
	}
	changed("Ada Lovelace", "ada@example.org")
	changed("Ada Lovelace", "lovelace@example.org")
	ada.requireEvents(shownEvent{kind: "account_changed"}, shownEvent{kind: "account_changed"}, shownEvent{kind: "signed_up"})
	_, rejected := ada.device.changeAccount("Ada", "ben@example.org")
	ada.requireRejected(rejected, "email_taken")
	_, rejected = ada.device.changeAccount("Ada", "ada@example.123")
	ada.requireRejected(rejected, "invalid_request")
	ada.requireSignedIn()
	ada.signsOut()
	ada.signsInByEmail()

	ada.signsOut()
	carol := e.person("Carol", phone)
	carol.email = "ada@example.org" // Ada no longer uses it
	carol.signsUp()
}

func deletesTheAccount(e *env) {
	ada, ben := e.person("Ada", phone), e.person("Ben", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	ben.signsUp()
	laptop := ada.onSecondDevice()
	ada.requireOK(ada.device.deleteAccount())
	ada.requireSignedOut("unauthenticated")
	laptop.requireSignedOut("unauthenticated")
	ben.requireSignedIn()
	if _, isAPI := ada.device.(*apiDevice); isAPI {
		ada.requireSignInRejected("passkey_unknown", "")
	}
	second := e.person("Ada", phone)
	second.email = "ada@example.org"
	second.signsUp()
	second.requireEvents(shownEvent{kind: "signed_up"})
}

func readsRejectedAttempts(e *env) {
	ada := e.person("Ada", phone)
	ada.signsUp()
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
	ada, ben := e.person("Ada", phone), e.person("Ben", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	ben.signsUp()
	operator := e.driver.operator().Admin
	user := domain.UserRef{Email: "ada@example.org"}
	if ended, err := operator.DisableUser(e.t.Context(), user); err != nil || ended != 1 {
		e.t.Fatalf("revoked %d sessions, error %v", ended, err)
	}
	ada.requireSignedOut("session_revoked")
	ben.requireSignedIn()
	if device, isAPI := ada.device.(*apiDevice); isAPI {
		device.api = device.api.reconnect()
	}
	ada.requireSignInRejected("user_disabled", "")
	// A client that does not prove ownership of the account does not learn that it is disabled.
	ada.requireSignInRejected("passkey_rejected", domain.ReasonSignatureInvalid, badSignature)
	if err := operator.EnableUser(e.t.Context(), user); err != nil {
		e.t.Fatal(err)
	}
	ada.signsIn()
	ada.requireEvents(shownEvent{kind: "signed_in"}, shownEvent{kind: "account_enabled"},
		shownEvent{"sign_in_refused", string(domain.ReasonSignatureInvalid)}, shownEvent{"sign_in_refused", "user_disabled"},
		shownEvent{"session_revoked", "account_disabled"}, shownEvent{kind: "account_disabled"})
}

// cannotReachAnotherAccount makes every call that takes an id as Ben, with Ada's ids.
func cannotReachAnotherAccount(e *env) {
	ada, ben := e.person("Ada", phone), e.person("Ben", phone)
	ada.signsUp()
	adaKey := ada.addsPasskey("Blue key", securityKey)
	ada.signsOut()
	ada.signsIn()
	laptop := e.person("Ada", phone)
	laptop.device = ada.device.syncedDevice()
	laptop.signsIn()
	ben.signsUp()
	ben.addsPasskey("Ben's key", securityKey)
	before := append([]shownPasskey(nil), ada.listPasskeys()...)
	adaDevice, benDevice := ada.apiDevice(), ben.apiDevice()

	ben.requireRejected(ben.device.renamePasskey(adaKey.id, "Mine"), "not_found")
	ben.requireRejected(ben.device.removePasskey(adaKey.id), "not_found")
	for _, session := range ada.listSessions() {
		ben.requireRejected(ben.device.revokeSession(session.id), "not_found")
	}
	begun, rejected := adaDevice.api.beginStepUp()
	ada.requireOK(rejected)
	ben.requireRejected(benDevice.api.finishStepUp(begun.challengeID, adaDevice.getAssertion(begun)), "challenge_not_found")
	begun, rejected = adaDevice.api.beginAddPasskey()
	ada.requireOK(rejected)
	benDevice.useAuthenticator(phone)
	ben.requireRejected(benDevice.api.finishAddPasskey(begun.challengeID, "", benDevice.makeCredential(begun)), "challenge_not_found")

	// Malformed ids get the same response as Ada's ids.
	for _, id := range []string{"x", "!", adaKey.id + "AAAA", "00000000-0000-0000-0000-000000000000"} {
		ben.requireRejected(ben.device.renamePasskey(id, "Mine"), "not_found")
		ben.requireRejected(ben.device.removePasskey(id), "not_found")
		ben.requireRejected(ben.device.revokeSession(id), "not_found")
	}

	ada.requireSignedIn()
	laptop.requireSignedIn()
	if after := ada.listPasskeys(); len(after) != len(before) || after[0] != before[0] || after[1] != before[1] {
		e.t.Fatalf("Ada's passkeys were %+v and are %+v", before, after)
	}
	ben.requirePasskeys("", "Ben's key")
	events, rejected := ben.device.events()
	ben.requireOK(rejected)
	for _, event := range events {
		switch event { // Ben's log has his own attempts
		case shownEvent{kind: "signed_up"}, shownEvent{kind: "passkey_added"},
			shownEvent{"passkey_add_refused", "challenge_mismatch"}, shownEvent{"step_up_refused", "challenge_mismatch"}:
		default:
			e.t.Errorf("Ben's log has %+v", event)
		}
	}
}

func pagesThroughTheLog(e *env) {
	ada := e.person("Ada", phone)
	ada.signsUp()
	for range 3 {
		e.advance(time.Hour)
		ada.stepsUp()
	}
	events, rejected := ada.device.events()
	ada.requireOK(rejected)
	if len(events) != 4 || events[3].kind != "signed_up" {
		e.t.Fatalf("the events are %+v", events)
	}
}

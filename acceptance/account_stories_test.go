package acceptance

import (
	"time"

	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/domain"
)

func seesTheirDevices(l *lodge) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	laptop := ada.elsewhere()
	tablet := ada.elsewhere()
	if sessions := ada.seesSessions(); len(sessions) != 3 {
		l.t.Fatalf("%+v", sessions)
	}
	tablet.signsOut()
	other := ada.otherSession()
	ada.may(ada.device.revokeSession(other.id))
	laptop.isAskedToSignIn("session_revoked")
	ada.isSignedIn()
	if sessions := ada.seesSessions(); len(sessions) != 1 {
		l.t.Fatalf("%+v", sessions)
	}
	ada.seesEvents(shownEvent{kind: "session_revoked"}, shownEvent{kind: "signed_out"}, shownEvent{kind: "signed_in"}, shownEvent{kind: "signed_in"})
}

func signsOutEverywhereElse(l *lodge) {
	ada, ben := l.person("Ada", phone), l.person("Ben", phone)
	ada.signsUp()
	ben.signsUp()
	laptop, tablet := ada.elsewhere(), ada.elsewhere()
	ended, refused := ada.device.revokeOtherSessions()
	ada.may(refused)
	if ended != 2 {
		l.t.Fatalf("%d sessions were ended", ended)
	}
	laptop.isAskedToSignIn("session_revoked")
	tablet.isAskedToSignIn("session_revoked")
	ada.isSignedIn()
	ben.isSignedIn()
}

func endsTheSessionAtHand(l *lodge) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	token := ada.script().connection.keepsToken()
	ada.may(ada.device.revokeSession(ada.seesSessions()[0].id))
	ada.script().connection.bringsToken(token)
	ada.isAskedToSignIn("session_revoked")
}

func knowsWhenADeviceWasUsed(l *lodge) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	laptop := ada.elsewhere()
	l.waits(6 * day)
	ada.isSignedIn()
	l.waits(2 * day)
	laptop.isAskedToSignIn("session_expired")
	if sessions := ada.seesSessions(); len(sessions) != 1 { // what has ended is no place to be signed in
		l.t.Fatalf("%+v", sessions)
	}
}

func changesWhatTheAccountSays(l *lodge) {
	ada, ben := l.person("Ada", phone), l.person("Ben", phone)
	ada.email, ben.email = "ada@example.org", "ben@example.org"
	ada.signsUp()
	ben.signsUp()
	changed := func(name, email string) {
		l.t.Helper()
		who, refused := ada.device.changeAccount(name, email)
		ada.name, ada.email = name, email
		ada.mustBe(who, refused)
		ada.isSignedIn()
	}
	changed("Ada Lovelace", "ada@example.org")
	changed("Ada Lovelace", "lovelace@example.org")
	ada.seesEvents(shownEvent{kind: "account_changed"}, shownEvent{kind: "account_changed"}, shownEvent{kind: "signed_up"})
	_, refused := ada.device.changeAccount("Ada", "ben@example.org")
	ada.mayNot(refused, "email_taken")
	_, refused = ada.device.changeAccount("Ada", "ada@example.123")
	ada.mayNot(refused, "invalid_request")
	ada.isSignedIn()
	ada.signsOut()
	ada.signsInByEmail()

	ada.signsOut()
	carol := l.person("Carol", phone)
	carol.email = "ada@example.org" // given up, and free
	carol.signsUp()
}

func deletesTheAccount(l *lodge) {
	ada, ben := l.person("Ada", phone), l.person("Ben", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	ben.signsUp()
	laptop := ada.elsewhere()
	ada.may(ada.device.deleteAccount())
	ada.isAskedToSignIn("unauthenticated")
	laptop.isAskedToSignIn("unauthenticated")
	ben.isSignedIn()
	if _, isScript := ada.device.(*script); isScript {
		ada.isRefusedSignIn("passkey_unknown", "")
	}
	again := l.person("Ada", phone)
	again.email = "ada@example.org"
	again.signsUp()
	again.seesEvents(shownEvent{kind: "signed_up"})
}

func readsWhatWasRefused(l *lodge) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	ada.signsOut()
	ada.isRefusedSignIn("passkey_rejected", domain.ReasonSignatureInvalid, badSignature)
	ada.isRefusedSignIn("user_verification_required", domain.ReasonUserVerificationMissing, notVerified)
	ada.signsIn()
	ada.seesEvents(
		shownEvent{kind: "signed_in"},
		shownEvent{"sign_in_refused", string(domain.ReasonUserVerificationMissing)},
		shownEvent{"sign_in_refused", string(domain.ReasonSignatureInvalid)},
		shownEvent{kind: "signed_out"},
		shownEvent{kind: "signed_up"})
}

func theOperatorShutsAnAccount(l *lodge) {
	ada, ben := l.person("Ada", phone), l.person("Ben", phone)
	ada.email = "ada@example.org"
	ada.signsUp()
	ben.signsUp()
	operator := l.door.operator().Admin
	who := admin.Who{Email: "ada@example.org"}
	if ended, err := operator.DisableUser.Execute(l.t.Context(), who); err != nil || ended != 1 {
		l.t.Fatalf("%d, %v", ended, err)
	}
	ada.isAskedToSignIn("session_revoked")
	ben.isSignedIn()
	if device, isScript := ada.device.(*script); isScript {
		device.connection = device.connection.anew()
	}
	ada.isRefusedSignIn("user_disabled", "")
	// Whoever has no proof that the account is theirs is not told.
	ada.isRefusedSignIn("passkey_rejected", domain.ReasonSignatureInvalid, badSignature)
	if err := operator.EnableUser.Execute(l.t.Context(), who); err != nil {
		l.t.Fatal(err)
	}
	ada.signsIn()
	ada.seesEvents(shownEvent{kind: "signed_in"}, shownEvent{kind: "account_enabled"},
		shownEvent{"sign_in_refused", string(domain.ReasonSignatureInvalid)}, shownEvent{"sign_in_refused", "user_disabled"},
		shownEvent{"session_revoked", "account_disabled"}, shownEvent{kind: "account_disabled"})
}

// reachesNothingOfAnothers tries every call that takes an id with Ada's ids, as Ben.
func reachesNothingOfAnothers(l *lodge) {
	ada, ben := l.person("Ada", phone), l.person("Ben", phone)
	ada.signsUp()
	adasKey := ada.addsPasskey("Blue key", securityKey)
	ada.signsOut()
	ada.signsIn()
	laptop := l.person("Ada", phone)
	laptop.device = ada.device.twin()
	laptop.signsIn()
	ben.signsUp()
	ben.addsPasskey("Ben's key", securityKey)
	before := append([]shownPasskey(nil), ada.seesPasskeys()...)
	adas, bens := ada.script(), ben.script()

	ben.mayNot(ben.device.renamePasskey(adasKey.id, "Mine"), "not_found")
	ben.mayNot(ben.device.removePasskey(adasKey.id), "not_found")
	for _, session := range ada.seesSessions() {
		ben.mayNot(ben.device.revokeSession(session.id), "not_found")
	}
	begun, refused := adas.connection.beginStepUp()
	ada.may(refused)
	ben.mayNot(bens.connection.finishStepUp(begun.challengeID, adas.answers(begun)), "challenge_not_found")
	begun, refused = adas.connection.beginAddPasskey()
	ada.may(refused)
	bens.takes(phone)
	ben.mayNot(bens.connection.finishAddPasskey(begun.challengeID, "", bens.makes(begun)), "challenge_not_found")

	// What is malformed is as little Ben's as what is Ada's.
	for _, id := range []string{"", "x", "!", adasKey.id + "AAAA", "00000000-0000-0000-0000-000000000000"} {
		if id == "" {
			continue // no such address over HTTP
		}
		ben.mayNot(ben.device.renamePasskey(id, "Mine"), "not_found")
		ben.mayNot(ben.device.removePasskey(id), "not_found")
		ben.mayNot(ben.device.revokeSession(id), "not_found")
	}

	ada.isSignedIn()
	laptop.isSignedIn()
	if after := ada.seesPasskeys(); len(after) != len(before) || after[0] != before[0] || after[1] != before[1] {
		l.t.Fatalf("Ada's passkeys were %+v and are %+v", before, after)
	}
	ben.hasPasskeys("", "Ben's key")
	events, refused := ben.device.events()
	ben.may(refused)
	for _, event := range events {
		switch event { // his own attempts are his to read of
		case shownEvent{kind: "signed_up"}, shownEvent{kind: "passkey_added"},
			shownEvent{"passkey_add_refused", "challenge_mismatch"}, shownEvent{"step_up_refused", "challenge_mismatch"}:
		default:
			l.t.Errorf("Ben reads of %+v", event)
		}
	}
}

func aDayInTheLog(l *lodge) {
	ada := l.person("Ada", phone)
	ada.signsUp()
	for range 3 {
		l.waits(time.Hour)
		ada.stepsUp()
	}
	events, refused := ada.device.events()
	ada.may(refused)
	if len(events) != 4 || events[3].kind != "signed_up" {
		l.t.Fatalf("%+v", events)
	}
}

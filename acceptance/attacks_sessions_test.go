package acceptance

import (
	"slices"
	"sync"
	"time"

	"github.com/keylodge/keylodge/domain"
)

func signingInReplacesTheSession(e *env) {
	ada := e.newUser("Ada", phone)
	api := ada.apiDevice().api
	before := api.sessionToken()
	ada.signsIn()
	ada.requireSignedIn()
	now := api.sessionToken()
	api.setSessionToken(before)
	ada.requireSignedOut("session_revoked")
	api.setSessionToken(now)
	ada.requireSignedIn()
	ada.signsOut()
	api.setSessionToken(now)
	ada.requireSignedOut("session_revoked")
}

func sensitiveActionsRequireStepUp(e *env) {
	ada := e.newUser("Ada", phone)
	e.advance(10 * time.Minute)
	ada.addsPasskey("Blue key", securityKey) // an authentication is recent for ten minutes
	e.advance(time.Minute)
	device, blue := ada.apiDevice(), ada.passkeyNamed("Blue key")
	ada.requireRejected(device.removePasskey(blue.id), "step_up_required")
	ada.requireRejected(device.deleteAccount(), "step_up_required")
	ada.requireRejected(device.api.beginAddPasskey(), "step_up_required")
	ada.requireRejected(device.setUpTOTP(), "step_up_required")
	ada.requireRejected(device.removeTOTP(), "step_up_required")
	ada.requireRejected(device.makeBackupCodes(), "step_up_required")
	ada.requirePasskeys("", "Blue key")
	ada.stepsUp()
	ada.removesPasskey(ada.passkeyNamed(""))
	e.advance(10*time.Minute + time.Microsecond)
	ada.requireRejected(device.deleteAccount(), "step_up_required")
}

// stepUpRotatesTheToken checks that the session continues, and that a copy of its old token is rejected.
func stepUpRotatesTheToken(e *env) {
	ada := e.newUser("Ada", phone)
	api := ada.apiDevice().api
	before, sessions := api.sessionToken(), ada.listSessions()
	e.advance(time.Hour)
	ada.stepsUp()
	if now := ada.listSessions(); len(now) != 1 || now[0] != sessions[0] {
		e.t.Fatalf("the session was %+v before the step-up and is %+v", sessions, now)
	}
	after := api.sessionToken()
	if after == before {
		e.t.Fatal("the session token did not change: a copy of it is as recent as its owner's")
	}
	api.setSessionToken(before)
	ada.requireSignedOut("unauthenticated")
	ada.requireRejected(ada.device.deleteAccount(), "unauthenticated")
	api.setSessionToken(after)
	ada.deletesAccount()
}

func stepUpIsBoundToItsSession(e *env) {
	ada, ben := e.newUser("Ada", phone), e.newUser("Ben", phone)
	laptop := ada.onSecondDevice()
	e.advance(time.Hour)
	device := ada.apiDevice()
	requireNotRecent := func() {
		e.t.Helper()
		ada.requireRejected(ada.device.deleteAccount(), "step_up_required")
	}

	// Another session's challenge, though the passkey is the right one.
	begun := laptop.apiDevice().mustBeginStepUp()
	ada.requireRejected(device.api.finishStepUp(begun.challengeID, device.getAssertion(begun)), "challenge_not_found")
	requireNotRecent()

	// A challenge for a sign-in, and a challenge for a step-up at a sign-in.
	begun = device.mustBeginSignIn()
	ada.requireRejected(device.api.finishStepUp(begun.challengeID, device.getAssertion(begun)), "challenge_not_found")
	begun = device.mustBeginStepUp()
	ada.requireRejected(device.api.finishSignIn(begun.challengeID, device.getAssertion(begun)), "challenge_not_found")
	requireNotRecent()

	// Another person's passkey.
	begun = device.mustBeginStepUp()
	ada.requireRejected(device.api.finishStepUp(begun.challengeID, ben.apiDevice().getAssertionUnlisted(begun)), "passkey_unknown")
	requireNotRecent()

	// An invalid response consumes the challenge and is in the audit log.
	begun = device.mustBeginStepUp()
	ada.requireRejected(device.api.finishStepUp(begun.challengeID, device.getAssertion(begun, badSignature)), "passkey_rejected")
	ada.requireRejected(device.api.finishStepUp(begun.challengeID, device.getAssertion(begun)), "challenge_not_found")
	requireNotRecent()
	ada.requireEvents(shownEvent{"step_up_refused", string(domain.ReasonSignatureInvalid)})

	// A step-up counts only for its own session.
	laptop.stepsUp()
	requireNotRecent()
	ada.stepsUp()
	ada.deletesAccount()
}

func recoveryIsNoStepUp(e *env) {
	ada := e.newUser("Ada", phone)
	codes, lost := ada.makesBackupCodes(), ada.passkeyNamed("")
	recovered := e.onNewDevice(ada)
	recovered.recovers(withBackupCode(codes[0]))
	device := recovered.apiDevice()
	recovered.requireRejected(device.removePasskey(lost.id), "step_up_required")
	recovered.requireRejected(device.deleteAccount(), "step_up_required")
	recovered.requireRejected(device.makeBackupCodes(), "step_up_required")
	recovered.requireRejected(device.setUpTOTP(), "step_up_required")
	recovered.requireRejected(device.removeTOTP(), "step_up_required")
	recovered.requireRejected(device.confirmTOTP("123456"), "step_up_required")
	recovered.requireRejected(device.changeAccount("Ada", "mallory@example.org"), "step_up_required")
	recovered.requireRejected(device.api.beginAddPasskey(), "step_up_required")
	recovered.stepsUp()
	recovered.removesPasskey(lost)
}

// cannotReachAnotherAccount makes every call that takes an id as Ben, with Ada's ids.
func cannotReachAnotherAccount(e *env) {
	ada := e.newUser("Ada", phone)
	adaKey := ada.addsPasskey("Blue key", securityKey)
	ada.signsOut()
	ada.signsIn()
	laptop := ada.onSecondDevice()
	ben := e.newUser("Ben", phone)
	ben.addsPasskey("Ben's key", securityKey)
	before := slices.Clone(ada.listPasskeys())
	adaDevice, benDevice := ada.apiDevice(), ben.apiDevice()

	ben.requireRejected(ben.device.renamePasskey(adaKey.id, "Mine"), "not_found")
	ben.requireRejected(ben.device.removePasskey(adaKey.id), "not_found")
	for _, session := range ada.listSessions() {
		ben.requireRejected(ben.device.revokeSession(session.id), "not_found")
	}
	begun := adaDevice.mustBeginStepUp()
	ben.requireRejected(benDevice.api.finishStepUp(begun.challengeID, adaDevice.getAssertion(begun)), "challenge_not_found")
	begun = adaDevice.mustBeginAddPasskey()
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
	if after := ada.listPasskeys(); !slices.Equal(after, before) {
		e.t.Fatalf("Ada's passkeys were %+v and are %+v", before, after)
	}
	ben.requirePasskeys("", "Ben's key")
	for _, event := range ben.listEvents() {
		switch event { // Ben's log has his own attempts
		case shownEvent{kind: "signed_up"}, shownEvent{kind: "passkey_added"},
			shownEvent{"passkey_add_refused", "challenge_mismatch"}, shownEvent{"step_up_refused", "challenge_mismatch"}:
		default:
			e.t.Errorf("Ben's log has %+v", event)
		}
	}
}

func aRefreshTokenIsStolen(e *env) {
	ada := e.newAppUser("Ada")
	device := ada.apiDevice()
	stolen := device.api.tokenPair()
	e.advance(time.Minute)
	ada.refreshes()
	e.advance(time.Minute)
	if thiefPair := device.mustRefresh(stolen.refresh); thiefPair.refresh != device.api.tokenPair().refresh {
		e.t.Fatal("a refresh token has two different successors")
	}
	ada.refreshes() // with the successor that the thief has, too
	ada.requireRefreshRejected(stolen, "refresh_token_reused")
	ada.requireSignedOut("session_revoked")
	ada.requireRefreshRejected(device.api.tokenPair(), "session_revoked")
	ada.requireRefreshRejected(stolen, "session_revoked")

	device.api.setTokenPair(tokenPair{})
	ada.signsIn()
	ada.requireEvents(shownEvent{kind: "signed_in"}, shownEvent{kind: "refresh_token_reused"}, shownEvent{kind: "signed_up"})
}

func oldRefreshTokenIsReused(e *env) {
	ada := e.newAppUser("Ada")
	first := ada.apiDevice().api.tokenPair()
	for range 5 {
		e.advance(time.Minute)
		ada.refreshes()
	}
	ada.requireRefreshRejected(first, "refresh_token_reused")
	ada.requireSignedOut("session_revoked")
}

func aRefreshTokenIsForged(e *env) {
	ada := e.newAppUser("Ada")
	tokens := ada.apiDevice().api.tokenPair()
	forged := []byte(tokens.refresh)
	middle := len(forged) / 2
	if forged[middle]++; forged[middle] > 'z' {
		forged[middle] = 'a'
	}
	for _, token := range []string{string(forged), tokens.access, "klr_", "x", tokens.refresh + "A", "klr_" + tokens.refresh} {
		ada.requireRefreshRejected(tokenPair{refresh: token}, "refresh_token_invalid")
	}
	ada.requireSignedIn()
	ada.refreshes()
	ada.requireSignedIn()
}

func sixteenRefreshesAtOnce(e *env) {
	ada := e.newAppUser("Ada")
	api := ada.apiDevice().api
	tokens := api.tokenPair()
	var mu sync.Mutex
	var successors []string
	outcomes := concurrently(e.t, 16, func(int) result[tokenPair] {
		got := api.refresh(tokens.refresh)
		mu.Lock()
		defer mu.Unlock()
		successors = append(successors, got.value.refresh)
		return got
	})
	slices.Sort(successors)
	if successors = slices.Compact(successors); outcomes[""] != 16 || len(successors) != 1 {
		e.t.Fatalf("sixteen concurrent refreshes: %v, %d successors", outcomes, len(successors))
	}
	api.setTokenPair(tokenPair{refresh: successors[0]})
	e.advance(time.Minute)
	ada.refreshes()
	ada.requireSignedIn()
}

func aRefreshIsNoStepUp(e *env) {
	ada := e.newAppUser("Ada")
	e.advance(time.Hour)
	ada.refreshes()
	ada.requireRejected(ada.device.deleteAccount(), "step_up_required")
	ada.stepsUp()
	ada.refreshes()
	ada.deletesAccount()
	ada.requireSignedOut("unauthenticated")
}

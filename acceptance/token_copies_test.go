package acceptance

import (
	"net/http"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
)

func asBearer(token string) []string { return []string{"Authorization", "Bearer " + token} }

// A copy of the session cookie, or of an access token, requests a service token and waits for the owner's step-up.
func TestServiceToken_opensNothingHere(t *testing.T) {
	for _, kind := range []domain.TokenKind{domain.TokenSessionCookie, domain.TokenAccess} {
		t.Run(string(kind), func(t *testing.T) {
			clock := newClock()
			s := startServer(t, clock, nil)
			h := newTokenHolder(t, s, clock, kind)
			headers := asBearer(h.token)
			if kind == domain.TokenSessionCookie {
				headers = []string{"Cookie", sessionCookie + "=" + h.token}
			}
			issued := h.serviceToken(headers...)
			h.ada.stepsUp()
			for _, use := range domain.TokenUses {
				if h.accepted(use, issued) != (use == domain.UseServices) {
					t.Errorf("a service token is wrongly accepted or rejected to %s", use)
				}
			}
			h.ada.isSignedIn()
		})
	}
}

// An access token that requests service tokens does not extend its own life by that.
func TestServiceToken_expiresWithTheAccessTokenThatRequestedIt(t *testing.T) {
	clock := newClock()
	s := startServer(t, clock, nil)
	h := newTokenHolder(t, s, clock, domain.TokenAccess)
	before := part(t, h.token, 1)
	clock.advance(4 * time.Minute)
	h.ada.stepsUp()
	claims := part(t, h.serviceToken(asBearer(h.token)...), 1)
	if claims["exp"] != before["exp"] || claims["auth_time"] != before["auth_time"] || claims["scope"] != nil || claims["sid"] != before["sid"] {
		t.Errorf("requested by %v, got %v", before, claims)
	}
	renewed := part(t, h.serviceToken(asBearer(h.ada.script().connection.keepsTokens().access)...), 1)
	if renewed["exp"] == before["exp"] || renewed["auth_time"] == before["auth_time"] {
		t.Errorf("requested by the token of the step-up: %v", renewed)
	}
}

// A copy of an access token is not recent after the owner's step-up, however soon that comes, and does not finish what it began.
func TestAccessToken_issuedBeforeAStepUpIsNotRecent(t *testing.T) {
	for _, after := range []time.Duration{0, time.Second, time.Minute} {
		t.Run(after.String(), func(t *testing.T) {
			clock := newClock()
			s := startServer(t, clock, nil)
			h := newTokenHolder(t, s, clock, domain.TokenAccess)
			copied := h.server.connect(t)
			copied.bringsTokens(tokenPair{access: h.token})
			begun, refused := copied.beginAddPasskey()
			h.ada.may(refused)
			clock.advance(after)
			h.ada.stepsUp()

			thief := (&lodge{t: t, clock: clock, door: httpDoor{s}}).person("Ada", securityKey).script()
			h.ada.mayNot(copied.finishAddPasskey(begun.challengeID, "", thief.makes(begun)), "step_up_required")
			for _, sensitive := range []struct{ method, path string }{
				{http.MethodPost, "/v1/me/passkeys/options"},
				{http.MethodPost, "/v1/me/recovery/totp"},
				{http.MethodDelete, "/v1/me/recovery/totp"},
				{http.MethodPost, "/v1/me/recovery/backup-codes"},
				{http.MethodDelete, "/v1/me/passkeys/" + h.ada.seesPasskeys()[0].id},
				{http.MethodDelete, "/v1/me"},
			} {
				s.send(t, sensitive.method, sensitive.path, "", asBearer(h.token)...).wants(t, http.StatusForbidden, "step_up_required")
			}
			s.send(t, http.MethodPatch, "/v1/me", `{"email":"thief@example.org"}`, asBearer(h.token)...).wants(t, http.StatusForbidden, "step_up_required")
			if got := s.send(t, http.MethodGet, "/v1/me", "", asBearer(h.token)...); got.StatusCode != http.StatusOK {
				t.Errorf("the copy reads nothing: %d %s", got.StatusCode, got.body)
			}
			h.ada.may(h.ada.device.deleteAccount()) // with the tokens of the step-up
		})
	}
}

// The step-up of a program sets no cookie and leaves the browser's session alone.
func TestStepUp_byATokenLeavesTheCookieAlone(t *testing.T) {
	clock := newClock()
	s := startServer(t, clock, nil)
	h := newTokenHolder(t, s, clock, domain.TokenSessionCookie)
	program := h.ada.elsewhere().script()
	program.connection.becomesProgram()
	_, refused := program.signIn("")
	h.ada.may(refused)
	program.connection.bringsToken(h.token) // the program's jar holds the browser's cookie as well
	h.ada.may(program.stepUp())
	if program.connection.keepsToken() != h.token {
		t.Error("the cookie was replaced")
	}
	h.ada.isSignedIn()

	issued := h.serviceToken("Cookie", sessionCookie+"="+h.token)
	answer := s.send(t, http.MethodPost, "/v1/session/step-up/options", "", "Authorization", "Bearer "+issued, "Cookie", sessionCookie+"="+h.token)
	answer.wants(t, http.StatusUnauthorized, "unauthenticated")
	h.ada.isSignedIn()
}

// After a recovery, a copy of the access token does not confirm an app or an address once the owner has stepped up.
func TestAccessToken_ofARecoveryStaysOne(t *testing.T) {
	clock := newClock()
	s := startServer(t, clock, nil)
	h := newTokenHolder(t, s, clock, domain.TokenAccess)
	device := (&lodge{t: t, clock: clock, door: httpDoor{s}}).person("Ada", phone)
	device.script().connection.becomesProgram()
	_, refused := device.device.recover(claim{email: h.ada.email, backupCode: h.codes[0]})
	h.ada.may(refused)
	copied := device.script().connection.keepsTokens().access
	device.stepsUp()
	s.send(t, http.MethodPost, "/v1/me/recovery/totp/confirm", `{"code":"123456"}`, asBearer(copied)...).wants(t, http.StatusForbidden, "step_up_required")
	renewed := device.script().connection.keepsTokens().access
	s.send(t, http.MethodPost, "/v1/me/recovery/totp/confirm", `{"code":"123456"}`, asBearer(renewed)...).wants(t, http.StatusBadRequest, "invalid_code")
}

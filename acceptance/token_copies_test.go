package acceptance

import (
	"net/http"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
)

func asBearer(token string) []string { return []string{"Authorization", "Bearer " + token} }

// A copy of the session cookie, or of an access token, requests a service token and waits for the owner's step-up.
// Requirement: ASVS-9.2.1
func TestServiceToken_rejectedByThisServer(t *testing.T) {
	t.Parallel()
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
			h.ada.requireSignedIn()
		})
	}
}

// An access token that requests service tokens does not extend its own life by that.
// Requirement: ASVS-7.4.1
func TestServiceToken_expiresWithTheAccessTokenThatRequestedIt(t *testing.T) {
	t.Parallel()
	clock := newClock()
	s := startServer(t, clock, nil)
	h := newTokenHolder(t, s, clock, domain.TokenAccess)
	before := jwtPart(t, h.token, 1)
	clock.advance(4 * time.Minute)
	h.ada.stepsUp()
	claims := jwtPart(t, h.serviceToken(asBearer(h.token)...), 1)
	if claims["exp"] != before["exp"] || claims["auth_time"] != before["auth_time"] || claims["scope"] != nil || claims["sid"] != before["sid"] {
		t.Errorf("requested by %v, got %v", before, claims)
	}
	renewed := jwtPart(t, h.serviceToken(asBearer(h.ada.apiDevice().api.tokenPair().access)...), 1)
	if renewed["exp"] == before["exp"] || renewed["auth_time"] == before["auth_time"] {
		t.Errorf("requested by the token of the step-up: %v", renewed)
	}
}

// A copy of an access token is not recent after the owner's step-up, however soon that comes, and does not finish what it began.
// Requirement: ASVS-7.5.1
func TestAccessToken_issuedBeforeStepUpIsNotRecent(t *testing.T) {
	t.Parallel()
	for _, after := range []time.Duration{0, time.Second, time.Minute} {
		t.Run(after.String(), func(t *testing.T) {
			clock := newClock()
			s := startServer(t, clock, nil)
			h := newTokenHolder(t, s, clock, domain.TokenAccess)
			copied := h.server.newAPI(t)
			copied.setTokenPair(tokenPair{access: h.token})
			begun := copied.beginAddPasskey().must(h.ada.t)
			clock.advance(after)
			h.ada.stepsUp()

			thief := (&env{t: t, clock: clock, driver: httpDriver{s}}).person("Ada", securityKey).apiDevice()
			h.ada.requireRejected(copied.finishAddPasskey(begun.challengeID, "", thief.makeCredential(begun)), "step_up_required")
			for _, sensitive := range []struct{ method, path string }{
				{http.MethodPost, "/v1/me/passkeys/options"},
				{http.MethodPost, "/v1/me/recovery/totp"},
				{http.MethodDelete, "/v1/me/recovery/totp"},
				{http.MethodPost, "/v1/me/recovery/backup-codes"},
				{http.MethodDelete, "/v1/me/passkeys/" + h.ada.listPasskeys()[0].id},
				{http.MethodDelete, "/v1/me"},
			} {
				s.send(t, sensitive.method, sensitive.path, "", asBearer(h.token)...).requireProblem(t, http.StatusForbidden, "step_up_required")
			}
			s.send(t, http.MethodPatch, "/v1/me", `{"email":"thief@example.org"}`, asBearer(h.token)...).requireProblem(t, http.StatusForbidden, "step_up_required")
			if got := s.send(t, http.MethodGet, "/v1/me", "", asBearer(h.token)...); got.StatusCode != http.StatusOK {
				t.Errorf("the copy cannot read the account: %d %s", got.StatusCode, got.Body)
			}
			h.ada.requireOK(h.ada.device.deleteAccount()) // with the tokens of the step-up
		})
	}
}

// A step-up with an access token sets no cookie and does not change the browser's session.
// Requirement: ASVS-7.2.4
func TestStepUp_byTokenKeepsTheCookie(t *testing.T) {
	t.Parallel()
	clock := newClock()
	s := startServer(t, clock, nil)
	h := newTokenHolder(t, s, clock, domain.TokenSessionCookie)
	appClient := h.ada.onSecondDevice().apiDevice()
	appClient.api.useBearerTokens()
	h.ada.requireOK(appClient.signIn(""))
	appClient.api.setSessionToken(h.token) // the app client's cookie jar has the browser's cookie, too
	h.ada.requireOK(appClient.stepUp())
	if appClient.api.sessionToken() != h.token {
		t.Error("the cookie was replaced")
	}
	h.ada.requireSignedIn()

	issued := h.serviceToken("Cookie", sessionCookie+"="+h.token)
	response := s.send(t, http.MethodPost, "/v1/session/step-up/options", "", "Authorization", "Bearer "+issued, "Cookie", sessionCookie+"="+h.token)
	response.requireProblem(t, http.StatusUnauthorized, "unauthenticated")
	h.ada.requireSignedIn()
}

// After a recovery, a copy of the access token does not confirm an app or an address once the owner has stepped up.
// Requirement: ASVS-7.5.1
func TestAccessToken_fromRecoveryStaysRestricted(t *testing.T) {
	t.Parallel()
	clock := newClock()
	s := startServer(t, clock, nil)
	h := newTokenHolder(t, s, clock, domain.TokenAccess)
	device := (&env{t: t, clock: clock, driver: httpDriver{s}}).person("Ada", phone)
	device.apiDevice().api.useBearerTokens()
	h.ada.requireOK(device.device.recover(recoveryProof{email: h.ada.email, backupCode: h.codes[0]}))
	copied := device.apiDevice().api.tokenPair().access
	device.stepsUp()
	s.send(t, http.MethodPost, "/v1/me/recovery/totp/confirm", `{"code":"123456"}`, asBearer(copied)...).requireProblem(t, http.StatusForbidden, "step_up_required")
	renewed := device.apiDevice().api.tokenPair().access
	s.send(t, http.MethodPost, "/v1/me/recovery/totp/confirm", `{"code":"123456"}`, asBearer(renewed)...).requireProblem(t, http.StatusBadRequest, "invalid_code")
}

package acceptance

import (
	"crypto/rand"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
)

const appCallback = "https://app.example.org/callback?step=1"

// returning is a user's return to an application on another site, with a code.
type returning struct {
	code     string
	verifier string
	state    string
}

// returnsToApp returns to the application at appCallback.
func (p *person) returnsToApp() returning {
	p.t.Helper()
	verifier, challenge := domain.NewCodeVerifier(rand.Reader)
	location, err := url.Parse(p.apiDevice().api.issueCode(appCallback, challenge.String(), "state-17").must(p.t))
	if err != nil {
		p.t.Fatal(err)
	}
	query := location.Query()
	if location.Host != "app.example.org" || location.Path != "/callback" || query.Get("step") != "1" {
		p.t.Fatalf("returned to %s", location)
	}
	return returning{query.Get("code"), verifier.Reveal(), query.Get("state")}
}

// app returns a client of the application, which has no session.
func (e *env) app() api { return e.appClient("app").apiDevice().api }

func (r returning) redeem(app api) result[tokenPair] {
	return app.redeemCode(r.code, r.verifier, appCallback)
}

func anApplicationGetsTokens(e *env) {
	ada := e.newUser("Ada", phone)
	e.advance(time.Minute)
	back := ada.returnsToApp()
	if back.state != "state-17" {
		e.t.Fatalf("the state came back as %q", back.state)
	}
	app := e.app()
	app.setTokenPair(back.redeem(app).must(e.t))
	if user := app.whoAmI().must(e.t); user != ada.device.whoAmI().must(e.t) {
		e.t.Fatalf("the application is signed in as %+v", user)
	}
	sessions := ada.device.sessions().must(e.t)
	if len(sessions) != 2 || !slices.ContainsFunc(sessions, func(s shownSession) bool { return strings.HasPrefix(s.device, "Example App (") }) {
		e.t.Fatalf("Ada sees the sessions %+v", sessions)
	}
	ada.requireEvents(shownEvent{kind: "application_signed_in"}, shownEvent{kind: "signed_up"})
	app.setTokenPair(app.refresh(app.tokenPair().refresh).must(e.t))
	ada.requireOK(ada.device.revokeOtherSessions())
	ada.requireRejected(app.whoAmI(), "session_revoked")
	ada.requireSignedIn()
}

func anApplicationRequiresARecentSignIn(e *env) {
	ada := e.newUser("Ada", phone)
	e.advance(time.Minute + time.Second)
	_, challenge := domain.NewCodeVerifier(rand.Reader)
	ada.requireRejected(ada.apiDevice().api.issueCode(appCallback, challenge.String(), ""), "step_up_required")
	ada.stepsUp()
	ada.returnsToApp()
}

func requireRecentSignIn(c *config.Config) {
	c.Applications = domain.Applications{{Origin: "https://app.example.org", Name: "Example App", MaxAge: time.Minute}}
}

func anApplicationCountsAgainstTheLimit(e *env) {
	ada := e.newUser("Ada", phone)
	e.advance(2 * time.Minute)
	laptop := ada.onSecondDevice()
	e.advance(2 * time.Minute)
	app := e.app()
	app.setTokenPair(laptop.returnsToApp().redeem(app).must(e.t))
	ada.requireSignedOut("session_revoked") // the least recently used one
	laptop.requireSignedIn()
	app.whoAmI().must(e.t)
}

func twoSessionsAtMost(c *config.Config) { c.SessionLimit = 2 }

func codeForAnotherSite(e *env) {
	ada := e.newUser("Ada", phone)
	_, challenge := domain.NewCodeVerifier(rand.Reader)
	api := ada.apiDevice().api
	for _, address := range []string{"", "/", "https://evil.example/", "https://app.example.org@evil.example/", "//evil.example", "javascript:alert(1)", "https://app.example.org/?code=x", "https://app.example.org/#x"} {
		ada.requireRejected(api.issueCode(address, challenge.String(), ""), "invalid_request")
	}
	for _, invalid := range []string{"", "plain", challenge.String() + "A"} {
		ada.requireRejected(api.issueCode(appCallback, invalid, ""), "invalid_request")
	}
	ben := e.newAppUser("Ben")
	ben.requireRejected(ben.apiDevice().api.issueCode(appCallback, challenge.String(), ""), "unauthenticated") // an access token
	ada.returnsToApp()
}

func aCodeIsStolen(e *env) {
	ada := e.newUser("Ada", phone)
	thief := e.app()
	another, _ := domain.NewCodeVerifier(rand.Reader)
	for name, attempt := range map[string]func(returning) result[tokenPair]{
		"without the verifier":      func(r returning) result[tokenPair] { return thief.redeemCode(r.code, "", appCallback) },
		"with another verifier":     func(r returning) result[tokenPair] { return thief.redeemCode(r.code, another.Reveal(), appCallback) },
		"with the code as verifier": func(r returning) result[tokenPair] { return thief.redeemCode(r.code, r.code[4:], appCallback) },
		"for another address": func(r returning) result[tokenPair] {
			return thief.redeemCode(r.code, r.verifier, "https://app.example.org/")
		},
		"for the address of a thief": func(r returning) result[tokenPair] {
			return thief.redeemCode(r.code, r.verifier, "https://evil.example/")
		},
		"with another code": func(r returning) result[tokenPair] {
			return thief.redeemCode("klc_"+r.verifier, r.verifier, appCallback)
		},
	} {
		back := ada.returnsToApp()
		ada.requireRejected(attempt(back), "authorization_code_invalid")
		if name != "with another code" {
			ada.requireRejected(back.redeem(thief), "authorization_code_invalid") // an attempt uses the code up
		}
	}
	e.advance(time.Minute)
	late := ada.returnsToApp()
	e.advance(time.Minute)
	ada.requireRejected(late.redeem(thief), "authorization_code_invalid")
	ada.requireEvents(shownEvent{kind: "signed_up"})
	ada.returnsToApp().redeem(e.app()).must(e.t)
}

func aCodeIsRedeemedTwice(e *env) {
	ada := e.newUser("Ada", phone)
	back := ada.returnsToApp()
	app, thief := e.app(), e.app()
	app.setTokenPair(back.redeem(app).must(e.t))
	e.advance(2 * time.Minute) // the code has expired
	ada.requireRejected(thief.redeemCode(back.code, "", appCallback), "authorization_code_invalid")
	ada.requireRejected(app.whoAmI(), "session_revoked")
	ada.requireRejected(app.refresh(app.tokenPair().refresh), "session_revoked")
	ada.requireRejected(back.redeem(thief), "authorization_code_invalid")
	ada.requireSignedIn()
	ada.requireEvents(shownEvent{kind: "authorization_code_reused"}, shownEvent{kind: "application_signed_in"}, shownEvent{kind: "signed_up"})
}

func codeOfADisabledAccount(e *env) {
	ada := e.newUserWithEmail("Ada", phone, "ada@example.org")
	back := ada.returnsToApp()
	e.disables(ada)
	ada.requireRejected(back.redeem(e.app()), "user_disabled")
	e.enables(ada)
	ada.requireRejected(back.redeem(e.app()), "authorization_code_invalid") // the session that issued it was revoked
	ada.signsIn()
	ada.returnsToApp().redeem(e.app()).must(e.t)
}

func sixteenRedemptionsAtOnce(e *env) {
	ada := e.newUser("Ada", phone)
	back := ada.returnsToApp()
	app := e.app()
	var mu sync.Mutex
	var pairs []tokenPair
	outcomes := concurrently(e.t, 16, func(int) result[tokenPair] {
		got := back.redeem(app)
		if got.ok() {
			mu.Lock()
			defer mu.Unlock()
			pairs = append(pairs, got.value)
		}
		return got
	})
	if outcomes[""] != 1 || outcomes["authorization_code_invalid"] != 15 {
		e.t.Fatalf("sixteen concurrent redemptions: %v", outcomes)
	}
	app.setTokenPair(pairs[0])
	ada.requireRejected(app.whoAmI(), "session_revoked") // by the others
	ada.returnsToApp().redeem(app).must(e.t)
}

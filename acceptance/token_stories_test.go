package acceptance

import (
	"slices"
	"sync"
	"time"

	"github.com/keylodge/keylodge/domain"
)

// appClient returns a user of an app client, whose session has tokens instead of a cookie.
func (e *env) appClient(name string) *person {
	e.t.Helper()
	p := e.person(name, phone)
	p.apiDevice().api.useBearerTokens()
	return p
}

// refreshes exchanges the current refresh token.
func (p *person) refreshes() {
	p.t.Helper()
	api := p.apiDevice().api
	pair, rejected := api.refresh(api.tokenPair().refresh)
	p.requireOK(rejected)
	api.setTokenPair(pair)
}

func appClientSignsIn(e *env) {
	ada := e.appClient("Ada")
	ada.signsUp()
	ada.requireSignedIn()
	ada.requirePasskeys("")
	ada.addsPasskey("Blue key", securityKey)
	ada.requireOK(ada.device.renamePasskey(ada.passkeyNamed("Blue key").id, "Red key"))
	e.advance(5*time.Minute + time.Second)
	ada.requireSignedOut("unauthenticated") // its access token has expired
	ada.refreshes()
	ada.requireSignedIn()
	ada.requireOK(ada.device.signOut())
	ada.requireSignedOut("session_revoked")
	api := ada.apiDevice().api
	ada.requireRejected(onlyRejection(api.refresh(api.tokenPair().refresh)), "session_revoked")
}

func appClientSessionExpires(e *env) {
	ada := e.appClient("Ada")
	ada.signsUp()
	for range 5 {
		e.advance(5*day + 23*time.Hour)
		ada.refreshes()
		ada.requireSignedIn()
	}
	e.advance(5 * time.Hour)
	api := ada.apiDevice().api
	ada.requireRejected(onlyRejection(api.refresh(api.tokenPair().refresh)), "session_expired")

	ben := e.appClient("Ben")
	ben.signsUp()
	e.advance(7 * day)
	api = ben.apiDevice().api
	ben.requireRejected(onlyRejection(api.refresh(api.tokenPair().refresh)), "session_expired")
}

func tokenResponseIsLost(e *env) {
	ada := e.appClient("Ada")
	ada.signsUp()
	api := ada.apiDevice().api
	old := api.tokenPair()
	lost, rejected := api.refresh(old.refresh)
	ada.requireOK(rejected)
	e.advance(time.Hour)
	retried, rejected := api.refresh(old.refresh)
	ada.requireOK(rejected)
	if retried.refresh != lost.refresh {
		e.t.Fatal("a refresh token has two different successors")
	}
	api.setTokenPair(retried)
	ada.requireSignedIn()
	ada.refreshes()
	ada.requireSignedIn()
}

func aRefreshTokenIsStolen(e *env) {
	ada := e.appClient("Ada")
	ada.signsUp()
	api := ada.apiDevice().api
	stolen := api.tokenPair()
	e.advance(time.Minute)
	ada.refreshes()
	e.advance(time.Minute)
	thiefPair, rejected := api.refresh(stolen.refresh)
	ada.requireOK(rejected)
	if thiefPair.refresh != api.tokenPair().refresh {
		e.t.Fatal("a refresh token has two different successors")
	}
	ada.refreshes() // with the successor that the thief has, too
	ada.requireRejected(onlyRejection(api.refresh(stolen.refresh)), "refresh_token_reused")
	ada.requireSignedOut("session_revoked")
	ada.requireRejected(onlyRejection(api.refresh(api.tokenPair().refresh)), "session_revoked")
	ada.requireRejected(onlyRejection(api.refresh(stolen.refresh)), "session_revoked")

	api.setTokenPair(tokenPair{})
	ada.signsIn()
	ada.requireEvents(shownEvent{kind: "signed_in"}, shownEvent{kind: "refresh_token_reused"}, shownEvent{kind: "signed_up"})
}

func oldRefreshTokenIsReused(e *env) {
	ada := e.appClient("Ada")
	ada.signsUp()
	api := ada.apiDevice().api
	first := api.tokenPair()
	for range 5 {
		e.advance(time.Minute)
		ada.refreshes()
	}
	ada.requireRejected(onlyRejection(api.refresh(first.refresh)), "refresh_token_reused")
	ada.requireSignedOut("session_revoked")
}

func aRefreshTokenIsForged(e *env) {
	ada := e.appClient("Ada")
	ada.signsUp()
	api := ada.apiDevice().api
	tokens := api.tokenPair()
	forged := []byte(tokens.refresh)
	middle := len(forged) / 2
	if forged[middle]++; forged[middle] > 'z' {
		forged[middle] = 'a'
	}
	for _, token := range []string{string(forged), tokens.access, "klr_", "x", tokens.refresh + "A", "klr_" + tokens.refresh} {
		ada.requireRejected(onlyRejection(api.refresh(token)), "refresh_token_invalid")
	}
	ada.requireSignedIn()
	ada.refreshes()
	ada.requireSignedIn()
}

func sixteenRefreshesAtOnce(e *env) {
	ada := e.appClient("Ada")
	ada.signsUp()
	api := ada.apiDevice().api
	tokens := api.tokenPair()
	var mu sync.Mutex
	var successors []string
	outcomes := concurrently(16, func(int) rejection {
		pair, rejected := api.refresh(tokens.refresh)
		mu.Lock()
		defer mu.Unlock()
		successors = append(successors, pair.refresh)
		return rejected
	})
	slices.Sort(successors)
	if outcomes[""] != 16 || len(slices.Compact(successors)) != 1 {
		e.t.Fatalf("sixteen concurrent refreshes: %v, %d successors", outcomes, len(slices.Compact(successors)))
	}
	api.setTokenPair(tokenPair{refresh: successors[0]})
	e.advance(time.Minute)
	ada.refreshes()
	ada.requireSignedIn()
}

func aRefreshIsNoStepUp(e *env) {
	ada := e.appClient("Ada")
	ada.signsUp()
	e.advance(time.Hour)
	ada.refreshes()
	ada.requireRejected(ada.device.deleteAccount(), "step_up_required")
	ada.stepsUp()
	ada.refreshes()
	ada.requireOK(ada.device.deleteAccount())
	ada.requireSignedOut("unauthenticated")
}

func anAccessTokenEndsWithItsSession(e *env) {
	ada := e.appClient("Ada")
	ada.signsUp()
	laptop := ada.onSecondDevice() // in a browser
	api := ada.apiDevice().api
	tokens := api.tokenPair()
	laptop.requireOK(laptop.device.revokeSession(laptop.otherSession().id))
	ada.requireSignedOut("session_revoked")
	ada.requireRejected(onlyRejection(api.refresh(tokens.refresh)), "session_revoked")

	laptop.requireOK(laptop.device.deleteAccount())
	ada.requireSignedOut("unauthenticated")
}

func keysAreRotated(e *env) {
	ada, ben := e.appClient("Ada"), e.appClient("Ben")
	ada.signsUp()
	ben.signsUp()
	operator := e.driver.operator().SigningKeys
	for range 3 {
		if _, err := operator.Rotate(e.t.Context()); err != nil {
			e.t.Fatal(err)
		}
		for range 35 { // nearly three hours, in which the new key replaces the old one
			ada.requireSignedIn()
			e.advance(4 * time.Minute)
			ada.requireSignedIn()
			ada.refreshes()
			ada.requireSignedIn()
		}
	}
	for range 20 { // the server rotates its keys every thirty days
		e.advance(5 * day)
		e.driver.runJobs(e.t)
		ben.signsIn()
		ben.requireSignedIn()
	}
	keys, err := operator.List(e.t.Context())
	if err != nil || len(keys) == 0 || len(keys) > 3 {
		e.t.Fatalf("%d signing keys, want 1 to 3; error %v", len(keys), err)
	}
}

func disablingEndsAppClientSessions(e *env) {
	ada := e.appClient("Ada")
	ada.email = "ada@example.org"
	ada.signsUp()
	if _, err := e.driver.operator().Admin.DisableUser(e.t.Context(), domain.UserRef{Email: "ada@example.org"}); err != nil {
		e.t.Fatal(err)
	}
	ada.requireSignedOut("session_revoked")
	api := ada.apiDevice().api
	ada.requireRejected(onlyRejection(api.refresh(api.tokenPair().refresh)), "session_revoked")
}

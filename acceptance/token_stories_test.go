package acceptance

import (
	"slices"
	"sync"
	"time"

	"github.com/keylodge/keylodge/domain"
)

// appClient is a person's own program, which carries its session by tokens.
func (l *env) appClient(name string) *person {
	l.t.Helper()
	p := l.person(name, phone)
	p.apiDevice().api.useBearerTokens()
	return p
}

// refreshes exchanges the refresh token at hand.
func (p *person) refreshes() {
	p.t.Helper()
	connection := p.apiDevice().api
	pair, refused := connection.refresh(connection.tokenPair().refresh)
	p.requireOK(refused)
	connection.setTokenPair(pair)
}

func appClientSignsIn(l *env) {
	ada := l.appClient("Ada")
	ada.signsUp()
	ada.requireSignedIn()
	ada.requirePasskeys("")
	ada.addsPasskey("Blue key", securityKey)
	ada.requireOK(ada.device.renamePasskey(ada.passkeyNamed("Blue key").id, "Red key"))
	l.advance(5*time.Minute + time.Second)
	ada.requireSignedOut("unauthenticated") // its access token has expired
	ada.refreshes()
	ada.requireSignedIn()
	ada.requireOK(ada.device.signOut())
	ada.requireSignedOut("session_revoked")
	connection := ada.apiDevice().api
	ada.requireRejected(onlyRejection(connection.refresh(connection.tokenPair().refresh)), "session_revoked")
}

func appClientSessionExpires(l *env) {
	ada := l.appClient("Ada")
	ada.signsUp()
	for range 5 {
		l.advance(5*day + 23*time.Hour)
		ada.refreshes()
		ada.requireSignedIn()
	}
	l.advance(5 * time.Hour)
	connection := ada.apiDevice().api
	ada.requireRejected(onlyRejection(connection.refresh(connection.tokenPair().refresh)), "session_expired")

	ben := l.appClient("Ben")
	ben.signsUp()
	l.advance(7 * day)
	connection = ben.apiDevice().api
	ben.requireRejected(onlyRejection(connection.refresh(connection.tokenPair().refresh)), "session_expired")
}

func tokenResponseIsLost(l *env) {
	ada := l.appClient("Ada")
	ada.signsUp()
	connection := ada.apiDevice().api
	old := connection.tokenPair()
	lost, refused := connection.refresh(old.refresh)
	ada.requireOK(refused)
	l.advance(time.Hour)
	again, refused := connection.refresh(old.refresh)
	ada.requireOK(refused)
	if again.refresh != lost.refresh {
		l.t.Fatal("a second successor was invented")
	}
	connection.setTokenPair(again)
	ada.requireSignedIn()
	ada.refreshes()
	ada.requireSignedIn()
}

func aRefreshTokenIsStolen(l *env) {
	ada := l.appClient("Ada")
	ada.signsUp()
	connection := ada.apiDevice().api
	stolen := connection.tokenPair()
	l.advance(time.Minute)
	ada.refreshes()
	l.advance(time.Minute)
	thiefs, refused := connection.refresh(stolen.refresh)
	ada.requireOK(refused)
	if thiefs.refresh != connection.tokenPair().refresh {
		l.t.Fatal("a second successor was invented")
	}
	ada.refreshes() // which uses the successor that both have
	ada.requireRejected(onlyRejection(connection.refresh(stolen.refresh)), "refresh_token_reused")
	ada.requireSignedOut("session_revoked")
	ada.requireRejected(onlyRejection(connection.refresh(connection.tokenPair().refresh)), "session_revoked")
	ada.requireRejected(onlyRejection(connection.refresh(stolen.refresh)), "session_revoked")

	connection.setTokenPair(tokenPair{})
	ada.signsIn()
	ada.requireEvents(shownEvent{kind: "signed_in"}, shownEvent{kind: "refresh_token_reused"}, shownEvent{kind: "signed_up"})
}

func oldRefreshTokenIsReused(l *env) {
	ada := l.appClient("Ada")
	ada.signsUp()
	connection := ada.apiDevice().api
	first := connection.tokenPair()
	for range 5 {
		l.advance(time.Minute)
		ada.refreshes()
	}
	ada.requireRejected(onlyRejection(connection.refresh(first.refresh)), "refresh_token_reused")
	ada.requireSignedOut("session_revoked")
}

func aRefreshTokenIsInvented(l *env) {
	ada := l.appClient("Ada")
	ada.signsUp()
	connection := ada.apiDevice().api
	held := connection.tokenPair()
	forged := []byte(held.refresh)
	middle := len(forged) / 2
	if forged[middle]++; forged[middle] > 'z' {
		forged[middle] = 'a'
	}
	for _, token := range []string{string(forged), held.access, "klr_", "x", held.refresh + "A", "klr_" + held.refresh} {
		ada.requireRejected(onlyRejection(connection.refresh(token)), "refresh_token_invalid")
	}
	ada.requireSignedIn()
	ada.refreshes()
	ada.requireSignedIn()
}

func sixteenRefreshesAtOnce(l *env) {
	ada := l.appClient("Ada")
	ada.signsUp()
	connection := ada.apiDevice().api
	held := connection.tokenPair()
	var mu sync.Mutex
	var successors []string
	outcomes := concurrently(16, func(int) rejection {
		pair, refused := connection.refresh(held.refresh)
		mu.Lock()
		defer mu.Unlock()
		successors = append(successors, pair.refresh)
		return refused
	})
	slices.Sort(successors)
	if outcomes[""] != 16 || len(slices.Compact(successors)) != 1 {
		l.t.Fatalf("sixteen refreshes at once: %v, %d successors", outcomes, len(slices.Compact(successors)))
	}
	connection.setTokenPair(tokenPair{refresh: successors[0]})
	l.advance(time.Minute)
	ada.refreshes()
	ada.requireSignedIn()
}

func aRefreshIsNoStepUp(l *env) {
	ada := l.appClient("Ada")
	ada.signsUp()
	l.advance(time.Hour)
	ada.refreshes()
	ada.requireRejected(ada.device.deleteAccount(), "step_up_required")
	ada.stepsUp()
	ada.refreshes()
	ada.requireOK(ada.device.deleteAccount())
	ada.requireSignedOut("unauthenticated")
}

func anAccessTokenEndsWithItsSession(l *env) {
	ada := l.appClient("Ada")
	ada.signsUp()
	laptop := ada.onSecondDevice() // in a browser
	connection := ada.apiDevice().api
	held := connection.tokenPair()
	laptop.requireOK(laptop.device.revokeSession(laptop.otherSession().id))
	ada.requireSignedOut("session_revoked")
	ada.requireRejected(onlyRejection(connection.refresh(held.refresh)), "session_revoked")

	laptop.requireOK(laptop.device.deleteAccount())
	ada.requireSignedOut("unauthenticated")
}

func keysAreRotated(l *env) {
	ada, ben := l.appClient("Ada"), l.appClient("Ben")
	ada.signsUp()
	ben.signsUp()
	operator := l.driver.operator().SigningKeys
	for range 3 {
		if _, err := operator.Rotate.Execute(l.t.Context()); err != nil {
			l.t.Fatal(err)
		}
		for range 35 { // for nearly three hours: before, while and after the new key takes over
			ada.requireSignedIn() // by a token of whichever key
			l.advance(4 * time.Minute)
			ada.requireSignedIn()
			ada.refreshes()
			ada.requireSignedIn()
		}
	}
	for range 20 { // and by themselves, every thirty days
		l.advance(5 * day)
		l.driver.runJobs(l.t)
		ben.signsIn()
		ben.requireSignedIn()
	}
	keys, err := operator.List.Execute(l.t.Context())
	if err != nil || len(keys) == 0 || len(keys) > 3 {
		l.t.Fatalf("%d keys, %v", len(keys), err)
	}
}

func disablingEndsAppClientSessions(l *env) {
	ada := l.appClient("Ada")
	ada.email = "ada@example.org"
	ada.signsUp()
	if _, err := l.driver.operator().Admin.DisableUser(l.t.Context(), domain.UserRef{Email: "ada@example.org"}); err != nil {
		l.t.Fatal(err)
	}
	ada.requireSignedOut("session_revoked")
	connection := ada.apiDevice().api
	ada.requireRejected(onlyRejection(connection.refresh(connection.tokenPair().refresh)), "session_revoked")
}

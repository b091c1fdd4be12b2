package acceptance

import (
	"slices"
	"sync"
	"time"

	"github.com/keylodge/keylodge/application/admin"
)

// program is a person's own program, which carries its session by tokens.
func (l *lodge) program(name string) *person {
	l.t.Helper()
	p := l.person(name, phone)
	p.script().connection.becomesProgram()
	return p
}

// refreshes exchanges the refresh token at hand.
func (p *person) refreshes() {
	p.t.Helper()
	connection := p.script().connection
	pair, refused := connection.refreshWith(connection.keepsTokens().refresh)
	p.may(refused)
	connection.bringsTokens(pair)
}

func aProgramSignsIn(l *lodge) {
	ada := l.program("Ada")
	ada.signsUp()
	ada.isSignedIn()
	ada.hasPasskeys("")
	ada.addsPasskey("Blue key", securityKey)
	ada.may(ada.device.renamePasskey(ada.passkeyCalled("Blue key").id, "Red key"))
	l.waits(5*time.Minute + time.Second)
	ada.isAskedToSignIn("unauthenticated") // its access token has expired
	ada.refreshes()
	ada.isSignedIn()
	ada.may(ada.device.signOut())
	ada.isAskedToSignIn("session_revoked")
	connection := ada.script().connection
	ada.mayNot(second(connection.refreshWith(connection.keepsTokens().refresh)), "session_revoked")
}

func aProgramStaysSignedIn(l *lodge) {
	ada := l.program("Ada")
	ada.signsUp()
	for range 5 {
		l.waits(5*day + 23*time.Hour)
		ada.refreshes()
		ada.isSignedIn()
	}
	l.waits(5 * time.Hour)
	connection := ada.script().connection
	ada.mayNot(second(connection.refreshWith(connection.keepsTokens().refresh)), "session_expired")

	ben := l.program("Ben")
	ben.signsUp()
	l.waits(7 * day)
	connection = ben.script().connection
	ben.mayNot(second(connection.refreshWith(connection.keepsTokens().refresh)), "session_expired")
}

func anAnswerWithTokensIsLost(l *lodge) {
	ada := l.program("Ada")
	ada.signsUp()
	connection := ada.script().connection
	old := connection.keepsTokens()
	lost, refused := connection.refreshWith(old.refresh)
	ada.may(refused)
	l.waits(time.Hour)
	again, refused := connection.refreshWith(old.refresh)
	ada.may(refused)
	if again.refresh != lost.refresh {
		l.t.Fatal("a second successor was invented")
	}
	connection.bringsTokens(again)
	ada.isSignedIn()
	ada.refreshes()
	ada.isSignedIn()
}

func aRefreshTokenIsStolen(l *lodge) {
	ada := l.program("Ada")
	ada.signsUp()
	connection := ada.script().connection
	stolen := connection.keepsTokens()
	l.waits(time.Minute)
	ada.refreshes()
	l.waits(time.Minute)
	thiefs, refused := connection.refreshWith(stolen.refresh)
	ada.may(refused)
	if thiefs.refresh != connection.keepsTokens().refresh {
		l.t.Fatal("a second successor was invented")
	}
	ada.refreshes() // which uses the successor that both have
	ada.mayNot(second(connection.refreshWith(stolen.refresh)), "refresh_token_reused")
	ada.isAskedToSignIn("session_revoked")
	ada.mayNot(second(connection.refreshWith(connection.keepsTokens().refresh)), "session_revoked")
	ada.mayNot(second(connection.refreshWith(stolen.refresh)), "session_revoked")

	connection.bringsTokens(tokenPair{})
	ada.signsIn()
	ada.seesEvents(shownEvent{kind: "signed_in"}, shownEvent{kind: "refresh_token_reused"}, shownEvent{kind: "signed_up"})
}

func aRefreshTokenOfLongAgoIsShown(l *lodge) {
	ada := l.program("Ada")
	ada.signsUp()
	connection := ada.script().connection
	first := connection.keepsTokens()
	for range 5 {
		l.waits(time.Minute)
		ada.refreshes()
	}
	ada.mayNot(second(connection.refreshWith(first.refresh)), "refresh_token_reused")
	ada.isAskedToSignIn("session_revoked")
}

func aRefreshTokenIsInvented(l *lodge) {
	ada := l.program("Ada")
	ada.signsUp()
	connection := ada.script().connection
	held := connection.keepsTokens()
	forged := []byte(held.refresh)
	middle := len(forged) / 2
	if forged[middle]++; forged[middle] > 'z' {
		forged[middle] = 'a'
	}
	for _, token := range []string{string(forged), held.access, "klr_", "x", held.refresh + "A", "klr_" + held.refresh} {
		ada.mayNot(second(connection.refreshWith(token)), "refresh_token_invalid")
	}
	ada.isSignedIn()
	ada.refreshes()
	ada.isSignedIn()
}

func sixteenRefreshesAtOnce(l *lodge) {
	ada := l.program("Ada")
	ada.signsUp()
	connection := ada.script().connection
	held := connection.keepsTokens()
	var mu sync.Mutex
	var successors []string
	outcomes := atOnce(16, func(int) refusal {
		pair, refused := connection.refreshWith(held.refresh)
		mu.Lock()
		defer mu.Unlock()
		successors = append(successors, pair.refresh)
		return refused
	})
	slices.Sort(successors)
	if outcomes[""] != 16 || len(slices.Compact(successors)) != 1 {
		l.t.Fatalf("sixteen refreshes at once: %v, %d successors", outcomes, len(slices.Compact(successors)))
	}
	connection.bringsTokens(tokenPair{refresh: successors[0]})
	l.waits(time.Minute)
	ada.refreshes()
	ada.isSignedIn()
}

func aRefreshIsNoStepUp(l *lodge) {
	ada := l.program("Ada")
	ada.signsUp()
	l.waits(time.Hour)
	ada.refreshes()
	ada.mayNot(ada.device.deleteAccount(), "step_up_required")
	ada.stepsUp()
	ada.refreshes()
	ada.may(ada.device.deleteAccount())
	ada.isAskedToSignIn("unauthenticated")
}

func anAccessTokenEndsWithItsSession(l *lodge) {
	ada := l.program("Ada")
	ada.signsUp()
	laptop := ada.elsewhere() // in a browser
	connection := ada.script().connection
	held := connection.keepsTokens()
	laptop.may(laptop.device.revokeSession(laptop.otherSession().id))
	ada.isAskedToSignIn("session_revoked")
	ada.mayNot(second(connection.refreshWith(held.refresh)), "session_revoked")

	laptop.may(laptop.device.deleteAccount())
	ada.isAskedToSignIn("unauthenticated")
}

func keysAreRotated(l *lodge) {
	ada, ben := l.program("Ada"), l.program("Ben")
	ada.signsUp()
	ben.signsUp()
	operator := l.door.operator().Keys
	for range 3 {
		if _, err := operator.Rotate.Execute(l.t.Context()); err != nil {
			l.t.Fatal(err)
		}
		for range 35 { // for nearly three hours: before, while and after the new key takes over
			ada.isSignedIn() // by a token of whichever key
			l.waits(4 * time.Minute)
			ada.isSignedIn()
			ada.refreshes()
			ada.isSignedIn()
		}
	}
	for range 20 { // and by themselves, every thirty days
		l.waits(5 * day)
		l.door.settle(l.t)
		ben.signsIn()
		ben.isSignedIn()
	}
	keys, err := operator.List.Execute(l.t.Context())
	if err != nil || len(keys) == 0 || len(keys) > 3 {
		l.t.Fatalf("%d keys, %v", len(keys), err)
	}
}

func aDisabledAccountsProgramIsOut(l *lodge) {
	ada := l.program("Ada")
	ada.email = "ada@example.org"
	ada.signsUp()
	if _, err := l.door.operator().Admin.DisableUser.Execute(l.t.Context(), admin.Who{Email: "ada@example.org"}); err != nil {
		l.t.Fatal(err)
	}
	ada.isAskedToSignIn("session_revoked")
	connection := ada.script().connection
	ada.mayNot(second(connection.refreshWith(connection.keepsTokens().refresh)), "session_revoked")
}

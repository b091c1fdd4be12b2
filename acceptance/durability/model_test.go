package durability

import (
	"slices"

	"github.com/keylodge/keylodge/acceptance/authenticator"
)

// person is an account, and all that its owner was told of it.
type person struct {
	name            string
	ip              string // where they call from, so that nobody's wrong codes count against somebody else
	keys            []*key
	sessions        []*session // that last
	ended           []*session // that were ended since the last look
	codes           []string   // backup codes that are not spent, as far as they were shown
	codesLeft       int        // how many codes there are, shown or not
	grantToken      string     // what a code bought and was not used yet
	grantBackupCode string     // the backup code that paid for it, "" if none did
	app             *totpApp
	events          map[string]int // of the kinds that this knows the number of
	spent           []spentRequest // since the last look
	deleted         bool           // they deleted their account
	mismatched      bool           // the server and this disagree, which was told
}

// key is a security key with one passkey on it, which counts its uses.
type key struct {
	device            *authenticator.Authenticator
	id                string
	signCount         uint32 // as the key counts
	acknowledgedCount uint32 // as the server was told, and said that it keeps
}

// totpApp is an authenticator app. It is one to recover with once it is confirmed.
type totpApp struct {
	secret    string
	confirmed bool
	step      int64 // the latest whose code was used
}

// request is what can be sent again, word for word.
type request struct {
	method, path string
	body         any
	in           *session
}

// spentRequest is a request whose single use is over.
type spentRequest struct {
	what string
	request
	codes []string // any of these refuses it as it should be
}

func (p *person) recordSpent(what string, r request, codes ...string) {
	p.spent = append(p.spent, spentRequest{what, r, codes})
}

func (p *person) addSession(s *session) { p.sessions = append(p.sessions, s) }

func (p *person) endSession(s *session) {
	p.sessions = slices.DeleteFunc(p.sessions, func(other *session) bool { return other == s })
	p.ended = append(p.ended, s)
}

func (p *person) usableSessions() (held []*session) {
	for _, s := range p.sessions {
		if s.usable() {
			held = append(held, s)
		}
	}
	return held
}

// dropGrant is what becomes of a grant when something ends it.
func (p *person) dropGrant() {
	if p.grantToken != "" {
		p.recordSpent("a grant", recoveryOptionsRequest(p.grantToken), "invalid_code")
		p.grantToken = ""
	}
}

func recoveryOptionsRequest(grant string) request {
	return request{method: "POST", path: "/v1/recovery/options", body: map[string]string{"grant_token": grant}}
}

func redeemRequest(code string) request {
	return request{method: "POST", path: "/v1/recovery/redeem", body: map[string]string{"backup_code": code}}
}

// tally counts what was told.
type tally struct {
	acknowledged map[string]int
	unanswered   map[string]int // sent and not answered
	kept         map[string]int // of those, what turned out to be there
	refused      int            // for an outage
	verified     int            // requests that compared the server with the ledger
	spent        int            // single-use things that were tried again
}

func newTally() tally {
	return tally{acknowledged: map[string]int{}, unanswered: map[string]int{}, kept: map[string]int{}}
}

func (t *tally) add(other tally) {
	for from, to := range map[*map[string]int]map[string]int{
		&other.acknowledged: t.acknowledged, &other.unanswered: t.unanswered, &other.kept: t.kept,
	} {
		for kind, n := range *from {
			to[kind] += n
		}
	}
	t.refused += other.refused
	t.verified += other.verified
	t.spent += other.spent
}

func total(counts map[string]int) (sum int) {
	for _, n := range counts {
		sum += n
	}
	return sum
}

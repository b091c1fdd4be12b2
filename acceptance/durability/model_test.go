package durability

import (
	"slices"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
)

// person models an account by the responses that its owner received.
type person struct {
	name            string
	ip              string // the client address, one for each person, so that rate limits are not shared
	keys            []*key
	sessions        []*session // not ended
	ended           []*session // since the last verification
	codes           []string   // the unused backup codes, if their response was received
	codesLeft       int        // the number of unused codes, also if their response was lost
	grantToken      string     // of a recovery grant that is not used yet
	grantBackupCode string     // the backup code that the grant will consume; "" for a grant without one
	app             *totpApp
	events          map[string]int    // the expected number of events, for the kinds that are modelled
	consumed        []consumedRequest // since the last verification
	deleted         bool              // the account was deleted
	mismatched      bool              // a difference to the server was reported
}

// key is a security key with one passkey and a signature counter.
type key struct {
	device            *authenticator.Authenticator
	id                string
	signCount         uint32 // of the key
	acknowledgedCount uint32 // the last count that the server acknowledged
}

// totpApp is an authenticator app. It is a recovery factor after its confirmation.
type totpApp struct {
	secret    string
	confirmed bool
	step      int64 // the time step of the last code that was used
}

// request is a request that can be sent again unchanged.
type request struct {
	method, path string
	body         any
	in           *session
}

// consumedRequest is a single-use request that was used. The server must reject it with one of the codes.
type consumedRequest struct {
	what string
	request
	codes []string
}

func (p *person) recordConsumed(what string, r request, codes ...string) {
	p.consumed = append(p.consumed, consumedRequest{what, r, codes})
}

func (p *person) addSession(s *session) { p.sessions = append(p.sessions, s) }

func (p *person) endSession(s *session) {
	p.sessions = slices.DeleteFunc(p.sessions, func(other *session) bool { return other == s })
	p.ended = append(p.ended, s)
}

func (p *person) usableSessions() (usable []*session) {
	for _, s := range p.sessions {
		if s.usable() {
			usable = append(usable, s)
		}
	}
	return usable
}

// dropGrant moves the grant, if there is one, to the consumed requests.
func (p *person) dropGrant() {
	if p.grantToken != "" {
		p.recordConsumed("a grant", recoveryOptionsRequest(p.grantToken), "invalid_code")
		p.grantToken = ""
	}
}

func recoveryOptionsRequest(grant string) request {
	return request{method: "POST", path: "/v1/recovery/options", body: map[string]string{"grant_token": grant}}
}

func redeemRequest(code string) request {
	return request{method: "POST", path: "/v1/recovery/redeem", body: map[string]string{"backup_code": code}}
}

// tally counts the outcomes of requests.
type tally struct {
	acknowledged map[string]int
	unanswered   map[string]int // sent without a response
	committed    map[string]int // of those, the ones that were committed
	refused      int            // because of an outage
	verified     int            // requests that compared the server with the model
	consumed     int            // requests that sent a consumed single-use value again
}

func newTally() tally {
	return tally{acknowledged: map[string]int{}, unanswered: map[string]int{}, committed: map[string]int{}}
}

func (t *tally) add(other tally) {
	for from, to := range map[*map[string]int]map[string]int{
		&other.acknowledged: t.acknowledged, &other.unanswered: t.unanswered, &other.committed: t.committed,
	} {
		for kind, n := range *from {
			to[kind] += n
		}
	}
	t.refused += other.refused
	t.verified += other.verified
	t.consumed += other.consumed
}

func total(counts map[string]int) (sum int) {
	for _, n := range counts {
		sum += n
	}
	return sum
}

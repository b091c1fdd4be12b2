package acceptance

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/authenticator"
	"github.com/keylodge/keylodge/domain"
)

// The two ceremonies, step by step: W3C WebAuthn Level 3, sections 7.1 and 7.2 (each step goes by what it is about, since its
// number changes between drafts), and the cases of the FIDO Alliance's server conformance tests ("Resp-1" is
// Server-ServerAuthenticatorAttestationResponse-Resp-1 in the tables of registration, and
// Server-ServerAuthenticatorAssertionResponse-Resp-1 in those of authentication).
//
// Each line of a table is one answer with one thing wrong with it, made for a server of its own over HTTP. It must be
// refused with its code, for its reason by the server's log and its metrics; it must leave no row in any table and must have
// spent its challenge: the right answer to the same challenge comes too late. Its twin, the same answer to a challenge of its
// own with nothing wrong, must pass.

// invalidCase is a line of the tables.
type invalidCase struct {
	step string
	name string

	device      []authenticator.Option
	otherDevice []authenticator.Option    // another device that makes the wrong answer
	byEmail     bool                      // a sign-in by address, so that passkeys are listed
	forge       []authenticator.Variation // before it is signed
	edit        edit                      // afterwards
	control     []authenticator.Variation // what the twin does as well; nothing if nil

	noAccount bool // the answer names no account, so that no owner can be told

	code   string // passkey_rejected if ""
	reason domain.Reason
	// unreadable is for a request that is no answer yet: it spends nothing, and the twin answers the same challenge.
	unreadable func(body []byte) []byte
}

// edit changes the JSON of an answer. Bens is what another user would have answered to the same challenge.
type edit func(credential, other map[string]any)

func set(path string, value any) edit {
	return func(credential, _ map[string]any) {
		object, name := parentOf(credential, path)
		object[name] = value
	}
}

func drop(path string) edit {
	return func(credential, _ map[string]any) {
		object, name := parentOf(credential, path)
		if _, found := object[name]; !found {
			panic("there is no " + path)
		}
		delete(object, name)
	}
}

// copyFromOther takes members of Ben's answer.
func copyFromOther(paths ...string) edit {
	return func(credential, other map[string]any) {
		for _, path := range paths {
			object, name := parentOf(credential, path)
			from, _ := parentOf(other, path)
			object[name] = from[name]
		}
	}
}

func parentOf(credential map[string]any, path string) (object map[string]any, name string) {
	object, name = credential, path
	if parent, child, nested := strings.Cut(path, "."); nested {
		object, name = credential[parent].(map[string]any), child
	}
	return object, name
}

func (tc invalidCase) wantCode() string {
	if tc.code == "" {
		return "passkey_rejected"
	}
	return tc.code
}

// ceremonyUnderTest is one of the two, with the person who holds it.
type ceremonyUnderTest struct {
	api             *httpAPI
	path            string
	begin           func() pendingCeremony
	response        func(pendingCeremony, ...authenticator.Variation) any
	invalidResponse func(pendingCeremony, ...authenticator.Variation) any
	otherResponse   func(pendingCeremony) any // what Ben would answer
	hasAccount      bool                      // whether there is an account whose owner is told of refusals
}

func (s *inspectedServer) check(t *testing.T, tc invalidCase, c ceremonyUnderTest) {
	t.Helper()
	begun := c.begin()
	wrong := toJSON(t, c.invalidResponse(begun, tc.forge...))
	if tc.edit != nil {
		other := map[string]any{}
		if c.otherResponse != nil {
			other = toJSON(t, c.otherResponse(begun))
		}
		tc.edit(wrong, other)
	}
	rows, events, counters := s.countRows(t), s.countEvents(t, tc.reason), s.rejections(t)
	if tc.unreadable != nil {
		s.checkUnreadable(t, c, tc, begun, wrong)
		return
	}
	code := tc.wantCode()
	if got, want := c.send(begun, wrong), (rejection{code, tc.reason}); got != want {
		t.Fatalf("got %+v, want %+v; the log: %s", got, want, s.log.lastLine())
	}

	rows["webauthn_challenges"]--
	if got := s.countRows(t); !maps.Equal(got, rows) {
		t.Errorf("rows %v, want %v", got, rows)
	}
	if c.hasAccount && !tc.noAccount && (code == "passkey_rejected" || code == "user_verification_required") {
		events++
	}
	if got := s.countEvents(t, tc.reason); got != events {
		t.Errorf("%d events with reason %q, want %d", got, tc.reason, events)
	}
	after := s.rejections(t)
	for reason, before := range counters {
		if counted := after[reason] != before; counted != (reason == tc.reason) {
			t.Errorf("the counter of %s went on: %t", reason, counted)
		}
	}
	if got, want := c.send(begun, toJSON(t, c.response(begun))), (rejection{"challenge_not_found", ""}); got != want {
		t.Errorf("the right answer to the same challenge got %+v, want %+v", got, want)
	}
	if got := s.countRows(t); !maps.Equal(got, rows) {
		t.Errorf("rows %v after the second answer, want %v", got, rows)
	}
	second := c.begin()
	if got := c.send(second, toJSON(t, c.response(second, tc.control...))); got != (rejection{}) {
		t.Errorf("the twin is refused: %+v; the log: %s", got, s.log.lastLine())
	}
}

func (s *inspectedServer) checkUnreadable(t *testing.T, c ceremonyUnderTest, tc invalidCase, begun pendingCeremony, credential map[string]any) {
	t.Helper()
	rows, counters := s.countRows(t), s.rejections(t)
	body := encode(t, map[string]any{"challenge_id": begun.challengeID, "credential": credential})
	s.send(t, http.MethodPost, c.path, string(tc.unreadable(bytes.Clone(body)))).requireProblem(t, 400, tc.code)
	if got := s.countRows(t); !maps.Equal(got, rows) {
		t.Errorf("rows %v, want %v", got, rows)
	}
	if got := s.rejections(t); !maps.Equal(got, counters) {
		t.Errorf("counters %v, want %v", got, counters)
	}
	if got := c.send(begun, credential); got != (rejection{}) {
		t.Errorf("the twin is refused: %+v", got)
	}
}

func (c ceremonyUnderTest) send(begun pendingCeremony, credential map[string]any) rejection {
	return c.api.call(http.MethodPost, c.path, map[string]any{"challenge_id": begun.challengeID, "credential": credential}, nil)
}

func toJSON(t *testing.T, response any) map[string]any {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(encode(t, response), &members); err != nil {
		t.Fatal(err)
	}
	return members
}

func (l *logRecorder) lastLine() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.lines[len(l.lines)-1])
}

func runCases(t *testing.T, table []invalidCase, ceremony func(*inspectedServer, *testing.T, invalidCase) ceremonyUnderTest) {
	t.Helper()
	for store, open := range inspectedServers() {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			s := open(t, nil)
			var names []string
			for _, tc := range table {
				name := tc.step + ": " + tc.name
				if slices.Contains(names, name) {
					t.Fatalf("%q stands there twice", name)
				}
				names = append(names, name)
				t.Run(name, func(t *testing.T) { s.check(t, tc, ceremony(s, t, tc)) })
			}
		})
	}
}

func invalidRegistrations(t *testing.T) []invalidCase {
	t.Helper()
	return slices.Concat(malformedRegistrations(), invalidClientData("webauthn.create", "webauthn.get"), invalidAttestedData(), invalidAttestationObjects(), invalidPublicKeys(), invalidAttestationStatements(t))
}

func invalidAuthentications() []invalidCase {
	return slices.Concat(malformedAuthentications(), invalidClientData("webauthn.get", "webauthn.create"), invalidAssertions())
}

func TestConformance_Registration(t *testing.T) {
	runCases(t, invalidRegistrations(t), (*inspectedServer).registration)
}

func TestConformance_Authentication(t *testing.T) {
	runCases(t, invalidAuthentications(), (*inspectedServer).authentication)
}

// Also for a client that knows only the passkey's id, and for the owner of the passkey.
func TestConformance_CredentialIDIsUnique(t *testing.T) {
	for store, open := range inspectedServers() {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			s := open(t, nil)
			_, ben := s.signedOutUser(t, "Ben", invalidCase{})
			tc := invalidCase{device: es256Only, forge: []authenticator.Variation{authenticator.ForgeCredentialID(ben.ID)}, code: "passkey_already_registered"}
			s.check(t, tc, s.registration(t, tc))
		})
	}
}

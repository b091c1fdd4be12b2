package acceptance

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/domain"
)

// The tables have the cases of both ceremonies: the steps of W3C WebAuthn Level 3, sections 7.1 and 7.2, with the subject of
// the step, because the numbers change between drafts; and the FIDO Alliance's server conformance tests. "Resp-1" is
// Server-ServerAuthenticatorAttestationResponse-Resp-1 in the tables of registration, and
// Server-ServerAuthenticatorAssertionResponse-Resp-1 in the tables of authentication.
//
// Each case is a response with one error, sent over HTTP. The server must reject it with the code, and have the reason in its
// log and metrics. The response must not leave a row in any table, and it must consume its challenge: the valid response to
// the same challenge is then rejected. The control case, the same response without the error to a challenge of its own, must
// be accepted.

// invalidCase is a row of the tables.
type invalidCase struct {
	step string
	name string

	device      []authenticator.Option
	otherDevice []authenticator.Option    // creates the invalid response; nil for device
	byEmail     bool                      // whether the sign-in is by address, with a list of passkeys
	forge       []authenticator.Variation // applied before the response is signed
	edit        edit                      // applied to the signed response
	control     []authenticator.Variation // applied to the control case

	noAccount bool // whether the response names no account, so that no event is recorded

	code   string // "" for passkey_rejected
	reason domain.Reason
	// unreadable makes the body unparsable: it does not consume the challenge, which the control case then uses.
	unreadable func(body []byte) []byte
}

// edit changes the JSON of a response. Other is the response of another user to the same challenge.
type edit func(response, other map[string]any)

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
			panic("the response has no " + path)
		}
		delete(object, name)
	}
}

// copyFromOther copies members of the other user's response.
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

// ceremonyUnderTest is a registration or an authentication, with its user.
type ceremonyUnderTest struct {
	api             *httpAPI
	path            string
	begin           func() pendingCeremony
	response        func(pendingCeremony, ...authenticator.Variation) any
	invalidResponse func(pendingCeremony, ...authenticator.Variation) any
	otherResponse   func(pendingCeremony) any // the response of another user
	hasAccount      bool                      // whether rejections are recorded in an account's audit log
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
			t.Errorf("the counter of the reason %s was increased: %t", reason, counted)
		}
	}
	if got, want := c.send(begun, toJSON(t, c.response(begun))), (rejection{"challenge_not_found", ""}); got != want {
		t.Errorf("the valid response to the same challenge got %+v, want %+v", got, want)
	}
	if got := s.countRows(t); !maps.Equal(got, rows) {
		t.Errorf("rows %v after the second response, want %v", got, rows)
	}
	second := c.begin()
	if got := c.send(second, toJSON(t, c.response(second, tc.control...))); got != (rejection{}) {
		t.Errorf("the control case is rejected: %+v; the log: %s", got, s.log.lastLine())
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
		t.Errorf("the control case is rejected: %+v", got)
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
					t.Fatalf("the table has two cases named %q", name)
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

// Requirement: WebAuthn-7.1-7, WebAuthn-7.1-9, WebAuthn-7.1-10, WebAuthn-7.1-14
// Requirement: WebAuthn-7.1-15, WebAuthn-7.1-16, WebAuthn-7.1-17, WebAuthn-7.1-20
// Requirement: FIDO-Attestation-Resp-1, FIDO-Attestation-Resp-4
func TestConformance_Registration(t *testing.T) {
	runCases(t, invalidRegistrations(t), (*inspectedServer).registration)
}

// Requirement: WebAuthn-7.1-7, WebAuthn-7.1-9, WebAuthn-7.1-10, WebAuthn-7.1-14
// Requirement: WebAuthn-7.1-15, WebAuthn-7.1-16, WebAuthn-7.1-17, WebAuthn-7.2-5
// Requirement: WebAuthn-7.2-21, WebAuthn-7.2-22, FIDO-Assertion-Resp-1
func TestConformance_Authentication(t *testing.T) {
	runCases(t, invalidAuthentications(), (*inspectedServer).authentication)
}

// A new account cannot register the credential id of another account's passkey.
// Requirement: WebAuthn-7.1-26
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

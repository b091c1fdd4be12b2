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
type edit func(answer, bens map[string]any)

func set(path string, value any) edit {
	return func(answer, _ map[string]any) {
		object, name := parentOf(answer, path)
		object[name] = value
	}
}

func drop(path string) edit {
	return func(answer, _ map[string]any) {
		object, name := parentOf(answer, path)
		if _, there := object[name]; !there {
			panic("there is no " + path)
		}
		delete(object, name)
	}
}

// copyFromOther takes members of Ben's answer.
func copyFromOther(paths ...string) edit {
	return func(answer, bens map[string]any) {
		for _, path := range paths {
			object, name := parentOf(answer, path)
			from, _ := parentOf(bens, path)
			object[name] = from[name]
		}
	}
}

func parentOf(answer map[string]any, path string) (object map[string]any, name string) {
	object, name = answer, path
	if parent, child, nested := strings.Cut(path, "."); nested {
		object, name = answer[parent].(map[string]any), child
	}
	return object, name
}

func (w invalidCase) wantCode() string {
	if w.code == "" {
		return "passkey_rejected"
	}
	return w.code
}

// ceremonyUnderTest is one of the two, with the person who holds it.
type ceremonyUnderTest struct {
	api           *httpAPI
	path          string
	begin         func() pendingCeremony
	answer        func(pendingCeremony, ...authenticator.Variation) any
	invalidAnswer func(pendingCeremony, ...authenticator.Variation) any
	otherAnswer   func(pendingCeremony) any // what Ben would answer
	hasAccount    bool                      // whether there is an account whose owner is told of refusals
}

func (e *inspectedServer) check(t *testing.T, w invalidCase, c ceremonyUnderTest) {
	t.Helper()
	begun := c.begin()
	wrong := toJSON(t, c.invalidAnswer(begun, w.forge...))
	if w.edit != nil {
		bens := map[string]any{}
		if c.otherAnswer != nil {
			bens = toJSON(t, c.otherAnswer(begun))
		}
		w.edit(wrong, bens)
	}
	rows, events, counters := e.countRows(t), e.countEvents(t, w.reason), e.rejections(t)
	if w.unreadable != nil {
		e.checkUnreadable(t, c, w, begun, wrong)
		return
	}
	code := w.wantCode()
	if got, want := c.send(begun, wrong), (rejection{code, w.reason}); got != want {
		t.Fatalf("got %+v, want %+v; the log: %s", got, want, e.log.lastLine())
	}

	rows["webauthn_challenges"]--
	if got := e.countRows(t); !maps.Equal(got, rows) {
		t.Errorf("rows %v, want %v", got, rows)
	}
	if c.hasAccount && !w.noAccount && (code == "passkey_rejected" || code == "user_verification_required") {
		events++
	}
	if got := e.countEvents(t, w.reason); got != events {
		t.Errorf("%d events with reason %q, want %d", got, w.reason, events)
	}
	after := e.rejections(t)
	for reason, before := range counters {
		if counted := after[reason] != before; counted != (reason == w.reason) {
			t.Errorf("the counter of %s went on: %t", reason, counted)
		}
	}
	if got, want := c.send(begun, toJSON(t, c.answer(begun))), (rejection{"challenge_not_found", ""}); got != want {
		t.Errorf("the right answer to the same challenge got %+v, want %+v", got, want)
	}
	if got := e.countRows(t); !maps.Equal(got, rows) {
		t.Errorf("rows %v after the second answer, want %v", got, rows)
	}
	again := c.begin()
	if got := c.send(again, toJSON(t, c.answer(again, w.control...))); got != (rejection{}) {
		t.Errorf("the twin is refused: %+v; the log: %s", got, e.log.lastLine())
	}
}

func (e *inspectedServer) checkUnreadable(t *testing.T, c ceremonyUnderTest, w invalidCase, begun pendingCeremony, answer map[string]any) {
	t.Helper()
	rows, counters := e.countRows(t), e.rejections(t)
	body := encode(t, map[string]any{"challenge_id": begun.challengeID, "credential": answer})
	e.send(t, http.MethodPost, c.path, string(w.unreadable(bytes.Clone(body)))).requireProblem(t, 400, w.code)
	if got := e.countRows(t); !maps.Equal(got, rows) {
		t.Errorf("rows %v, want %v", got, rows)
	}
	if got := e.rejections(t); !maps.Equal(got, counters) {
		t.Errorf("counters %v, want %v", got, counters)
	}
	if got := c.send(begun, answer); got != (rejection{}) {
		t.Errorf("the twin is refused: %+v", got)
	}
}

func (c ceremonyUnderTest) send(begun pendingCeremony, answer map[string]any) rejection {
	return c.api.call(http.MethodPost, c.path, map[string]any{"challenge_id": begun.challengeID, "credential": answer}, nil)
}

func toJSON(t *testing.T, answer any) map[string]any {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(encode(t, answer), &members); err != nil {
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
			e := open(t, nil)
			var names []string
			for _, w := range table {
				name := w.step + ": " + w.name
				if slices.Contains(names, name) {
					t.Fatalf("%q stands there twice", name)
				}
				names = append(names, name)
				t.Run(name, func(t *testing.T) { e.check(t, w, ceremony(e, t, w)) })
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
			e := open(t, nil)
			_, bens := e.signedOutUser(t, "Ben", invalidCase{})
			w := invalidCase{device: es256Only, forge: []authenticator.Variation{authenticator.ForgeCredentialID(bens.ID)}, code: "passkey_already_registered"}
			e.check(t, w, e.registration(t, w))
		})
	}
}

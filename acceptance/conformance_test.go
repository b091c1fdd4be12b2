package acceptance

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/ncruces/go-sqlite3/driver"

	"github.com/keylodge/keylodge/acceptance/authenticator"
	"github.com/keylodge/keylodge/bootstrap"
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

// wrongAnswer is a line of the tables.
type wrongAnswer struct {
	step string
	name string

	device  []authenticator.Option
	instead []authenticator.Option    // another device that makes the wrong answer
	email   bool                      // a sign-in by address, so that passkeys are listed
	forge   []authenticator.Variation // before it is signed
	edit    edit                      // afterwards
	twin    []authenticator.Variation // what the twin does as well; nothing if nil

	nobodys bool // the answer names no account, so that no owner can be told

	code   string // passkey_rejected if ""
	reason domain.Reason
	// unread is for a request that is no answer yet: it spends nothing, and the twin answers the same challenge.
	unread func(body []byte) []byte
}

// edit changes the JSON of an answer. Bens is what somebody else would have answered to the same challenge.
type edit func(answer, bens map[string]any)

func set(path string, value any) edit {
	return func(answer, _ map[string]any) {
		object, name := descend(answer, path)
		object[name] = value
	}
}

func drop(path string) edit {
	return func(answer, _ map[string]any) {
		object, name := descend(answer, path)
		if _, there := object[name]; !there {
			panic("there is no " + path)
		}
		delete(object, name)
	}
}

// borrow takes members of Ben's answer.
func borrow(paths ...string) edit {
	return func(answer, bens map[string]any) {
		for _, path := range paths {
			object, name := descend(answer, path)
			from, _ := descend(bens, path)
			object[name] = from[name]
		}
	}
}

func descend(answer map[string]any, path string) (object map[string]any, name string) {
	object, name = answer, path
	if parent, child, nested := strings.Cut(path, "."); nested {
		object, name = answer[parent].(map[string]any), child
	}
	return object, name
}

// examined is a server with its books open.
type examined struct {
	*server
	metrics string
	rows    *sql.DB
	tables  string // a query for the names of all
}

func examinedServers() map[string]func(*testing.T, func(*bootstrap.Config)) *examined {
	return map[string]func(*testing.T, func(*bootstrap.Config)) *examined{
		"SQLite": func(t *testing.T, adjust func(*bootstrap.Config)) *examined {
			path := t.TempDir() + "/keylodge.db"
			s := startServer(t, newClock(), func(c *bootstrap.Config) {
				c.Database = bootstrap.SQLite(path)
				if adjust != nil {
					adjust(c)
				}
			})
			return examine(t, s, "sqlite3", "file:"+path+"?mode=ro&_pragma=busy_timeout(60000)", "SELECT name FROM sqlite_master WHERE type = 'table'")
		},
		"PostgreSQL": func(t *testing.T, adjust func(*bootstrap.Config)) *examined {
			url := postgresURL(t)
			s := startServer(t, newClock(), func(c *bootstrap.Config) {
				c.Database = bootstrap.Postgres(url)
				if adjust != nil {
					adjust(c)
				}
			})
			return examine(t, s, "pgx", url, "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()")
		},
	}
}

func examine(t *testing.T, s *server, driver, source, tables string) *examined {
	t.Helper()
	rows, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.app.ServeOperations(listener))
	return &examined{s, "http://" + listener.Addr().String() + "/metrics", rows, tables}
}

// countRows returns how many rows each table has. Events are left out: what they say of a refusal is asked by eventsBecause.
func (e *examined) countRows(t *testing.T) map[string]int {
	t.Helper()
	names, err := e.rows.QueryContext(t.Context(), e.tables)
	if err != nil {
		t.Fatal(err)
	}
	defer names.Close()
	var tables []string
	for names.Next() {
		var name string
		if err := names.Scan(&name); err != nil {
			t.Fatal(err)
		}
		if name != "events" {
			tables = append(tables, name)
		}
	}
	if err := names.Err(); err != nil || len(tables) < 5 {
		t.Fatalf("tables %q, %v", tables, err)
	}
	counts := map[string]int{}
	for _, table := range tables {
		counts[table] = e.count(t, "SELECT count(*) FROM "+table)
	}
	return counts
}

func (e *examined) eventsBecause(t *testing.T, reason domain.Reason) int {
	t.Helper()
	return e.count(t, "SELECT count(*) FROM events WHERE kind LIKE '%refused' AND reason = '"+string(reason)+"'")
}

func (e *examined) count(t *testing.T, query string) (n int) {
	t.Helper()
	if err := e.rows.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// rejections returns the line of each reason's counter.
func (e *examined) rejections(t *testing.T) map[domain.Reason]string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.metrics, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	counters := map[domain.Reason]string{}
	for _, reason := range domain.Reasons {
		_, after, found := strings.Cut(string(text), fmt.Sprintf("keylodge_ceremonies_rejected_total{reason=%q} ", reason))
		if !found {
			t.Fatalf("no counter for %s", reason)
		}
		counters[reason], _, _ = strings.Cut(after, "\n")
	}
	return counters
}

// ceremonyUnderTest is one of the two, with the person who holds it.
type ceremonyUnderTest struct {
	connection *httpConnection
	path       string
	begin      func() attempt
	answer     func(attempt, ...authenticator.Variation) any
	wrong      func(attempt, ...authenticator.Variation) any
	bens       func(attempt) any // what Ben would answer
	listens    bool              // whether there is an account whose owner is told of refusals
}

func (e *examined) judges(t *testing.T, w wrongAnswer, c ceremonyUnderTest) {
	t.Helper()
	begun := c.begin()
	wrong := toJSON(t, c.wrong(begun, w.forge...))
	if w.edit != nil {
		bens := map[string]any{}
		if c.bens != nil {
			bens = toJSON(t, c.bens(begun))
		}
		w.edit(wrong, bens)
	}
	rows, events, counters := e.countRows(t), e.eventsBecause(t, w.reason), e.rejections(t)
	if w.unread != nil {
		e.isNoAnswer(t, c, w, begun, wrong)
		return
	}
	code := w.wantCode()
	if got, want := c.send(begun, wrong), (refusal{code, w.reason}); got != want {
		t.Fatalf("got %+v, want %+v; the log: %s", got, want, e.log.last())
	}

	rows["webauthn_challenges"]--
	if got := e.countRows(t); !maps.Equal(got, rows) {
		t.Errorf("rows %v, want %v", got, rows)
	}
	if c.listens && !w.nobodys && (code == "passkey_rejected" || code == "user_verification_required") {
		events++
	}
	if got := e.eventsBecause(t, w.reason); got != events {
		t.Errorf("%d events with reason %q, want %d", got, w.reason, events)
	}
	after := e.rejections(t)
	for reason, before := range counters {
		if counted := after[reason] != before; counted != (reason == w.reason) {
			t.Errorf("the counter of %s went on: %t", reason, counted)
		}
	}
	if got, want := c.send(begun, toJSON(t, c.answer(begun))), (refusal{"challenge_not_found", ""}); got != want {
		t.Errorf("the right answer to the same challenge got %+v, want %+v", got, want)
	}
	if got := e.countRows(t); !maps.Equal(got, rows) {
		t.Errorf("rows %v after the second answer, want %v", got, rows)
	}
	again := c.begin()
	if got := c.send(again, toJSON(t, c.answer(again, w.twin...))); got != (refusal{}) {
		t.Errorf("the twin is refused: %+v; the log: %s", got, e.log.last())
	}
}

func (e *examined) isNoAnswer(t *testing.T, c ceremonyUnderTest, w wrongAnswer, begun attempt, answer map[string]any) {
	t.Helper()
	rows, counters := e.countRows(t), e.rejections(t)
	body := encode(t, map[string]any{"challenge_id": begun.challengeID, "credential": answer})
	e.send(t, http.MethodPost, c.path, string(w.unread(bytes.Clone(body)))).wants(t, 400, w.code)
	if got := e.countRows(t); !maps.Equal(got, rows) {
		t.Errorf("rows %v, want %v", got, rows)
	}
	if got := e.rejections(t); !maps.Equal(got, counters) {
		t.Errorf("counters %v, want %v", got, counters)
	}
	if got := c.send(begun, answer); got != (refusal{}) {
		t.Errorf("the twin is refused: %+v", got)
	}
}

func (c ceremonyUnderTest) send(begun attempt, answer map[string]any) refusal {
	return c.connection.call(http.MethodPost, c.path, map[string]any{"challenge_id": begun.challengeID, "credential": answer}, nil)
}

func toJSON(t *testing.T, answer any) map[string]any {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(encode(t, answer), &members); err != nil {
		t.Fatal(err)
	}
	return members
}

func (l *logbook) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.lines[len(l.lines)-1])
}

func (e *examined) registration(t *testing.T, w wrongAnswer) ceremonyUnderTest {
	t.Helper()
	connection := e.connect(t)
	by := func(device []authenticator.Option) func(attempt, ...authenticator.Variation) any {
		return func(begun attempt, variations ...authenticator.Variation) any {
			answer, err := authenticator.New(e.origin, device...).Create(begun.options, variations...)
			if err != nil {
				t.Fatal(err)
			}
			return answer
		}
	}
	wrong := by(w.device)
	if w.instead != nil {
		wrong = by(w.instead)
	}
	return ceremonyUnderTest{
		connection: connection, path: "/v1/signup/verify",
		begin: func() attempt {
			begun, refused := connection.beginSignUp(applicant{name: "Ada"})
			if refused != (refusal{}) {
				t.Fatalf("%+v", refused)
			}
			return begun
		},
		answer: by(w.device), wrong: wrong,
	}
}

func (e *examined) authentication(t *testing.T, w wrongAnswer) ceremonyUnderTest {
	t.Helper()
	adas, _ := e.holder(t, "Ada", w)
	bens, _ := e.holder(t, "Ben", w)
	connection := e.connect(t)
	answer := func(begun attempt, variations ...authenticator.Variation) any {
		answer, err := adas.Get(begun.options, variations...)
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	return ceremonyUnderTest{
		connection: connection, path: "/v1/login/verify", listens: true,
		begin: func() attempt {
			email := ""
			if w.email {
				email = emailOf(t, "Ada")
			}
			begun, refused := connection.beginSignIn(email)
			if refused != (refusal{}) {
				t.Fatalf("%+v", refused)
			}
			return begun
		},
		answer: answer, wrong: answer,
		bens: func(begun attempt) any {
			answer, err := bens.Get(withoutList(t, begun.options))
			if err != nil {
				t.Fatal(err)
			}
			return answer
		},
	}
}

// holder signs somebody up and out.
func (e *examined) holder(t *testing.T, name string, w wrongAnswer) (*authenticator.Authenticator, authenticator.RegistrationResponse) {
	t.Helper()
	device, connection := authenticator.New(e.origin, w.device...), e.connect(t)
	begun, refused := connection.beginSignUp(applicant{name: name, email: emailOf(t, name)})
	if refused != (refusal{}) {
		t.Fatalf("%+v", refused)
	}
	made, err := device.Create(begun.options)
	if err != nil {
		t.Fatal(err)
	}
	if _, refused := connection.finishSignUp(begun.challengeID, made); refused != (refusal{}) {
		t.Fatalf("%+v", refused)
	}
	return device, made
}

// emailOf is an address that nobody else on the server has.
func emailOf(t *testing.T, name string) string {
	t.Helper()
	return fmt.Sprintf("%s.%x@example.org", strings.ToLower(name), sha256.Sum224([]byte(t.Name())))
}

func withoutList(t *testing.T, options []byte) []byte {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(options, &members); err != nil {
		t.Fatal(err)
	}
	delete(members, "allowCredentials")
	return encode(t, members)
}

func everyStep(t *testing.T, table []wrongAnswer, ceremony func(*examined, *testing.T, wrongAnswer) ceremonyUnderTest) {
	t.Helper()
	for store, open := range examinedServers() {
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
				t.Run(name, func(t *testing.T) { e.judges(t, w, ceremony(e, t, w)) })
			}
		})
	}
}

func wrongRegistrations(t *testing.T) []wrongAnswer {
	t.Helper()
	return slices.Concat(registrationShapes(), clientDataOf("webauthn.create", "webauthn.get"), registrationSteps(), attestationObjects(), publicKeys(), attestationStatements(t))
}

func wrongAuthentications() []wrongAnswer {
	return slices.Concat(authenticationShapes(), clientDataOf("webauthn.get", "webauthn.create"), authenticationSteps())
}

func TestEveryStepOfARegistration(t *testing.T) {
	everyStep(t, wrongRegistrations(t), (*examined).registration)
}

func TestEveryStepOfAnAuthentication(t *testing.T) {
	everyStep(t, wrongAuthentications(), (*examined).authentication)
}

// Also by whoever has the passkey's id only, and also if it is their own.
func TestACredentialIDIsRegisteredOnce(t *testing.T) {
	for store, open := range examinedServers() {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			e := open(t, nil)
			_, bens := e.holder(t, "Ben", wrongAnswer{})
			w := wrongAnswer{device: ofES256, forge: []authenticator.Variation{authenticator.ForgeCredentialID(bens.ID)}, code: "passkey_already_registered"}
			e.judges(t, w, e.registration(t, w))
		})
	}
}

const ceremoniesFile = "../docs/ceremonies.md"

// TestTheStepsAreDocumented holds docs/ceremonies.md to the tables.
func TestTheStepsAreDocumented(t *testing.T) {
	want := describeSteps(t)
	if *update {
		if err := os.WriteFile(ceremoniesFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(ceremoniesFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the tables say; `make generate` writes it", ceremoniesFile)
	}
}

func describeSteps(t *testing.T) string {
	t.Helper()
	attested, _, _ := attestedOnly(t)
	var b strings.Builder
	b.WriteString("# What a ceremony refuses\n\n" +
		"Each line is one answer with one thing wrong with it. It is sent to a server over HTTP, on SQLite and on PostgreSQL; it must be refused\n" +
		"with this code, for this reason in the log, the metrics and the log of the account if there is one; no row may be left in any table, and the\n" +
		"right answer to the same challenge must come too late. Its twin, with nothing wrong, must pass. Steps are those of W3C WebAuthn\n" +
		"Level 3, sections 7.1 and 7.2, by what they are about; Resp-1 and so on are cases of the FIDO Alliance's server conformance tests.\n" +
		"A body that cannot be read is no answer: it has no reason and spends nothing.\n" +
		"`make generate` writes this page from the tables in `acceptance/conformance_*_test.go`.\n")
	for _, part := range []struct {
		title string
		table []wrongAnswer
	}{
		{"Registration", wrongRegistrations(t)},
		{"Registration, where authenticators have to be attested", attested},
		{"Authentication", wrongAuthentications()},
	} {
		fmt.Fprintf(&b, "\n## %s\n\n%d answers.\n\n| step | what is wrong | code | reason |\n| --- | --- | --- | --- |\n", part.title, len(part.table))
		for _, w := range part.table {
			fmt.Fprintf(&b, "| %s | %s | `%s` | %s |\n", w.step, w.name, w.wantCode(), quoted(string(w.reason)))
		}
	}
	return b.String()
}

func quoted(reason string) string {
	if reason == "" {
		return ""
	}
	return "`" + reason + "`"
}

func (w wrongAnswer) wantCode() string {
	if w.code == "" {
		return "passkey_rejected"
	}
	return w.code
}

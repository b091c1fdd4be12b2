package acceptance

import (
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/webauthn"

	"github.com/keylodge/keylodge/acceptance/testkit/browser"
	"github.com/keylodge/keylodge/acceptance/testkit/keylodgeserver"
	"github.com/keylodge/keylodge/acceptance/testkit/mailserver"
	"github.com/keylodge/keylodge/acceptance/testkit/process"
	"github.com/keylodge/keylodge/acceptance/testkit/require"
)

// TestExamples runs the code blocks of README.md, docs/quickstart.md, docs/guides with its examples, and docs/operations. The blocks of a page run in
// order, in one folder, against one server, in one shell and one browser tab. A comment before a block says more about it:
//
//	<!-- test: server -->          the commands start the server, which runs until the end of the page or the next such block
//	<!-- test: file NAME -->       the block is the content of a file
//	<!-- test: file NAME of SOURCE --> the same, and the block equals a file of docs/guides/examples, such as page/page.js
//	<!-- test: excerpt SOURCE -->  the block is a part of a file of docs/guides/examples, which the tests TestKit_Example run
//	<!-- test: output -->          the block is the output of the last command; … stands for any text
//	<!-- test: requires COMMAND --> the block is skipped if the shell command fails, for example for a missing library
//	<!-- test: unit NAME -->       the block is a systemd unit, which systemd-analyze verifies
//	<!-- test: by TEST -->         another test runs or checks the block
//	<!-- test: skip: REASON -->    the block is not run
//
// These comments are steps of their own:
//
//	<!-- test: include PAGE -->    runs the steps of another page
//	<!-- test: authenticator -->   replaces the browser's authenticator by one without passkeys
//	<!-- test: open URL -->        opens the URL in the tab. http://localhost:5173 serves the folder app
//	<!-- test: js CODE -->         runs the code in the tab, for example as the user, or to check what the page shows
//	<!-- test: sh COMMANDS -->     runs the commands
//	<!-- test: start COMMANDS -->  starts the server with the commands
//	<!-- test: stop -->            stops it
//	<!-- test: mail -->            starts a mail server, instead of smtp.example.org
//	<!-- test: email ADDRESS -->   waits for an e-mail to the address; email in JavaScript is its text
//
// In docs/operations, systemctl does nothing, commands run as the user of the test, and directories are those of the test.
// Every block in an executable language is run or has a reason. JavaScript can set variables of the shell as members of shell.
func TestExamples(t *testing.T) {
	pages := []string{"README.md", "docs/quickstart.md"}
	for _, folder := range []string{"docs/guides", "docs/guides/examples", "docs/operations"} {
		found, err := fs.Glob(os.DirFS(".."), folder+"/*.md")
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	bin := t.TempDir()
	if err := os.Symlink(keylodgeserver.Binary(t), filepath.Join(bin, "keylodge")); err != nil {
		t.Fatal(err)
	}
	for name, script := range map[string]string{
		"systemctl":   "exit 0",
		"sudo":        `shift 2; exec "$@"`, // sudo -u USER COMMAND
		"as_keylodge": `exec keylodge "$@"`,
	} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range pages {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".md"), func(t *testing.T) {
			t.Parallel()
			newExamples(t, bin).runPage(name)
		})
	}
}

func TestExampleSteps_requiresReason(t *testing.T) {
	for text, want := range map[string]string{
		"```sh\nls\n```\n":         "",
		"```json\n{}\n```\n":       "",
		"```swift\nprint()\n```\n": "1: a swift block is not run; say why: <!-- test: skip: REASON -->",
		"<!-- test: skip: needs a phone -->\n```swift\nprint()\n```\n": "",
		"<!-- test: file x.go -->\n\nText.\n\n```sh\nls\n```\n":        "1: the comment is not directly before a block",
		"```sh\nls\n": "1: the block has no end",
	} {
		_, err := exampleSteps(text)
		if got := fmt.Sprint(err); got != want && (err != nil || want != "") {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// exampleStep is a code block or a comment of a page.
type exampleStep struct {
	line     int
	language string
	code     string
	kind     string // of the comment: "" for a block without one
	argument string
}

var (
	exampleComment = regexp.MustCompile(`(?s)^ *<!-- test: (\w+):? ?(.*?) ?-->\n`)
	exampleFence   = regexp.MustCompile("^( *)```([a-z]*)\n")
)

// displayedLanguages are not executable.
var displayedLanguages = []string{"", "http", "json", "text"}

func exampleSteps(markdown string) ([]exampleStep, error) {
	var steps []exampleStep
	var comment *exampleStep // belongs to the next block
	for line, rest := 1, markdown; rest != ""; {
		var read string
		if m := exampleComment.FindStringSubmatch(rest); m != nil {
			step := exampleStep{line: line, kind: m[1], argument: m[2]}
			read = m[0]
			if slices.Contains([]string{"include", "authenticator", "open", "js", "sh", "start", "stop", "mail", "email"}, step.kind) {
				steps = append(steps, step)
			} else {
				comment = &step
			}
		} else if m := exampleFence.FindStringSubmatch(rest); m != nil {
			step := exampleStep{line: line}
			if comment != nil {
				step, comment = *comment, nil
			}
			code, _, ended := strings.Cut(rest[len(m[0]):], "\n"+m[1]+"```\n")
			if !ended {
				return nil, fmt.Errorf("%d: the block has no end", line)
			}
			read = m[0] + code + "\n" + m[1] + "```\n"
			step.language, step.code = m[2], strings.ReplaceAll("\n"+code, "\n"+m[1], "\n")[1:]+"\n"
			runs := slices.Contains([]string{"sh", "js"}, step.language) || step.kind != "" || slices.Contains(displayedLanguages, step.language)
			if !runs || step.kind == "skip" && step.argument == "" {
				return nil, fmt.Errorf("%d: a %s block is not run; say why: <!-- test: skip: REASON -->", line, step.language)
			}
			steps = append(steps, step)
		} else {
			read, _, _ = strings.Cut(rest, "\n")
			if comment != nil {
				return nil, fmt.Errorf("%d: the comment is not directly before a block", comment.line)
			}
			read = rest[:min(len(rest), len(read)+1)]
		}
		line += strings.Count(read, "\n")
		rest = rest[len(read):]
	}
	return steps, nil
}

// examples runs the steps of one page.
type examples struct {
	t          *testing.T
	at         string // file and line of the current step
	bin        string
	folder     string
	address    string           // of the server, instead of the port 8080
	static     *httptest.Server // serves the folder app, instead of http://localhost:5173
	replace    *strings.Replacer
	restore    *strings.Replacer
	server     *process.Process // nil if it does not run
	log        logRecorder
	mailServer *mailserver.Server
	browser    *browserPage
	lastOutput string
}

func newExamples(t *testing.T, bin string) *examples {
	x := &examples{t: t, bin: bin, folder: t.TempDir()}
	x.static = httptest.NewServer(http.FileServer(http.Dir(filepath.Join(x.folder, "app"))))
	t.Cleanup(x.static.Close)
	x.address = freeAddress(t)
	server, static := x.localhost(), fmt.Sprintf("localhost:%d", x.static.Listener.Addr().(*net.TCPAddr).Port)
	x.replace = strings.NewReplacer("localhost:8080", server, "localhost:5173", static, "go run .", "keylodge",
		"/var/lib/keylodge", x.folder, "/var/backups/keylodge", x.folder+"/backups", "/usr/local/bin", x.folder+"/bin",
		"/from/elsewhere", x.folder+"/elsewhere")
	x.restore = strings.NewReplacer(server, "localhost:8080", static, "localhost:5173")
	t.Cleanup(x.stopServer)
	return x
}

// localhost is the server's address with the host name that passkeys are for.
func (x *examples) localhost() string { return strings.Replace(x.address, "127.0.0.1", "localhost", 1) }

func (x *examples) runPage(name string) {
	x.t.Helper()
	text, err := os.ReadFile(filepath.Join("..", name))
	if err != nil {
		x.t.Fatal(err)
	}
	steps, err := exampleSteps(string(text))
	if err != nil {
		x.t.Fatalf("%s:%v", name, err)
	}
	for _, step := range steps {
		x.at = fmt.Sprintf("%s:%d", name, step.line)
		x.run(step)
	}
}

func (x *examples) run(step exampleStep) {
	x.t.Helper()
	code := x.replace.Replace(step.code)
	switch step.kind {
	case "skip":
	case "by":
		x.requireTest(step.argument)
	case "unit":
		x.verifyUnit(step.argument, code)
	case "mail":
		x.startMailServer()
	case "email":
		x.awaitEmail(step.argument)
	case "start":
		x.startServer(x.replace.Replace(step.argument))
	case "stop":
		x.stopServer()
	case "server":
		x.startServer(code)
	case "excerpt":
		if !strings.Contains(withoutIndent(x.example(step.argument)), withoutIndent("\n"+step.code)) {
			x.t.Errorf("%s: the block is not in %s", x.at, step.argument)
		}
	case "file":
		name, source, same := strings.Cut(step.argument, " of ")
		if same && x.example(source) != step.code {
			x.t.Errorf("%s: the block is not the content of %s", x.at, source)
		}
		if x.mailServer != nil {
			code = strings.NewReplacer("smtp.example.org", "localhost", "PASSWORD=…", "PASSWORD="+mailPassword).Replace(code)
		}
		x.write(name, code)
	case "output":
		x.requireOutput(step.code)
	case "include":
		x.runPage(step.argument)
	case "authenticator":
		call(x.tab(), webauthn.RemoveVirtualAuthenticator, webauthn.RemoveVirtualAuthenticatorParams{AuthenticatorID: x.browser.authenticatorID})
		x.browser.attachAuthenticator()
		x.browser.setAutomaticPresence(true)
	case "open":
		x.open(x.replace.Replace(step.argument))
	case "js":
		x.javascript(x.replace.Replace(step.argument))
	case "sh":
		x.shell(x.replace.Replace(step.argument))
	case "requires":
		if output, err := x.command(step.argument).CombinedOutput(); err != nil {
			x.t.Logf("%s is not run: %s: %v\n%s", x.at, step.argument, err, output)
			return
		}
		step.kind = ""
		x.run(step)
	case "":
		switch step.language {
		case "sh":
			x.shell(code)
		case "js":
			x.javascript(code)
		}
	default:
		x.t.Fatalf("%s: unknown kind of comment %q", x.at, step.kind)
	}
}

// example returns a file of docs/guides/examples.
func (x *examples) example(name string) string {
	x.t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", "guides", "examples", name))
	if err != nil {
		x.t.Fatalf("%s: %v", x.at, err)
	}
	return string(text)
}

var indent = regexp.MustCompile(`(?m)^[ \t]+`)

func withoutIndent(code string) string { return indent.ReplaceAllString(code, "") }

func (x *examples) write(name, content string) {
	x.t.Helper()
	if err := os.WriteFile(filepath.Join(x.folder, name), []byte(content), 0o600); err != nil {
		x.t.Fatal(err)
	}
	if filepath.Ext(name) != ".go" {
		return
	}
	for _, module := range []string{"go.mod", "go.sum"} { // the versions of the libraries that the example imports
		text, err := os.ReadFile(filepath.Join("..", module))
		if err != nil {
			x.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(x.folder, module), text, 0o600); err != nil {
			x.t.Fatal(err)
		}
	}
}

// shellState is a file in the folder with the variables of the shell.
const shellState = ".shell-variables"

func (x *examples) command(script string) *exec.Cmd {
	command := exec.Command("sh", "-euc", "if [ -f "+shellState+" ]; then . ./"+shellState+"; fi\nset -a\n"+script)
	command.Dir = x.folder
	command.Env = keylodgeserver.Environment("PATH="+x.bin+":/usr/bin:"+os.Getenv("PATH"), "CGO_ENABLED=0",
		"KEYLODGE_LISTEN="+x.address, "KEYLODGE_OPS_LISTEN=")
	return command
}

func (x *examples) shell(script string) {
	x.t.Helper()
	if _, err := exec.LookPath("curl"); err != nil && strings.Contains(script, "curl ") {
		require.Missing(x.t, require.Tools)
	}
	output, err := x.command(script + "\nexport -p >" + shellState).CombinedOutput()
	if err != nil {
		x.t.Fatalf("%s: %v\n%s\nthe server's log:\n%s", x.at, err, output, x.log.text())
	}
	x.lastOutput = string(output)
}

func (x *examples) requireOutput(want string) {
	x.t.Helper()
	normal := func(text string) string { return strings.Join(strings.Fields(text), " ") }
	pattern := strings.ReplaceAll(regexp.QuoteMeta(normal(want)), "…", ".*")
	got := normal(x.restore.Replace(x.lastOutput))
	if !regexp.MustCompile("^" + pattern + "$").MatchString(got) {
		x.t.Errorf("%s: the output is\n%s", x.at, got)
	}
}

func (x *examples) startServer(script string) {
	x.t.Helper()
	x.stopServer()
	command := x.command(script)
	command.Stdout, command.Stderr = &x.log, &x.log
	var err error
	if x.server, err = process.Start(command); err != nil {
		x.t.Fatalf("%s: %v", x.at, err)
	}
	for deadline := time.Now().Add(pageTimeout); ; time.Sleep(20 * time.Millisecond) {
		status, _ := keylodgeserver.Get(x.address, "/readyz")
		if status == http.StatusOK {
			return
		}
		select {
		case <-x.server.Exited():
			x.t.Fatalf("%s: the server has ended with %d\n%s", x.at, x.server.ExitCode(), x.log.text())
		default:
		}
		if time.Now().After(deadline) {
			x.t.Fatalf("%s: the server is not ready: %d\n%s", x.at, status, x.log.text())
		}
	}
}

// stopServer stops the shell of startServer and the server.
func (x *examples) stopServer() {
	if x.server == nil {
		return
	}
	if err := x.server.Stop(pageTimeout); err != nil {
		x.t.Error(err)
	}
	x.server = nil
}

// mailPassword is the password of the account keylodge.
const mailPassword = "mail-password"

func (x *examples) startMailServer() {
	x.t.Helper()
	x.mailServer = mailserver.Start(x.t, mailserver.Options{Username: "keylodge", Password: mailPassword})
	_, port, _ := net.SplitHostPort(x.mailServer.Addr)
	x.shell("KEYLODGE_SMTP_PORT=" + port + "\nSSL_CERT_FILE=" + x.mailServer.CAFile)
}

func (x *examples) awaitEmail(address string) {
	x.t.Helper()
	for deadline := time.Now().Add(pageTimeout); ; time.Sleep(50 * time.Millisecond) {
		if emails := x.mailServer.Emails(address); len(emails) > 0 {
			x.javascript(fmt.Sprintf("window.email = %q;", emails[len(emails)-1].Text))
			return
		}
		if time.Now().After(deadline) {
			x.t.Fatalf("%s: no e-mail to %s\n%s", x.at, address, x.log.text())
		}
	}
}

// verifyUnit checks a systemd unit on Linux. Its program need not be installed. The exposure of the server's own unit must be below 2.0.
func (x *examples) verifyUnit(name, content string) {
	x.t.Helper()
	if goruntime.GOOS != "linux" {
		return
	}
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		require.Missing(x.t, require.Tools)
	}
	x.write(name, unitProgram.ReplaceAllString(content, "${1}/bin/true"))
	if output, err := x.command("systemd-analyze verify ./" + name).CombinedOutput(); err != nil || len(output) > 0 {
		x.t.Errorf("%s: systemd-analyze verify: %v\n%s", x.at, err, output)
	}
	if name != "keylodge.service" {
		return
	}
	if output, err := x.command("systemd-analyze security --offline=true --threshold=20 --no-pager ./" + name).CombinedOutput(); err != nil {
		x.t.Errorf("%s: systemd-analyze security: %v\n%s", x.at, err, output)
	}
}

var unitProgram = regexp.MustCompile(`(?m)^(ExecStart=)\S+`)

// requireTest checks that a test that runs a block exists.
func (x *examples) requireTest(name string) {
	x.t.Helper()
	if output, err := exec.Command("grep", "-rqE", "^func "+name+`\(`, ".", "../adapters", "../bootstrap").CombinedOutput(); err != nil {
		x.t.Errorf("%s: there is no test %s: %v %s", x.at, name, err, output)
	}
}

// tab returns the browser tab. It has an authenticator whose user always agrees.
func (x *examples) tab() *browserPage {
	x.t.Helper()
	if x.browser != nil {
		return x.browser
	}
	requireChromium(x.t)
	b := &browserPage{t: x.t, ctx: browser.NewProfile(x.t), server: &server{origin: "http://" + x.localhost(), log: &x.log}}
	call(b, webauthn.Enable, webauthn.EnableParams{})
	b.attachAuthenticator()
	b.setAutomaticPresence(true)
	b.disableConditionalMediation()
	call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `
		window.shell = {};
		window.waitFor = async (condition) => {
			for (const end = Date.now() + 60000; !condition(); await new Promise((done) => setTimeout(done, 20))) {
				if (Date.now() > end) throw new Error('not reached: ' + condition + ' on a page with: ' + document.body.innerText);
			}
		};
		const roots = () => [document, ...[...document.querySelectorAll('*')].map((element) => element.shadowRoot).filter(Boolean)];
		window.shows = (text) => waitFor(() => roots().some((root) => [...(root.body ?? root).children].some((element) => element.innerText?.includes(text))));
		window.press = (text) => roots().flatMap((root) => [...root.querySelectorAll('button')]).find((button) => button.innerText.trim() === text).click();`})
	b.observePage()
	x.browser = b
	return b
}

func (x *examples) open(url string) {
	x.t.Helper()
	x.tab().navigate(url)
}

var moduleSyntax = strings.NewReplacer("\nexport ", "\n")

var staticImport = regexp.MustCompile(`(?m)^import (\{.*?\}) from (\S+);$`)

// javascript runs the code like the browser's console, which keeps variables. Statements of modules are rewritten.
func (x *examples) javascript(code string) {
	x.t.Helper()
	if x.browser == nil {
		x.open(x.replace.Replace("http://localhost:8080/"))
	}
	code = staticImport.ReplaceAllString(moduleSyntax.Replace("\n"+code), "const $1 = await import($2);")
	yes := true
	result := call(x.tab(), runtime.Evaluate, runtime.EvaluateParams{Expression: code, ReplMode: &yes, AwaitPromise: &yes, UserGesture: &yes})
	if thrown := result.ExceptionDetails; thrown != nil {
		text := thrown.Text
		if thrown.Exception != nil {
			text += " " + thrown.Exception.Description + " " + string(thrown.Exception.Value)
			if id := thrown.Exception.ObjectID; id != "" {
				described := call(x.tab(), runtime.CallFunctionOn, runtime.CallFunctionOnParams{
					FunctionDeclaration: `function () { return JSON.stringify(this) + ' ' + document.body.innerText; }`, ObjectID: id, ReturnByValue: &yes})
				text += string(described.Result.Value)
			}
		}
		x.t.Fatalf("%s: JavaScript: %s\nthe server's log:\n%s", x.at, text, x.log.text())
	}
	variables := eval[map[string]string](x.tab(), `window.shell ?? {}`)
	var assignments strings.Builder
	for name, value := range variables {
		fmt.Fprintf(&assignments, "%s='%s'\n", name, value)
	}
	if assignments.Len() > 0 {
		x.shell(assignments.String())
	}
}

package runbooks

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/require"
	"github.com/keylodge/keylodge/acceptance/testkit/settings"
	"github.com/keylodge/keylodge/bootstrap"
)

// TestMain makes this binary the programs of the operator: links with their names start it.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "keylodge":
		os.Exit(bootstrap.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	case "database-shell":
		os.Exit(lockDatabase(os.Args[1]))
	}
	os.Exit(m.Run())
}

// block is a block of commands or settings of a page.
type block struct {
	text     string
	followed bool
}

var shellBlock = regexp.MustCompile("(?s)((?:<!-- test: skip: [^\n]+ -->\n)?) *```sh\n(.*?)```")

// blocksOf returns the blocks of a page that the test must follow: those without a comment <!-- test: skip: REASON -->.
func blocksOf(page string) (blocks []*block) {
	for _, found := range shellBlock.FindAllStringSubmatch(page, -1) {
		if found[1] == "" {
			blocks = append(blocks, &block{text: found[2]})
		}
	}
	return blocks
}

// follow does what the first block with a text says: it runs commands, and sets settings. It fails the test if the output lacks a
// text, in which … stands for any text. A command may fail: some show the problem.
func (s *situation) follow(text string, want ...string) string {
	s.t.Helper()
	var found *block
	for _, b := range s.blocks {
		if strings.Contains(b.text, text) {
			found = b
			break
		}
	}
	if found == nil {
		s.t.Fatalf("no block of the page has %q", text)
	}
	found.followed = true
	var output strings.Builder
	for line := range strings.Lines(found.text) {
		switch words := strings.Fields(line); {
		case len(words) == 0:
		case words[0] == "systemctl":
			s.systemctl(words[1], words[len(words)-1])
		case strings.HasPrefix(words[0], "KEYLODGE_"):
			settings.Add(s.t, strings.TrimPrefix(s.here(words[0]), "KEYLODGE_"))
		default:
			output.WriteString(s.shell(line))
		}
	}
	for _, w := range want {
		if !contains(output.String(), w) {
			s.t.Errorf("the output of these commands lacks %q:\n%s\n%s", w, found.text, output.String())
		}
	}
	return output.String()
}

// here replaces the names of the page with those of this deployment.
func (s *situation) here(text string) string {
	s.t.Helper()
	folder, err := os.Getwd()
	if err != nil {
		s.t.Fatal(err)
	}
	var names []string
	for name, value := range s.names {
		names = append(names, name, value)
	}
	names = append(names,
		"http://127.0.0.1:9090", "http://"+s.address, "http://127.0.0.1:8080", "http://"+s.address, "https://id.example.org", "http://"+s.address,
		"/var/lib/keylodge", folder, "/var/backups", folder+"/backups", "/var/log", folder+"/log", "/root", folder+"/root",
		"/from/elsewhere", folder+"/elsewhere",
		"-o keylodge -g keylodge", "", "chown keylodge:", "chown $(id -un):", "chown -R keylodge:", "chown -R $(id -un):")
	return strings.NewReplacer(names...).Replace(text)
}

// programs are functions of the shell instead of those that need an installed service.
const programs = `
as_keylodge() { keylodge "$@"; }
journalctl() { case "$*" in *vacuum*) ;; *) cat "$JOURNAL" ;; esac; }
`

// shell runs a command. If a program is missing, the test ends as require.Missing says.
func (s *situation) shell(line string) string {
	s.t.Helper()
	bin := s.t.TempDir()
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(bin, "keylodge")); err != nil {
		s.t.Fatal(err)
	}
	var records strings.Builder
	for line := range strings.Lines(s.output()) {
		if !strings.HasPrefix(line, `{"type":`) { // a response
			records.WriteString(line)
		}
	}
	journal := settings.File(s.t, "journal", records.String())
	command := exec.CommandContext(s.t.Context(), "sh", "-c", programs+s.here(line))
	command.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "JOURNAL="+journal, "DATABASE_URL="+os.Getenv("KEYLODGE_DATABASE_URL"))
	output, err := command.CombinedOutput()
	if _, err := fmt.Fprintf(s, "%s\n", output); err != nil {
		s.t.Fatal(err)
	}
	if command.ProcessState == nil || command.ProcessState.ExitCode() == 127 {
		s.t.Logf("%s: %v\n%s", line, err, output)
		require.Missing(s.t, require.Tools)
	}
	return string(output)
}

// systemctl starts and stops the server. Of other services it starts those of the test.
func (s *situation) systemctl(verb, unit string) {
	s.t.Helper()
	if unit != "keylodge" {
		if start := s.units[unit]; verb == "start" {
			if err := start(); err != nil {
				s.t.Fatal(err)
			}
		}
		return
	}
	if verb != "start" && s.stop != nil {
		s.stop()
	}
	if verb != "stop" {
		s.start()
	}
}

// databaseShell starts a process that locks the database until it ends. It returns the id of the process.
func (s *situation) databaseShell(file string) string {
	s.t.Helper()
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	link := filepath.Join(s.t.TempDir(), "database-shell")
	if err := os.Symlink(self, link); err != nil {
		s.t.Fatal(err)
	}
	shell := exec.CommandContext(s.t.Context(), link, file)
	if _, err := shell.StdinPipe(); err != nil {
		s.t.Fatal(err)
	}
	stdout, err := shell.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = shell.Wait() })
	if _, err := stdout.Read(make([]byte, 1)); err != nil {
		s.t.Fatal(err)
	}
	return fmt.Sprint(shell.Process.Pid)
}

// lockDatabase locks a SQLite file until the standard input ends.
func lockDatabase(file string) int {
	db, err := openDatabase(file, "BEGIN IMMEDIATE")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	_, _ = fmt.Fprint(os.Stdout, "locked")
	_, _ = io.Copy(io.Discard, os.Stdin)
	_ = db.Close()
	return 0
}

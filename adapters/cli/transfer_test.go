package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/keylodge/keylodge/adapters/cli"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// fixtureWithUsers has Ada, who is signed in, Ben, and so many more.
func fixtureWithUsers(t *testing.T, more int) *fixture {
	t.Helper()
	l := newFixture(t)
	l.addUser(t, ada)
	l.addUser(t, ben)
	l.addSession(t, sessionOf(ada, 1))
	for i := range more {
		l.addUser(t, domain.UserState{ID: userID(100 + i), Handle: domain.UserHandle(fmt.Sprint(i)), CreatedAt: noon})
	}
	return l
}

func wantFiles(t *testing.T, directory string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(directory)
	if err != nil || len(entries) != len(want) {
		t.Fatalf("left behind: %v, %v; not %v", entries, err, want)
	}
	for i, entry := range entries {
		if info, err := entry.Info(); err != nil || entry.Name() != want[i] || info.Mode().Perm() != 0o600 {
			t.Errorf("left behind: %v, %v", info, err)
		}
	}
}

func TestTransfer_File(t *testing.T) {
	directory := t.TempDir()
	file := filepath.Join(directory, "lodge.jsonl")
	text := fixtureWithUsers(t, 0).mustSucceed(t, "export "+file)
	if text != "2 users are in "+file+", with 0 passkeys, 1 session, 0 events, 0 signing keys, 0 lockouts, 0 messages. Keep the secret with it.\n" {
		t.Errorf("it says %q", text)
	}
	wantFiles(t, directory, "lodge.jsonl")

	l := newFixture(t)
	if text = l.mustSucceed(t, "import "+file); text != "2 users are now in, with 0 passkeys, 1 session, 0 events, 0 signing keys, 0 lockouts, 0 messages.\n" {
		t.Errorf("it says %q", text)
	}
	if text = l.mustSucceed(t, "import "+file); !strings.Contains(text, "\n2 users were there already, with 0 passkeys, 1 session,") {
		t.Errorf("it says %q", text)
	}
	if account := l.showAccount(t, ada); account.User["email"] != "ada@example.org" || len(account.Sessions) != 1 {
		t.Errorf("%+v", account)
	}
}

func TestTransfer_JSONOutput(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lodge.jsonl")
	counts := map[string]any{"users": 2.0, "passkeys": 0.0, "sessions": 1.0, "events": 0.0, "signing_keys": 0.0, "lockouts": 0.0, "messages": 0.0}
	none := map[string]any{"users": 0.0, "passkeys": 0.0, "sessions": 0.0, "events": 0.0, "signing_keys": 0.0, "lockouts": 0.0, "messages": 0.0}
	wantJSON(t, fixtureWithUsers(t, 0).mustSucceed(t, "export --json "+file), map[string]any{"exported": counts})
	l := newFixture(t)
	wantJSON(t, l.mustSucceed(t, "import --json "+file), map[string]any{"imported": counts, "already_there": none})
	wantJSON(t, l.mustSucceed(t, "import "+file+" --json"), map[string]any{"imported": none, "already_there": counts})
}

// What goes to standard output is the export and nothing else.
func TestTransfer_Pipe(t *testing.T) {
	for _, line := range []string{"export -", "export --json -"} {
		exitCode, stdout, stderr := fixtureWithUsers(t, 0).run(t, line)
		if exitCode != cli.ExitOK || !strings.HasSuffix(stdout, "}\n") || !strings.Contains(stderr, "user") {
			t.Fatalf("exit %d, %q, %q", exitCode, stdout, stderr)
		}
		for part := range strings.Lines(stdout) {
			if !json.Valid([]byte(part)) {
				t.Errorf("%q is in the way", part)
			}
		}
		t.Setenv("TMPDIR", t.TempDir())
		l := newFixture(t)
		l.program.Stdin = strings.NewReader(stdout)
		l.mustSucceed(t, "import -")
		l.showAccount(t, ben)
		wantFiles(t, os.Getenv("TMPDIR"))
	}
}

func TestExport_DoesNotOverwriteExistingFile(t *testing.T) {
	directory := t.TempDir()
	file := filepath.Join(directory, "diary")
	if err := os.WriteFile(file, []byte("Dear diary,"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := fixtureWithUsers(t, 0)
	l.program.Open = func(context.Context) (application.UseCases, func() error, error) {
		t.Error("it opens the database all the same")
		return application.UseCases{}, nil, errors.New("not now")
	}
	if why := l.mustFail(t, "export "+file, cli.ExitConflict); !strings.Contains(why, "--force") {
		t.Error(why)
	}
	if text, err := os.ReadFile(file); string(text) != "Dear diary," {
		t.Errorf("%s, %v", text, err)
	}
	fixtureWithUsers(t, 0).mustSucceed(t, "export --force "+file)
	newFixture(t).mustSucceed(t, "import "+file)
	wantFiles(t, directory, "diary")
}

// Whoever writes to /dev/stdout by force does not mean to replace it.
func TestExport_RejectsNonRegularFile(t *testing.T) {
	directory := t.TempDir()
	diary, link, pipe := filepath.Join(directory, "diary"), filepath.Join(directory, "link"), filepath.Join(directory, "pipe")
	if err := errors.Join(os.WriteFile(diary, []byte("Dear diary,"), 0o600), os.Symlink(diary, link), syscall.Mkfifo(pipe, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{link, pipe, directory} {
		for _, force := range []string{"", "--force "} {
			if why := fixtureWithUsers(t, 0).mustFail(t, "export "+force+name, cli.ExitUsage); !strings.Contains(why, "- for standard output") {
				t.Error(why)
			}
		}
	}
	if drafts, err := filepath.Glob(filepath.Join(directory, ".*")); err != nil || len(drafts) > 0 {
		t.Errorf("left behind: %v, %v", drafts, err)
	}
	if target, err := os.Readlink(link); err != nil || target != diary {
		t.Errorf("%q, %v", target, err)
	}
}

// Somebody makes a file of that name while the export runs.
func TestExport_DoesNotOverwriteFileCreatedMeanwhile(t *testing.T) {
	directory := t.TempDir()
	file := filepath.Join(directory, "diary")
	l := fixtureWithUsers(t, 0)
	open := l.program.Open
	l.program.Open = func(ctx context.Context) (application.UseCases, func() error, error) {
		return joinError(open(ctx))(os.WriteFile(file, []byte("Dear diary,"), 0o600))
	}
	l.mustFail(t, "export "+file, cli.ExitConflict)
	if text, err := os.ReadFile(file); string(text) != "Dear diary," {
		t.Errorf("%s, %v", text, err)
	}
	wantFiles(t, directory, "diary")
}

func joinError[A, B any](a A, b B, err error) func(error) (A, B, error) {
	return func(another error) (A, B, error) { return a, b, errors.Join(err, another) }
}

func TestExport_FailureLeavesNoFile(t *testing.T) {
	for name, c := range map[string]struct {
		store ports.Store
		ctx   func() context.Context
	}{
		"an outage": {unavailableStore{}, t.Context},
		"an interrupt": {fixtureWithUsers(t, 0).store, func() context.Context {
			ctx, interrupt := context.WithCancel(t.Context())
			interrupt()
			return ctx
		}},
	} {
		directory := t.TempDir()
		l := newFixture(t)
		l.store = c.store
		if exitCode, stdout, stderr := l.runContext(c.ctx(), t, "export "+filepath.Join(directory, "lodge")); exitCode != cli.ExitFailure || stdout != "" {
			t.Errorf("%s: exit %d, %q, %q", name, exitCode, stdout, stderr)
		}
		wantFiles(t, directory)
	}
}

// interruptingStore is a store whose user loses patience after so many units of work.
type interruptingStore struct {
	ports.Store
	remaining int
	interrupt func()
}

func (s *interruptingStore) Update(ctx context.Context, fn func(tx ports.Tx) error) error {
	if s.remaining--; s.remaining < 0 {
		s.interrupt()
	}
	return s.Store.Update(ctx, fn)
}

func TestImport_InterruptReportsHowToResume(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lodge.jsonl")
	fixtureWithUsers(t, 120).mustSucceed(t, "export "+file)
	l := newFixture(t)
	sound := l.store
	for left, want := range []string{"interrupted; nothing was changed", "interrupted; 100 of 122 users are in and stay; run the same import again, and it goes on"} {
		ctx, interrupt := context.WithCancel(t.Context())
		l.store = &interruptingStore{sound, left, interrupt}
		exitCode, stdout, stderr := l.runContext(ctx, t, "import "+file)
		if exitCode != cli.ExitFailure || stdout != "" || stderr != "keylodge: "+want+"\n" {
			t.Errorf("exit %d, %q, %q", exitCode, stdout, stderr)
		}
	}
	l.store = sound
	if text := l.mustSucceed(t, "import "+file); !strings.HasPrefix(text, "22 users are now in,") || !strings.Contains(text, "\n100 users were there already") {
		t.Error(text)
	}
}

// readingStore is a store that calls a function before each read.
type readingStore struct {
	ports.Store
	onRead func()
}

func (s readingStore) View(ctx context.Context, fn func(tx ports.Tx) error) error {
	s.onRead()
	return s.Store.View(ctx, fn)
}

// The file is verified as a whole before it is imported. A process that changes it meanwhile must not add anything.
func TestImport_ReadsPrivateCopy(t *testing.T) {
	file := filepath.Join(t.TempDir(), "export.jsonl")
	fixtureWithUsers(t, 0).mustSucceed(t, "export "+file)
	f := newFixture(t)
	f.store = readingStore{f.store, func() {
		if err := os.Truncate(file, 0); err != nil {
			t.Error(err)
		}
	}}
	if text := f.mustSucceed(t, "import "+file); !strings.HasPrefix(text, "2 users are now in,") {
		t.Error(text)
	}
}

// failingStore is a store that fails after so many units of work.
type failingStore struct {
	ports.Store
	remaining int
}

func (s *failingStore) Update(ctx context.Context, fn func(tx ports.Tx) error) error {
	if s.remaining--; s.remaining < 0 {
		return fmt.Errorf("writing: %w", domain.ErrUnavailable)
	}
	return s.Store.Update(ctx, fn)
}

func TestImport_FailureReportsProgress(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lodge.jsonl")
	fixtureWithUsers(t, 120).mustSucceed(t, "export "+file)
	l := newFixture(t)
	l.store = &failingStore{l.store, 1}
	why := l.mustFail(t, "import "+file, cli.ExitFailure)
	if !strings.HasPrefix(why, "keylodge: writing: ") || !strings.Contains(why, "\n100 of 122 users are in and stay; once that is mended,") {
		t.Error(why)
	}
}

func TestImport_ConflictsAreExplained(t *testing.T) {
	directory := t.TempDir()
	file := filepath.Join(directory, "lodge.jsonl")
	fixtureWithUsers(t, 0).mustSucceed(t, "export "+file)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	short := filepath.Join(directory, "short")
	if err := os.WriteFile(short, text[:len(text)-9], 0o600); err != nil {
		t.Fatal(err)
	}
	if why := newFixture(t).mustFail(t, "import "+short, cli.ExitUsage); !strings.Contains(why, "truncated") {
		t.Error(why)
	}
	mallory := domain.UserState{ID: userID(3), Handle: "mallory's handle", CreatedAt: noon}
	l := newFixture(t)
	l.addUser(t, mallory)
	if why := l.mustFail(t, "import "+file, cli.ExitConflict); !strings.Contains(why, "--into-existing") {
		t.Error(why)
	}
	l.mustSucceed(t, "import --into-existing "+file)
	another := ada
	another.DisplayName = "Another"
	l = newFixture(t)
	l.addUser(t, another)
	if why := l.mustFail(t, "import "+file, cli.ExitConflict); !strings.Contains(why, ada.ID.String()) {
		t.Error(why)
	}
}

// Nobody waits for an end of input that does not come.
func TestImport_InterruptWhileReadingStdin(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, interrupt := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	defer writer.Close()
	l := newFixture(t)
	l.program.Stdin = notifyOnRead(reader, interrupt)
	if exitCode, _, stderr := l.runContext(ctx, t, "import -"); exitCode != cli.ExitFailure || !strings.Contains(stderr, "interrupted") {
		t.Errorf("exit %d, %s", exitCode, stderr)
	}
	wantFiles(t, os.Getenv("TMPDIR"))
}

func TestTransfer_ShowsProgressOnTerminal(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lodge.jsonl")
	l := fixtureWithUsers(t, 120)
	l.program.Terminal = true
	var stdout, stderr bytes.Buffer
	for _, arguments := range [][]string{{"export", file}, {"import", file}} {
		p := l.program
		p.Stdout, p.Stderr = &stdout, &stderr
		if exitCode := cli.Run(t.Context(), p, arguments); exitCode != cli.ExitOK {
			t.Fatalf("exit %d, %s", exitCode, stderr.String())
		}
	}
	seen := stderr.String()
	for _, want := range []string{
		"\rexporting [", "[==============================] 100%  122 of 122 users\x1b[K\n", "\rchecking  [", "\rimporting [",
	} {
		if !strings.Contains(seen, want) {
			t.Errorf("no %q in %q", want, seen)
		}
	}
	if strings.ContainsAny(stdout.String(), "\r\x1b") {
		t.Errorf("it is drawn on standard output: %q", stdout.String())
	}
	l.mustSucceed(t, "export --json --force "+file) // a program reads what stands there
}

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

// fixtureWithUsers has Ada, who has a session, Ben, and so many more users.
func fixtureWithUsers(t *testing.T, more int) *fixture {
	t.Helper()
	f := newFixture(t)
	f.addUser(t, ada)
	f.addUser(t, ben)
	f.addSession(t, sessionOf(ada, 1))
	for i := range more {
		f.addUser(t, domain.UserState{ID: userID(100 + i), Handle: domain.UserHandle(fmt.Sprint(i)), CreatedAt: noon})
	}
	return f
}

func wantFiles(t *testing.T, directory string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(directory)
	if err != nil || len(entries) != len(want) {
		t.Fatalf("files: %v, %v; want %v", entries, err, want)
	}
	for i, entry := range entries {
		if info, err := entry.Info(); err != nil || entry.Name() != want[i] || info.Mode().Perm() != 0o600 {
			t.Errorf("temporary files remain: %v, %v", info, err)
		}
	}
}

func TestTransfer_File(t *testing.T) {
	directory := t.TempDir()
	file := filepath.Join(directory, "export.jsonl")
	text := fixtureWithUsers(t, 0).mustSucceed(t, "export "+file)
	if text != "Exported to "+file+": 2 users, 0 passkeys, 1 session, 0 events, 0 signing keys, 0 lockouts, 0 invites, 0 e-mails. The import needs the same secret.\n" {
		t.Errorf("unexpected output: %q", text)
	}
	wantFiles(t, directory, "export.jsonl")

	f := newFixture(t)
	if text = f.mustSucceed(t, "import "+file); text != "Imported: 2 users, 0 passkeys, 1 session, 0 events, 0 signing keys, 0 lockouts, 0 invites, 0 e-mails.\n" {
		t.Errorf("unexpected output: %q", text)
	}
	if text = f.mustSucceed(t, "import "+file); !strings.Contains(text, "\nAlready in the database: 2 users, 0 passkeys, 1 session,") {
		t.Errorf("unexpected output: %q", text)
	}
	if account := f.showAccount(t, ada); account.User["email"] != "ada@example.org" || len(account.Sessions) != 1 {
		t.Errorf("%+v", account)
	}
}

func TestTransfer_JSONOutput(t *testing.T) {
	file := filepath.Join(t.TempDir(), "export.jsonl")
	counts := map[string]any{"users": 2.0, "passkeys": 0.0, "sessions": 1.0, "events": 0.0, "signing_keys": 0.0, "lockouts": 0.0, "invites": 0.0, "outbox_emails": 0.0}
	none := map[string]any{"users": 0.0, "passkeys": 0.0, "sessions": 0.0, "events": 0.0, "signing_keys": 0.0, "lockouts": 0.0, "invites": 0.0, "outbox_emails": 0.0}
	wantJSON(t, fixtureWithUsers(t, 0).mustSucceed(t, "export --json "+file), map[string]any{"exported": counts})
	f := newFixture(t)
	wantJSON(t, f.mustSucceed(t, "import --json "+file), map[string]any{"imported": counts, "already_there": none})
	wantJSON(t, f.mustSucceed(t, "import "+file+" --json"), map[string]any{"imported": none, "already_there": counts})
}

// Standard output has only the export.
func TestTransfer_Pipe(t *testing.T) {
	for _, line := range []string{"export -", "export --json -"} {
		exitCode, stdout, stderr := fixtureWithUsers(t, 0).run(t, line)
		if exitCode != cli.ExitOK || !strings.HasSuffix(stdout, "}\n") || !strings.Contains(stderr, "user") {
			t.Fatalf("exit %d, %q, %q", exitCode, stdout, stderr)
		}
		for part := range strings.Lines(stdout) {
			if !json.Valid([]byte(part)) {
				t.Errorf("%q is not part of the export", part)
			}
		}
		t.Setenv("TMPDIR", t.TempDir())
		f := newFixture(t)
		f.program.Stdin = strings.NewReader(stdout)
		f.mustSucceed(t, "import -")
		f.showAccount(t, ben)
		wantFiles(t, os.Getenv("TMPDIR"))
	}
}

func TestExport_DoesNotOverwriteExistingFile(t *testing.T) {
	directory := t.TempDir()
	file := filepath.Join(directory, "notes")
	if err := os.WriteFile(file, []byte("existing"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := fixtureWithUsers(t, 0)
	f.program.Open = func(context.Context) (application.UseCases, func() error, error) {
		t.Error("the database is opened")
		return application.UseCases{}, nil, errors.New("must not be opened")
	}
	if why := f.mustFail(t, "export "+file, cli.ExitConflict); !strings.Contains(why, "--force") {
		t.Error(why)
	}
	if text, err := os.ReadFile(file); string(text) != "existing" {
		t.Errorf("%s, %v", text, err)
	}
	fixtureWithUsers(t, 0).mustSucceed(t, "export --force "+file)
	newFixture(t).mustSucceed(t, "import "+file)
	wantFiles(t, directory, "notes")
}

// Even with --force, a device such as /dev/stdout is not replaced.
func TestExport_RejectsNonRegularFile(t *testing.T) {
	directory := t.TempDir()
	notes, link, pipe := filepath.Join(directory, "notes"), filepath.Join(directory, "link"), filepath.Join(directory, "pipe")
	if err := errors.Join(os.WriteFile(notes, []byte("existing"), 0o600), os.Symlink(notes, link), syscall.Mkfifo(pipe, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{link, pipe, directory} {
		for _, force := range []string{"", "--force "} {
			if why := fixtureWithUsers(t, 0).mustFail(t, "export "+force+name, cli.ExitUsage); !strings.Contains(why, "- for standard output") {
				t.Error(why)
			}
		}
	}
	if files, err := filepath.Glob(filepath.Join(directory, ".*")); err != nil || len(files) > 0 {
		t.Errorf("temporary files remain: %v, %v", files, err)
	}
	if target, err := os.Readlink(link); err != nil || target != notes {
		t.Errorf("%q, %v", target, err)
	}
}

func TestExport_DoesNotOverwriteFileCreatedMeanwhile(t *testing.T) {
	directory := t.TempDir()
	file := filepath.Join(directory, "notes")
	f := fixtureWithUsers(t, 0)
	open := f.program.Open
	f.program.Open = func(ctx context.Context) (application.UseCases, func() error, error) {
		return joinError(open(ctx))(os.WriteFile(file, []byte("existing"), 0o600))
	}
	f.mustFail(t, "export "+file, cli.ExitConflict)
	if text, err := os.ReadFile(file); string(text) != "existing" {
		t.Errorf("%s, %v", text, err)
	}
	wantFiles(t, directory, "notes")
}

func joinError[A, B any](a A, b B, err error) func(error) (A, B, error) {
	return func(other error) (A, B, error) { return a, b, errors.Join(err, other) }
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
		f := newFixture(t)
		f.store = c.store
		if exitCode, stdout, stderr := f.runContext(c.ctx(), t, "export "+filepath.Join(directory, "export")); exitCode != cli.ExitFailure || stdout != "" {
			t.Errorf("%s: exit %d, %q, %q", name, exitCode, stdout, stderr)
		}
		wantFiles(t, directory)
	}
}

// interruptingStore interrupts the command after so many transactions.
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
	file := filepath.Join(t.TempDir(), "export.jsonl")
	fixtureWithUsers(t, 120).mustSucceed(t, "export "+file)
	f := newFixture(t)
	store := f.store
	for remaining, want := range []string{"interrupted; nothing was changed", "interrupted after 100 of 122 users; run the same import again to continue"} {
		ctx, interrupt := context.WithCancel(t.Context())
		f.store = &interruptingStore{store, remaining, interrupt}
		exitCode, stdout, stderr := f.runContext(ctx, t, "import "+file)
		if exitCode != cli.ExitFailure || stdout != "" || stderr != "keylodge: "+want+"\n" {
			t.Errorf("exit %d, %q, %q", exitCode, stdout, stderr)
		}
	}
	f.store = store
	if text := f.mustSucceed(t, "import "+file); !strings.HasPrefix(text, "Imported: 22 users,") || !strings.Contains(text, "\nAlready in the database: 100 users,") {
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
	if text := f.mustSucceed(t, "import "+file); !strings.HasPrefix(text, "Imported: 2 users,") {
		t.Error(text)
	}
}

// failingStore fails after so many transactions.
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
	file := filepath.Join(t.TempDir(), "export.jsonl")
	fixtureWithUsers(t, 120).mustSucceed(t, "export "+file)
	f := newFixture(t)
	f.store = &failingStore{f.store, 1}
	why := f.mustFail(t, "import "+file, cli.ExitFailure)
	if !strings.HasPrefix(why, "keylodge: writing: ") || !strings.Contains(why, "\nimported 100 of 122 users; fix the cause,") {
		t.Error(why)
	}
}

func TestImport_ConflictsAreExplained(t *testing.T) {
	directory := t.TempDir()
	file := filepath.Join(directory, "export.jsonl")
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
	f := newFixture(t)
	f.addUser(t, mallory)
	if why := f.mustFail(t, "import "+file, cli.ExitConflict); !strings.Contains(why, "--merge") {
		t.Error(why)
	}
	f.mustSucceed(t, "import --merge "+file)
	changed := ada
	changed.DisplayName = "Another"
	f = newFixture(t)
	f.addUser(t, changed)
	if why := f.mustFail(t, "import "+file, cli.ExitConflict); !strings.Contains(why, ada.ID.String()) {
		t.Error(why)
	}
}

func TestImport_InterruptWhileReadingStdin(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, interrupt := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	defer writer.Close()
	f := newFixture(t)
	f.program.Stdin = notifyOnRead(reader, interrupt)
	if exitCode, _, stderr := f.runContext(ctx, t, "import -"); exitCode != cli.ExitFailure || !strings.Contains(stderr, "interrupted") {
		t.Errorf("exit %d, %s", exitCode, stderr)
	}
	wantFiles(t, os.Getenv("TMPDIR"))
}

func TestTransfer_ShowsProgressOnTerminal(t *testing.T) {
	file := filepath.Join(t.TempDir(), "export.jsonl")
	f := fixtureWithUsers(t, 120)
	f.program.Terminal = true
	var stdout, stderr bytes.Buffer
	for _, arguments := range [][]string{{"export", file}, {"import", file}} {
		p := f.program
		p.Stdout, p.Stderr = &stdout, &stderr
		if exitCode := cli.Run(t.Context(), p, arguments); exitCode != cli.ExitOK {
			t.Fatalf("exit %d, %s", exitCode, stderr.String())
		}
	}
	output := stderr.String()
	for _, want := range []string{
		"\rexporting [", "[==============================] 100%  122 of 122 users\x1b[K\n", "\rchecking  [", "\rimporting [",
	} {
		if !strings.Contains(output, want) {
			t.Errorf("no %q in %q", want, output)
		}
	}
	if strings.ContainsAny(stdout.String(), "\r\x1b") {
		t.Errorf("standard output contains the progress: %q", stdout.String())
	}
	f.mustSucceed(t, "export --json --force "+file) // must not print progress
}

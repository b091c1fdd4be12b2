package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/adapters/cli"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

func TestServe_IsTheDefaultCommand(t *testing.T) {
	f := newFixture(t)
	served := 0
	f.program.Serve = func(context.Context) error { served++; return nil }
	f.mustSucceed(t, "")
	f.mustSucceed(t, "serve")
	if served != 2 {
		t.Errorf("served %d times, want 2", served)
	}
}

func TestServe_LoggedErrorIsNotPrinted(t *testing.T) {
	f := newFixture(t)
	f.program.Serve = func(context.Context) error { return cli.ErrAlreadyLogged }
	if exitCode, stdout, stderr := f.run(t, "serve"); exitCode != cli.ExitFailure || stdout+stderr != "" {
		t.Errorf("exit %d, %q, %q", exitCode, stdout, stderr)
	}
}

func TestHelp_EveryCommand(t *testing.T) {
	for line, want := range map[string][]string{
		"help":                   {"KEYLODGE_", "keylodge [COMMAND]", "users ", "sessions ", "keys ", "backup ", "restore ", "migrate ", "doctor ", "export ", "import ", "serve ", "version ", "completion ", "\n  0  ", "\n  1  ", "\n  2  ", "\n  3  ", "\n  4  ", "\n  5  "},
		"--help":                 {"Exit codes"},
		"-h":                     {"Exit codes"},
		"help users":             {"keylodge users COMMAND", "list ", "show ", "disable ", "enable ", "delete ", "--json"},
		"users -h":               {"keylodge users COMMAND"},
		"help users list":        {"keylodge users list", "--limit N", "--json"},
		"users show --help":      {"keylodge users show USER"},
		"users delete --help":    {"--yes"},
		"sessions revoke --help": {"SESSION-ID", "--user USER"},
		"keys rotate --help":     {"keylodge keys rotate"},
		"backup --help":          {"keylodge backup FILE", "--force", "--json", "secret"},
		"restore --help":         {"keylodge restore FILE", "--yes", "--json"},
		"migrate --help":         {"status ", "up ", "down ", "--json"},
		"migrate down --help":    {"--yes", "earlier release"},
		"doctor --help":          {"exit code 5", "--json"},
		"completion --help":      {"bash", "zsh", "fish"},
	} {
		text := newFixture(t).mustSucceed(t, line)
		for _, part := range want {
			if !strings.Contains(text, part) {
				t.Errorf("%q does not contain %q: %s", line, part, text)
			}
		}
	}
}

func TestVersionCommand(t *testing.T) {
	for _, line := range []string{"version", "--version"} {
		if text := newFixture(t).mustSucceed(t, line); text != "keylodge v1.2.3\n" {
			t.Errorf("%q prints %q", line, text)
		}
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if script := newFixture(t).mustSucceed(t, "completion "+shell); !strings.Contains(script, "__complete") || !strings.Contains(script, "keylodge") {
			t.Errorf("%s: %s", shell, script)
		}
	}
	_, completions, _ := newFixture(t).run(t, "__complete users d")
	if !strings.HasPrefix(completions, "delete\t") || !strings.Contains(completions, "\ndisable\t") || strings.Contains(completions, "list") {
		t.Errorf("for users d: %q", completions)
	}
	if _, completions, _ = newFixture(t).run(t, "__complete users show a"); completions != ":4\n" { // no files
		t.Errorf("for users show a: %q", completions)
	}
}

func TestRun_UsageErrors(t *testing.T) {
	for line, want := range map[string]string{
		"dance":                            `unknown command "dance"; see: keylodge --help`,
		"usrs":                             `"usrs" (did you mean users?)`,
		"usrs --limit 3":                   `"usrs" (did you mean users?)`,
		"help usrs":                        `"usrs" (did you mean users?)`,
		"users lst":                        `"lst" (did you mean list?); see: keylodge users --help`,
		"users lst --limit 3":              `"lst" (did you mean list?)`,
		"help users lst":                   `"lst" (did you mean list?)`,
		"users":                            "missing command: one of create, delete, disable, enable, groups, list, recover, show",
		"completion":                       "missing command: one of bash",
		"completion ksh":                   `"ksh"`,
		"completion bash now":              "now",
		"--dance":                          "--dance",
		"serve now":                        `"now"`,
		"version now":                      `"now"`,
		"users list now":                   `"now"`,
		"users list --limit":               "--limit",
		"users list --limit many":          "--limit",
		"users list --limit 0":             "--limit",
		"users list --limit -1":            "--limit",
		"users show":                       "users show USER",
		"users show a b":                   "users show USER",
		"users show ada":                   "by id or by e-mail address",
		"users disable":                    "users disable USER",
		"users groups":                     "users groups USER",
		"users enable":                     "users enable USER",
		"users delete --yes":               "users delete USER",
		"sessions revoke":                  "--user",
		"sessions revoke a b":              "--user",
		"sessions revoke a --user b":       "--user",
		"sessions revoke ada@example.org":  "is not a session id",
		"sessions revoke --user ada":       "by id or by e-mail address",
		"keys rotate now":                  `"now"`,
		"export":                           "keylodge export {FILE | -}",
		"export a b":                       "keylodge export {FILE | -}",
		"export --merge a":                 "--merge",
		"import":                           "keylodge import {FILE | -}",
		"import --force a":                 "--force",
		"export /nowhere/at/all":           "/nowhere/at",
		"import /nowhere/at/all":           "no such file",
		"import /":                         "is not a file",
		"keys list --yes":                  "--yes",
		"backup":                           "backup FILE",
		"backup a b":                       "backup FILE",
		"restore":                          "restore FILE",
		"migrate":                          "missing command: one of down, status, up",
		"migrate sideways":                 `"sideways"`,
		"migrate up 3":                     `"3"`,
		"doctor now":                       `"now"`,
		"users show --secret hush ada@b.c": "--secret",
	} {
		f := newFixture(t)
		f.program.Open = func(context.Context) (application.UseCases, func() error, error) {
			t.Errorf("%q opens the database", line)
			return application.UseCases{}, nil, errors.New("must not be opened")
		}
		f.program.OpenForImport = f.program.Open
		if why := f.mustFail(t, line, cli.ExitUsage); !strings.HasPrefix(why, "keylodge: ") || !strings.Contains(why, want) {
			t.Errorf("%q: %s", line, why)
		}
	}
}

// failureJSON is an error as JSON.
type failureJSON struct {
	Error struct{ Code, Message string }
}

func TestRun_JSONErrors(t *testing.T) {
	for line, want := range map[string]struct {
		exitCode int
		code     string
	}{
		"users show --json ada@example.org":                          {cli.ExitNotFound, "not_found"},
		"users show ada --json":                                      {cli.ExitUsage, "invalid_request"},
		"users --json=true show ada":                                 {cli.ExitUsage, "invalid_request"},
		"usrs --json":                                                {cli.ExitUsage, "invalid_arguments"},
		"users list --limit x --json":                                {cli.ExitUsage, "invalid_arguments"},
		"sessions revoke --json " + sessionID(1).String():            {cli.ExitNotFound, "not_found"},
		"sessions revoke --json --user " + userID(1).String():        {cli.ExitNotFound, "not_found"},
		"users delete --json --yes 01930000-0000-7000-8000-00000000": {cli.ExitUsage, "invalid_request"},
	} {
		why := decodeJSON[failureJSON](t, newFixture(t).mustFail(t, line, want.exitCode))
		if why.Error.Code != want.code || why.Error.Message == "" {
			t.Errorf("%q: %+v", line, why)
		}
	}
	if why := newFixture(t).mustFail(t, "users show -- --json", cli.ExitUsage); strings.HasPrefix(why, "{") {
		t.Errorf("--json after -- counts as a flag: %s", why)
	}
}

func TestRun_ReportsOpenError(t *testing.T) {
	for name, c := range map[string]struct {
		err      error
		exitCode int
		code     string
	}{
		"settings": {&domain.Error{Kind: domain.KindInvalid, Code: "invalid_settings", Message: "one\n  two"}, cli.ExitUsage, "invalid_settings"},
		"outage":   {fmt.Errorf("reading: %w", domain.ErrUnavailable), cli.ExitFailure, "unavailable"},
		"other":    {errors.New("one\n  two"), cli.ExitFailure, "internal"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.program.Open = func(context.Context) (application.UseCases, func() error, error) {
				return application.UseCases{}, nil, c.err
			}
			if why := f.mustFail(t, "users list", c.exitCode); why != "keylodge: "+c.err.Error()+"\n" {
				t.Errorf("as text: %q", why)
			}
			if why := decodeJSON[failureJSON](t, f.mustFail(t, "keys list --json", c.exitCode)); why.Error.Code != c.code || why.Error.Message != c.err.Error() {
				t.Errorf("as JSON: %+v", why)
			}
		})
	}
}

// unavailableStore is a store that cannot be read.
type unavailableStore struct{ ports.Store }

func (unavailableStore) View(context.Context, func(ports.Tx) error) error {
	return fmt.Errorf("opening a transaction: %w", domain.ErrUnavailable)
}

func TestRun_StoreUnavailableExits1(t *testing.T) {
	f := newFixture(t)
	f.store = unavailableStore{}
	for _, line := range []string{"users list", "users show " + ada.ID.String(), "users enable ada@example.org", "keys list"} {
		if why := f.mustFail(t, line, cli.ExitFailure); !strings.Contains(why, "opening a transaction") {
			t.Errorf("%q: %s", line, why)
		}
	}
}

func TestRun_ReportsDatabaseCloseError(t *testing.T) {
	f := newFixture(t)
	open := f.program.Open
	f.program.Open = func(ctx context.Context) (application.UseCases, func() error, error) {
		usecases, release, err := open(ctx)
		return usecases, func() error { return errors.Join(release(), errors.New("disk error")) }, err
	}
	exitCode, _, stderr := f.run(t, "users list")
	if exitCode != cli.ExitFailure || !strings.Contains(stderr, "closing the database: disk error") {
		t.Errorf("exit %d, %s", exitCode, stderr)
	}
}

func TestRun_Interrupt(t *testing.T) {
	f := newFixture(t)
	f.addUser(t, ada)
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	for _, line := range []string{"users list", "users disable ada@example.org", "users delete --yes ada@example.org", "keys rotate"} {
		exitCode, _, stderr := f.runContext(ctx, t, line)
		if exitCode != cli.ExitFailure || stderr != "keylodge: interrupted; nothing was changed\n" {
			t.Errorf("%q: exit %d, %s", line, exitCode, stderr)
		}
	}
	if now := f.showAccount(t, ada); now.User["disabled_at"] != nil {
		t.Error("an interrupted command disabled the account")
	}
}

// fullWriter fails every write.
type fullWriter struct{}

func (fullWriter) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestRun_WriteErrorExits1(t *testing.T) {
	f := newFixture(t)
	f.addUser(t, ada)
	for _, line := range []string{"users list", "users list --json", "users show ada@example.org", "version", "help"} {
		var stderr bytes.Buffer
		p := f.program
		p.Stdout, p.Stderr = fullWriter{}, &stderr
		if exitCode := cli.Run(t.Context(), p, strings.Fields(line)); exitCode != cli.ExitFailure || !strings.Contains(stderr.String(), "no space left") {
			t.Errorf("%q: exit %d, %s", line, exitCode, stderr.String())
		}
	}
}

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// copyProject copies to a new folder what the pages are made from, and the pages.
func copyProject(t *testing.T) (root string) {
	t.Helper()
	root = t.TempDir()
	for _, folder := range append([]string{"docs/reference"}, programFolders...) {
		if err := os.CopyFS(filepath.Join(root, folder), os.DirFS(filepath.Join("../..", folder))); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"README.md", ".env.example"} {
		content, err := os.ReadFile(filepath.Join("../..", file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, file), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// replace replaces the first occurrence of a text in a file, and returns a function that restores the file.
func replace(t *testing.T, path, old, replacement string) (restore func()) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(content), old) {
		t.Fatalf("%s does not contain %q", path, old)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(content), old, replacement, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRun_checkReportsOutdatedPages(t *testing.T) {
	root := copyProject(t)
	if _, err := run(root, false); err != nil {
		t.Fatal(err)
	}
	if outdated, err := run(root, true); err != nil || outdated != nil {
		t.Fatalf("after run() without check, run() with check = %q, %v", outdated, err)
	}
	for name, test := range map[string]struct {
		file, old, replacement string
		want                   []string
	}{
		"edited page":            {"docs/reference/events.md", "# Events", "# EVENTS", []string{"docs/reference/events.md"}},
		"default of a setting":   {"bootstrap/config/environment.go", `unset:"http://localhost:8080"`, `unset:"http://localhost:80"`, []string{"docs/reference/settings.md", ".env.example", "README.md"}},
		"summary of the API":     {"adapters/httpapi/openapi.yaml", "summary: Get the configuration", "summary: Get it", []string{"docs/reference/api.md"}},
		"type of a member":       {"adapters/httpapi/openapi.yaml", "current: {type: boolean,", "current: {type: string,", []string{"docs/reference/api.md"}},
		"message of an error":    {"domain/errors.go", "there is no such user", "no such user", []string{"docs/reference/errors.md"}},
		"comment of an event":    {"domain/event.go", "// a session was opened with a passkey", "// opened", []string{"docs/reference/events.md"}},
		"log message":            {"bootstrap/limiter.go", `"rate limit store available again"`, `"available"`, []string{"docs/reference/log-messages.md"}},
		"level of a message":     {"bootstrap/limiter.go", `Info("rate limit store available again"`, `Warn("rate limit store available again"`, []string{"docs/reference/log-messages.md"}},
		"result of a check":      {"bootstrap/doctor/secrets.go", `"KEYLODGE_SECRET is used"`, `"used"`, []string{"docs/reference/doctor-checks.md"}},
		"nothing that pages use": {"domain/event.go", "package domain\n", "package domain\n\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			defer replace(t, filepath.Join(root, test.file), test.old, test.replacement)()
			if outdated, err := run(root, true); err != nil || !slices.Equal(outdated, test.want) {
				t.Errorf("run() = %q, %v, want %q", outdated, err, test.want)
			}
		})
	}
}

func TestRun_rejectsIncompleteSources(t *testing.T) {
	root := copyProject(t)
	for name, test := range map[string]struct{ file, old, replacement, want string }{
		"setting without a type":            {"bootstrap/config/environment.go", ` type:"URL"`, "", "a setting needs a group, a name, a type and a comment"},
		"unknown setting in the README":     {"README.md", "| `KEYLODGE_LISTEN`", "| `KEYLODGE_OTHER`", "names no setting: | `KEYLODGE_OTHER`"},
		"event without a comment":           {"domain/event.go", "// a session was opened with a passkey", "", "domain.EventSignedIn has no comment"},
		"error that the API does not have":  {"domain/errors.go", `"registration_closed"`, `"other"`, "openapi.yaml does not have the error 403 other"},
		"status that the API does not have": {"adapters/httpapi/problem.go", "domain.KindGone:            http.StatusGone", "domain.KindGone: http.StatusForbidden", "openapi.yaml does not have the error 403 challenge_expired"},
		"error that no source declares":     {"adapters/httpapi/problem.go", "http.StatusMethodNotAllowed: ", "// ", "openapi.yaml has the error 405 method_not_allowed, which no source declares"},
		"code without a description":        {"adapters/httpapi/openapi.yaml", "`registration_closed`: ", "", "the description of a response explains"},
		"unknown security requirement":      {"adapters/httpapi/openapi.yaml", "security: []", "security: [{other: []}]", "unknown security requirement [other]"},
		"message without a comment":         {"bootstrap/limiter.go", "// Meaning: The outage", "// The outage", "the message has no comment // Meaning: …"},
		"check without a comment":           {"bootstrap/doctor/mail.go", "// Check mail: ", "// ", "the check mail has no comment // Check mail: …"},
		"message that is not constant":      {"bootstrap/limiter.go", `"rate limit store available again"`, `text()`, "the message is not constant"},
	} {
		t.Run(name, func(t *testing.T) {
			defer replace(t, filepath.Join(root, test.file), test.old, test.replacement)()
			if _, err := run(root, true); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("run() = %v, want an error with %q", err, test.want)
			}
		})
	}
}

package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestRun_findsDeniedWords(t *testing.T) {
	const denied = "# comment\nwhoever\tname the subject\ngoes by\t\"uses\"\nshut\t\"disabled\""
	const advice = `: name the subject`
	for name, test := range map[string]struct {
		file, text, allowed string
		want                []string
	}{
		"word":                         {file: "a.go", text: "package a\n\n// Whoever asks.", want: []string{`a.go:3: "Whoever"` + advice}},
		"phrase":                       {file: "README.md", text: "It goes by name.", want: []string{`README.md:1: "goes by": "uses"`}},
		"part of a word":               {file: "a.go", text: "// whoevers, awhoever"},
		"camel case":                   {file: "a.go", text: "func TestWhoeverAsks()", want: []string{`a.go:1: "Whoever"` + advice}},
		"snake case":                   {file: "a.sql", text: "who_ever, whoever_asks", want: []string{`a.sql:1: "whoever"` + advice}},
		"script without extension":     {file: ".ci/run", text: "whoever", want: []string{`.ci/run:1: "whoever"` + advice}},
		"Makefile":                     {file: "Makefile", text: "whoever", want: []string{`Makefile:1: "whoever"` + advice}},
		"generated code":               {file: "a.sql.go", text: "whoever"},
		"test data":                    {file: "testdata/a.go", text: "whoever"},
		"exception":                    {file: "a.go", text: "shut down", allowed: "shut down\tterm of art"},
		"exception for another use":    {file: "a.go", text: "shut down, then shut", allowed: "shut down\tterm of art", want: []string{`a.go:1: "shut": "disabled"`}},
		"exception for this file":      {file: "b/a.go", text: "shut", allowed: "b: shut\tterm of art"},
		"exception for another file":   {file: "a.go", text: "shut", allowed: "b: shut\tterm of art", want: []string{`a.go:1: "shut": "disabled"`, `tools/vocabulary/allowed.txt: no text needs "shut"`}},
		"exception that no text needs": {file: "a.go", text: "open", allowed: "shut down\tterm of art", want: []string{`tools/vocabulary/allowed.txt: no text needs "shut down"`}},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			path := filepath.Join(root, test.file)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(test.text), 0o644); err != nil {
				t.Fatal(err)
			}
			got, err := run(root, denied, test.allowed)
			if err != nil || !slices.Equal(got, test.want) {
				t.Errorf("run() = %q, %v, want %q", got, err, test.want)
			}
		})
	}
}

func TestParse_requiresAReason(t *testing.T) {
	for _, line := range []string{"shut down", "shut down\t"} {
		if _, err := parse(line); err == nil {
			t.Errorf("parse(%q) returned no error", line)
		}
	}
}

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// missingPage is the path of a page that does not exist. It is not written out, because the check also reads this file.
const missingPage = "docs/" + "missing.md"

func TestCheck_reportsErrors(t *testing.T) {
	long := strings.Repeat("word ", 21)
	for name, test := range map[string]struct {
		page string // the content of page.md
		want []string
	}{
		"valid":                            {page: "# Title\n\n## Same\n\n## Same\n\n[itself](page.md#title), [second](#same-1), [code](code.go), [web](https://x.test/#y)\n"},
		"text before the title":            {page: "Text\n\n# Title\n", want: []string{"page.md:1: the file must begin with its heading of level 1"}},
		"no heading":                       {page: "Text\n", want: []string{"page.md:1: the file must begin with its heading of level 1"}},
		"empty file":                       {page: "", want: []string{"page.md:1: the file must begin with its heading of level 1"}},
		"empty first line":                 {page: "\n# Title\n", want: []string{"page.md:1: the file must begin with its heading of level 1"}},
		"begins with level 2":              {page: "## Title\n", want: []string{"page.md:1: the file must begin with its heading of level 1"}},
		"second title":                     {page: "# Title\n\n# Title\n", want: []string{"page.md:3: a second heading of level 1"}},
		"skipped level":                    {page: "# Title\n\n### Part\n", want: []string{"page.md:3: the heading skips a level"}},
		"heading in a code block":          {page: "# Title\n\n```sh\n# comment\n```\n"},
		"fence without language":           {page: "# Title\n\n```\ncode\n```\n", want: []string{"page.md:3: the code block has no language: write one after the fence (text, if there is none)"}},
		"fence without end":                {page: "# Title\n\n```sh\ncode\n", want: []string{"page.md:3: the code block does not end"}},
		"indented code block":              {page: "# Title\n\n    code\n", want: []string{"page.md:3: an indented code block: use a fence with a language"}},
		"indented text in a list":          {page: "# Title\n\n1. item\n\n    more\n"},
		"long line":                        {page: "# Title\n\n- item\n  " + long + "\n", want: []string{"page.md:4: 107 characters; at most 100 are allowed"}},
		"100 characters, 150 bytes":        {page: "# Title\n\n" + strings.Repeat("é ", 50) + "\n"},
		"long line in a comment":           {page: "# Title\n\n<!-- " + long + "-->\n", want: []string{"page.md:3: 113 characters; at most 100 are allowed"}},
		"long heading":                     {page: "# " + long + "\n"},
		"long line of code":                {page: "# Title\n\n```text\n" + long + "\n```\n"},
		"long row of a table":              {page: "# Title\n\n| a |\n| --- |\n| " + long + "|\n"},
		"long word":                        {page: "# Title\n\n" + strings.Repeat("x", 101) + "\n"},
		"link to no file":                  {page: "# Title\n\n[a](other.md)\n", want: []string{"page.md:3: the link other.md leads to no file"}},
		"image without file":               {page: "# Title\n\n![a](a.png)\n", want: []string{"page.md:3: the link a.png leads to no file"}},
		"link by reference":                {page: "# Title\n\nText [a].\n\n[a]: other.md\n", want: []string{"page.md:3: the link other.md leads to no file"}},
		"link to no heading":               {page: "# Title\n\n[a](#part)\n", want: []string{"page.md:3: the link #part leads to no heading of page.md"}},
		"link to a heading of code":        {page: "# Title\n\n[a](code.go#title)\n", want: []string{"page.md:3: the link code.go#title leads to no heading of code.go"}},
		"heading with markup":              {page: "# The `code_span` of [a](code.go), *now*!\n\n[a](#the-code_span-of-a-now)\n"},
		"link in a code span":              {page: "# Title\n\n`[a](other.md)`\n"},
		"path to no file":                  {page: "# Title\n\n`domain/other.go`\n", want: []string{"page.md:3: domain/other.go does not exist"}},
		"path in a code span of two lines": {page: "# Title\n\nText `a\nb` and `domain/other.go`\n", want: []string{"page.md:4: domain/other.go does not exist"}},
		"path with a placeholder":          {page: "# Title\n\n`domain/NAME.go`\n"},
		"tests":                            {page: "# Title\n\n`TestA`, `sub.FuzzB`, `a/sub.FuzzB/case of it`, `TestType_Behaviour`, `TestNAME…`, `Testing`\n"},
		"test that does not exist":         {page: "# Title\n\n`TestB/case`\n", want: []string{"page.md:3: there is no test TestB/case"}},
		"test of another package":          {page: "# Title\n\n`ub.FuzzB`\n", want: []string{"page.md:3: there is no test ub.FuzzB"}},
		"page that does not exist":         {page: "# Title\n\n" + missingPage + "\n", want: []string{"page.md:3: " + missingPage + " does not exist"}},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			write(t, root, "code.go", "package code\n\nfunc TestA(t *testing.T) {\n}\n")
			write(t, root, "a/sub/b.go", "package sub\n\nfunc FuzzB(f *testing.F) {\n}\n")
			write(t, root, "page.md", test.page)
			got, err := check(root)
			if err != nil || !slices.Equal(got, test.want) {
				t.Errorf("check() = %q, %v, want %q", got, err, test.want)
			}
		})
	}
}

func TestCheck_readsOtherFiles(t *testing.T) {
	root := t.TempDir()
	write(t, root, "code.go", "package code\n\n// See "+missingPage+"\n")
	write(t, root, ".github/PULL_REQUEST_TEMPLATE.md", "## What\n")
	write(t, root, "testdata/page.md", "no title, "+missingPage+"\n")
	write(t, root, "folder/page.md", "# Title\n\n[a](../code.go)\n\n[b](code.go)\n")
	want := []string{"code.go:3: " + missingPage + " does not exist", "folder/page.md:5: the link code.go leads to no file"}
	if got, err := check(root); err != nil || !slices.Equal(got, want) {
		t.Errorf("check() = %q, %v, want %q", got, err, want)
	}
}

func write(t *testing.T, root, name, content string) {
	t.Helper()
	path := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

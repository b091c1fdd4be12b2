package main

import (
	"errors"
	"fmt"
	"go/ast"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// setting is a field of bootstrap/config.environment.
type setting struct {
	group, name, form, defaultValue, unset, description string
}

func (p *project) settings() (all []setting, err error) {
	source, err := p.packageOf("bootstrap/config")
	if err != nil {
		return nil, err
	}
	for _, file := range source.files {
		ast.Inspect(file, func(n ast.Node) bool {
			declared, ok := n.(*ast.TypeSpec)
			if !ok || declared.Name.Name != "environment" {
				return err == nil
			}
			fields := declared.Type.(*ast.StructType).Fields
			group := ""
			for _, field := range fields.List {
				for _, comment := range file.Comments {
					if comment.Pos() > fields.Opening && comment.End() < field.Pos() && strings.HasPrefix(comment.Text(), "# ") {
						group = strings.TrimSpace(strings.TrimPrefix(comment.Text(), "# "))
					}
				}
				text, unquoteErr := strconv.Unquote(field.Tag.Value)
				tag := reflect.StructTag(text)
				s := setting{group, tag.Get("envconfig"), tag.Get("type"), tag.Get("default"), tag.Get("unset"), description("", field.Doc)}
				if unquoteErr != nil || s.group == "" || s.name == "" || s.form == "" || s.description == "" {
					err = errors.New(p.position(field) + ": a setting needs a group, a name, a type and a comment")
				}
				all = append(all, s)
			}
			return false
		})
	}
	if err == nil && len(all) == 0 {
		err = errors.New("bootstrap/config declares no settings")
	}
	return all, err
}

var whenUnset = regexp.MustCompile(` Unset: ([^.]*(?:\.[^ ][^.]*)*)\.(?: |$)`)

var pagePath = regexp.MustCompile(`docs/([a-z/-]+\.md)`)

// row returns the cells of a setting: its name, form, default and description. In a description, "Unset: …." is the default. docs
// is the path of the documents from the page.
func (s setting) row(docs string) []string {
	form := s.form
	if strings.Contains(form, "|") {
		form = quotedList(strings.Split(form, "|"))
	}
	value, text := "", s.description
	switch {
	case s.defaultValue != "":
		value = quoted(s.defaultValue)
	case s.unset != "":
		value = quoted(s.unset)
	default:
		if found := whenUnset.FindStringSubmatch(text); found != nil {
			value, text = found[1], strings.TrimSpace(strings.Replace(text, found[0], " ", 1))
		}
	}
	return []string{quoted(s.name), form, value, pagePath.ReplaceAllString(text, "[$0]("+docs+"$1)")}
}

var settingHeader = []string{"Name", "Type", "Default", "Description"}

func settingsPage(p *project) (string, error) {
	all, err := p.settings()
	if err != nil {
		return "", err
	}
	d := newDocument("Settings", `
Settings are environment variables. The server also reads a `+"`.env`"+` file in the working directory; environment variables override it.
[.env.example](../../.env.example) has the format of the file. Invalid or unknown `+"`KEYLODGE_*`"+` settings prevent startup; all errors are
listed, each with its fix.

- *duration* is a Go duration such as `+"`5m` or `720h`"+`.
- *list* is separated by commas.
- *file* is a path.
- No setting is required with SQLite; PostgreSQL requires `+"`KEYLODGE_SECRET`"+`.

`+"`make generate`"+` writes this page from bootstrap/config/environment.go.`)
	for i, s := range all {
		if i > 0 && all[i-1].group == s.group {
			continue
		}
		var rows [][]string
		for _, other := range all {
			if other.group == s.group {
				rows = append(rows, other.row("../"))
			}
		}
		d.heading(2, s.group)
		d.table(settingHeader, rows)
	}
	return d.String(), nil
}

const dotenvHeader = `# Every setting with its default. Copy this file to .env and remove the leading # of the settings that you change. Environment
# variables override the file. ` + "`make generate`" + ` writes this file from bootstrap/config/environment.go.
#
# Format:
# - One NAME=value a line, in UTF-8. A leading "export" is ignored. # starts a comment at the beginning of a line or after
#   white space.
# - Values are literal: $ and \ have no meaning, and nothing is expanded.
# - White space around a value is removed. Quotes around a value, '…' or "…", keep white space and " #". They end on the same
#   line, and their content is literal. A value that contains both kinds of quotes is written without quotes around it.
# - An ambiguous line is an error that names the line: an unclosed quote, a duplicate name.
# - If the file contains a secret or a password, its mode is 600: chmod 600 .env
`

func dotenvExample(p *project) (string, error) {
	all, err := p.settings()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(dotenvHeader)
	for i, s := range all {
		if i == 0 || all[i-1].group != s.group {
			fmt.Fprintf(&b, "\n## %s\n", s.group)
		}
		value := s.defaultValue
		if value == "" {
			value = s.unset
		}
		text := strings.ReplaceAll(s.description, "`", "")
		if values := strings.Split(s.form, "|"); len(values) > 1 {
			text += " Values: " + strings.Join(values, ", ") + "."
		}
		fmt.Fprintf(&b, "\n# %s\n# %s=%s\n", wrapLine(text, "# ", 120), s.name, value)
	}
	return b.String(), nil
}

// readmeTable returns README.md with the rows of its table of settings replaced. The README selects the settings.
func readmeTable(p *project) (string, error) {
	all, err := p.settings()
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(filepath.Join(p.root, "README.md"))
	if err != nil {
		return "", err
	}
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		if !strings.HasPrefix(line, "| `KEYLODGE_") {
			continue
		}
		found := false
		for _, s := range all {
			if strings.HasPrefix(line, "| "+quoted(s.name)+" |") {
				d := &document{}
				d.table(settingHeader, [][]string{s.row("docs/")})
				written := strings.Split(strings.TrimSpace(d.String()), "\n")
				lines[i], found = written[len(written)-1], true
			}
		}
		if !found {
			return "", fmt.Errorf("line %d names no setting: %s", i+1, line)
		}
	}
	return strings.Join(lines, "\n"), nil
}

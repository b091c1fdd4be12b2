package main

import (
	"errors"
	"go/ast"
	"regexp"
	"slices"
	"strings"
)

// checkComment begins the description of a check beside its source.
var checkComment = regexp.MustCompile(`^Check ([a-z_.]+): `)

// checkPage is what keylodge doctor may report about one check.
type checkPage struct {
	name        string
	description string
	rows        [][]string
}

// resultMethods are the methods of dbadmin.CheckResults, with the status that they report.
var resultMethods = map[string]string{"AddError": "error", "AddWarning": "warning", "AddOK": "ok"}

func doctorPage(p *project) (string, error) {
	var all []*checkPage
	get := func(name string) *checkPage {
		for _, c := range all {
			if c.name == name {
				return c
			}
		}
		all = append(all, &checkPage{name: name})
		return all[len(all)-1]
	}
	for _, path := range []string{"bootstrap/doctor", "adapters/sqlite", "adapters/postgres"} {
		source, err := p.packageOf(path)
		if err != nil {
			return "", err
		}
		database := strings.TrimPrefix(path, "adapters/")
		if database == path {
			database = ""
		}
		source.functions(func(in *ast.FuncDecl) {
			add := func(method string, call *ast.CallExpr) {
				for _, name := range source.texts(call.Args[0], in) {
					c := get(name)
					advice := ""
					if len(call.Args) > 2 {
						advice = strings.Join(source.texts(call.Args[2], in), "; or: ")
					}
					for _, message := range source.texts(call.Args[1], in) {
						c.rows = append(c.rows, []string{resultMethods[method], orElse(message, "(the error)"), orElse(advice, "(as the error says)"), database})
					}
				}
			}
			calls(in.Body, func(method string, call *ast.CallExpr) {
				if name, ok := call.Args[0].(*ast.Ident); ok && parameter(name.Name, in.Type) >= 0 {
					source.atEachCall(in, func() { add(method, call) })
					return
				}
				add(method, call)
			}, "AddError", "AddWarning", "AddOK")
		})
		for _, comment := range source.comments() {
			for line := range strings.SplitSeq(strings.ReplaceAll(comment.Text(), "\nCheck ", "\n\nCheck "), "\n\n") {
				if found := checkComment.FindStringSubmatch(line); found != nil {
					get(found[1]).description = sentence(oneLine(strings.TrimPrefix(line, found[0])))
				}
			}
		}
	}
	d := newDocument("Checks of the doctor", `
`+"`keylodge doctor`"+` prints one line a result: the status, the name of the check, and what it found. Names are stable. An `+"`error`"+` means that
something does not work, and gives exit code 5; a `+"`warning`"+` needs attention. `+"`--json`"+` prints `+"`{\"checks\": [{\"check\", \"state\", \"found\", \"advice\"}]}`"+`.
In the tables, `+unknown+` stands for a value of the installation.

`+"`make generate`"+` writes this page from the checks in the sources.`)
	d.code("sh", "keylodge doctor\nkeylodge doctor --full --json")
	slices.SortStableFunc(all, func(a, b *checkPage) int { return strings.Compare(a.name, b.name) })
	for _, c := range all {
		d.heading(2, quoted(c.name))
		if c.description == "" || len(c.rows) == 0 {
			return "", errors.New("the check " + c.name + " has no comment // Check " + c.name + ": …, or no source")
		}
		d.paragraph(pagePath.ReplaceAllString(c.description, "[$0](../$1)"))
		order := []string{"error", "warning", "ok"}
		slices.SortStableFunc(c.rows, func(a, b []string) int { return slices.Index(order, a[0]) - slices.Index(order, b[0]) })
		d.table([]string{"Status", "Found", "Advice", "Database"}, slices.CompactFunc(c.rows, func(a, b []string) bool { return slices.Equal(a, b) }))
	}
	return d.String(), nil
}

// orElse replaces a text that is known only when the program runs.
func orElse(text, replacement string) string {
	if text == unknown {
		return replacement
	}
	return text
}

package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// declaredError is a domain.Error.
type declaredError struct {
	kind     string // without Kind; "" if only HTTP or only a command has it
	code     string
	messages []string
	status   int    // of HTTP, if the error has no kind
	source   string // the folder of the package
}

// declaredErrors returns the errors that the sources declare.
func (p *project) declaredErrors() (all []declaredError) {
	for _, source := range p.packages {
		for _, file := range source.files {
			var in *ast.FuncDecl
			status := 0
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.FuncDecl:
					in = n
				case *ast.GenDecl:
					in = nil
				case *ast.KeyValueExpr:
					if key, ok := n.Key.(*ast.SelectorExpr); ok {
						status = statusOf(key)
						if status != 0 { // an entry of httpErrors, whose type is elided
							if made, ok := n.Value.(*ast.CompositeLit); ok {
								all = append(all, source.errorOf(made, in, status))
							}
						}
					}
				case *ast.CompositeLit:
					if isError(n.Type) && len(n.Elts) > 0 {
						all = append(all, source.errorOf(n, in, 0))
					}
				}
				return true
			})
		}
	}
	return all
}

func isError(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name == "Error"
	case *ast.SelectorExpr:
		from, ok := e.X.(*ast.Ident)
		return ok && from.Name == "domain" && e.Sel.Name == "Error"
	}
	return false
}

func (s *sourcePackage) errorOf(made *ast.CompositeLit, in *ast.FuncDecl, status int) declaredError {
	e := declaredError{status: status, source: s.path}
	for i, element := range made.Elts {
		name, value := [...]string{"Kind", "Code", "Message"}[i], element
		if pair, ok := element.(*ast.KeyValueExpr); ok {
			name, value = pair.Key.(*ast.Ident).Name, pair.Value
		}
		switch name {
		case "Kind":
			kind := ""
			switch value := value.(type) {
			case *ast.Ident:
				kind = value.Name
			case *ast.SelectorExpr:
				kind = value.Sel.Name
			}
			e.kind = strings.TrimPrefix(kind, "Kind")
		case "Code":
			e.code = s.texts(value, in)[0]
		case "Message":
			e.messages = s.texts(value, in)
		}
	}
	return e
}

// statusOf returns the status of a constant of net/http, or 0.
func statusOf(e ast.Expr) int {
	constant, ok := e.(*ast.SelectorExpr)
	if !ok || !strings.HasPrefix(constant.Sel.Name, "Status") {
		return 0
	}
	for status := 400; status < 600; status++ {
		if strings.ReplaceAll(strings.ReplaceAll(http.StatusText(status), " ", ""), "-", "") == strings.TrimPrefix(constant.Sel.Name, "Status") {
			return status
		}
	}
	return 0
}

// mapping returns the values of a map of a package by the names of its keys.
func (s *sourcePackage) mapping(name string) map[string]ast.Expr {
	found := map[string]ast.Expr{}
	for _, spec := range s.valueSpecs(token.VAR) {
		for i, declared := range spec.Names {
			if declared.Name != name {
				continue
			}
			for _, element := range spec.Values[i].(*ast.CompositeLit).Elts {
				pair := element.(*ast.KeyValueExpr)
				found[strings.TrimPrefix(pair.Key.(*ast.SelectorExpr).Sel.Name, "Kind")] = pair.Value
			}
		}
	}
	return found
}

// meaning is what a response of openapi.yaml says about a code.
type meaning struct {
	status     int
	code, text string
}

var codeItem = regexp.MustCompile("^`([a-z_]+)`((?:, `[a-z_]+`)*): ")

// meanings returns the codes of a response with their descriptions.
func meanings(status int, response *yaml.Node) (all []meaning, err error) {
	text := get(response, "description").Value
	var items []string
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		line = strings.TrimSpace(line)
		item, isItem := strings.CutPrefix(line, "- ")
		switch {
		case isItem || len(items) == 0:
			items = append(items, item)
		case line == "":
			items = append(items, "")
		default:
			items[len(items)-1] = strings.TrimSpace(items[len(items)-1] + " " + line)
		}
	}
	for _, item := range items {
		found := codeItem.FindStringSubmatch(item)
		if found == nil {
			continue
		}
		codes := append([]string{found[1]}, strings.Split(strings.ReplaceAll(strings.TrimPrefix(found[2], ", "), "`", ""), ", ")...)
		for _, code := range codes {
			if code != "" {
				all = append(all, meaning{status, code, sentence(strings.TrimPrefix(item, found[0]))})
			}
		}
	}
	var declared []string
	for _, part := range get(response, "content", "application/problem+json", "schema", "allOf").Content {
		if codes := get(part, "properties", "code", "enum"); codes != nil {
			for _, code := range codes.Content {
				declared = append(declared, code.Value)
			}
		}
	}
	var described []string
	for _, m := range all {
		described = append(described, m.code)
	}
	slices.Sort(described)
	slices.Sort(declared)
	if !slices.Equal(described, declared) {
		return nil, fmt.Errorf("the description of a response explains %v, and its schema has %v", described, declared)
	}
	return all, nil
}

// httpMeanings returns the codes of all responses, sorted by status and code.
func (p *project) httpMeanings() (all []meaning, err error) {
	responses := get(p.openAPI, "components", "responses")
	for i := 0; i+1 < len(responses.Content); i += 2 {
		response := responses.Content[i+1]
		status := 0
		schema := get(response, "content", "application/problem+json", "schema", "allOf")
		if schema == nil {
			continue
		}
		for _, part := range schema.Content {
			if constant := get(part, "properties", "status", "const"); constant != nil {
				status, _ = strconv.Atoi(constant.Value)
			}
		}
		found, err := meanings(status, response)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", responses.Content[i].Value, err)
		}
		for _, m := range found {
			if !slices.Contains(all, m) {
				all = append(all, m)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b meaning) int {
		if a.status != b.status {
			return a.status - b.status
		}
		return strings.Compare(a.code, b.code)
	})
	return all, nil
}

func errorsPage(p *project) (string, error) {
	httpapi, err := p.packageOf("adapters/httpapi")
	if err != nil {
		return "", err
	}
	cli, err := p.packageOf("adapters/cli")
	if err != nil {
		return "", err
	}
	described, err := p.httpMeanings()
	if err != nil {
		return "", err
	}
	type key struct {
		status int
		code   string
	}
	statuses, titles, keys := httpapi.mapping("statusByKind"), map[key][]string{}, []key{}
	var commands [][]string
	for _, e := range p.declaredErrors() {
		isHTTP := e.source == "domain" || e.source == "adapters/httpapi"
		if !isHTTP {
			commands = addCommand(commands, commandRow(cli, e))
			continue
		}
		k := key{e.status, e.code}
		switch {
		case e.kind != "":
			k.status = statusOf(statuses[e.kind])
		case k.status == 0 && e.code == "internal":
			k.status = http.StatusInternalServerError
		case k.status == 0:
			k.status = http.StatusBadRequest
		}
		if titles[k] == nil {
			keys = append(keys, k)
		}
		titles[k] = append(titles[k], e.messages...)
	}
	for _, k := range keys {
		if !slices.ContainsFunc(described, func(m meaning) bool { return m.status == k.status && m.code == k.code }) {
			return "", fmt.Errorf("openapi.yaml does not have the error %d %s", k.status, k.code)
		}
	}
	d := newDocument("Error codes", `
Errors of the HTTP API are [problem documents](api-conventions.md#conventions). `+"`code`"+` is stable; `+"`title`"+` is for people, and may change.

`+"`make generate`"+` writes this page from openapi.yaml and from the errors in the sources.`)
	d.heading(2, "Errors of the HTTP API")
	var rows [][]string
	for i, m := range described {
		k := key{m.status, m.code}
		if titles[k] == nil {
			return "", fmt.Errorf("openapi.yaml has the error %d %s, which no source declares", m.status, m.code)
		}
		if i > 0 && described[i-1].status == m.status && described[i-1].code == m.code {
			last := rows[len(rows)-1]
			last[2] += "<br>" + m.text
			continue
		}
		rows = append(rows, []string{strconv.Itoa(m.status), quoted(m.code), m.text, strings.Join(titles[k], "<br>")})
	}
	d.table([]string{"Status", "Code", "Meaning, and what to do", "Title"}, rows)
	d.heading(2, "Codes of invalid members")
	d.paragraph("An `invalid_request` lists the invalid members in `errors`, each with one of these codes.")
	fields := p.fieldErrors()
	d.table([]string{"Code", "Detail"}, fields)
	d.heading(2, "Errors of commands")
	d.paragraph("With `--json`, a command prints its error to standard error as `{\"error\": {\"code\", \"message\"}}`. A command can also fail with an error of the HTTP API, for example `not_found`.")
	slices.SortStableFunc(commands, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	d.table([]string{"Code", "Exit code", "Message"}, commands)
	if len(fields) == 0 || len(commands) == 0 {
		return "", errors.New("the sources declare no codes of members, or no errors of commands")
	}
	return d.String(), nil
}

// commandRow returns the code, the exit code and the message of an error of a command.
func commandRow(cli *sourcePackage, e declaredError) []string {
	exit := "1"
	if constant, ok := cli.mapping("exitCodes")[e.kind].(*ast.Ident); ok {
		for _, spec := range cli.valueSpecs(token.CONST) {
			for i, name := range spec.Names {
				if number, isNumber := spec.Values[i].(*ast.BasicLit); isNumber && name.Name == constant.Name {
					exit = number.Value
				}
			}
		}
	}
	if e.code == "checks_failed" {
		exit = "5"
	}
	return []string{quoted(e.code), exit, strings.Join(e.messages, "<br>")}
}

// addCommand adds a row, or its messages to the row of the same code and exit code. A message that is known only when the program
// runs is left out.
func addCommand(rows [][]string, row []string) [][]string {
	if row[2] == unknown {
		row[2] = ""
	}
	for i, other := range rows {
		if other[0] == row[0] && other[1] == row[1] {
			if row[2] != "" && !strings.Contains(other[2], row[2]) {
				rows[i][2] = strings.TrimPrefix(other[2]+"<br>"+row[2], "<br>")
			}
			return rows
		}
	}
	return append(rows, row)
}

// fieldErrors returns the codes of invalid members with their details, sorted by code.
func (p *project) fieldErrors() (rows [][]string) {
	add := func(code, detail string) {
		if code == unknown || detail == unknown {
			return
		}
		for i, row := range rows {
			if row[0] == quoted(code) {
				if !slices.Contains(strings.Split(row[1], "<br>"), detail) {
					rows[i][1] += "<br>" + detail
				}
				return
			}
		}
		rows = append(rows, []string{quoted(code), detail})
	}
	for _, source := range p.packages {
		for _, file := range source.files {
			var in *ast.FuncDecl
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.FuncDecl:
					in = n
				case *ast.CallExpr:
					calls(n, func(_ string, call *ast.CallExpr) {
						if call == n && len(call.Args) == 3 {
							for _, code := range source.texts(call.Args[1], in) {
								for _, detail := range source.texts(call.Args[2], in) {
									add(code, detail)
								}
							}
						}
					}, "Invalid")
				case *ast.CompositeLit:
					if declared, ok := n.Type.(*ast.Ident); ok && declared.Name == "InvalidField" && len(n.Elts) == 3 {
						for _, code := range source.texts(n.Elts[1], in) {
							for _, detail := range source.texts(n.Elts[2], in) {
								add(code, detail)
							}
						}
					}
				}
				return true
			})
		}
	}
	slices.SortFunc(rows, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	return rows
}

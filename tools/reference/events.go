package main

import (
	"errors"
	"go/ast"
	"go/token"

	"gopkg.in/yaml.v3"
)

// constant is a declared constant with its comment.
type constant struct{ name, value, comment string }

// constantsOf returns the constants of a type.
func (s *sourcePackage) constantsOf(typeName string) (all []constant) {
	for _, spec := range s.valueSpecs(token.CONST) {
		if declared, ok := spec.Type.(*ast.Ident); !ok || declared.Name != typeName {
			continue
		}
		text, _ := literal(spec.Values[0])
		comment := description("", spec.Comment)
		if comment == "" {
			comment = description(spec.Names[0].Name+" is", spec.Doc)
		}
		all = append(all, constant{spec.Names[0].Name, text, comment})
	}
	return all
}

func eventsPage(p *project) (string, error) {
	source, err := p.packageOf("domain")
	if err != nil {
		return "", err
	}
	repeatable := map[string]bool{}
	source.functions(func(in *ast.FuncDecl) {
		if in.Name.Name == "Repeatable" {
			ast.Inspect(in.Body, func(n ast.Node) bool {
				if clause, ok := n.(*ast.CaseClause); ok {
					for _, kind := range clause.List {
						repeatable[kind.(*ast.Ident).Name] = true
					}
				}
				return true
			})
		}
	})
	var kinds, reasons [][]string
	for _, kind := range source.constantsOf("EventKind") {
		if kind.comment == "" {
			return "", errors.New("domain." + kind.name + " has no comment")
		}
		counted := ""
		if repeatable[kind.name] {
			counted = "yes"
		}
		kinds = append(kinds, []string{quoted(kind.value), kind.comment, counted})
	}
	for _, reason := range source.constantsOf("Reason") {
		if reason.comment == "" {
			return "", errors.New("domain." + reason.name + " has no comment")
		}
		reasons = append(reasons, []string{quoted(reason.value), reason.comment})
	}
	d := newDocument("Events", `
The audit log of an account is the list of its events: [`+"`GET /v1/me/events`"+`](api.md#list-the-events) for its owner,
`+"`keylodge users show USER`"+` for the operator.

`+"`make generate`"+` writes this page from domain/event.go, domain/rejection.go and openapi.yaml.`)
	d.heading(2, "Kinds")
	d.paragraph(`
Counted events are those that a client without access to the account can cause. All with the same reason on the same day (UTC)
are one event with a ` + "`count`" + `; for ` + "`passkey_flagged`" + `, one event per passkey. The event keeps its ` + "`id`" + ` and its place in the list.`)
	d.table([]string{"Kind", "Meaning", "Counted"}, kinds)
	d.heading(2, "Members")
	event := get(p.openAPI, "components", "schemas", "Event")
	a := &api{document: p.openAPI, page: "api.md"}
	d.table(memberHeader, a.memberRows(event, true))
	if example := get(event, "example"); example != nil {
		d.code("json", jsonText(example))
	}
	d.heading(2, "Reasons of rejected ceremonies")
	d.paragraph(`
The ` + "`reason`" + ` of a rejected ceremony, or of an anomaly in the use of a passkey. The log has it under the request id, and the metrics count it;
the response does not contain it. A rejection by a rule has the [error code](errors.md) as its reason.`)
	d.table([]string{"Reason", "Meaning"}, reasons)
	return d.String(), nil
}

// get returns a member at a path of a YAML mapping, or nil.
func get(n *yaml.Node, path ...string) *yaml.Node {
	for _, name := range path {
		if n == nil {
			return nil
		}
		if n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		var found *yaml.Node
		for i := 0; i+1 < len(n.Content) && n.Kind == yaml.MappingNode; i += 2 {
			if n.Content[i].Value == name {
				found = n.Content[i+1]
			}
		}
		n = found
	}
	if n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

package main

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// api describes the operations of an OpenAPI document.
type api struct {
	document *yaml.Node
	page     string   // of the linked schemas; "" for the same page
	objects  []string // the names of the object schemas that the page links to
	formats  []string // the names of the other schemas
}

// members calls visit for each member of a mapping.
func members(n *yaml.Node, visit func(name string, value *yaml.Node)) {
	if n == nil {
		return
	}
	for i := 0; i+1 < len(n.Content) && n.Kind == yaml.MappingNode; i += 2 {
		value := n.Content[i+1]
		if value.Kind == yaml.AliasNode {
			value = value.Alias
		}
		visit(n.Content[i].Value, value)
	}
}

// items returns the items of a sequence.
func items(n *yaml.Node) (all []*yaml.Node) {
	if n == nil {
		return nil
	}
	for _, item := range n.Content {
		if item.Kind == yaml.AliasNode {
			item = item.Alias
		}
		all = append(all, item)
	}
	return all
}

func values(n *yaml.Node) (all []string) {
	for _, item := range items(n) {
		all = append(all, item.Value)
	}
	return all
}

func text(n *yaml.Node, path ...string) string {
	if found := get(n, path...); found != nil {
		return strings.TrimSpace(found.Value)
	}
	return ""
}

// resolve follows a reference, and returns the name of its target, or "".
func (a *api) resolve(n *yaml.Node) (target *yaml.Node, name string) {
	ref := text(n, "$ref")
	if ref == "" {
		return n, ""
	}
	path := strings.Split(strings.TrimPrefix(ref, "#/"), "/")
	return get(a.document, path...), path[len(path)-1]
}

// describe returns the description of a schema, or of what it refers to.
func (a *api) describe(n *yaml.Node) string {
	if own := text(n, "description"); own != "" {
		return own
	}
	target, name := a.resolve(n)
	if name != "" && !a.isObject(target) {
		return "" // the table of formats has it
	}
	return text(target, "description")
}

func (a *api) isObject(n *yaml.Node) bool {
	return get(n, "properties") != nil || get(n, "oneOf") != nil && text(n, "description") != "" || slices.Contains(typesOf(n), "object")
}

func typesOf(n *yaml.Node) []string {
	declared := get(n, "type")
	if declared == nil {
		return nil
	}
	if declared.Kind == yaml.ScalarNode {
		return []string{declared.Value}
	}
	return values(declared)
}

// listedValues is the number of values up to which a type lists them. The description explains more.
const listedValues = 8

// typeOf returns the type of a schema as text with links.
func (a *api) typeOf(n *yaml.Node) string {
	if target, name := a.resolve(n); name != "" {
		if a.isObject(target) {
			a.objects = appendNew(a.objects, name)
			return fmt.Sprintf("[%s](%s#%s)", name, a.page, strings.ToLower(name))
		}
		if get(target, "enum") != nil && len(items(get(target, "enum"))) <= listedValues {
			return a.typeOf(target)
		}
		a.formats = appendNew(a.formats, name)
		return fmt.Sprintf("[%s](%s#formats)", name, a.page)
	}
	for _, combined := range []string{"oneOf", "anyOf"} {
		if parts := get(n, combined); parts != nil {
			var types []string
			for _, part := range items(parts) {
				types = append(types, a.typeOf(part))
			}
			return strings.Join(types, " or ")
		}
	}
	if parts := items(get(n, "allOf")); len(parts) > 0 {
		return a.typeOf(parts[0])
	}
	if constant := get(n, "const"); constant != nil {
		return quoted(constant.Value)
	}
	if enum := get(n, "enum"); enum != nil && len(items(enum)) <= listedValues {
		var found []string
		for _, value := range items(enum) {
			if value.Tag == "!!str" {
				found = append(found, quoted(fmt.Sprintf("%q", value.Value)))
			} else {
				found = append(found, quoted(value.Value))
			}
		}
		return strings.Join(found, ", ")
	}
	types := slices.Clone(typesOf(n))
	if get(n, "enum") != nil && len(types) == 0 {
		return "string"
	}
	for i, name := range types {
		if name == "array" {
			types[i] = "array of " + a.typeOf(get(n, "items"))
		}
	}
	return strings.Join(types, " or ")
}

func appendNew(all []string, name string) []string {
	if slices.Contains(all, name) {
		return all
	}
	return append(all, name)
}

var memberHeader = []string{"Member", "Type", "Description"}

// memberRows returns a row for each member of an object; inline objects are listed with their members. A response says which of
// its members may be absent, a request which are required.
func (a *api) memberRows(n *yaml.Node, response bool) (rows [][]string) {
	a.walk(n, "", func(name string, schema *yaml.Node, required bool, only string) {
		description := a.describe(schema)
		if only != "" {
			description = strings.TrimSpace("Only with the transport `" + only + "`. " + description)
		}
		form := a.typeOf(schema)
		switch {
		case response && !required && only == "":
			form += ", may be absent"
		case !response && required:
			form += ", required"
		}
		rows = append(rows, []string{quoted(name), form, description})
	})
	return rows
}

// walk calls visit for each member of an object. only is the transport of the only alternative that has the member, or "".
func (a *api) walk(n *yaml.Node, prefix string, visit func(name string, schema *yaml.Node, required bool, only string)) {
	target, _ := a.resolve(n)
	for _, part := range items(get(target, "allOf")) {
		a.walk(part, prefix, visit)
	}
	if alternatives := items(get(target, "oneOf")); len(alternatives) > 0 {
		a.walkAlternatives(alternatives, prefix, visit)
		return
	}
	required := values(get(target, "required"))
	members(get(target, "properties"), func(name string, schema *yaml.Node) {
		visit(prefix+name, schema, slices.Contains(required, name), "")
		if get(schema, "properties") != nil && text(schema, "$ref") == "" {
			a.walk(schema, prefix+name+".", visit)
		}
		if item := get(schema, "items"); item != nil && get(item, "properties") != nil && text(item, "$ref") == "" {
			a.walk(item, prefix+name+"[].", visit)
		}
	})
}

func (a *api) walkAlternatives(alternatives []*yaml.Node, prefix string, visit func(name string, schema *yaml.Node, required bool, only string)) {
	count := map[string]int{}
	for _, alternative := range alternatives {
		a.walk(alternative, prefix, func(name string, _ *yaml.Node, _ bool, _ string) { count[name]++ })
	}
	seen := map[string]bool{}
	for _, alternative := range alternatives {
		_, alternativeName := a.resolve(alternative)
		a.walk(alternative, prefix, func(name string, schema *yaml.Node, required bool, _ string) {
			if seen[name] {
				return
			}
			seen[name] = true
			only := ""
			if count[name] < len(alternatives) {
				only = "bearer"
				if strings.HasPrefix(alternativeName, "Cookie") {
					only = "cookie"
				}
			}
			visit(name, schema, required, only)
		})
	}
}

// commonResponses are the errors that the page of the error codes explains once for all operations.
var commonResponses = []string{"InvalidRequest", "BodyTooLarge", "UnsupportedMediaType", "RateLimited", "InternalError", "Unavailable"}

// operation is an operation of the document.
type operation struct {
	method, path string
	node, item   *yaml.Node
}

func (a *api) operations() (all []operation) {
	members(get(a.document, "paths"), func(path string, item *yaml.Node) {
		members(item, func(method string, node *yaml.Node) {
			if method != "parameters" {
				all = append(all, operation{strings.ToUpper(method), path, node, item})
			}
		})
	})
	return all
}

func apiPage(p *project) (string, error) {
	a := &api{document: p.openAPI}
	d := newDocument("API by operation", `
Read [the conventions](api-conventions.md) first: origins, cookies, tokens, CSRF, ceremonies, lists, errors and rate limits.
`+"`/openapi.json`"+` has the same in OpenAPI 3.1.

The examples use these variables. They sign in as a program, with an access token; a page uses its session cookie instead.`)
	d.code("sh", `URL=http://localhost:8080
ACCESS_TOKEN=…   # access_token of a sign-in with "transport": "bearer"
API_KEY=…        # printed by keylodge api-keys create; for the paths below /v1/admin
CHALLENGE_ID=…   # challenge_id of the …/options response
CREDENTIAL='{…}' # credential.toJSON() of the browser or the authenticator`)
	d.paragraph("`make generate` writes this page from adapters/httpapi/openapi.yaml. The test `acceptance.TestReference_CurlExamples` runs the examples.")
	all := a.operations()
	for _, tag := range items(get(a.document, "tags")) {
		name := text(tag, "name")
		d.paragraph(fmt.Sprintf("**[%s](#%s)**: %s", name, anchor(name), text(tag, "description")))
		var rows [][]string
		for _, o := range all {
			if slices.Contains(values(get(o.node, "tags")), name) {
				rows = append(rows, []string{quoted(o.method + " " + o.path), fmt.Sprintf("[%s](#%s)", text(o.node, "summary"), anchor(text(o.node, "summary")))})
			}
		}
		d.table([]string{"Call", "Operation"}, rows)
	}
	for _, tag := range items(get(a.document, "tags")) {
		name := text(tag, "name")
		d.heading(2, name)
		for _, o := range all {
			if slices.Contains(values(get(o.node, "tags")), name) {
				if err := a.writeOperation(d, o); err != nil {
					return "", fmt.Errorf("%s %s: %w", o.method, o.path, err)
				}
			}
		}
	}
	d.heading(2, "Objects")
	for i := 0; i < len(a.objects); i++ { // it grows
		schema := get(a.document, "components", "schemas", a.objects[i])
		d.heading(3, a.objects[i])
		d.paragraph(text(schema, "description"))
		isRequest := strings.HasSuffix(a.objects[i], "Request") || strings.HasSuffix(a.objects[i], "ResponseJSON")
		d.table(memberHeader, a.memberRows(schema, !isRequest))
	}
	d.heading(2, "Formats")
	var rows [][]string
	for i := 0; i < len(a.formats); i++ {
		schema := get(a.document, "components", "schemas", a.formats[i])
		pattern := ""
		if pattern = text(schema, "pattern"); pattern != "" {
			pattern = quoted(pattern)
		}
		rows = append(rows, []string{a.formats[i], a.typeOf(schema), text(schema, "description"), pattern})
	}
	slices.SortFunc(rows, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	d.table([]string{"Name", "Type", "Description", "Pattern"}, rows)
	return d.String(), nil
}

// anchor returns the fragment of a heading, as GitHub makes it.
func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z':
			return r
		}
		return -1
	}, strings.ToLower(heading))
}

func (a *api) writeOperation(d *document, o operation) error {
	d.heading(3, text(o.node, "summary"))
	d.paragraph(quoted(o.method + " " + o.path))
	d.paragraph(text(o.node, "description"))
	authentication, err := authenticationOf(get(o.node, "security"))
	if err != nil {
		return err
	}
	d.paragraph("**Authentication**: " + authentication + ".")
	a.writeParameters(d, o)
	body := get(o.node, "requestBody", "content", "application/json")
	if body != nil {
		if text(o.node, "requestBody", "required") == "true" {
			d.paragraph("**Request body**:")
		} else {
			d.paragraph("**Request body**, optional:")
		}
		d.table(memberHeader, a.memberRows(get(body, "schema"), false))
	}
	curl, err := a.curl(o, body)
	if err != nil {
		return err
	}
	d.code("sh", curl)
	return a.writeResponses(d, o)
}

// authenticationOf returns the alternatives of a list of security requirements.
func authenticationOf(security *yaml.Node) (string, error) {
	var all []string
	for _, alternative := range items(security) {
		var schemes []string
		members(alternative, func(name string, _ *yaml.Node) { schemes = append(schemes, name) })
		switch strings.Join(schemes, "+") {
		case "":
			all = append(all, "none")
		case "sessionCookie":
			all = append(all, "session cookie")
		case "sessionCookie+csrfToken":
			all = append(all, "session cookie with `X-CSRF-Token`")
		case "bearer":
			all = append(all, "access token")
		case "apiKey":
			all = append(all, "API key")
		default:
			return "", fmt.Errorf("unknown security requirement %v", schemes)
		}
	}
	if len(all) == 0 {
		return "none", nil
	}
	return strings.Join(all, ", or "), nil
}

func (a *api) parameters(o operation) (all []*yaml.Node) {
	for _, parameter := range slices.Concat(items(get(o.item, "parameters")), items(get(o.node, "parameters"))) {
		target, _ := a.resolve(parameter)
		all = append(all, target)
	}
	return all
}

func (a *api) writeParameters(d *document, o operation) {
	var rows [][]string
	for _, parameter := range a.parameters(o) {
		schema := get(parameter, "schema")
		form := a.typeOf(schema)
		if first, last := text(schema, "minimum"), text(schema, "maximum"); first != "" && last != "" {
			form += fmt.Sprintf(", %s to %s", first, last)
		}
		if value := text(schema, "default"); value != "" {
			form += ", default " + quoted(value)
		}
		rows = append(rows, []string{quoted(text(parameter, "name")), text(parameter, "in"), form, text(parameter, "description")})
	}
	if len(rows) > 0 {
		d.paragraph("**Parameters**:")
		d.table([]string{"Name", "In", "Type", "Description"}, rows)
	}
}

func (a *api) writeResponses(d *document, o operation) error {
	var failures [][]string
	var common []string
	var err error
	members(get(o.node, "responses"), func(status string, response *yaml.Node) {
		number, _ := strconv.Atoi(status)
		target, name := a.resolve(response)
		if number < http.StatusBadRequest {
			a.writeSuccess(d, status, target)
			return
		}
		found, meaningsErr := meanings(number, target)
		if meaningsErr != nil {
			err = meaningsErr
		}
		for _, m := range found {
			if slices.Contains(commonResponses, name) {
				common = append(common, fmt.Sprintf("%d `%s`", m.status, m.code))
			} else {
				failures = append(failures, []string{status, quoted(m.code), m.text})
			}
		}
	})
	if len(failures) > 0 {
		d.paragraph("**Errors**:")
		d.table([]string{"Status", "Code", "Meaning, and what to do"}, failures)
	}
	if len(common) > 0 {
		introduction := "**Errors**"
		if len(failures) > 0 {
			introduction = "Also"
		}
		d.paragraph(introduction + ": " + strings.Join(common, ", ") + " ([error codes](errors.md)).")
	}
	return err
}

func (a *api) writeSuccess(d *document, status string, response *yaml.Node) {
	d.paragraph(fmt.Sprintf("**Response** %s: %s", status, text(response, "description")))
	content := get(response, "content", "application/json")
	if content == nil {
		return
	}
	schema := get(content, "schema")
	target, name := a.resolve(schema)
	if name != "" && get(target, "oneOf") == nil {
		d.paragraph("The body is the object " + a.typeOf(schema) + ".")
	} else {
		d.table(memberHeader, a.memberRows(schema, true))
	}
	example := get(content, "example")
	if example == nil {
		example = a.example(schema, 0)
	}
	if example != nil {
		d.code("json", jsonText(example))
	}
}

// example returns a value of a schema, made from its examples, or nil.
func (a *api) example(n *yaml.Node, depth int) *yaml.Node {
	target, _ := a.resolve(n)
	for _, schema := range []*yaml.Node{n, target} {
		if example := get(schema, "example"); example != nil {
			return example
		}
		if examples := items(get(schema, "examples")); len(examples) > 0 {
			return examples[0]
		}
		if constant := get(schema, "const"); constant != nil {
			return constant
		}
		if enum := items(get(schema, "enum")); len(enum) > 0 {
			return enum[0]
		}
	}
	if parts := slices.Concat(items(get(target, "oneOf")), items(get(target, "anyOf"))); len(parts) > 0 {
		for _, part := range parts {
			if strings.Contains(text(part, "$ref"), "/Bearer") { // that the request of the example asks for
				return a.example(part, depth)
			}
		}
		return a.example(parts[0], depth)
	}
	if parts := items(get(target, "allOf")); len(parts) > 0 {
		return a.allOfExample(parts, depth)
	}
	scalar := func(tag, value string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value} }
	types := typesOf(target)
	switch {
	case get(target, "properties") != nil:
		object := &yaml.Node{Kind: yaml.MappingNode}
		required := values(get(target, "required"))
		members(get(target, "properties"), func(name string, schema *yaml.Node) {
			if slices.Contains(required, name) {
				object.Content = append(object.Content, scalar("!!str", name), a.example(schema, depth+1))
			}
		})
		return object
	case slices.Contains(types, "null"):
		return scalar("!!null", "null")
	case slices.Contains(types, "array"):
		return &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{a.example(get(target, "items"), depth+1)}}
	case slices.Contains(types, "boolean"):
		return scalar("!!bool", "true")
	case slices.Contains(types, "integer"):
		return scalar("!!int", "1")
	case slices.Contains(types, "object"):
		return &yaml.Node{Kind: yaml.MappingNode}
	}
	return scalar("!!str", unknown)
}

// allOfExample merges the examples of the parts: a later part replaces the members of an earlier one.
func (a *api) allOfExample(parts []*yaml.Node, depth int) *yaml.Node {
	merged := &yaml.Node{Kind: yaml.MappingNode}
	for _, part := range parts {
		target, _ := a.resolve(part)
		example := a.example(part, depth)
		if get(target, "required") == nil && get(target, "properties") != nil { // only narrows the members of the others
			example = &yaml.Node{Kind: yaml.MappingNode}
			members(get(target, "properties"), func(name string, schema *yaml.Node) {
				example.Content = append(example.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name}, a.example(schema, depth+1))
			})
		}
		for i := 0; i+1 < len(example.Content); i += 2 {
			at := -1
			for j := 0; j < len(merged.Content); j += 2 {
				if merged.Content[j].Value == example.Content[i].Value {
					at = j
				}
			}
			if at >= 0 {
				merged.Content[at+1] = example.Content[i+1]
			} else {
				merged.Content = append(merged.Content, example.Content[i], example.Content[i+1])
			}
		}
	}
	return merged
}

// shellVariables are the members of requests for which an example uses a variable.
var shellVariables = map[string]string{
	"challenge_id": `"$CHALLENGE_ID"`, "credential": "$CREDENTIAL", "refresh_token": `"$REFRESH_TOKEN"`, "grant_token": `"$GRANT_TOKEN"`,
	"code": `"$CODE"`, "backup_code": `"$BACKUP_CODE"`,
}

// curl returns an example of a request.
func (a *api) curl(o operation, body *yaml.Node) (string, error) {
	path := o.path
	if strings.Contains(path, "/passkeys/{id}") {
		path = strings.Replace(path, "{id}", "$PASSKEY_ID", 1)
	}
	if strings.Contains(path, "/users/{id}") {
		path = strings.Replace(path, "{id}", "$USER_ID", 1)
	}
	if strings.Contains(path, "/invites/{id}") {
		path = strings.Replace(path, "{id}", "$INVITE_ID", 1)
	}
	path = strings.Replace(path, "{id}", "$SESSION_ID", 1)
	for _, parameter := range a.parameters(o) {
		if example := get(parameter, "example"); example != nil && text(parameter, "in") == "path" {
			path = strings.Replace(path, "{"+text(parameter, "name")+"}", example.Value, 1)
		}
	}
	if strings.Contains(path, "{") {
		return "", errors.New("the example has no variable for a parameter in the path")
	}
	separator := "?"
	for _, parameter := range a.parameters(o) {
		if example := get(parameter, "example"); example != nil && text(parameter, "in") == "query" {
			value := example.Value
			if example.Kind == yaml.SequenceNode {
				value = strings.Join(values(example), ",")
			}
			path += separator + text(parameter, "name") + "=" + value
			separator = "&"
		}
	}
	words := []string{"curl -sS"}
	if o.method != http.MethodGet && (o.method != http.MethodPost || body == nil) {
		words = append(words, "-X "+o.method)
	}
	words = append(words, `"$URL`+path+`"`)
	for i, alternative := range items(get(o.node, "security")) {
		if get(alternative, "bearer") != nil {
			words = append(words, `-H "Authorization: Bearer $ACCESS_TOKEN"`)
		} else if get(alternative, "apiKey") != nil {
			words = append(words, `-H "Authorization: Bearer $API_KEY"`)
		} else if i == 0 && len(items(get(o.node, "security"))) == 1 && get(alternative, "sessionCookie") != nil {
			words = append(words, `-b "$COOKIE"`)
			if get(alternative, "csrfToken") != nil {
				words = append(words, `-H "X-CSRF-Token: $CSRF_TOKEN"`)
			}
		}
	}
	if body == nil {
		return strings.Join(words, " "), nil
	}
	example := get(body, "example")
	if example == nil {
		example = get(body, "schema", "example")
	}
	if example == nil {
		example = a.requestExample(get(body, "schema"))
	}
	json, usesVariables := requestJSON(example)
	if !usesVariables {
		return strings.Join(words, " ") + ` \` + "\n  --json '" + json + "'", nil
	}
	return strings.Join(words, " ") + " --json @- <<EOF\n" + json + "\nEOF", nil
}

// requestExample returns an object with the required members, those with an example, and the transport of a program.
func (a *api) requestExample(n *yaml.Node) *yaml.Node {
	target, _ := a.resolve(n)
	if example := get(target, "example"); example != nil {
		return example
	}
	object := &yaml.Node{Kind: yaml.MappingNode}
	a.walk(n, "", func(name string, schema *yaml.Node, required bool, _ string) {
		value := a.example(schema, 0)
		target, _ := a.resolve(schema)
		switch {
		case strings.Contains(name, "."):
			return
		case name == "transport":
			value = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "bearer"}
		case !required && get(target, "examples") == nil || name == "passkey_name":
			return
		}
		object.Content = append(object.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name}, value)
	})
	return object
}

// requestJSON returns a request as JSON with the variables of its members.
func requestJSON(example *yaml.Node) (json string, usesVariables bool) {
	var parts []string
	members(example, func(name string, value *yaml.Node) {
		written, found := shellVariables[name]
		usesVariables = usesVariables || found
		if !found {
			written = inlineJSON(value)
		}
		parts = append(parts, fmt.Sprintf("%q: %s", name, written))
	})
	return "{" + strings.Join(parts, ", ") + "}", usesVariables
}

// jsonText returns a value as JSON, with those objects and arrays on several lines that are too long for one.
func jsonText(n *yaml.Node) string { return jsonLines(n, "", 0) }

func jsonLines(n *yaml.Node, indentation string, before int) string {
	inline := inlineJSON(n)
	if n.Kind == yaml.ScalarNode || len(inline)+len(indentation)+before < width {
		return inline
	}
	inner := indentation + "  "
	var parts []string
	if n.Kind == yaml.SequenceNode {
		for _, item := range items(n) {
			parts = append(parts, inner+jsonLines(item, inner, 0))
		}
		return "[\n" + strings.Join(parts, ",\n") + "\n" + indentation + "]"
	}
	members(n, func(name string, value *yaml.Node) {
		parts = append(parts, fmt.Sprintf("%s%q: %s", inner, name, jsonLines(value, inner, len(name)+4)))
	})
	return "{\n" + strings.Join(parts, ",\n") + "\n" + indentation + "}"
}

func inlineJSON(n *yaml.Node) string {
	var parts []string
	switch n.Kind {
	case yaml.MappingNode:
		members(n, func(name string, value *yaml.Node) {
			parts = append(parts, fmt.Sprintf("%q: %s", name, inlineJSON(value)))
		})
		return "{" + strings.Join(parts, ", ") + "}"
	case yaml.SequenceNode:
		for _, item := range items(n) {
			parts = append(parts, inlineJSON(item))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	if n.Tag == "!!str" {
		return strconv.Quote(n.Value)
	}
	return n.Value
}

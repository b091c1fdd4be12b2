package openapicheck

import (
	"fmt"
	"iter"
	"maps"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// document is an OpenAPI 3.1 document and the compiler of the schemas in it: JSON Schema 2020-12, formats included.
type document struct {
	root    any
	schemas *jsonschema.Compiler
}

const documentURL = "http://localhost/openapi.json"

func open(file string) (*document, error) {
	content, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("opening the contract: %w", err)
	}
	defer content.Close()
	root, err := jsonschema.UnmarshalJSON(content)
	if err != nil {
		return nil, fmt.Errorf("reading the contract %s: %w", file, err)
	}
	schemas := jsonschema.NewCompiler()
	schemas.DefaultDraft(jsonschema.Draft2020)
	schemas.AssertFormat()
	if err := schemas.AddResource(documentURL, root); err != nil {
		return nil, fmt.Errorf("reading the contract %s: %w", file, err)
	}
	return &document{root: root, schemas: schemas}, nil
}

// node is a place in the document. A missing place has no value.
type node struct {
	document *document
	pointer  string // RFC 6901
	value    any
}

func (d *document) top() node { return node{document: d, value: d.root} }

// at follows the members by their names, and each reference in between.
func (p node) at(names ...string) node {
	for _, name := range names {
		p = p.member(name)
		object, _ := p.value.(map[string]any)
		if reference, isReference := object["$ref"].(string); isReference {
			p = p.document.top().at(split(reference)...)
		}
	}
	return p
}

// member returns a member of an object by its name, or an item of a list by its index.
func (p node) member(name string) node {
	member := node{document: p.document, pointer: p.pointer + "/" + escape.Replace(name)}
	switch value := p.value.(type) {
	case map[string]any:
		member.value = value[name]
	case []any:
		if i, err := strconv.Atoi(name); err == nil && i < len(value) {
			member.value = value[i]
		}
	}
	return member
}

var escape, unescape = strings.NewReplacer("~", "~0", "/", "~1"), strings.NewReplacer("~1", "/", "~0", "~")

func split(reference string) []string {
	names := strings.Split(strings.TrimPrefix(reference, "#/"), "/")
	for i, name := range names {
		names[i] = unescape.Replace(name)
	}
	return names
}

// members iterates over the members of an object in the order of their names, or over the items of a list.
func (p node) members() iter.Seq2[string, node] {
	var names []string
	switch value := p.value.(type) {
	case map[string]any:
		names = slices.Sorted(maps.Keys(value))
	case []any:
		for i := range value {
			names = append(names, strconv.Itoa(i))
		}
	}
	return func(yield func(string, node) bool) {
		for _, name := range names {
			if !yield(name, p.at(name)) {
				return
			}
		}
	}
}

func (p node) text() string { text, _ := p.value.(string); return text }
func (p node) isTrue() bool { return p.value == true }

// schema compiles the schema at this place. It must not be called on the target of a reference: the place of the reference may
// have more keywords.
func (p node) schema() (*jsonschema.Schema, error) {
	fragment := url.URL{Fragment: p.pointer}
	schema, err := p.document.schemas.Compile(documentURL + fragment.String())
	if err != nil {
		return nil, fmt.Errorf("compiling a schema of the contract: %w", err)
	}
	return schema, nil
}

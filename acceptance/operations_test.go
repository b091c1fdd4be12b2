package acceptance

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// operation is an operation of the OpenAPI document. Tests that iterate over all operations include new ones:
// adapters/httpapi.TestOpenAPI_ListsEveryRoute checks that the document has every route.
type operation struct {
	id, method, path string
	public           bool            // whether it needs no session
	byAPIKey         bool            // whether it needs an API key of the operator
	mayRequireStepUp bool            // whether it may return step_up_required
	requestMembers   map[string]bool // the members of its body, and whether each is required; nil if it has no body
	responseSchemas  []string        // names of all schemas in its successful responses, at any depth
}

// namesResource reports whether a request names a resource of an account.
func (o operation) namesResource() bool {
	_, ceremony := o.requestMembers["challenge_id"]
	return ceremony || strings.Contains(o.path, "{")
}

type schema struct {
	Ref        string             `json:"$ref"`
	Type       any                `json:"type"`
	Format     string             `json:"format"`
	Properties map[string]*schema `json:"properties"`
	Required   []string           `json:"required"`
	Items      *schema            `json:"items"`
	OneOf      []*schema          `json:"oneOf"`
	AnyOf      []*schema          `json:"anyOf"`
	AllOf      []*schema          `json:"allOf"`
}

type openAPIDocument struct {
	Paths      map[string]map[string]json.RawMessage
	Components struct {
		Schemas map[string]*schema
	}
}

func readOpenAPI(t *testing.T) openAPIDocument {
	t.Helper()
	read, err := os.ReadFile(openAPIFile)
	if err != nil {
		t.Fatal(err)
	}
	var document openAPIDocument
	if err := json.Unmarshal(read, &document); err != nil {
		t.Fatal(err)
	}
	return document
}

// operations returns the operations for users and their clients.
func (d openAPIDocument) operations(t *testing.T) []operation {
	t.Helper()
	return slices.DeleteFunc(d.allOperations(t), func(o operation) bool { return o.byAPIKey })
}

// adminOperations returns the operations for programs of the operator.
func (d openAPIDocument) adminOperations(t *testing.T) []operation {
	t.Helper()
	return slices.DeleteFunc(d.allOperations(t), func(o operation) bool { return !o.byAPIKey })
}

func (d openAPIDocument) allOperations(t *testing.T) (all []operation) {
	t.Helper()
	for path, item := range d.Paths {
		for method, raw := range item {
			if method == "parameters" {
				continue
			}
			var described struct {
				OperationID string `json:"operationId"`
				Security    []map[string]any
				RequestBody struct {
					Content map[string]struct{ Schema *schema }
				}
				Responses map[string]struct {
					Ref     string `json:"$ref"`
					Content map[string]struct{ Schema *schema }
				}
			}
			if err := json.Unmarshal(raw, &described); err != nil {
				t.Fatal(err)
			}
			o := operation{id: described.OperationID, method: strings.ToUpper(method), path: path}
			o.public = len(described.Security) == 0 || slices.ContainsFunc(described.Security, func(s map[string]any) bool { return len(s) == 0 })
			o.byAPIKey = slices.ContainsFunc(described.Security, func(s map[string]any) bool { return s["apiKey"] != nil })
			o.mayRequireStepUp = strings.HasSuffix(described.Responses["403"].Ref, "/StepUpRequired")
			for _, content := range described.RequestBody.Content {
				o.requestMembers = map[string]bool{}
				d.walk(content.Schema, func(_ string, s *schema) bool {
					for name := range s.Properties {
						o.requestMembers[name] = slices.Contains(s.Required, name)
					}
					return len(s.Properties) == 0 // deeper members belong to another object
				})
			}
			for status, response := range described.Responses {
				for _, content := range response.Content {
					if strings.HasPrefix(status, "2") {
						d.walk(content.Schema, func(name string, _ *schema) bool {
							o.responseSchemas = append(o.responseSchemas, name)
							return true
						})
					}
				}
			}
			all = append(all, o)
		}
	}
	slices.SortFunc(all, func(a, b operation) int { return strings.Compare(a.id, b.id) })
	if len(all) < 30 {
		t.Fatalf("found %d operations in %s, want at least 30", len(all), openAPIFile)
	}
	return all
}

// walk calls visit for a schema, and for its parts if visit returns true. The name is "" for an inline schema.
func (d openAPIDocument) walk(s *schema, visit func(name string, s *schema) bool) {
	seen := map[string]bool{}
	var walk func(name string, s *schema)
	walk = func(name string, s *schema) {
		if s == nil || seen[name] && name != "" {
			return
		}
		seen[name] = true
		if s.Ref != "" {
			name = s.Ref[strings.LastIndex(s.Ref, "/")+1:]
			walk(name, d.Components.Schemas[name])
			return
		}
		if !visit(name, s) {
			return
		}
		for _, part := range slices.Concat(s.OneOf, s.AnyOf, s.AllOf, slices.Collect(maps.Values(s.Properties))) {
			walk("", part)
		}
		walk("", s.Items)
	}
	walk("", s)
}

// responseMembers returns the members of all successful responses, by name.
func (d openAPIDocument) responseMembers(t *testing.T) map[string]*schema {
	t.Helper()
	members := map[string]*schema{}
	for _, o := range d.allOperations(t) {
		for _, name := range o.responseSchemas {
			if d.Components.Schemas[name] != nil {
				maps.Copy(members, d.Components.Schemas[name].Properties)
			}
		}
	}
	return members
}

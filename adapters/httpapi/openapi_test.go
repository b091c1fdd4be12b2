package httpapi_test

import (
	"bytes"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"gopkg.in/yaml.v3"

	"github.com/keylodge/keylodge/adapters/httpapi"
	"github.com/keylodge/keylodge/adapters/metrics"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/signingkeys"
	"github.com/keylodge/keylodge/domain"
)

var update = flag.Bool("update", false, "write openapi.json")

// openapi.json is generated from openapi.yaml.
func TestOpenAPI(t *testing.T) {
	source, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := jsonOf(t, source)
	if *update {
		if err := os.WriteFile("openapi.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("openapi.json is out of date: run `make generate`")
	}
}

// jsonOf converts YAML to JSON, in the order of the source.
func jsonOf(t *testing.T, source []byte) []byte {
	t.Helper()
	var document yaml.Node
	if err := yaml.Unmarshal(source, &document); err != nil {
		t.Fatal(err)
	}
	var encoded bytes.Buffer
	if err := encodeYAML(jsontext.NewEncoder(&encoded, jsontext.WithIndent("  ")), document.Content[0]); err != nil {
		t.Fatal(err)
	}
	return encoded.Bytes()
}

func encodeYAML(to *jsontext.Encoder, node *yaml.Node) error {
	switch node.Kind {
	case yaml.AliasNode:
		return encodeYAML(to, node.Alias)
	case yaml.MappingNode:
		return encodeBetween(to, jsontext.BeginObject, merged(node.Content), jsontext.EndObject)
	case yaml.SequenceNode:
		return encodeBetween(to, jsontext.BeginArray, node.Content, jsontext.EndArray)
	}
	if node.Tag == "!!null" && node.Value == "" {
		return fmt.Errorf("line %d: a member has no value; quote texts with a comma in braces", node.Line)
	}
	var value any
	if err := node.Decode(&value); err != nil {
		return err
	}
	return json.MarshalEncode(to, value)
}

// merged returns the members of a mapping, in which those of an alias under the merge key "<<" come first, unless the mapping has a
// member with their name.
func merged(members []*yaml.Node) []*yaml.Node {
	if len(members) == 0 || members[0].Tag != "!!merge" {
		return members
	}
	own := map[string]bool{}
	for member := range slices.Chunk(members, 2) {
		own[member[0].Value] = true
	}
	var all []*yaml.Node
	for inherited := range slices.Chunk(members[1].Alias.Content, 2) {
		if !own[inherited[0].Value] {
			all = append(all, inherited...)
		}
	}
	return append(all, members[2:]...)
}

func encodeBetween(to *jsontext.Encoder, begin jsontext.Token, content []*yaml.Node, end jsontext.Token) error {
	if err := to.WriteToken(begin); err != nil {
		return err
	}
	for _, node := range content {
		if err := encodeYAML(to, node); err != nil {
			return err
		}
	}
	return to.WriteToken(end)
}

func openAPI(t *testing.T) *openapi3.T {
	t.Helper()
	document, err := openapi3.NewLoader().LoadFromFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func TestOpenAPI_IsValid(t *testing.T) {
	if err := openAPI(t).Validate(t.Context()); err != nil {
		t.Error(err)
	}
}

// An open schema of a response would accept a renamed or additional member.
// Requirement: ASVS-8.2.1
func TestOpenAPI_ResponsesForbidAdditionalProperties(t *testing.T) {
	optional := []string{"allowCredentials", "detail", "errors", "excludeCredentials", "transports"}
	for path, item := range openAPI(t).Paths.Map() {
		for method, operation := range item.Operations() {
			for status, response := range operation.Responses.Map() {
				for _, content := range response.Value.Content {
					err := content.Schema.WalkSubtree(func(at string, schema *openapi3.SchemaRef) error {
						if !schema.Value.Type.Includes("object") || path == "/openapi.json" {
							return nil
						}
						if open := schema.Value.AdditionalProperties.Has; open == nil || *open {
							t.Errorf("%s %s, %s %s: additional members are allowed", method, path, status, at)
						}
						for name := range schema.Value.Properties {
							if !slices.Contains(schema.Value.Required, name) && !slices.Contains(optional, name) {
								t.Errorf("%s %s, %s %s: %s is not required", method, path, status, at, name)
							}
						}
						return nil
					})
					if err != nil {
						t.Error(err)
					}
				}
			}
		}
	}
}

// Requirement: ASVS-8.2.1
func TestOpenAPI_ListsEveryRoute(t *testing.T) {
	served := map[string]bool{}
	app := httpapi.New(httpapi.Config{}, application.UseCases{}, metrics.New(), slog.New(slog.DiscardHandler))
	parameter := regexp.MustCompile(`:(\w+)`)
	for _, route := range app.GetRoutes(true) {
		if route.Method != http.MethodHead { // Fiber adds it to each GET
			served[route.Method+" "+parameter.ReplaceAllString(route.Path, "{$1}")] = true
		}
	}
	described := map[string]bool{}
	for path, item := range openAPI(t).Paths.Map() {
		for method := range item.Operations() {
			described[method+" "+path] = true
		}
	}
	for route := range served {
		if !described[route] {
			t.Errorf("%s is served but not in openapi.yaml", route)
		}
	}
	for route := range described {
		if !served[route] {
			t.Errorf("%s is in openapi.yaml but not served", route)
		}
	}
}

// The values that the responses declare are those of the domain: a client must not prepare for a value that the server cannot
// return.
func TestOpenAPI_ResponsesDeclareOnlyValuesOfTheServer(t *testing.T) {
	reasons := append(valuesOf(domain.Reasons...), "passkey_suspended", "user_disabled", "invalid_code", // codes of errors
		"passkey_removed", "account_disabled", "signed_in", "signed_up", "recovered", domain.ReasonSessionLimit) // causes of a revocation
	known := map[string][]string{ // by the name of the member
		"registration": valuesOf(domain.RegistrationOpen, domain.RegistrationInvite, domain.RegistrationClosed),
		"policy":       valuesOf(domain.RecoveryAny, domain.RecoveryBoth, domain.RecoveryOff),
		"mail":         {"on", "off"},
		"kind":         valuesOf(domain.EventKinds...),
		"kind/oneOf/1": valuesOf(domain.ServerEventKinds...), // of the events that only the operator sees
		"actor":        valuesOf(domain.ActorUser, domain.ActorOperator),
		"reason":       append(reasons, "<nil>"),
		"changed": append(valuesOf(domain.FactorTOTP, domain.FactorBackupCode, domain.FactorOperator),
			"display_name", "email", "pending_email", "locale", "groups"),
		"amr":                 {"hwk", "swk", "user", "mfa", "otp"},
		"assurance":           valuesOf(domain.AssurancePasskey, domain.AssuranceRecovery),
		"transport":           valuesOf(domain.TransportCookie, domain.TransportBearer),
		"status":              valuesOf(domain.CredentialActive, domain.CredentialSuspended),
		"status of an invite": valuesOf(domain.InviteActive, domain.InviteUsed, domain.InviteRevoked, domain.InviteExpired),
		"state":               valuesOf(signingkeys.KeyAnnounced, signingkeys.KeySigning, signingkeys.KeyRetired),
		"alg":                 {"-7", "-8", "-257"},
		"attestation":         {"none", "direct"},
		"way":                 valuesOf(domain.SignInWays...),
		"mediation":           {"conditional", "<nil>"},
		"uiMode":              {"immediate", "<nil>"},
		"hints":               {"hybrid", "security-key"},
	}
	seen := map[string]bool{}
	for path, item := range openAPI(t).Paths.Map() {
		for method, operation := range item.Operations() {
			for status, response := range operation.Responses.Map() {
				for mediaType, content := range response.Value.Content {
					if mediaType == "application/problem+json" {
						continue
					}
					err := content.Schema.WalkSubtree(func(at string, schema *openapi3.SchemaRef) error {
						if len(schema.Value.Enum) == 0 {
							return nil
						}
						member := memberOf(at)
						if strings.HasSuffix(at, "/kind/oneOf/1") {
							member = "kind/oneOf/1"
						}
						if member == "status" && strings.HasPrefix(path, "/v1/admin/invites") {
							member = "status of an invite"
						}
						seen[member] = true
						declared := []string{}
						for _, value := range schema.Value.Enum {
							declared = append(declared, fmt.Sprint(value))
						}
						slices.Sort(declared)
						if want := slices.Sorted(slices.Values(known[member])); !slices.Equal(declared, want) {
							t.Errorf("%s %s, %s %s: the values are %v, want %v", method, path, status, at, declared, want)
						}
						return nil
					})
					if err != nil {
						t.Error(err)
					}
				}
			}
		}
	}
	for member := range known {
		if !seen[member] {
			t.Errorf("no response declares the values of %s", member)
		}
	}
}

func valuesOf[T ~string](all ...T) (values []string) {
	for _, value := range all {
		values = append(values, string(value))
	}
	return values
}

// memberOf returns the name of the last member in the place of a schema.
func memberOf(at string) string {
	parts := strings.Split(at, "/")
	for i := len(parts) - 1; i > 0; i-- {
		if parts[i-1] == "properties" {
			return parts[i]
		}
	}
	return ""
}

// Package openapicheck validates HTTP exchanges against an OpenAPI 3.1 document: each response, and each request that the server
// accepted. Tests may send invalid requests that the server rejects.
package openapicheck

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Checker is an OpenAPI document to validate exchanges against.
type Checker struct {
	operations []operation
	unmatched  operation // for requests that match no operation
}

type operation struct {
	method     string
	path       *regexp.Regexp // with a group for each parameter
	parameters []parameter
	body       body
	security   []requirement // alternatives
	responses  map[int]response
}

type parameter struct {
	in, name   string
	mayBeEmpty bool
	list       bool // its items are separated by commas (style form, explode false)
	value
}

// value describes the value of a parameter or a header.
type value struct {
	required bool
	schema   *jsonschema.Schema
}

type body struct {
	required bool
	content  content
}

// content maps media types to schemas.
type content map[string]*jsonschema.Schema

// requirement lists the credentials that a request needs together.
type requirement []credential

// credential is a credential of a security scheme. Its location is cookie, header or bearer.
type credential struct{ scheme, location, name string }

func (c credential) String() string { return c.scheme }

func (c credential) isPresent(request *http.Request) bool {
	switch c.location {
	case "cookie":
		// The __Host- prefix needs https, so on http://localhost the cookie's name has none.
		_, missing := request.Cookie(c.name)
		_, plainMissing := request.Cookie(strings.TrimPrefix(c.name, "__Host-"))
		return missing == nil || plainMissing == nil
	case "bearer":
		scheme, _, _ := strings.Cut(request.Header.Get("Authorization"), " ")
		return strings.EqualFold(scheme, "Bearer")
	}
	return request.Header.Get(c.name) != ""
}

type response struct {
	headers map[string]value
	content content
}

// Responses that any request may get before it reaches an operation. The document describes them in its introduction and has
// them among its components.
var (
	commonResponses = map[int]string{
		http.StatusBadRequest:                  "AmbiguousRequest",
		http.StatusRequestTimeout:              "RequestTimeout",
		http.StatusRequestEntityTooLarge:       "BodyTooLarge",
		http.StatusRequestHeaderFieldsTooLarge: "HeadersTooLarge",
	}
	unmatchedResponses = map[int]string{
		http.StatusNotFound:         "NoSuchPath",
		http.StatusMethodNotAllowed: "MethodNotAllowed",
	}
)

// Load reads a document and compiles its schemas. It does not check the rest of the document.
func Load(file string) (*Checker, error) {
	document, err := open(file)
	if err != nil {
		return nil, err
	}
	r := reader{document: document}
	checker := &Checker{unmatched: operation{responses: r.components(unmatchedResponses, commonResponses)}}
	for path, item := range document.top().at("paths").members() {
		for method, at := range item.members() {
			if method != "parameters" {
				checker.operations = append(checker.operations, r.operation(method, path, item, at))
			}
		}
	}
	return checker, r.err
}

// reader reads the parts of a document and records the first error.
type reader struct {
	document *document
	err      error
}

func (r *reader) operation(method, path string, item, at node) operation {
	pattern := strings.NewReplacer(`\{`, `(?P<`, `\}`, `>[^/]+)`).Replace(regexp.QuoteMeta(path))
	responses := r.components(commonResponses)
	for status, node := range at.at("responses").members() {
		code, err := strconv.Atoi(status)
		r.setError(err)
		responses[code] = r.response(node)
	}
	return operation{
		method:     strings.ToUpper(method),
		path:       regexp.MustCompile("^" + pattern + "$"),
		parameters: append(r.parameters(item), r.parameters(at)...),
		body:       body{at.at("requestBody", "required").isTrue(), r.content(at.at("requestBody"))},
		security:   r.security(at),
		responses:  responses,
	}
}

func (r *reader) parameters(n node) []parameter {
	var all []parameter
	for _, at := range n.at("parameters").members() {
		list := at.at("explode").value == false
		value := r.value(at)
		if list {
			items, err := at.at("schema").member("items").schema()
			r.setError(err)
			value.schema = items
		}
		all = append(all, parameter{at.at("in").text(), at.at("name").text(), at.at("allowEmptyValue").isTrue(), list, value})
	}
	return all
}

func (r *reader) security(n node) []requirement {
	var all []requirement
	for _, schemes := range n.at("security").members() {
		required := requirement{}
		for name := range schemes.members() {
			scheme := r.document.top().at("components", "securitySchemes", name)
			location := cmp.Or(scheme.at("in").text(), scheme.at("scheme").text())
			required = append(required, credential{name, location, scheme.at("name").text()})
		}
		all = append(all, required)
	}
	return all
}

func (r *reader) components(named ...map[int]string) map[int]response {
	responses := map[int]response{}
	for _, names := range named {
		for status, name := range names {
			responses[status] = r.response(r.document.top().at("components", "responses", name))
		}
	}
	return responses
}

func (r *reader) response(at node) response {
	if at.value == nil {
		r.setError(fmt.Errorf("the contract has no %s", at.pointer))
	}
	headers := map[string]value{}
	for name, header := range at.at("headers").members() {
		headers[name] = r.value(header)
	}
	return response{headers, r.content(at)}
}

func (r *reader) content(n node) content {
	schemas := content{}
	for mediaType, at := range n.at("content").members() {
		schemas[mediaType] = r.schema(at)
	}
	return schemas
}

func (r *reader) value(at node) value { return value{at.at("required").isTrue(), r.schema(at)} }

func (r *reader) schema(n node) *jsonschema.Schema {
	schema, err := n.member("schema").schema()
	r.setError(err)
	return schema
}

func (r *reader) setError(err error) {
	if r.err == nil {
		r.err = err
	}
}

// operationFor returns the operation of a request and the decoded parameters in its path: a "/" within a parameter is encoded
// as "%2F". A HEAD request belongs to the GET operation.
func (c *Checker) operationFor(request *http.Request) (operation, map[string]string) {
	method := request.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for _, o := range c.operations {
		match := o.path.FindStringSubmatch(request.URL.EscapedPath())
		if match == nil || o.method != method {
			continue
		}
		inPath := map[string]string{}
		for i, name := range o.path.SubexpNames() {
			if inPath[name] = match[i]; name == "" {
				continue
			}
			if plain, err := url.PathUnescape(match[i]); err == nil {
				inPath[name] = plain
			}
		}
		return o, inPath
	}
	return c.unmatched, nil
}

// Package contract holds what goes over the wire to an OpenAPI 3.1 document: every answer of the server, and every
// request that the server was content with. A story may send rubbish on purpose, as long as it is refused.
package contract

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

// Contract is an OpenAPI document that is to be kept.
type Contract struct {
	operations []operation
	unmatched  operation // stands in for the one that a request was for, if there is none
}

type operation struct {
	method     string
	path       *regexp.Regexp // its groups are the parameters in it
	parameters []parameter
	body       body
	security   []requirement // one of them is enough
	responses  map[int]response
}

type parameter struct {
	in, name   string
	mayBeEmpty bool
	list       bool // its items are separated by commas (style form, explode false)
	value
}

// value is that of a parameter or a header.
type value struct {
	required bool
	schema   *jsonschema.Schema
}

type body struct {
	required bool
	content  content
}

// content are schemas by media type.
type content map[string]*jsonschema.Schema

// requirement is what a request has to carry, all of it.
type requirement []credential

// credential is one part of it, by the name of its security scheme. Its place is cookie, header or bearer.
type credential struct{ scheme, location, name string }

func (c credential) String() string { return c.scheme }

func (c credential) isPresent(request *http.Request) bool {
	switch c.location {
	case "cookie":
		// The __Host- prefix is for https. On http://localhost there can be none.
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

// Any request may be answered so before it has come to an operation. The document has these answers among its
// components, and says so in its introduction.
var (
	commonResponses = map[int]string{
		http.StatusBadRequest:                  "Unreadable",
		http.StatusRequestTimeout:              "RequestTimeout",
		http.StatusRequestEntityTooLarge:       "BodyTooLarge",
		http.StatusRequestHeaderFieldsTooLarge: "HeadersTooLarge",
	}
	unmatchedResponses = map[int]string{
		http.StatusNotFound:         "NothingHere",
		http.StatusMethodNotAllowed: "MethodNotAllowed",
	}
)

// Load reads a document. It takes it to be valid OpenAPI but for the schemas, which it compiles.
func Load(file string) (*Contract, error) {
	document, err := open(file)
	if err != nil {
		return nil, err
	}
	r := reader{document: document}
	contract := &Contract{unmatched: operation{responses: r.components(unmatchedResponses, commonResponses)}}
	for path, item := range document.top().at("paths").members() {
		for method, at := range item.members() {
			if method != "parameters" {
				contract.operations = append(contract.operations, r.operation(method, path, item, at))
			}
		}
	}
	return contract, r.err
}

// reader reads the parts of a document and keeps the first error.
type reader struct {
	document *document
	err      error
}

func (r *reader) operation(method, path string, item, at node) operation {
	pattern := strings.NewReplacer(`\{`, `(?P<`, `\}`, `>[^/]+)`).Replace(regexp.QuoteMeta(path))
	answers := r.components(commonResponses)
	for status, response := range at.at("responses").members() {
		code, err := strconv.Atoi(status)
		r.setError(err)
		answers[code] = r.response(response)
	}
	return operation{
		method:     strings.ToUpper(method),
		path:       regexp.MustCompile("^" + pattern + "$"),
		parameters: append(r.parameters(item), r.parameters(at)...),
		body:       body{at.at("requestBody", "required").isTrue(), r.content(at.at("requestBody"))},
		security:   r.security(at),
		responses:  answers,
	}
}

func (r *reader) parameters(of node) []parameter {
	var all []parameter
	for _, at := range of.at("parameters").members() {
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

func (r *reader) security(of node) []requirement {
	var all []requirement
	for _, schemes := range of.at("security").members() {
		each := requirement{}
		for name := range schemes.members() {
			scheme := r.document.top().at("components", "securitySchemes", name)
			place := cmp.Or(scheme.at("in").text(), scheme.at("scheme").text())
			each = append(each, credential{name, place, scheme.at("name").text()})
		}
		all = append(all, each)
	}
	return all
}

func (r *reader) components(named ...map[int]string) map[int]response {
	answers := map[int]response{}
	for _, names := range named {
		for status, name := range names {
			answers[status] = r.response(r.document.top().at("components", "responses", name))
		}
	}
	return answers
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

func (r *reader) content(of node) content {
	schemas := content{}
	for mediaType, at := range of.at("content").members() {
		schemas[mediaType] = r.schema(at)
	}
	return schemas
}

func (r *reader) value(at node) value { return value{at.at("required").isTrue(), r.schema(at)} }

func (r *reader) schema(of node) *jsonschema.Schema {
	schema, err := of.member("schema").schema()
	r.setError(err)
	return schema
}

func (r *reader) setError(err error) {
	if r.err == nil {
		r.err = err
	}
}

// operationFor returns the parameters in the request's path as well, each without its percent-encoding: a "/" within one is "%2F". A
// HEAD is a GET.
func (c *Contract) operationFor(request *http.Request) (operation, map[string]string) {
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

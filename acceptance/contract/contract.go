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
	nowhere    operation // stands in for the one that a request was for, if there is none
}

type operation struct {
	method     string
	path       *regexp.Regexp // its groups are the parameters in it
	parameters []parameter
	body       body
	security   []requirement // one of them is enough
	answers    map[int]answer
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
type credential struct{ scheme, place, name string }

func (c credential) String() string { return c.scheme }

func (c credential) isIn(request *http.Request) bool {
	switch c.place {
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

type answer struct {
	headers map[string]value
	content content
}

// Any request may be answered so before it has come to an operation. The document has these answers among its
// components, and says so in its introduction.
var (
	fromAnywhere = map[int]string{
		http.StatusBadRequest:                  "Unreadable",
		http.StatusRequestTimeout:              "RequestTimeout",
		http.StatusRequestEntityTooLarge:       "BodyTooLarge",
		http.StatusRequestHeaderFieldsTooLarge: "HeadersTooLarge",
	}
	fromNowhere = map[int]string{
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
	contract := &Contract{nowhere: operation{answers: r.components(fromNowhere, fromAnywhere)}}
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

func (r *reader) operation(method, path string, item, at place) operation {
	pattern := strings.NewReplacer(`\{`, `(?P<`, `\}`, `>[^/]+)`).Replace(regexp.QuoteMeta(path))
	answers := r.components(fromAnywhere)
	for status, response := range at.at("responses").members() {
		code, err := strconv.Atoi(status)
		r.keep(err)
		answers[code] = r.answer(response)
	}
	return operation{
		method:     strings.ToUpper(method),
		path:       regexp.MustCompile("^" + pattern + "$"),
		parameters: append(r.parameters(item), r.parameters(at)...),
		body:       body{at.at("requestBody", "required").isTrue(), r.content(at.at("requestBody"))},
		security:   r.security(at),
		answers:    answers,
	}
}

func (r *reader) parameters(of place) []parameter {
	var all []parameter
	for _, at := range of.at("parameters").members() {
		list := at.at("explode").value == false
		value := r.value(at)
		if list {
			items, err := at.at("schema").member("items").schema()
			r.keep(err)
			value.schema = items
		}
		all = append(all, parameter{at.at("in").text(), at.at("name").text(), at.at("allowEmptyValue").isTrue(), list, value})
	}
	return all
}

func (r *reader) security(of place) []requirement {
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

func (r *reader) components(named ...map[int]string) map[int]answer {
	answers := map[int]answer{}
	for _, names := range named {
		for status, name := range names {
			answers[status] = r.answer(r.document.top().at("components", "responses", name))
		}
	}
	return answers
}

func (r *reader) answer(at place) answer {
	if at.value == nil {
		r.keep(fmt.Errorf("the contract has no %s", at.pointer))
	}
	headers := map[string]value{}
	for name, header := range at.at("headers").members() {
		headers[name] = r.value(header)
	}
	return answer{headers, r.content(at)}
}

func (r *reader) content(of place) content {
	schemas := content{}
	for mediaType, at := range of.at("content").members() {
		schemas[mediaType] = r.schema(at)
	}
	return schemas
}

func (r *reader) value(at place) value { return value{at.at("required").isTrue(), r.schema(at)} }

func (r *reader) schema(of place) *jsonschema.Schema {
	schema, err := of.member("schema").schema()
	r.keep(err)
	return schema
}

func (r *reader) keep(err error) {
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
	return c.nowhere, nil
}

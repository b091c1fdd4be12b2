package openapicheck

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func (c *Checker) check(request *http.Request, sent []byte, response *http.Response, answered []byte) error {
	if isPage(request) || isPreflight(request) && response.StatusCode == http.StatusNoContent && len(answered) == 0 {
		return nil
	}
	operation, inPath := c.operationFor(request)
	declared, found := operation.responses[response.StatusCode]
	if !found {
		return errors.New("this status is not declared")
	}
	if request.Method == http.MethodHead {
		declared.content = nil
	}
	if err := declared.check(response.Header, answered); err != nil {
		return fmt.Errorf("the response violates the contract: %w", err)
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return nil
	}
	if err := operation.check(request, inPath, sent); err != nil {
		return fmt.Errorf("the accepted request violates the contract: %w", err)
	}
	return nil
}

// isPage reports whether a request is for Keylodge's own page, which is not part of the API.
func isPage(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && (r.URL.Path == "/" || strings.HasPrefix(r.URL.Path, "/assets/") || strings.HasPrefix(r.URL.Path, "/kit/"))
}

// isPreflight reports whether a request is a CORS preflight (Fetch standard, section 3.2.2).
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
}

func (a response) check(header http.Header, body []byte) error {
	var found []error
	for name, declared := range a.headers {
		if err := declared.check(header.Values(name)); err != nil {
			found = append(found, fmt.Errorf("header %s: %w", name, err))
		}
	}
	if len(a.content) > 0 {
		found = append(found, a.content.check(header.Get("Content-Type"), body))
	} else if len(body) > 0 {
		found = append(found, errors.New("there should be no body"))
	}
	return errors.Join(found...)
}

func (o operation) check(request *http.Request, inPath map[string]string, sent []byte) error {
	query := request.URL.Query()
	for _, p := range o.parameters {
		given := query[p.name]
		if p.in == "path" {
			given = []string{inPath[p.name]}
		}
		if p.mayBeEmpty && slices.Equal(given, []string{""}) {
			continue
		}
		if p.list && len(given) > 0 {
			given = strings.Split(strings.Join(given, ","), ",")
		}
		if err := p.check(given); err != nil {
			return fmt.Errorf("parameter %s: %w", p.name, err)
		}
	}
	if err := o.checkSecurity(request); err != nil {
		return err
	}
	if len(sent) == 0 {
		if o.body.required {
			return errors.New("a body is required")
		}
		return nil
	}
	return o.body.content.check(request.Header.Get("Content-Type"), sent)
}

// checkSecurity checks that the request has credentials. The server has verified them.
func (o operation) checkSecurity(request *http.Request) error {
	for _, credentials := range o.security {
		if !slices.ContainsFunc(credentials, func(c credential) bool { return !c.isPresent(request) }) {
			return nil
		}
	}
	if len(o.security) > 0 {
		return fmt.Errorf("the request has none of %v", o.security)
	}
	return nil
}

// check validates each value as text and, if that fails, as a JSON value such as a number.
func (v value) check(given []string) error {
	if len(given) == 0 {
		if v.required {
			return errors.New("it is missing")
		}
		return nil
	}
	for _, text := range given {
		err := v.schema.Validate(text)
		if number, notJSON := jsonschema.UnmarshalJSON(strings.NewReader(text)); err != nil && notJSON == nil {
			err = v.schema.Validate(number)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c content) check(contentType string, body []byte) error {
	mediaType, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return fmt.Errorf("Content-Type %q: %w", contentType, err)
	}
	schema, found := c[mediaType]
	if !found {
		return fmt.Errorf("Content-Type %q is not declared", contentType)
	}
	if !strings.HasSuffix(mediaType, "json") {
		return schema.Validate(string(body))
	}
	decoded, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("invalid JSON: %w", err)
	}
	return schema.Validate(decoded)
}

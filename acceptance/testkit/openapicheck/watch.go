package openapicheck

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// Watch wraps a transport and reports each violation of the contract.
func (c *Checker) Watch(next http.RoundTripper, report func(error)) http.RoundTripper {
	return checkedTransport{c, next, report}
}

type checkedTransport struct {
	checker *Checker
	next    http.RoundTripper
	report  func(error)
}

func (w checkedTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	sent, err := copyOfBody(request)
	if err != nil {
		return nil, err
	}
	response, err := w.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answered, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the response: %w", err)
	}
	response.Body = io.NopCloser(bytes.NewReader(answered))
	if err := w.checker.check(request, sent, response, answered); err != nil {
		w.report(fmt.Errorf("%s %s, %d: %w\n%s", request.Method, request.URL.Path, response.StatusCode, err, answered))
	}
	return response, nil
}

// copyOfBody returns a copy of the body and leaves the body readable.
func copyOfBody(request *http.Request) ([]byte, error) {
	if request.Body == nil || request.Body == http.NoBody {
		return nil, nil
	}
	if request.GetBody == nil {
		return nil, errors.New("the request has no GetBody, so its body cannot be read twice")
	}
	body, err := request.GetBody()
	if err != nil {
		return nil, fmt.Errorf("reading the request: %w", err)
	}
	return io.ReadAll(body)
}

package contract

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// Watch returns a transport that works as wire does and reports every breach of the contract.
func (c *Contract) Watch(wire http.RoundTripper, report func(error)) http.RoundTripper {
	return checkedTransport{c, wire, report}
}

type checkedTransport struct {
	contract *Contract
	next     http.RoundTripper
	report   func(error)
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
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	response.Body = io.NopCloser(bytes.NewReader(answered))
	if err := w.contract.check(request, sent, response, answered); err != nil {
		w.report(fmt.Errorf("%s %s, %d: %w\n%s", request.Method, request.URL.Path, response.StatusCode, err, answered))
	}
	return response, nil
}

// copyOfBody leaves the body itself to be sent.
func copyOfBody(request *http.Request) ([]byte, error) {
	if request.Body == nil || request.Body == http.NoBody {
		return nil, nil
	}
	if request.GetBody == nil {
		return nil, errors.New("the request's body can be read once only, and that is for sending it")
	}
	body, err := request.GetBody()
	if err != nil {
		return nil, fmt.Errorf("reading the request: %w", err)
	}
	return io.ReadAll(body)
}

package acceptance

import (
	"bytes"
	"net/http"
	"os"
	"sync"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/openapicheck"
)

const openAPIFile = "../adapters/httpapi/openapi.json"

var openAPI = sync.OnceValues(func() (*openapicheck.Checker, error) { return openapicheck.Load(openAPIFile) })

// checkContract returns a transport that fails the test for every exchange that does not match the OpenAPI document. Benchmarks
// measure the server without this check.
func checkContract(t testing.TB, transport http.RoundTripper) http.RoundTripper {
	t.Helper()
	if _, isBenchmark := t.(*testing.B); isBenchmark {
		return transport
	}
	document, err := openAPI()
	if err != nil {
		t.Fatal(err)
	}
	return document.Watch(transport, func(violation error) { t.Error(violation) })
}

func TestOpenAPI_IsServed(t *testing.T) {
	want, err := os.ReadFile(openAPIFile)
	if err != nil {
		t.Fatal(err)
	}
	got := startServer(t, newClock(), nil).send(t, http.MethodGet, "/openapi.json", "")
	if got.StatusCode != 200 || !bytes.Equal(got.Body, want) {
		t.Errorf("status %d with %d bytes, want the content of %s", got.StatusCode, len(got.Body), openAPIFile)
	}
}

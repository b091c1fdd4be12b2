package httpapi_test

import (
	"bytes"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/adapters/httpapi"
	"github.com/keylodge/keylodge/adapters/metrics"
	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/ratelimit"
)

// A dual-stack listener has IPv4 peers in IPv6 form. A proxy that is configured as IPv4 is trusted nevertheless.
// Requirement: ASVS-4.1.3
func TestClientIP_TrustsIPv4ProxyOnDualStackListener(t *testing.T) {
	listener, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	api := httpapi.New(httpapi.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
		application.UseCases{RateLimit: &ratelimit.Service{}}, metrics.New(), slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	stopped := make(chan error, 1)
	go func() { stopped <- api.Listener(listener) }()
	request, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)+"/livez", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Forwarded-For", "203.0.113.9")
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := api.Shutdown(); err != nil {
		t.Error(err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "ip=203.0.113.9") {
		t.Errorf("logged %s", log.String())
	}
}

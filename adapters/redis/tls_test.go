package redis

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/redisserver"
	"github.com/keylodge/keylodge/domain"
)

// behindTLS returns the address of a listener that decrypts connections to the server, and its certificate, which is for 127.0.0.1
// and example.com.
func behindTLS(t *testing.T, server *redisserver.Server) (address string, certificate *x509.Certificate) {
	t.Helper()
	upstream, err := parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	certificates := httptest.NewTLSServer(nil)
	defer certificates.Close()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", certificates.TLS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer client.Close()
				plain, err := new(net.Dialer).DialContext(t.Context(), "tcp", upstream.address)
				if err != nil {
					return
				}
				defer plain.Close()
				go func() { _, _ = io.Copy(plain, client) }()
				_, _ = io.Copy(client, plain)
			}()
		}
	}()
	return listener.Addr().String(), certificates.Certificate()
}

func TestBuckets_TLS(t *testing.T) {
	redis := redisserver.Start(t)
	address, certificate := behindTLS(t, redis)
	_, port, _ := net.SplitHostPort(address)
	one := domain.Bucket{Limit: domain.RateLimit{Quota: 3, Window: time.Hour}}
	trusted := x509.NewCertPool()
	trusted.AddCert(certificate)
	for name, c := range map[string]struct {
		host  string
		roots *x509.CertPool
		want  string // in the error of Check; "" if there is none
	}{
		"trusted":              {"127.0.0.1", trusted, ""},
		"an unknown authority": {"127.0.0.1", nil, "its certificate is not valid for the host in the URL"},
		"another host":         {"localhost", trusted, "its certificate is not valid for the host in the URL"},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := Open("rediss://:" + redis.Password() + "@" + net.JoinHostPort(c.host, port))
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			b.server.tls.RootCAs = c.roots
			err = b.Check(t.Context())
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v", err)
				}
				return
			}
			if states, takeErr := b.Take(t.Context(), one); err != nil || takeErr != nil || !states[0].Allowed {
				t.Errorf("got %+v, %v, %v", states, err, takeErr)
			}
		})
	}
}

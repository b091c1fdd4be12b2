package acceptance

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/acceptance/testkit/client"
	"github.com/keylodge/keylodge/acceptance/testkit/process"
	"github.com/keylodge/keylodge/acceptance/testkit/require"
	"github.com/keylodge/keylodge/bootstrap/config"
)

// Each proxy runs with the blocks of the documents. The test replaces only addresses, and adds what the distribution's own
// configuration contains.
func TestReverseProxy_DocumentedConfiguration(t *testing.T) {
	t.Parallel()
	const page, related = "operations/reverse-proxy.md", "guides/related-origins-and-apps.md"
	for name, run := range map[string]func(p *documentedProxy){
		"Caddy": func(p *documentedProxy) {
			caddy := require.Program(p.t, require.Caddy)
			p.startCaddy(caddy, p.block(page, "caddyfile")+p.block(related, "caddyfile"))
		},
		"nginx": func(p *documentedProxy) {
			nginx := require.Program(p.t, require.Nginx)
			p.makeCertificate("id.example.org")
			p.startNginx(nginx, p.block(page, "nginx", "listen 443", "listen "+p.address))
		},
		"HAProxy": func(p *documentedProxy) {
			haproxy := require.Program(p.t, require.HAProxy)
			p.makeCertificate("id.example.org")
			p.write("haproxy.cfg", p.block(page, "haproxy", "bind :443", "bind "+p.address))
			p.start(haproxy, "-db", "-f", "haproxy.cfg")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t, newClock(), combine(trustProxies("127.0.0.1/32", "::1/128"), func(c *config.Config) {
				c.PublicURL, c.RPID = "https://id.example.org", "example.org"
				c.Origins = []string{c.PublicURL, "https://shop.example.com"}
			}))
			p := newDocumentedProxy(t, s)
			run(p)
			p.requireSignUpAndSignIn()
			if name == "Caddy" {
				p.requireDocument("https://example.org/.well-known/webauthn")
			}
		})
	}
}

// The address of the client is that of its connection to the proxy, whatever X-Forwarded-For it sends.
func (p *documentedProxy) requireSignUpAndSignIn() {
	p.t.Helper()
	front := *p.server
	front.origin, front.transport = p.server.config.PublicURL, checkContract(p.t, p.transport(p.server.config.PublicURL+"/readyz"))
	api := front.withClientIP("203.0.113.9").newAPI(p.t)
	passkeys := authenticator.New(front.origin)
	begun, err := api.BeginSignUp(client.SignUpOptionsRequest{DisplayName: new("Ada")})
	if err != nil {
		p.t.Fatal(err, p.log)
	}
	created, err := passkeys.Create(begun.Options)
	if err != nil {
		p.t.Fatal(err)
	}
	opened, err := api.FinishSignUp(client.SignUpVerifyRequest{ChallengeID: begun.ChallengeID, Credential: created})
	if err != nil {
		p.t.Fatal(err)
	}
	if err := api.SignOut(); err != nil {
		p.t.Fatal(err)
	}
	var cookie *http.Cookie
	api.OnResponse = func(response *client.Response) { cookie = response.SessionCookie() }
	if begun, err = api.BeginSignIn(client.SignInOptionsRequest{}); err != nil {
		p.t.Fatal(err)
	}
	got, err := passkeys.Get(begun.Options)
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := api.FinishSignIn(client.SignInVerifyRequest{ChallengeID: begun.ChallengeID, Credential: got}); err != nil {
		p.t.Fatal(err)
	}
	if cookie == nil || !cookie.Secure || !cookie.HttpOnly || !strings.HasPrefix(cookie.Name, "__Host-") {
		p.t.Errorf("the session cookie is %v", cookie)
	}
	user, session, err := api.Session()
	if err != nil || user.ID != opened.User.ID || session.Device.IP != clientIP {
		p.t.Errorf("user %s at %s, %v; want %s at %s", user.ID, session.Device.IP, err, opened.User.ID, clientIP)
	}
}

func (p *documentedProxy) requireDocument(url string) {
	p.t.Helper()
	response, err := (&http.Client{Transport: p.transport(url)}).Get(url)
	if err != nil {
		p.t.Fatal(err)
	}
	read, err := client.ReadResponse(response)
	if err != nil || response.StatusCode != http.StatusOK || !strings.Contains(string(read.Body), "https://shop.example.com") {
		p.t.Errorf("status %d, body %s, %v", response.StatusCode, read.Body, err)
	}
}

// clientIP is the address that clients connect from: the proxy's own address is trusted.
const clientIP = "127.0.0.2"

// documentedProxy is a reverse proxy in front of a server.
type documentedProxy struct {
	t         *testing.T
	server    *server
	folder    string
	address   string // of its listener
	authority string // file with the root of its certificate
	log       *process.Log
	process   *process.Process
}

func newDocumentedProxy(t *testing.T, s *server) *documentedProxy {
	t.Helper()
	return &documentedProxy{t: t, server: s, folder: t.TempDir(), log: &process.Log{}, address: freeAddress(t)}
}

// startCaddy starts Caddy with the sites, and an authority of its own.
func (p *documentedProxy) startCaddy(caddy, sites string) {
	p.t.Helper()
	_, port, _ := net.SplitHostPort(p.address)
	p.write("Caddyfile", `{
	admin off
	auto_https disable_redirects
	default_bind 127.0.0.1
	https_port `+port+`
	local_certs
	skip_install_trust
	storage file_system `+p.folder+`
}
`+sites)
	p.start(caddy, "run", "--config", "Caddyfile")
	p.authority = "pki/authorities/local/root.crt"
}

// startNginx starts nginx with the servers, whose certificates exist.
func (p *documentedProxy) startNginx(nginx, servers string) {
	p.t.Helper()
	p.write("nginx.conf", `daemon off;
pid nginx.pid;
error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path body;
	proxy_temp_path proxy;
	fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi;
	scgi_temp_path scgi;
`+servers+"}\n")
	p.start(nginx, "-p", p.folder, "-c", "nginx.conf", "-e", "stderr")
}

func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := process.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// block returns a block of a page with the test's addresses and files.
func (p *documentedProxy) block(page, language string, replace ...string) string {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", page))
	if err != nil {
		p.t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), "\n```"+language+"\n")
	block, _, ended := strings.Cut(after, "\n```\n")
	if !found || !ended {
		p.t.Fatalf("docs/%s has no block %s", page, language)
	}
	backend := p.server.recording.Addr().String()
	return strings.NewReplacer(append([]string{"127.0.0.1:8080", backend, "/etc/ssl", p.folder}, replace...)...).Replace(block) + "\n"
}

func (p *documentedProxy) write(name, content string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.folder, name), []byte(content), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// makeCertificate creates the files of the certificate of a host, which is its own authority. HAProxy expects the key in the same
// file.
func (p *documentedProxy) makeCertificate(host string) {
	p.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{host}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		p.t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		p.t.Fatal(err)
	}
	keyPEM := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}))
	p.write(host+".key", keyPEM)
	p.write(host+".pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}))+keyPEM)
	p.authority = host + ".pem"
}

func (p *documentedProxy) start(program string, arguments ...string) {
	p.t.Helper()
	command := exec.CommandContext(context.Background(), program, arguments...)
	command.Dir, command.Stdout, command.Stderr = p.folder, p.log, p.log
	command.Env = append(os.Environ(), "HOME="+p.folder)
	var err error
	if p.process, err = process.Start(command); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(p.process.Kill)
}

// transport connects to the proxy from clientIP, for every host. It waits until the proxy answers a request for the URL, and fails the
// test if the proxy ends.
func (p *documentedProxy) transport(url string) *http.Transport {
	p.t.Helper()
	roots := x509.NewCertPool()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(clientIP)}}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", p.address)
		},
	}
	p.t.Cleanup(transport.CloseIdleConnections)
	for deadline := time.Now().Add(pageTimeout); ; time.Sleep(10 * time.Millisecond) {
		authority, err := os.ReadFile(filepath.Join(p.folder, p.authority))
		if err == nil && roots.AppendCertsFromPEM(authority) {
			var response *http.Response
			if response, err = transport.RoundTrip(httptest.NewRequest(http.MethodGet, url, http.NoBody)); err == nil {
				_ = response.Body.Close()
				return transport
			}
		}
		select {
		case <-p.process.Exited():
			p.t.Fatalf("the proxy has ended with %d\n%s", p.process.ExitCode(), p.log)
		default:
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("the proxy is not ready: %v\n%s", err, p.log)
		}
	}
}

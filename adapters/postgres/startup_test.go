package postgres

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/keylodge/keylodge/acceptance/postgresserver"
	"github.com/keylodge/keylodge/domain"
)

const password = "correct$horse"

// wantOpenError opens the database, which fails, and says what to do, nothing of what is beside the point, and no password.
func wantOpenError(t *testing.T, name, url, advice string, not ...string) {
	t.Helper()
	s, err := Open(t.Context(), url)
	if err == nil {
		t.Errorf("%s: it opened: closing it gives %v", name, s.Close())
		return
	}
	if !strings.Contains(err.Error(), advice) {
		t.Errorf("%s: %v; want it to say %q", name, err, advice)
	}
	for _, secret := range append(not, password) {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %q is in: %v", name, secret, err)
		}
	}
}

func TestOpen_adviceOnServerErrors(t *testing.T) {
	port := freePort(t)
	server := postgresserver.StartForTest(t, "listen_addresses=127.0.0.1", "port="+port)
	execAsOperator(t, server, []string{
		"CREATE ROLE clerk LOGIN PASSWORD '" + password + "'", "CREATE ROLE former NOLOGIN", "CREATE ROLE late LOGIN PASSWORD '" + password + "' VALID UNTIL '2020-01-01'",
		"CREATE ROLE crowded LOGIN CONNECTION LIMIT 0", "CREATE DATABASE lodge", "CREATE DATABASE closed ALLOW_CONNECTIONS false", "CREATE DATABASE private",
		"REVOKE CONNECT ON DATABASE private FROM PUBLIC", "CREATE DATABASE quiet OWNER clerk", "ALTER DATABASE quiet SET default_transaction_read_only = on",
	})
	writeHBA(t, server, "local all all trust\nhost postgres all 127.0.0.1/32 reject\nhost all clerk,late 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n")
	at := func(user, database, parameters string) string {
		return "postgres://" + user + "@127.0.0.1:" + port + "/" + database + "?" + parameters
	}
	clerk := "clerk:" + password
	const tls = "TLS"
	for _, c := range []struct {
		name, url, advice string
		not               []string
	}{
		// The server offers no TLS, and under sslmode=prefer that is no reason.
		{"pgbouncer", at(clerk, "lodge", "pgbouncer=true"), "the server knows no parameter pgbouncer: take it out of the URL", []string{tls}},
		{"schema", at(clerk, "lodge", "schema=public"), "the server knows no parameter schema: take it out of the URL", []string{tls}},
		{"prepare_threshold", at(clerk, "lodge", "prepare_threshold=0"), "the server knows no parameter prepare_threshold: take it out of the URL", []string{tls}},
		{"gssencmode", at(clerk, "lodge", "gssencmode=disable"), "the server knows no parameter gssencmode: take it out of the URL", []string{tls}},
		{"without TLS", at(clerk, "lodge", "sslmode=disable&pgbouncer=true"), "the server knows no parameter pgbouncer: take it out of the URL", []string{tls}},
		{"a typing error", at(clerk, "lodge", "pool_max_con=3"), "the server knows no parameter pool_max_con: take it out of the URL", []string{tls}},
		{"a mode in capitals", at(clerk, "lodge", "SSLMODE=disable"), "the server knows no parameter SSLMODE: take it out of the URL", []string{tls}},
		{"in options", at(clerk, "lodge", "options=-c%20odd%3D1"), "the server knows no parameter in options: take it out of the URL", []string{tls}},
		{"an odd value", at(clerk, "lodge", "statement_timeout=soon"), "the server does not take this value of statement_timeout: correct it in the URL", []string{tls}},
		{"not of a connection", at(clerk, "lodge", "max_connections=9"), "max_connections cannot be set by a connection: take it out of the URL", []string{tls}},
		{"of a superuser", at(clerk, "lodge", "log_statement=all"), "this user may not set log_statement: take it out of the URL", []string{tls}},
		{"a wrong password", at("clerk:staple", "lodge", ""), "correct the user or the password", []string{tls, "staple"}},
		{"no password", at("clerk", "lodge", ""), "correct the user or the password", []string{tls}},
		{"a password that has expired", at("late:"+password, "lodge", ""), `ALTER ROLE "late" PASSWORD '…' VALID UNTIL 'infinity'`, []string{tls}},
		{"no such role", at("ben", "lodge", ""), `CREATE ROLE "ben" LOGIN`, []string{tls}},
		{"a role that may not log in", at("former", "lodge", ""), `ALTER ROLE "former" LOGIN`, []string{tls}},
		{"a role without room", at("crowded", "lodge", ""), "CONNECTION LIMIT", []string{tls}},
		{"not let in", at(clerk, "postgres", ""), "in the server's pg_hba.conf", []string{"refused TLS"}},
		{"no such database", at(clerk, "other", ""), `make it first: CREATE DATABASE "other" OWNER "clerk"`, []string{tls}},
		{"a closed database", at(clerk, "closed", ""), `ALTER DATABASE "closed" ALLOW_CONNECTIONS true`, []string{tls}},
		{"a private database", at(clerk, "private", ""), `GRANT CONNECT ON DATABASE "private" TO "clerk"`, []string{tls}},
		{"no right to make tables", at(clerk, "lodge", ""), `GRANT USAGE, CREATE ON SCHEMA public TO "clerk"`, []string{tls}},
		{"no schema", at(clerk, "lodge", "search_path=nowhere"), `GRANT USAGE, CREATE ON SCHEMA public TO "clerk"`, []string{tls}},
		{"set to read only", at(clerk, "quiet", ""), "turn default_transaction_read_only off", []string{tls}},
		{"no replica", at(clerk, "lodge", "target_session_attrs=standby"), "no server of the URL is as target_session_attrs says", []string{tls}},
		{"no TLS there", at(clerk, "lodge", "sslmode=require"), "the server offers no TLS: set ssl=on", nil},
		{"the second host", strings.Replace(at(clerk, "lodge", "pgbouncer=true"), "127.0.0.1:", "127.0.0.1:1,127.0.0.1:", 1), "the server knows no parameter pgbouncer", []string{"TLS"}},
	} {
		wantOpenError(t, c.name, c.url, c.advice, c.not...)
	}
	wantOpenError(t, "no such socket", strings.Replace(server.URL("lodge"), port, "1", 1), "start the server, or correct the host and the port")
}

func TestOpen_adviceOnTLSErrors(t *testing.T) {
	port := freePort(t)
	server := postgresserver.StartForTest(t, "listen_addresses=127.0.0.1", "port="+port)
	execAsOperator(t, server, []string{"CREATE ROLE clerk LOGIN PASSWORD '" + password + "'", "CREATE DATABASE lodge OWNER clerk"})
	folder := t.TempDir()
	now := time.Now()
	authority := newTestCA(t, filepath.Join(folder, "authority.pem"))
	newTestCA(t, filepath.Join(folder, "another.pem"))
	authority.issueServerCertificate(t, server, now.Add(time.Hour))
	execAsOperator(t, server, []string{"ALTER SYSTEM SET ssl = on"})
	writeHBA(t, server, "local all keylodge trust\nhostssl lodge clerk 127.0.0.1/32 scram-sha-256\nhostnossl postgres clerk 127.0.0.1/32 scram-sha-256\n")
	at := func(host, database, parameters string) string {
		return "postgres://clerk:" + password + "@" + host + ":" + port + "/" + database + "?" + strings.ReplaceAll(parameters, "FOLDER", folder)
	}
	for name, c := range map[string]struct{ url, advice string }{
		"another authority":    {at("localhost", "lodge", "sslmode=verify-full&sslrootcert=FOLDER/another.pem"), "set sslrootcert in the URL"},
		"for verify-ca, too":   {at("localhost", "lodge", "sslmode=verify-ca&sslrootcert=FOLDER/another.pem"), "set sslrootcert in the URL"},
		"the system's":         {at("localhost", "lodge", "sslmode=verify-full"), "set sslrootcert in the URL"},
		"another name":         {at("127.0.0.1", "lodge", "sslmode=verify-full&sslrootcert=FOLDER/authority.pem"), "name the server in the URL as its certificate does"},
		"TLS is required":      {at("localhost", "lodge", "sslmode=disable"), "if that lets it in over TLS only, set sslmode=verify-full"},
		"TLS is not wanted":    {at("localhost", "postgres", "sslmode=require"), "in the server's pg_hba.conf"},
		"a parameter over TLS": {at("localhost", "lodge", "pgbouncer=true"), "the server knows no parameter pgbouncer: take it out of the URL"},
	} {
		wantOpenError(t, name, c.url, c.advice)
	}
	s, err := Open(t.Context(), at("localhost", "lodge", "sslmode=verify-full&sslrootcert=FOLDER/authority.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	authority.issueServerCertificate(t, server, now.Add(-time.Hour))
	writeHBA(t, server, "local all keylodge trust\nhostssl lodge clerk 127.0.0.1/32 scram-sha-256\n")
	wantOpenError(t, "a certificate that has expired", at("localhost", "lodge", "sslmode=verify-full&sslrootcert=FOLDER/authority.pem"), "give the server a valid certificate")
}

func TestOpen_adviceOnNetworkErrors(t *testing.T) {
	silent := fakeServer(t, func(net.Conn) {})
	web := fakeServer(t, func(conn net.Conn) { _, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n"); _ = conn.Close() })
	starting := fakeServer(t, func(conn net.Conn) {
		_, _ = io.ReadFull(conn, make([]byte, 8))
		said, err := (&pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "57P03", Message: "the database system is starting up"}).Encode(nil)
		if err == nil {
			_, err = conn.Write(said)
		}
		if err != nil {
			t.Error(err)
		}
	})
	at := func(address, parameters string) string {
		return "postgres://ada:" + password + "@" + address + "/lodge?" + parameters
	}
	for name, c := range map[string]struct{ url, advice string }{
		"nobody there":    {at("127.0.0.1:"+freePort(t), ""), "start the server, or correct the host and the port"},
		"no such host":    {at("nowhere.invalid", ""), "no address is known of the host nowhere.invalid: correct it in the URL"},
		"no answer":       {at(silent, "sslmode=disable&connect_timeout=1"), "there was no answer within connect_timeout (1s)"},
		"no answer, TLS":  {at(silent, "sslmode=require&connect_timeout=1"), "there was no answer within connect_timeout (1s)"},
		"another program": {at(web, "sslmode=disable"), "what answers there may not be PostgreSQL"},
		"it is starting":  {at(starting, "sslmode=disable"), "PostgreSQL is starting, or stopping, or recovering: wait"},
	} {
		wantOpenError(t, name, c.url, c.advice)
		if _, err := Open(t.Context(), c.url); !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("%s: %v is no outage", name, err)
		}
	}
}

// What can be known without a server is a fault of the settings.
func TestCheckURL(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "empty.pem"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const escapes = "with %-escapes in the user and the password"
	for url, want := range map[string]string{
		"postgres://ada:xyz%zzzyx@localhost/lodge":                                                       escapes,
		"postgres://ada:xyz#zyx@localhost/lodge":                                                         escapes,
		"postgres://ada:12#xyzzyx@localhost/lodge":                                                       escapes,
		"postgres://ada:xyz/zyx@localhost/lodge":                                                         escapes,
		"postgres://ada:12/xyzzyx@localhost/lodge":                                                       escapes,
		"postgres://ada:xyz?zyx@localhost/lodge":                                                         escapes,
		"postgres://ada:12?xyzzyx@localhost/lodge":                                                       escapes,
		"postgres://ada:xyz zyx@localhost/lodge":                                                         escapes,
		"postgres://ada:xyz[zyx@localhost/lodge":                                                         escapes,
		`postgres://ada:xyz\zyx@localhost/lodge`:                                                         escapes,
		"postgres:ada:xyzzyx@localhost/lodge":                                                            escapes,
		"postgres:/ada:xyzzyx@localhost/lodge":                                                           escapes,
		"postgres://ada:xyzzyx@localhost/lodge#top":                                                      escapes,
		"postgres://ada:xyzzyx@localhost/lodge?sslmode=maybe":                                            "says sslmode=maybe, and there is no such mode: write one of disable, allow, prefer, require, verify-ca, verify-full",
		"postgres://ada@localhost/lodge?sslmode=maybe&password=xyzzyx":                                   "sslmode=maybe",
		"postgres://ada:xyzzyx@localhost/lodge?sslmode=":                                                 "says sslmode=, and there is no such mode",
		"postgres://ada:xyzzyx@localhost/lodge?sslmode=disable&sslmode=require":                          "says sslmode more than once: leave one of them",
		"postgres://ada:xyzzyx@localhost/lodge?sslmode=verify-full&sslrootcert=/no/such/file":            "/no/such/file",
		"postgres://ada:xyzzyx@localhost/lodge?sslmode=verify-full&sslrootcert=" + folder + "/empty.pem": "CA",
		"postgres://ada:xyzzyx@localhost/lodge?sslrootcert=/no/such/file":                                "/no/such/file",
		"postgres://ada:xyzzyx@localhost/lodge?sslcert=/no/such/file":                                    "sslkey",
		"postgres://ada:xyzzyx@localhost/lodge?pool_max_conns=0":                                         "pool_max_conns",
		"postgres://ada:xyzzyx@localhost/lodge?pool_max_conns=many":                                      "pool_max_conns",
		"postgres://ada:xyzzyx@localhost/lodge?connect_timeout=soon":                                     "connect_timeout",
		"postgres://ada:xyzzyx@localhost/lodge?target_session_attrs=primate":                             "target_session_attrs",
		"postgres://ada:xyzzyx@localhost/lodge?default_query_exec_mode=odd":                              "default_query_exec_mode",
		"postgres://ada:xyzzyx@localhost/lodge?statement_cache_capacity=few":                             "statement_cache_capacity",
		"postgres://ada:xyzzyx@localhost/lodge?description_cache_capacity=0":                             "description_cache_capacity=0: write 1 or more",
		"postgres://ada:xyzzyx@localhost/lodge?channel_binding=maybe":                                    "channel_binding",
		"postgres://ada:xyzzyx@localhost:port/lodge":                                                     escapes,
		"postgres://ada:xyzzyx@localhost:70000/lodge":                                                    "port",
	} {
		err := CheckURL(url)
		var invalid *URLError
		if !errors.As(err, &invalid) || invalid.Problem == "" || invalid.Fix == "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want it to say %q", url, err, want)
			continue
		}
		for _, shown := range []string{err.Error(), Name(url)} {
			if strings.Contains(shown, "xyz") || strings.Contains(shown, "zyx") {
				t.Errorf("%s: part of the password is in %q", url, shown)
			}
		}
	}
	for _, url := range []string{
		"postgres://ada:c$rr%40%23%2F%3F%25ect@localhost/lodge", "postgres://ada:c@rr:ect@localhost/lodge", "postgresql://localhost/lodge", "postgres:///lodge?host=/run/postgresql",
		"postgres://ada@one:5432,two:5433/lodge?target_session_attrs=read-write", "postgres://localhost/lodge?search_path=keylodge&statement_timeout=5000&options=-c%20work_mem%3D8MB",
		"postgres://[::1]:5432/lodge?sslmode=verify-full&sslrootcert=system", "postgres://localhost/lo%40dge?statement_cache_capacity=0",
	} {
		if err := CheckURL(url); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// A certificate that is not compared is a setting without effect.
func TestCheckURL_sslrootcertIsUsed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "authority.pem")
	newTestCA(t, path)
	for mode, used := range map[string]bool{"": false, "disable": false, "allow": false, "prefer": false, "require": true, "verify-ca": true, "verify-full": true} {
		url := "postgres://localhost/lodge?sslrootcert=" + path
		if mode != "" {
			url += "&sslmode=" + mode
		}
		if err := CheckURL(url); (err == nil) != used || err != nil && !strings.Contains(err.Error(), "add sslmode=verify-full") {
			t.Errorf("sslmode=%s: %v", mode, err)
		}
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// fakeServer listens, answers each connection, and keeps it until the other side ends it.
func fakeServer(t *testing.T, answer func(net.Conn)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				answer(conn)
				_, _ = io.Copy(io.Discard, conn)
			}()
		}
	}()
	return listener.Addr().String()
}

// testCA signs the certificates of servers.
type testCA struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newTestCA(t *testing.T, path string) testCA {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: filepath.Base(path)}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, path, "CERTIFICATE", der)
	return testCA{template, key}
}

// issueServerCertificate gives the server a certificate for localhost, which it reads at its next reload.
func (a testCA) issueServerCertificate(t *testing.T, server *postgresserver.Server, until time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: until.Add(-2 * time.Hour), NotAfter: until, DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certificateFile, keyFile := filepath.Join(server.Data(), "server.crt"), filepath.Join(server.Data(), "server.key")
	writePEM(t, certificateFile, "CERTIFICATE", der)
	writePEM(t, keyFile, "PRIVATE KEY", pkcs8)
	if err := errors.Join(server.Chown(certificateFile), server.Chown(keyFile)); err != nil {
		t.Fatal(err)
	}
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

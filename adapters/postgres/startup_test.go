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

	"github.com/keylodge/keylodge/acceptance/testkit/postgresserver"
	"github.com/keylodge/keylodge/domain"
)

const password = "correct$horse"

// wantOpenError opens the database. The error must contain the advice, but neither the excluded texts nor the password.
func wantOpenError(t *testing.T, name, url, advice string, excluded ...string) {
	t.Helper()
	s, err := Open(t.Context(), url)
	if err == nil {
		t.Errorf("%s: Open succeeded; Close: %v", name, s.Close())
		return
	}
	if !strings.Contains(err.Error(), advice) {
		t.Errorf("%s: %v; want it to contain %q", name, err, advice)
	}
	for _, text := range append(excluded, password) {
		if strings.Contains(err.Error(), text) {
			t.Errorf("%s: %q is in: %v", name, text, err)
		}
	}
}

func TestOpen_adviceOnServerErrors(t *testing.T) {
	port := freePort(t)
	server := postgresserver.StartForTest(t, "listen_addresses=127.0.0.1", "port="+port)
	execAsOperator(t, server, []string{
		"CREATE ROLE clerk LOGIN PASSWORD '" + password + "'", "CREATE ROLE disabled NOLOGIN", "CREATE ROLE expired LOGIN PASSWORD '" + password + "' VALID UNTIL '2020-01-01'",
		"CREATE ROLE full LOGIN CONNECTION LIMIT 0", "CREATE DATABASE app", "CREATE DATABASE closed ALLOW_CONNECTIONS false", "CREATE DATABASE private",
		"REVOKE CONNECT ON DATABASE private FROM PUBLIC", "CREATE DATABASE readonly OWNER clerk", "ALTER DATABASE readonly SET default_transaction_read_only = on",
	})
	writeHBA(t, server, "local all all trust\nhost postgres all 127.0.0.1/32 reject\nhost all clerk,expired 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n")
	at := func(user, database, parameters string) string {
		return "postgres://" + user + "@127.0.0.1:" + port + "/" + database + "?" + parameters
	}
	clerk := "clerk:" + password
	const tls = "TLS"
	for _, c := range []struct {
		name, url, advice string
		excluded          []string
	}{
		// The server offers no TLS, which sslmode=prefer allows, so the error must not mention it.
		{"pgbouncer", at(clerk, "app", "pgbouncer=true"), "the server knows no parameter pgbouncer: remove it from the URL", []string{tls}},
		{"schema", at(clerk, "app", "schema=public"), "the server knows no parameter schema: remove it from the URL", []string{tls}},
		{"prepare_threshold", at(clerk, "app", "prepare_threshold=0"), "the server knows no parameter prepare_threshold: remove it from the URL", []string{tls}},
		{"gssencmode", at(clerk, "app", "gssencmode=disable"), "the server knows no parameter gssencmode: remove it from the URL", []string{tls}},
		{"without TLS", at(clerk, "app", "sslmode=disable&pgbouncer=true"), "the server knows no parameter pgbouncer: remove it from the URL", []string{tls}},
		{"a misspelt parameter", at(clerk, "app", "pool_max_con=3"), "the server knows no parameter pool_max_con: remove it from the URL", []string{tls}},
		{"an upper-case parameter", at(clerk, "app", "SSLMODE=disable"), "the server knows no parameter SSLMODE: remove it from the URL", []string{tls}},
		{"in options", at(clerk, "app", "options=-c%20odd%3D1"), "the server knows no parameter in options: remove it from the URL", []string{tls}},
		{"an invalid value", at(clerk, "app", "statement_timeout=soon"), "the server rejects this value of statement_timeout: correct it in the URL", []string{tls}},
		{"a parameter of the server", at(clerk, "app", "max_connections=9"), "max_connections cannot be set by a connection: remove it from the URL", []string{tls}},
		{"a parameter of superusers", at(clerk, "app", "log_statement=all"), "this user may not set log_statement: remove it from the URL", []string{tls}},
		{"a wrong password", at("clerk:staple", "app", ""), "correct the user or the password", []string{tls, "staple"}},
		{"no password", at("clerk", "app", ""), "correct the user or the password", []string{tls}},
		{"an expired password", at("expired:"+password, "app", ""), `ALTER ROLE "expired" PASSWORD '…' VALID UNTIL 'infinity'`, []string{tls}},
		{"no such role", at("ben", "app", ""), `CREATE ROLE "ben" LOGIN`, []string{tls}},
		{"a role that may not log in", at("disabled", "app", ""), `ALTER ROLE "disabled" LOGIN`, []string{tls}},
		{"a role at its connection limit", at("full", "app", ""), "CONNECTION LIMIT", []string{tls}},
		{"rejected by pg_hba.conf", at(clerk, "postgres", ""), "in the server's pg_hba.conf", []string{"refused TLS"}},
		{"no such database", at(clerk, "other", ""), `create the database: CREATE DATABASE "other" OWNER "clerk"`, []string{tls}},
		{"a database without connections", at(clerk, "closed", ""), `ALTER DATABASE "closed" ALLOW_CONNECTIONS true`, []string{tls}},
		{"a private database", at(clerk, "private", ""), `GRANT CONNECT ON DATABASE "private" TO "clerk"`, []string{tls}},
		{"no privilege to create tables", at(clerk, "app", ""), `GRANT USAGE, CREATE ON SCHEMA public TO "clerk"`, []string{tls}},
		{"no schema", at(clerk, "app", "search_path=nowhere"), `GRANT USAGE, CREATE ON SCHEMA public TO "clerk"`, []string{tls}},
		{"read-only", at(clerk, "readonly", ""), "turn default_transaction_read_only off", []string{tls}},
		{"no replica", at(clerk, "app", "target_session_attrs=standby"), "no server of the URL matches target_session_attrs", []string{tls}},
		{"no TLS on the server", at(clerk, "app", "sslmode=require"), "the server offers no TLS: set ssl=on", nil},
		{"the second host", strings.Replace(at(clerk, "app", "pgbouncer=true"), "127.0.0.1:", "127.0.0.1:1,127.0.0.1:", 1), "the server knows no parameter pgbouncer", []string{"TLS"}},
	} {
		wantOpenError(t, c.name, c.url, c.advice, c.excluded...)
	}
	wantOpenError(t, "no such socket", strings.Replace(server.URL("app"), port, "1", 1), "start the server, or correct the host and the port")
}

func TestOpen_adviceOnTLSErrors(t *testing.T) {
	port := freePort(t)
	server := postgresserver.StartForTest(t, "listen_addresses=127.0.0.1", "port="+port)
	execAsOperator(t, server, []string{"CREATE ROLE clerk LOGIN PASSWORD '" + password + "'", "CREATE DATABASE app OWNER clerk"})
	folder := t.TempDir()
	now := time.Now()
	authority := newTestCA(t, filepath.Join(folder, "authority.pem"))
	newTestCA(t, filepath.Join(folder, "another.pem"))
	authority.issueServerCertificate(t, server, now.Add(time.Hour))
	execAsOperator(t, server, []string{"ALTER SYSTEM SET ssl = on"})
	writeHBA(t, server, "local all keylodge trust\nhostssl app clerk 127.0.0.1/32 scram-sha-256\nhostnossl postgres clerk 127.0.0.1/32 scram-sha-256\n")
	at := func(host, database, parameters string) string {
		return "postgres://clerk:" + password + "@" + host + ":" + port + "/" + database + "?" + strings.ReplaceAll(parameters, "FOLDER", folder)
	}
	for name, c := range map[string]struct{ url, advice string }{
		"another authority":                {at("localhost", "app", "sslmode=verify-full&sslrootcert=FOLDER/another.pem"), "set sslrootcert in the URL"},
		"another authority with verify-ca": {at("localhost", "app", "sslmode=verify-ca&sslrootcert=FOLDER/another.pem"), "set sslrootcert in the URL"},
		"the system's authorities":         {at("localhost", "app", "sslmode=verify-full"), "set sslrootcert in the URL"},
		"another name":                     {at("127.0.0.1", "app", "sslmode=verify-full&sslrootcert=FOLDER/authority.pem"), "write the host in the URL as the server's certificate names it"},
		"TLS is required":                  {at("localhost", "app", "sslmode=disable"), "if pg_hba.conf requires TLS, set sslmode=verify-full"},
		"TLS is rejected":                  {at("localhost", "postgres", "sslmode=require"), "in the server's pg_hba.conf"},
		"a parameter over TLS":             {at("localhost", "app", "pgbouncer=true"), "the server knows no parameter pgbouncer: remove it from the URL"},
	} {
		wantOpenError(t, name, c.url, c.advice)
	}
	s, err := Open(t.Context(), at("localhost", "app", "sslmode=verify-full&sslrootcert=FOLDER/authority.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	authority.issueServerCertificate(t, server, now.Add(-time.Hour))
	writeHBA(t, server, "local all keylodge trust\nhostssl app clerk 127.0.0.1/32 scram-sha-256\n")
	wantOpenError(t, "an expired certificate", at("localhost", "app", "sslmode=verify-full&sslrootcert=FOLDER/authority.pem"), "install a valid certificate on the server")
}

func TestOpen_adviceOnNetworkErrors(t *testing.T) {
	silent := fakeServer(t, func(net.Conn) {})
	web := fakeServer(t, func(conn net.Conn) { _, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n"); _ = conn.Close() })
	starting := fakeServer(t, func(conn net.Conn) {
		_, _ = io.ReadFull(conn, make([]byte, 8))
		response, err := (&pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "57P03", Message: "the database system is starting up"}).Encode(nil)
		if err == nil {
			_, err = conn.Write(response)
		}
		if err != nil {
			t.Error(err)
		}
	})
	at := func(address, parameters string) string {
		return "postgres://ada:" + password + "@" + address + "/app?" + parameters
	}
	for name, c := range map[string]struct{ url, advice string }{
		"no server":        {at("127.0.0.1:"+freePort(t), ""), "start the server, or correct the host and the port"},
		"no such host":     {at("nowhere.invalid", ""), "the host nowhere.invalid does not resolve: correct it in the URL"},
		"no response":      {at(silent, "sslmode=disable&connect_timeout=1"), "there was no response within connect_timeout (1s)"},
		"no response, TLS": {at(silent, "sslmode=require&connect_timeout=1"), "there was no response within connect_timeout (1s)"},
		"another program":  {at(web, "sslmode=disable&connect_timeout=60"), "the server at this address may not be PostgreSQL"},
		"starting server":  {at(starting, "sslmode=disable&connect_timeout=60"), "PostgreSQL is starting, or stopping, or recovering: wait"},
	} {
		wantOpenError(t, name, c.url, c.advice)
		if _, err := Open(t.Context(), c.url); !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("%s: %v is not an outage", name, err)
		}
	}
}

// A wrong URL that is detectable without a server is an error of the configuration.
func TestCheckURL(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "empty.pem"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const escapes = "with %-escapes in the user and the password"
	for url, want := range map[string]string{
		"postgres://ada:xyz%zzzyx@localhost/app":                                                       escapes,
		"postgres://ada:xyz#zyx@localhost/app":                                                         escapes,
		"postgres://ada:12#xyzzyx@localhost/app":                                                       escapes,
		"postgres://ada:xyz/zyx@localhost/app":                                                         escapes,
		"postgres://ada:12/xyzzyx@localhost/app":                                                       escapes,
		"postgres://ada:xyz?zyx@localhost/app":                                                         escapes,
		"postgres://ada:12?xyzzyx@localhost/app":                                                       escapes,
		"postgres://ada:xyz zyx@localhost/app":                                                         escapes,
		"postgres://ada:xyz[zyx@localhost/app":                                                         escapes,
		`postgres://ada:xyz\zyx@localhost/app`:                                                         escapes,
		"postgres:ada:xyzzyx@localhost/app":                                                            escapes,
		"postgres:/ada:xyzzyx@localhost/app":                                                           escapes,
		"postgres://ada:xyzzyx@localhost/app#top":                                                      escapes,
		"postgres://ada:xyzzyx@localhost/app?sslmode=maybe":                                            "has the unknown sslmode=maybe: write one of disable, allow, prefer, require, verify-ca, verify-full",
		"postgres://ada@localhost/app?sslmode=maybe&password=xyzzyx":                                   "sslmode=maybe",
		"postgres://ada:xyzzyx@localhost/app?sslmode=":                                                 "has the unknown sslmode=",
		"postgres://ada:xyzzyx@localhost/app?sslmode=disable&sslmode=require":                          "has the parameter sslmode more than once: remove all but one",
		"postgres://ada:xyzzyx@localhost/app?sslmode=verify-full&sslrootcert=/no/such/file":            "/no/such/file",
		"postgres://ada:xyzzyx@localhost/app?sslmode=verify-full&sslrootcert=" + folder + "/empty.pem": "CA",
		"postgres://ada:xyzzyx@localhost/app?sslrootcert=/no/such/file":                                "/no/such/file",
		"postgres://ada:xyzzyx@localhost/app?sslcert=/no/such/file":                                    "sslkey",
		"postgres://ada:xyzzyx@localhost/app?pool_max_conns=0":                                         "pool_max_conns",
		"postgres://ada:xyzzyx@localhost/app?pool_max_conns=many":                                      "pool_max_conns",
		"postgres://ada:xyzzyx@localhost/app?connect_timeout=soon":                                     "connect_timeout",
		"postgres://ada:xyzzyx@localhost/app?target_session_attrs=primate":                             "target_session_attrs",
		"postgres://ada:xyzzyx@localhost/app?default_query_exec_mode=odd":                              "default_query_exec_mode",
		"postgres://ada:xyzzyx@localhost/app?statement_cache_capacity=few":                             "statement_cache_capacity",
		"postgres://ada:xyzzyx@localhost/app?description_cache_capacity=0":                             "description_cache_capacity=0: write 1 or more",
		"postgres://ada:xyzzyx@localhost/app?channel_binding=maybe":                                    "channel_binding",
		"postgres://ada:xyzzyx@localhost:port/app":                                                     escapes,
		"postgres://ada:xyzzyx@localhost:70000/app":                                                    "port",
	} {
		err := CheckURL(url)
		var invalid *URLError
		if !errors.As(err, &invalid) || invalid.Problem == "" || invalid.Fix == "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want it to contain %q", url, err, want)
			continue
		}
		for _, shown := range []string{err.Error(), Name(url)} {
			if strings.Contains(shown, "xyz") || strings.Contains(shown, "zyx") {
				t.Errorf("%s: part of the password is in %q", url, shown)
			}
		}
	}
	for _, url := range []string{
		"postgres://ada:c$rr%40%23%2F%3F%25ect@localhost/app", "postgres://ada:c@rr:ect@localhost/app", "postgresql://localhost/app", "postgres:///app?host=/run/postgresql",
		"postgres://ada@one:5432,two:5433/app?target_session_attrs=read-write", "postgres://localhost/app?search_path=keylodge&statement_timeout=5000&options=-c%20work_mem%3D8MB",
		"postgres://[::1]:5432/app?sslmode=verify-full&sslrootcert=system", "postgres://localhost/lo%40dge?statement_cache_capacity=0",
	} {
		if err := CheckURL(url); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// sslrootcert with a mode that does not check the certificate has no effect, and is rejected.
func TestCheckURL_sslrootcertIsUsed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "authority.pem")
	newTestCA(t, path)
	for mode, used := range map[string]bool{"": false, "disable": false, "allow": false, "prefer": false, "require": true, "verify-ca": true, "verify-full": true} {
		url := "postgres://localhost/app?sslrootcert=" + path
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

// fakeServer accepts connections, calls respond with each, and keeps the connection until the client closes it.
func fakeServer(t *testing.T, respond func(net.Conn)) (address string) {
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
				respond(conn)
				_, _ = io.Copy(io.Discard, conn)
			}()
		}
	}()
	return listener.Addr().String()
}

// testCA issues server certificates.
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

// issueServerCertificate writes a certificate for localhost, which the server reads at its next reload.
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

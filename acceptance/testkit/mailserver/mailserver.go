// Package mailserver starts an Exim mail server for a test, with its own configuration, as the user that runs the test. The
// server accepts e-mails on a free local port and delivers them to a maildir, which the test reads.
package mailserver

import (
	"bytes"
	"context"
	"crypto/x509"
	_ "embed"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"text/template"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/require"
)

// TLS says how a server encrypts.
type TLS uint8

const (
	STARTTLS    TLS = iota // offered after the greeting
	ImplicitTLS            // from the first byte
	Plain                  // not at all
)

// Options configure a server. The zero value offers STARTTLS and accepts e-mails without authentication.
type Options struct {
	TLS                TLS
	Username, Password string // of the only account that may send; characters a-z, A-Z, 0-9 and -
	Mechanism          string // PLAIN (the default) or LOGIN
}

// Server is a running mail server.
type Server struct {
	Addr   string         // 127.0.0.1 and the port
	CA     *x509.CertPool // the issuer of its certificate, which is for 127.0.0.1 and localhost
	CAFile string         // the same as PEM

	t           testing.TB
	options     Options
	exim        string
	dir         string
	listener    net.Listener
	connections sync.WaitGroup
	ctx         context.Context
	replies     map[string]string
}

// Start returns a server that stops with the test. If Exim is not installed, the test ends as package require says.
func Start(t testing.TB, options Options) *Server {
	t.Helper()
	s := &Server{t: t, options: options, exim: require.Program(t, require.MailServer), replies: map[string]string{}}
	s.makeFolder()
	s.configure()
	ctx, cancel := context.WithCancel(context.Background())
	s.ctx = ctx
	s.listen("127.0.0.1:0")
	s.Addr = s.listener.Addr().String()
	t.Cleanup(func() {
		s.Stop()
		timer := time.AfterFunc(5*time.Second, cancel) // a client may still have a connection
		s.connections.Wait()
		timer.Stop()
		cancel()
	})
	return s
}

// Stop closes the port. Delivered e-mails can still be read.
func (s *Server) Stop() { _ = s.listener.Close() }

// Resume opens the port again after Stop.
func (s *Server) Resume() {
	s.t.Helper()
	s.listen(s.Addr)
}

// SetReply sets the server's reply to a command (MAIL, RCPT, or DATA after the message) for an address: the sender's for MAIL,
// otherwise the recipient's. The reply is a code that begins with 4 or 5, and a text. An empty reply restores the default.
func (s *Server) SetReply(command, address, reply string) {
	s.t.Helper()
	s.replies[command+"/"+address] = reply
	var lines bytes.Buffer
	for key, reply := range s.replies {
		if reply != "" {
			fmt.Fprintf(&lines, "%s: %s\n", key, reply)
		}
	}
	s.write("answers", lines.Bytes())
}

// unprivilegedUID is the user that Exim runs as if root runs the test: Exim does not deliver as root.
const unprivilegedUID = 65534

func eximUser() (uid, gid int) {
	if os.Getuid() == 0 {
		return unprivilegedUID, unprivilegedUID
	}
	return os.Getuid(), os.Getgid()
}

// makeFolder does not use t.TempDir: other users cannot access the one of root.
func (s *Server) makeFolder() {
	s.t.Helper()
	dir, err := os.MkdirTemp("", "mailserver")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			s.t.Error(err)
		}
	})
	s.dir = dir
	for _, name := range []string{"", "spool", "maildir"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(path, 0o700); err != nil {
			s.t.Fatal(err)
		}
		s.chown(path)
	}
}

//go:embed exim.conf
var configuration string

func (s *Server) configure() {
	s.t.Helper()
	s.makeCertificate()
	s.SetReply("", "", "")
	uid, gid := eximUser()
	if s.options.Mechanism == "" {
		s.options.Mechanism = "PLAIN"
	}
	var file bytes.Buffer
	err := template.Must(template.New("").Parse(configuration)).Execute(&file, map[string]any{
		"Hostname": "mail.example.org", "Exim": s.exim, "UID": uid, "GID": gid, "Dir": s.dir,
		"STARTTLS": s.options.TLS == STARTTLS,
		"Username": s.options.Username, "Password": s.options.Password, "Mechanism": s.options.Mechanism,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("exim.conf", file.Bytes())
}

func (s *Server) write(name string, content []byte) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.chown(path)
}

func (s *Server) chown(path string) {
	s.t.Helper()
	uid, gid := eximUser()
	if err := os.Chown(path, uid, gid); err != nil {
		s.t.Fatal(err)
	}
}

// listen starts an Exim process for each connection, as inetd does. A daemon would outlive a test that crashes.
func (s *Server) listen(address string) {
	s.t.Helper()
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.listener = listener
	s.connections.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.connections.Go(func() { s.serve(conn.(*net.TCPConn)) })
		}
	})
}

func (s *Server) serve(conn *net.TCPConn) {
	socket, err := conn.File()
	_ = conn.Close() // the socket is a duplicate
	if err != nil {
		s.t.Error(err)
		return
	}
	defer socket.Close()
	arguments := []string{"-C", filepath.Join(s.dir, "exim.conf"), "-bs", "-odf"}
	if s.options.TLS == ImplicitTLS {
		arguments = append(arguments, "-tls-on-connect")
	}
	exim := exec.CommandContext(s.ctx, s.exim, arguments...)
	exim.Dir = s.dir
	exim.Stdin, exim.Stdout = socket, socket
	var stderr bytes.Buffer
	exim.Stderr = &stderr
	exim.WaitDelay = time.Second
	if uid, gid := eximUser(); uid != os.Getuid() {
		exim.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	// Exim reports a client that closes the connection early as a failure.
	if err := exim.Run(); err != nil && s.ctx.Err() == nil && stderr.Len() > 0 {
		s.t.Errorf("exim: %v\n%s", err, stderr.Bytes())
	}
}

package redis

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/keylodge/keylodge/domain"
)

// timeout bounds each network operation. A slower store would delay sign-ins too much.
const timeout = 2 * time.Second

var (
	errMalformedURL = errors.New("it is not a URL; write reserved characters, such as / or @ in a password, as %-escapes")
	errScheme       = errors.New("it does not begin with redis:// or rediss://")
	errHost         = errors.New("it does not have one host name or address")
	errPort         = errors.New("its port is not a number from 1 to 65535")
	errDatabase     = errors.New("its path is not a database number")
	errParameters   = errors.New("it has parameters, which are not supported")
)

var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$`)

func isHost(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil || hostName.MatchString(s)
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

var databaseNumber = regexp.MustCompile(`^/?[0-9]{0,5}$`)

// CheckURL returns an error for an invalid URL, without connecting. The error does not contain the URL, which may have a
// password.
func CheckURL(serverURL string) error {
	_, err := parse(serverURL)
	return err
}

// server is a database of a Redis server, and how to connect to it.
type server struct {
	address            string // host and port
	username, password string
	database           int
	tls                *tls.Config // nil for a connection without TLS
}

func parse(serverURL string) (server, error) {
	u, err := url.Parse(serverURL)
	switch {
	case err != nil:
		return server{}, errMalformedURL
	case u.Scheme != "redis" && u.Scheme != "rediss":
		return server{}, errScheme
	case !isHost(u.Hostname()):
		return server{}, errHost
	case u.Port() != "" && !isPort(u.Port()):
		return server{}, errPort
	case !databaseNumber.MatchString(u.Path):
		return server{}, errDatabase
	case u.RawQuery != "" || u.Fragment != "":
		return server{}, errParameters
	}
	s := server{address: net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "6379")), username: u.User.Username()}
	s.password, _ = u.User.Password()
	s.database, _ = strconv.Atoi(strings.TrimPrefix(u.Path, "/")) // "" is 0
	if u.Scheme == "rediss" {
		s.tls = &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
	}
	return s, nil
}

// DisplayName returns the server and the database of a URL, without its password.
func DisplayName(serverURL string) string {
	s, err := parse(serverURL)
	if err != nil {
		return "Redis with an invalid URL"
	}
	return s.name()
}

func (s server) name() string { return fmt.Sprintf("Redis at %s, database %d", s.address, s.database) }

// dial connects to the server.
func (s server) dial(ctx context.Context) (redis.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := redis.DialContext(ctx, "tcp", s.address,
		redis.DialReadTimeout(timeout), redis.DialWriteTimeout(timeout), redis.DialTLSHandshakeTimeout(timeout),
		redis.DialUsername(s.username), redis.DialPassword(s.password), redis.DialDatabase(s.database),
		redis.DialUseTLS(s.tls != nil), redis.DialTLSConfig(s.tls))
	if err != nil {
		return nil, err
	}
	_, _ = redis.DoContext(conn, ctx, "CLIENT", "SETNAME", "keylodge") // for CLIENT LIST; a user may lack the permission
	return conn, nil
}

// Connections that a node keeps, and opens at most. Others wait.
const (
	maxIdle   = 16
	maxActive = 64
)

// Open returns the buckets in the database of the URL. It does not connect yet.
func Open(serverURL string) (*Buckets, error) {
	s, err := parse(serverURL)
	if err != nil {
		return nil, err
	}
	pool := &redis.Pool{DialContext: s.dial, MaxIdle: maxIdle, MaxActive: maxActive, Wait: true, IdleTimeout: 30 * time.Minute}
	return &Buckets{pool: pool, server: s}, nil
}

// Check takes a token from a random bucket. Its error says what to do, and is domain.ErrUnavailable if a later attempt may
// succeed with the same settings.
func (b *Buckets) Check(ctx context.Context) error {
	bucket := domain.Bucket{Limit: domain.RateLimit{Quota: 1, Window: time.Second}}
	rand.Read(bucket.Subject[:])
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	_, err := b.Take(ctx, bucket)
	if err == nil {
		return nil
	}
	if advice := adviceFor(err); advice != "" {
		return fmt.Errorf("%s rejects the connection or its commands: %s (%s)", b.server.name(), advice, reasonOf(err))
	}
	hint := ""
	if b.server.tls != nil {
		hint = "; if the server does not use TLS, and the network is private, write redis://"
	}
	return fmt.Errorf("%s cannot be reached: %w: %s%s", b.server.name(), domain.ErrUnavailable, reasonOf(err), hint)
}

// reasonOf returns the error of the server or the network, without the operation.
func reasonOf(err error) string {
	var reply redis.Error
	var network *net.OpError
	switch {
	case errors.As(err, &reply):
		return reply.Error()
	case errors.As(err, &network):
		return network.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "no reply within " + timeout.String()
	}
	return err.Error()
}

// adviceFor returns the change of the settings that fixes the error, or "" if they are not its cause.
func adviceFor(err error) string {
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	reason := reasonOf(err)
	switch {
	case errors.As(err, &authority), errors.As(err, &host), errors.As(err, &invalid):
		return "its certificate is not valid for the host in the URL; correct the host, or add the certificate authority to this system's"
	case strings.HasPrefix(reason, "WRONGPASS"), strings.Contains(reason, "AUTH"):
		return "correct the user and the password in the URL"
	case strings.HasPrefix(reason, "NOPERM"), strings.Contains(reason, "user executing the script"):
		return "let this user run EVAL, EVALSHA, TIME, GET and SET on " + keyPrefix + "*, and SELECT for a database other than 0"
	case strings.Contains(reason, "DB index"), strings.Contains(reason, "invalid DB"):
		return "write a database number that the server has"
	case strings.HasPrefix(reason, "READONLY"):
		return "this is a replica; write the host of the primary"
	case strings.HasPrefix(reason, "MOVED"), strings.HasPrefix(reason, "CROSSSLOT"):
		return "this is a node of a cluster, which cannot update several buckets at once; use a single server"
	}
	return ""
}

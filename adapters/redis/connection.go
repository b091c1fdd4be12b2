package redis

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

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

func parse(serverURL string) (*redis.Options, error) {
	u, err := url.Parse(serverURL)
	switch {
	case err != nil:
		return nil, errMalformedURL
	case u.Scheme != "redis" && u.Scheme != "rediss":
		return nil, errScheme
	case !isHost(u.Hostname()):
		return nil, errHost
	case u.Port() != "" && !isPort(u.Port()):
		return nil, errPort
	case !databaseNumber.MatchString(u.Path):
		return nil, errDatabase
	case u.RawQuery != "" || u.Fragment != "":
		return nil, errParameters
	}
	options, err := redis.ParseURL(serverURL)
	if err != nil {
		return nil, errMalformedURL
	}
	options.DialTimeout, options.ReadTimeout, options.WriteTimeout, options.PoolTimeout = timeout, timeout, timeout, timeout
	options.ContextTimeoutEnabled = true
	options.DialerRetries = 1
	options.MaxRetries = 1 // the first use of a connection that the server has closed fails
	options.ClientName = "keylodge"
	options.DisableIdentity = true
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return options, nil
}

// DisplayName returns the server and the database of a URL, without its password.
func DisplayName(serverURL string) string {
	options, err := parse(serverURL)
	if err != nil {
		return "Redis with an invalid URL"
	}
	return fmt.Sprintf("Redis at %s, database %d", options.Addr, options.DB)
}

// disableClientLog stops the library from writing to stderr. It returns each of these failures as an error, too.
var disableClientLog = sync.OnceFunc(logging.Disable)

// Open returns the buckets in the database of the URL. It does not connect yet.
func Open(serverURL string) (*Buckets, error) {
	disableClientLog()
	options, err := parse(serverURL)
	if err != nil {
		return nil, err
	}
	return &Buckets{client: redis.NewClient(options), name: DisplayName(serverURL)}, nil
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
		return fmt.Errorf("%s rejects the connection or its commands: %s (%s)", b.name, advice, reasonOf(err))
	}
	hint := ""
	if b.client.Options().TLSConfig != nil {
		hint = "; if the server does not use TLS, and the network is private, write redis://"
	}
	return fmt.Errorf("%s cannot be reached: %w: %s%s", b.name, domain.ErrUnavailable, reasonOf(err), hint)
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
	case strings.HasPrefix(reason, "NOPERM"):
		return "let this user run EVAL, EVALSHA, TIME, GET and SET on " + keyPrefix + "*"
	case strings.Contains(reason, "DB index"), strings.Contains(reason, "invalid DB"):
		return "write a database number that the server has"
	case strings.HasPrefix(reason, "READONLY"):
		return "this is a replica; write the host of the primary"
	case strings.HasPrefix(reason, "MOVED"), strings.HasPrefix(reason, "CROSSSLOT"):
		return "this is a node of a cluster, which cannot update several buckets at once; use a single server"
	}
	return ""
}

package redis

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/keylodge/keylodge/domain"
)

// timeout is how long one step of a conversation may take: a store of counts that is slower is of no use to a sign-in.
const timeout = 2 * time.Second

var (
	errMalformedURL = errors.New("it cannot be read as a URL; what has a meaning in a URL, such as / or @ in a password, has a %-escape")
	errScheme       = errors.New("it does not begin with redis:// or rediss://")
	errHost         = errors.New("it names no server")
	errDatabase     = errors.New("what follows the server is not the number of a database")
	errParameters   = errors.New("it has parameters, and none are known here")
)

var databaseNumber = regexp.MustCompile(`^/?[0-9]{0,5}$`)

// CheckURL returns what is wrong with a URL, if anything can be told without connecting. It does not quote the URL, which may
// hold a password.
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
	case u.Hostname() == "":
		return nil, errHost
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
	options.MaxRetries = 1 // a connection that the server has closed meanwhile is found out by using it
	options.ClientName = "keylodge"
	options.DisableIdentity = true
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return options, nil
}

// DisplayName is what may be shown of a URL: which database it is and where.
func DisplayName(serverURL string) string {
	options, err := parse(serverURL)
	if err != nil {
		return "a Redis whose URL cannot be read"
	}
	return fmt.Sprintf("Redis at %s, database %d", options.Addr, options.DB)
}

// disableClientLog keeps the library from writing to stderr past our log: each of its failures comes back as an error as well.
var disableClientLog = sync.OnceFunc(logging.Disable)

// Open is for the database that the URL names. Nothing is asked yet.
func Open(serverURL string) (*Buckets, error) {
	disableClientLog()
	options, err := parse(serverURL)
	if err != nil {
		return nil, err
	}
	return &Buckets{client: redis.NewClient(options), name: DisplayName(serverURL)}, nil
}

// Check takes a token from a bucket that nobody else has, and says what to do if that fails. The error is
// domain.ErrUnavailable if the same may work later with the same settings.
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
		return fmt.Errorf("%s does not take counts: %s (%s)", b.name, advice, reasonOf(err))
	}
	hint := ""
	if b.client.Options().TLSConfig != nil {
		hint = "; if it does not speak TLS, and the way there is yours alone, write redis://"
	}
	return fmt.Errorf("%s cannot be reached: %w: %s%s", b.name, domain.ErrUnavailable, reasonOf(err), hint)
}

// reasonOf is what the server or the network said, without what was being done.
func reasonOf(err error) string {
	var said redis.Error
	var network *net.OpError
	switch {
	case errors.As(err, &said):
		return said.Error()
	case errors.As(err, &network):
		return network.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "it does not answer within " + timeout.String()
	}
	return err.Error()
}

// adviceFor is "" for what is not the settings' fault.
func adviceFor(err error) string {
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	said := reasonOf(err)
	switch {
	case errors.As(err, &authority), errors.As(err, &host), errors.As(err, &invalid):
		return "its certificate cannot be trusted under the name in the URL; correct the name, or add its authority to those of this machine"
	case strings.HasPrefix(said, "WRONGPASS"), strings.HasPrefix(said, "NOAUTH"), strings.Contains(said, "AUTH"):
		return "correct the user and the password in the URL"
	case strings.HasPrefix(said, "NOPERM"):
		return "let this user run EVAL, EVALSHA, TIME, GET and SET on " + keyPrefix + "*"
	case strings.Contains(said, "DB index"), strings.Contains(said, "invalid DB"):
		return "write the number of a database that the server has"
	case strings.HasPrefix(said, "READONLY"):
		return "this is a replica: name the primary"
	case strings.HasPrefix(said, "MOVED"), strings.HasPrefix(said, "CROSSSLOT"):
		return "this is a node of a cluster, which cannot count names and addresses together: use a server by itself"
	}
	return ""
}

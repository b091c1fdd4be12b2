package doctor

import (
	"context"
	"errors"
	"net/url"

	"github.com/keylodge/keylodge/adapters/redis"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
)

// checkRateLimits takes a token from a bucket of the shared store, as requests do.
func (c *checks) checkRateLimits(ctx context.Context) {
	// Check rate_limits: requests are limited, and the store of the buckets accepts them. The check takes a token from a bucket,
	// as requests do.
	if len(c.config.RateLimits) == 0 {
		c.AddWarning("rate_limits", "off: the number of requests is not limited", "remove KEYLODGE_RATE_LIMITS=off, unless a proxy limits requests by address")
		return
	}
	if c.config.RateLimitURL.IsZero() {
		where := "of this node only"
		if c.config.Database.IsServer() {
			where = "of all nodes, in the database"
		}
		c.AddOK("rate_limits", "on, with buckets "+where)
		return
	}
	serverURL := c.config.RateLimitURL.Reveal()
	shared, err := redis.Open(serverURL)
	if err != nil {
		c.AddError("rate_limits", err.Error(), "correct KEYLODGE_RATE_LIMIT_URL")
		return
	}
	defer shared.Close()
	switch err := shared.Check(ctx); {
	case errors.Is(err, domain.ErrUnavailable):
		c.AddError("rate_limits", "recovery and code endpoints return 503, and each node limits other requests by itself: "+err.Error(),
			"start Redis, allow connections from this machine, or correct KEYLODGE_RATE_LIMIT_URL")
		return
	case err != nil:
		c.AddError("rate_limits", err.Error(), "correct this; the server does not start until then")
		return
	}
	if sendsPasswordInClear(serverURL) {
		c.AddWarning("rate_limits", "the password of "+redis.DisplayName(serverURL)+" is sent without encryption", "write rediss://, unless the network is private")
	}
	c.AddOK("rate_limits", "on, with buckets of all nodes in "+redis.DisplayName(serverURL))
}

// sendsPasswordInClear reports whether the password of a Redis server is sent over a network without encryption.
func sendsPasswordInClear(serverURL string) bool {
	u, err := url.Parse(serverURL)
	if err != nil || u.Scheme != "redis" || config.IsLoopback(u.Hostname()) {
		return false
	}
	_, isSet := u.User.Password()
	return isSet
}

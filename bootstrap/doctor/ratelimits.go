package doctor

import (
	"context"
	"errors"
	"net/url"

	"github.com/keylodge/keylodge/adapters/redis"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
)

// checkRateLimits takes a token from the shared counts, as every call does.
func (e *checks) checkRateLimits(ctx context.Context) {
	if len(e.config.RateLimits) == 0 {
		e.AddWarning("rate_limits", "they are off, so whoever wants to may call without end", "take KEYLODGE_RATE_LIMITS=off out, unless something before this server limits calls by address")
		return
	}
	if e.config.RateLimitURL.IsZero() {
		where := "this server alone"
		if e.config.Database.IsServer() {
			where = "all servers of the database"
		}
		e.AddOK("rate_limits", "they are on, and calls are counted by "+where)
		return
	}
	serverURL := e.config.RateLimitURL.Reveal()
	shared, err := redis.Open(serverURL)
	if err != nil {
		e.AddError("rate_limits", err.Error(), "correct KEYLODGE_RATE_LIMIT_URL")
		return
	}
	defer shared.Close()
	switch err := shared.Check(ctx); {
	case errors.Is(err, domain.ErrUnavailable):
		e.AddError("rate_limits", "recovery and codes are shut, and the rest is counted by each server alone: "+err.Error(),
			"start Redis, let this machine reach it, or correct KEYLODGE_RATE_LIMIT_URL")
		return
	case err != nil:
		e.AddError("rate_limits", err.Error(), "do as it says: the server does not start like this")
		return
	}
	if sendsPasswordInClear(serverURL) {
		e.AddWarning("rate_limits", "the password of "+redis.DisplayName(serverURL)+" goes over the network in the clear", "write rediss://, unless that network is yours alone")
	}
	e.AddOK("rate_limits", "they are on, and calls are counted in "+redis.DisplayName(serverURL))
}

// sendsPasswordInClear says whether the password of a Redis can be read by whoever listens on the way to it.
func sendsPasswordInClear(serverURL string) bool {
	u, err := url.Parse(serverURL)
	if err != nil || u.Scheme != "redis" || config.IsLoopback(u.Hostname()) {
		return false
	}
	_, given := u.User.Password()
	return given
}

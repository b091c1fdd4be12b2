package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/keylodge/keylodge/adapters/redis"
	"github.com/keylodge/keylodge/domain"
)

const (
	limitsOn    = "on"
	limitsOff   = "off"
	limitsFix   = "write on, off, or the limits that differ from the defaults, for example login=600/1m,recovery=10/10m,refresh=off"
	maxQuota    = 1_000_000
	maxWindow   = 24 * time.Hour
	limitSyntax = "write requests/time, for example 30/1m: 1 to 1000000 requests, whole seconds up to 24h; or off"
)

// rateLimits reads on, off, or the limits that differ from the defaults.
func (p *parser) rateLimits(config *Config, limits, url string) {
	config.RateLimits = domain.DefaultRateLimits()
	switch limits {
	case limitsOn:
	case limitsOff:
		config.RateLimits = nil
	default:
		p.changeRateLimits(config.RateLimits, limits)
	}
	if url == "" {
		return
	}
	if len(config.RateLimits) == 0 {
		p.addError("RATE_LIMIT_URL", "has no effect if KEYLODGE_RATE_LIMITS disables every limit", "remove it, or enable a limit")
	}
	if err := redis.CheckURL(url); err != nil {
		p.addError("RATE_LIMIT_URL", err.Error(), "write redis://:password@host:6379/0, or rediss://… for TLS")
	}
	config.RateLimitURL = domain.NewSecret(url)
}

func (p *parser) changeRateLimits(limits domain.RateLimits, s string) {
	items := splitList(s)
	if len(items) == 0 {
		p.addError("RATE_LIMITS", fmt.Sprintf("%q contains no limit", s), limitsFix)
	}
	seen := map[domain.RatePolicy]bool{}
	for _, item := range items {
		name, value, assigned := strings.Cut(item, "=")
		policy := domain.RatePolicy(strings.TrimSpace(name))
		switch {
		case !assigned:
			p.addError("RATE_LIMITS", fmt.Sprintf("%q is not NAME=LIMIT", item), limitsFix)
		case seen[policy]:
			p.addError("RATE_LIMITS", fmt.Sprintf("%q is set twice", policy), "remove one of them")
		default:
			p.changeRateLimit(limits, policy, strings.TrimSpace(value))
		}
		seen[policy] = true
	}
}

func (p *parser) changeRateLimit(limits domain.RateLimits, policy domain.RatePolicy, value string) {
	if _, known := domain.DefaultRateLimits()[policy]; !known {
		var names []string
		for _, policy := range domain.RatePolicies() {
			names = append(names, string(policy))
		}
		p.addError("RATE_LIMITS", fmt.Sprintf("no limit is named %q", policy), "write one of "+strings.Join(names, ", "))
		return
	}
	if value == limitsOff {
		delete(limits, policy)
		return
	}
	quota, window, slashed := strings.Cut(value, "/")
	n, quotaErr := strconv.Atoi(quota)
	d, windowErr := time.ParseDuration(window)
	if !slashed || quotaErr != nil || windowErr != nil || n < 1 || n > maxQuota || d < time.Second || d > maxWindow || d%time.Second != 0 {
		p.addError("RATE_LIMITS", fmt.Sprintf("invalid limit %q for %s", value, policy), limitSyntax)
		return
	}
	limits[policy] = domain.RateLimit{Quota: n, Window: d}
}

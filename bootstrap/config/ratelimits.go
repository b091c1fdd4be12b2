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
	limitsFix   = "write on, off, or what differs from the defaults, such as login=600/1m,recovery=10/10m,refresh=off"
	maxQuota    = 1_000_000
	maxWindow   = 24 * time.Hour
	limitSyntax = "write it like 30/1m: so many calls, 1 to 1000000, in a time of whole seconds up to 24h; or off"
)

// rateLimits reads on, off, or the limits that differ from the defaults. None are left where they are off.
func (c *settingsParser) rateLimits(config *Config, limits, url string) {
	config.RateLimits = domain.DefaultRateLimits()
	switch limits {
	case limitsOn:
	case limitsOff:
		config.RateLimits = nil
		if url != "" {
			c.addError("RATE_LIMIT_URL", "it does nothing with KEYLODGE_RATE_LIMITS=off", "remove it, or switch the limits on")
		}
	default:
		items := splitList(limits)
		if len(items) == 0 {
			c.addError("RATE_LIMITS", fmt.Sprintf("%q names no limit", limits), limitsFix)
		}
		named := map[string]bool{}
		for _, item := range items {
			name, _, _ := strings.Cut(item, "=")
			if name = strings.TrimSpace(name); named[name] {
				c.addError("RATE_LIMITS", fmt.Sprintf("%q is there twice", name), "remove one of the two")
			}
			named[name] = true
			c.rateLimit(config.RateLimits, item)
		}
		if len(config.RateLimits) == 0 && url != "" {
			c.addError("RATE_LIMIT_URL", "it does nothing with every limit off in KEYLODGE_RATE_LIMITS", "remove it, or switch a limit on")
		}
	}
	if url == "" {
		return
	}
	if err := redis.CheckURL(url); err != nil {
		c.addError("RATE_LIMIT_URL", err.Error(), "write redis://:password@host:6379/0, or rediss://… for TLS")
	}
	config.RateLimitURL = domain.NewSecret(url)
}

func (c *settingsParser) rateLimit(limits domain.RateLimits, item string) {
	name, value, assigned := strings.Cut(item, "=")
	policy := domain.RatePolicy(strings.TrimSpace(name))
	value = strings.TrimSpace(value)
	if !assigned {
		c.addError("RATE_LIMITS", fmt.Sprintf("%q does not say what it limits", item), limitsFix)
		return
	}
	if _, known := domain.DefaultRateLimits()[policy]; !known {
		var names []string
		for _, p := range domain.RatePolicies() {
			names = append(names, string(p))
		}
		c.addError("RATE_LIMITS", fmt.Sprintf("there is no limit by the name of %q", policy), "write one of "+strings.Join(names, ", "))
		return
	}
	if value == limitsOff {
		delete(limits, policy)
		return
	}
	quota, window, slashed := strings.Cut(value, "/")
	n, err := strconv.Atoi(quota)
	d, bad := time.ParseDuration(window)
	if !slashed || err != nil || bad != nil || n < 1 || n > maxQuota || d < time.Second || d > maxWindow || d%time.Second != 0 {
		c.addError("RATE_LIMITS", fmt.Sprintf("%q is no limit for %s", value, policy), limitSyntax)
		return
	}
	limits[policy] = domain.RateLimit{Quota: n, Window: d}
}

package config

import (
	"maps"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
)

func TestLoad_RateLimits(t *testing.T) {
	defaults := domain.DefaultRateLimits()
	changed := maps.Clone(defaults)
	changed["login"] = domain.RateLimit{Quota: 600, Window: time.Minute}
	changed["recovery-account"] = domain.RateLimit{Quota: 1, Window: 24 * time.Hour}
	delete(changed, "refresh")
	for setting, want := range map[string]domain.RateLimits{
		"": defaults, "on": defaults, "off": nil, "login=600/1m, recovery-account = 1/24h ,refresh=off": changed,
	} {
		config, err := load(t, "RATE_LIMITS="+setting)
		if err != nil || !maps.Equal(config.RateLimits, want) {
			t.Errorf("%q: %v, %v", setting, config.RateLimits, err)
		}
	}
}

func TestLoad_RejectsInvalidRateLimits(t *testing.T) {
	for line, c := range map[string]struct{ setting, problem, fix string }{
		"RATE_LIMITS=yes":                                    {"RATE_LIMITS", `"yes" is not NAME=LIMIT`, "login=600/1m"},
		"RATE_LIMITS=logins=30/1m":                           {"RATE_LIMITS", `"logins"`, "signup, signup-account, login, login-account, refresh"},
		"RATE_LIMITS=login=30":                               {"RATE_LIMITS", `"30"`, "30/1m"},
		"RATE_LIMITS=login=0/1m":                             {"RATE_LIMITS", `"0/1m"`, "30/1m"},
		"RATE_LIMITS=login=1/1500ms":                         {"RATE_LIMITS", `"1/1500ms"`, "whole seconds"},
		"RATE_LIMITS=login=1/25h":                            {"RATE_LIMITS", `"1/25h"`, "24h"},
		"RATE_LIMITS=login=9999999/s":                        {"RATE_LIMITS", `"9999999/s"`, "1000000"},
		"RATE_LIMIT_URL=http://:hunter2@localhost":           {"RATE_LIMIT_URL", "redis://", "rediss://"},
		"RATE_LIMIT_URL=redis://:hunter2@localhost:99999":    {"RATE_LIMIT_URL", "its port is not a number from 1 to 65535", "host:6379/0"},
		"RATE_LIMIT_URL=redis://:hunter2@localhost:0":        {"RATE_LIMIT_URL", "its port is not a number from 1 to 65535", "host:6379/0"},
		"RATE_LIMIT_URL=redis://:hunter2@a,b/0":              {"RATE_LIMIT_URL", "one host name or address", "host:6379/0"},
		"RATE_LIMIT_URL=redis://:hunter2@redis.*/0":          {"RATE_LIMIT_URL", "one host name or address", "host:6379/0"},
		"RATE_LIMIT_URL=redis://:hunter2@localhost/zero":     {"RATE_LIMIT_URL", "database number", "host:6379/0"},
		"RATE_LIMIT_URL=redis://:hunter2@localhost/hunter2@": {"RATE_LIMIT_URL", "database number", "host:6379/0"},
	} {
		t.Run(line, func(t *testing.T) { wantError(t, []string{line}, c.setting, c.problem, c.fix) })
	}
	wantError(t, []string{"RATE_LIMITS=off", "RATE_LIMIT_URL=redis://localhost"}, "RATE_LIMIT_URL", "has no effect", "enable a limit")
}

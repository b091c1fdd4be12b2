package config

import (
	"strings"
	"testing"
)

func TestConfig_RPIDAdvice(t *testing.T) {
	for name, c := range map[string]struct {
		retired, found []string
		back, retire   string
	}{
		"one RP ID":               {nil, []string{"old.example.org"}, "old.example.org", "old.example.org"},
		"two RP IDs":              {nil, []string{"most.example.org", "few.example.org"}, "most.example.org", "most.example.org,few.example.org"},
		"one beside a retired ID": {[]string{"older.example.org"}, []string{"old.example.org"}, "old.example.org", "older.example.org,old.example.org"},
	} {
		t.Run(name, func(t *testing.T) {
			want := " back to " + c.back + "; only to retire them, set KEYLODGE_RETIRED_RP_IDS=" + c.retire
			if advice := (Config{RetiredRPIDs: c.retired}).RPIDAdvice(c.found); !strings.HasSuffix(advice, want) {
				t.Errorf("%q does not end with %q", advice, want)
			}
		})
	}
}

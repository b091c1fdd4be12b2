package bootstrap

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/adapters/system"
)

func TestRun_WarnsOfTooManyRelatedOrigins(t *testing.T) {
	for origins, want := range map[string]bool{
		"https://a.com,https://b.com,https://c.com,https://d.com,https://e.com,https://e.org": false, // e is one label
		"https://a.com,https://b.com,https://c.com,https://d.com,https://e.com,https://f.com": true,
	} {
		cfg, err := load(t, "LISTEN=127.0.0.1:0", "OPS_LISTEN=", "PUBLIC_URL=https://id.example.org", "ORIGINS="+origins)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		t.Cleanup(stop)
		log := newLineLog()
		stopped := make(chan error, 1)
		go func() { stopped <- run(ctx, cfg, system.Clock{}, io.Discard, slog.New(slog.NewTextHandler(log, nil))) }()
		warned := false
		for last := false; !last; {
			select {
			case line := <-log.lines:
				warned = warned || strings.Contains(line, "KEYLODGE_ORIGINS") && strings.Contains(line, "names=6 accepted=5")
				last = strings.Contains(line, "msg=stopped")
				if strings.Contains(line, "Keylodge is ready") {
					stop()
				}
			case err := <-stopped:
				t.Fatal(err)
			}
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		if warned != want {
			t.Errorf("%s: warned %t", origins, warned)
		}
	}
}

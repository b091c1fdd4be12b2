package bootstrap

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/adapters/system"
	"github.com/keylodge/keylodge/application/signup"
	"github.com/keylodge/keylodge/domain"
)

// The first start prints an invite, which works after a restart. No other start prints one, and the log never has it.
func TestRun_PrintsFirstInviteOnce(t *testing.T) {
	cfg, err := load(t, "LISTEN=127.0.0.1:0", "REGISTRATION=invite")
	if err != nil {
		t.Fatal(err)
	}
	var printed []string
	for range 2 {
		ctx, stop := context.WithCancel(t.Context())
		log, stopped := newLineLog(), make(chan error, 1)
		var stdout strings.Builder
		go func() { stopped <- run(ctx, cfg, system.Clock{}, &stdout, slog.New(slog.NewTextHandler(log, nil))) }()
		for line := ""; !strings.Contains(line, "is ready"); line = nextLine(t, log, stopped) {
			if strings.Contains(line, "invite=") {
				t.Errorf("logged %q", line)
			}
		}
		stop()
		if err := <-stopped; err != nil {
			t.Fatal(err)
		}
		printed = append(printed, stdout.String())
	}
	_, link, found := strings.Cut(printed[0], cfg.PublicURL+"/signup#invite=")
	if !found || printed[1] != "" {
		t.Fatalf("printed %q", printed)
	}
	usecases, release, err := openUseCases(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := release(); err != nil {
			t.Error(err)
		}
	}()
	token, err := domain.ParseInviteToken(strings.TrimSpace(link))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := usecases.SignUp.Begin(t.Context(), signup.Input{Invite: token}, domain.Binding{}); err != nil {
		t.Errorf("the printed link: %v", err)
	}
}

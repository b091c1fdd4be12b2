package bootstrap

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/keylodge/keylodge/adapters/aaguid"
	"github.com/keylodge/keylodge/adapters/cli"
	"github.com/keylodge/keylodge/adapters/system"
	"github.com/keylodge/keylodge/adapters/webauthn"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/bootstrap/doctor"
	"github.com/keylodge/keylodge/ports"
)

// Main runs the program and returns its exit code.
func Main(arguments []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// Some supervisors send a signal to the process and immediately to its process group. A signal after this second ends the process at
	// once, which loses no acknowledged write.
	context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, stop) })
	return cli.Run(ctx, cli.Program{
		Version:           version(),
		Serve:             func(ctx context.Context) error { return serve(ctx, stdout, stderr) },
		Develop:           func(ctx context.Context, pageAddress string) error { return develop(ctx, pageAddress, stdout, stderr) },
		Open:              openForCommand,
		OpenForImport:     openForImport,
		Maintain:          newMaintenance,
		RunChecks:         doctor.Run,
		CheckReady:        checkReady,
		Settings:          effectiveSettings,
		Pause:             system.Pause,
		AuthenticatorName: aaguid.New().NameOf,
		Stdin:             stdin,
		Interactive:       isTerminal(stdin),
		Stdout:            stdout,
		Stderr:            stderr,
		Terminal:          isTerminal(stderr),
	}, arguments)
}

func serve(ctx context.Context, stdout, stderr io.Writer) error {
	cfg, err := loadSettings()
	if err != nil {
		return err
	}
	return serveWith(ctx, cfg, system.Clock{}, stdout, newLogger(cfg, stderr))
}

func serveWith(ctx context.Context, cfg config.Config, clock ports.Clock, stdout io.Writer, log *slog.Logger) error {
	// A goroutine in fdatasync occupies a processor: with only one, a commit would block all other requests.
	runtime.GOMAXPROCS(max(2, runtime.GOMAXPROCS(0)))
	if err := run(ctx, cfg, clock, stdout, log); err != nil {
		// Meaning: The server did not start, or stopped. docs/runbooks/the-server-does-not-start.md lists the errors with their
		// fixes.
		log.Error("the server failed", slog.Any("error", err))
		return cli.ErrAlreadyLogged
	}
	return nil
}

func run(ctx context.Context, cfg config.Config, clock ports.Clock, stdout io.Writer, log *slog.Logger) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("%w; %s", err, config.ListenFix("KEYLODGE_LISTEN", err))
	}
	opsListener, opsErr := listenForOperations(ctx, cfg)
	if opsErr != nil && cfg.OpsListenSet {
		return fmt.Errorf("%w; set KEYLODGE_OPS_LISTEN to a free address, or empty to disable health checks and metrics", opsErr)
	}
	app, err := Open(cfg, clock, log)
	if err != nil {
		return err
	}
	defer app.Close()
	if err := app.printFirstInvite(ctx, stdout); err != nil {
		return err
	}
	collectGarbageLessOften()
	// Meaning: The server accepts requests.
	log.Info("Keylodge is ready", slog.String("url", cfg.PublicURL),
		slog.String("listen", listener.Addr().String()), slog.String("rp_id", cfg.RPID),
		slog.Any("database", cfg.Database), slog.String("version", version()))
	if opsErr != nil {
		// Meaning: Another program, or a second server, listens on the default address. The server runs without health checks and
		// metrics.
		log.Warn("no health checks and metrics: the default address is in use; set KEYLODGE_OPS_LISTEN to a free address, or empty to disable them",
			slog.Any("error", opsErr))
	}
	if opsListener != nil {
		defer app.ServeOperations(opsListener)()
	}
	for i, previous := range cfg.PreviousSecrets {
		if err := previous.CheckStrength(); err != nil {
			// Meaning: Sessions and tokens can be forged while the secret is set. keylodge doctor says whether data needs it.
			log.Warn("a previous secret can be guessed; remove it from KEYLODGE_PREVIOUS_SECRETS when no data needs it", slog.Int("number", i+1), slog.Any("error", err))
		}
	}
	logMetadata(cfg.Metadata, clock.Now(), log)
	if labels := cfg.RelatedLabels(); len(labels) > config.MaxRelatedLabels {
		// Meaning: Passkeys do not work on some of the origins. Remove origins, or run a separate server for them.
		log.Warn("browsers accept only some of the related origins in KEYLODGE_ORIGINS; remove the others",
			slog.Int("names", len(labels)), slog.Int("accepted", config.MaxRelatedLabels))
	}
	if err := app.Serve(ctx, listener); err != nil {
		return err
	}
	// Meaning: The server has stopped. The database is closed.
	log.Info("stopped")
	return nil
}

// collectGarbageLessOften lets the heap grow to three times what is in use, instead of twice, before the next collection. Little of the
// memory is in use, so collections would otherwise be frequent. The environment variable GOGC takes precedence. It is called after the
// start, which needs memory only once.
func collectGarbageLessOften() {
	const percent = 200
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}

// listenForOperations returns nil if the operations listener is disabled.
func listenForOperations(ctx context.Context, cfg config.Config) (net.Listener, error) {
	if cfg.OpsListen == "" {
		return nil, nil
	}
	return (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.OpsListen)
}

// logMetadata logs the metadata that verifies attestation, and warns if it is outdated.
func logMetadata(m *webauthn.Metadata, now time.Time, log *slog.Logger) {
	if m == nil {
		return
	}
	attributes := []any{slog.Int("number", m.Number), slog.Int("models", m.Models), slog.String("next_update", m.NextUpdate.Format(time.DateOnly))}
	if m.Outdated(now) {
		// Meaning: The file is past its date. docs/guides/authenticator-policy.md has the commands that replace it.
		log.Warn("metadata outdated: newer models are rejected, and models compromised since are accepted; replace the file of KEYLODGE_METADATA_FILE and restart", attributes...)
		return
	}
	// Meaning: The policy uses the metadata of this number until next_update.
	log.Info("attestation is verified with metadata", attributes...)
}

// newLogger writes text to a terminal and JSON elsewhere, unless the settings select a format.
func newLogger(cfg config.Config, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.LogLevel}
	if cfg.LogFormat == config.LogText || cfg.LogFormat == config.LogAuto && isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// release is the version that `make build VERSION=…` sets at link time.
var release string

func version() string {
	if release != "" {
		return release
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

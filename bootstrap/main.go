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
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/bootstrap/doctor"
)

// Main is the program. It returns its exit code.
func Main(arguments []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// Some supervisors send a signal to the process and at once to its whole group. Whoever sends another one later does
	// not want to wait: it ends the process as it would any other, which loses nothing that was acknowledged.
	context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, stop) })
	return cli.Run(ctx, cli.Program{
		Version:           version(),
		Serve:             func(ctx context.Context) error { return serve(ctx, stderr) },
		Open:              openForCommand,
		OpenForImport:     openForImport,
		Maintain:          newMaintenance,
		RunChecks:         doctor.Run,
		AuthenticatorName: aaguid.New().NameOf,
		Stdin:             stdin,
		Interactive:       isTerminal(stdin),
		Stdout:            stdout,
		Stderr:            stderr,
		Terminal:          isTerminal(stderr),
	}, arguments)
}

func serve(ctx context.Context, stderr io.Writer) error {
	cfg, err := loadSettings()
	if err != nil {
		return err
	}
	// A goroutine in fdatasync keeps its processor: with only one, a commit would stop everybody else.
	runtime.GOMAXPROCS(max(2, runtime.GOMAXPROCS(0)))
	log := newLogger(cfg, stderr)
	if err := run(ctx, cfg, log); err != nil {
		log.Error("keylodge cannot go on", slog.Any("error", err))
		return cli.ErrAlreadyLogged
	}
	return nil
}

func run(ctx context.Context, cfg config.Config, log *slog.Logger) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("%w; %s", err, config.ListenFix("KEYLODGE_LISTEN", err))
	}
	opsListener, opsErr := listenForOperations(ctx, cfg)
	if opsErr != nil && cfg.OpsListenSet {
		return fmt.Errorf("%w; set KEYLODGE_OPS_LISTEN to a free address, or to nothing", opsErr)
	}
	app, err := Open(cfg, system.Clock{}, log)
	if err != nil {
		return err
	}
	defer app.Close()
	log.Info("Keylodge is ready; open "+cfg.PublicURL+" in a browser",
		slog.String("listen", listener.Addr().String()), slog.String("rp_id", cfg.RPID),
		slog.Any("database", cfg.Database), slog.String("version", version()))
	if opsErr != nil {
		log.Warn("no health and metrics for the operator: the usual address is taken; set KEYLODGE_OPS_LISTEN to another one, or to nothing",
			slog.Any("error", opsErr))
	}
	if opsListener != nil {
		defer app.ServeOperations(opsListener)()
	}
	for i, former := range cfg.PreviousSecrets {
		if err := former.CheckStrength(); err != nil {
			log.Warn("a former secret can be guessed; take it out of KEYLODGE_PREVIOUS_SECRETS as soon as nothing needs it", slog.Int("number", i+1), slog.Any("error", err))
		}
	}
	logMetadata(cfg.Metadata, system.Clock{}.Now(), log)
	if labels := cfg.RelatedLabels(); len(labels) > config.MaxRelatedLabels {
		log.Warn("browsers take only some of the names in KEYLODGE_ORIGINS that are not the RP id's; leave the others out",
			slog.Int("names", len(labels)), slog.Int("taken", config.MaxRelatedLabels))
	}
	if err := app.Serve(ctx, listener); err != nil {
		return err
	}
	log.Info("stopped")
	return nil
}

// listenForOperations returns no listener if there is to be none.
func listenForOperations(ctx context.Context, cfg config.Config) (net.Listener, error) {
	if cfg.OpsListen == "" {
		return nil, nil
	}
	return (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.OpsListen)
}

// newLogger writes for people on a terminal and for programs elsewhere, unless the settings say which.
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

// release is what the linker was told by `make build VERSION=…`.
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

package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
		RunChecks:         runChecks,
		AuthenticatorName: aaguid.New().NameOf,
		Stdin:             stdin,
		Interactive:       isTerminal(stdin),
		Stdout:            stdout,
		Stderr:            stderr,
		Terminal:          isTerminal(stderr),
	}, arguments)
}

func serve(ctx context.Context, stderr io.Writer) error {
	config, err := loadSettings()
	if err != nil {
		return err
	}
	// A goroutine in fdatasync keeps its processor: with only one, a commit would stop everybody else.
	runtime.GOMAXPROCS(max(2, runtime.GOMAXPROCS(0)))
	log := newLogger(config, stderr)
	if err := run(ctx, config, log); err != nil {
		log.Error("keylodge cannot go on", slog.Any("error", err))
		return cli.ErrAlreadyLogged
	}
	return nil
}

func run(ctx context.Context, config Config, log *slog.Logger) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", config.Listen)
	if err != nil {
		return fmt.Errorf("%w; %s", err, listenAdvice(err))
	}
	opsListener, opsErr := listenForOperations(ctx, config)
	if opsErr != nil && config.OpsListenSet {
		return fmt.Errorf("%w; set KEYLODGE_OPS_LISTEN to a free address, or to nothing", opsErr)
	}
	app, err := Open(config, system.Clock{}, log)
	if err != nil {
		return err
	}
	defer app.Close()
	log.Info("Keylodge is ready; open "+config.PublicURL+" in a browser",
		slog.String("listen", listener.Addr().String()), slog.String("rp_id", config.RPID),
		slog.Any("database", config.Database), slog.String("version", version()))
	if opsErr != nil {
		log.Warn("no health and metrics for the operator: the usual address is taken; set KEYLODGE_OPS_LISTEN to another one, or to nothing",
			slog.Any("error", opsErr))
	}
	if opsListener != nil {
		defer app.ServeOperations(opsListener)()
	}
	for i, former := range config.PreviousSecrets {
		if err := former.CheckStrength(); err != nil {
			log.Warn("a former secret can be guessed; take it out of KEYLODGE_PREVIOUS_SECRETS as soon as nothing needs it", slog.Int("number", i+1), slog.Any("error", err))
		}
	}
	logMetadata(config.Metadata, system.Clock{}.Now(), log)
	if labels := relatedLabels(config); len(labels) > maxRelatedLabels {
		log.Warn("browsers take only some of the names in KEYLODGE_ORIGINS that are not the RP id's; leave the others out",
			slog.Int("names", len(labels)), slog.Int("taken", maxRelatedLabels))
	}
	if err := app.Serve(ctx, listener); err != nil {
		return err
	}
	log.Info("stopped")
	return nil
}

// listenForOperations returns no listener if there is to be none.
func listenForOperations(ctx context.Context, config Config) (net.Listener, error) {
	if config.OpsListen == "" {
		return nil, nil
	}
	return (&net.ListenConfig{}).Listen(ctx, "tcp", config.OpsListen)
}

func listenAdvice(err error) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "stop what listens there, or set KEYLODGE_LISTEN to another address"
	case errors.Is(err, fs.ErrPermission):
		return "set KEYLODGE_LISTEN to a port above 1023, and put a proxy in front of it"
	}
	return "set KEYLODGE_LISTEN to an address of this machine"
}

// newLogger writes for people on a terminal and for programs elsewhere, unless the settings say which.
func newLogger(config Config, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: config.LogLevel}
	if config.LogFormat == LogText || config.LogFormat == LogAuto && isTerminal(w) {
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

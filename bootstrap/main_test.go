package bootstrap

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/settings"
	"github.com/keylodge/keylodge/adapters/cli"
	"github.com/keylodge/keylodge/adapters/system"
	"github.com/keylodge/keylodge/bootstrap/config"
)

// emptyStdin is standard input without data.
var emptyStdin = strings.NewReader("")

// load reads settings in an empty directory.
func load(t testing.TB, lines ...string) (config.Config, error) {
	t.Helper()
	settings.Set(t, lines...)
	return config.Load()
}

func TestMain_InvalidSettingsLeaveNoFiles(t *testing.T) {
	if _, err := load(t, "PUBLIC_URL=http://id.example.org"); err == nil {
		t.Fatal("the settings are valid")
	}
	var stdout, stderr bytes.Buffer
	if code := Main(nil, emptyStdin, &stdout, &stderr); code != cli.ExitUsage || !strings.Contains(stderr.String(), "KEYLODGE_PUBLIC_URL") {
		t.Errorf("exit %d, %q", code, stderr.String())
	}
	if made, _ := os.ReadDir("."); len(made) > 0 {
		t.Errorf("created %v", made)
	}
}

func TestRun_AddressInUseLeavesNoFiles(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	cfg, err := load(t, "LISTEN="+taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), cfg, system.Clock{}, io.Discard, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "KEYLODGE_LISTEN") {
		t.Errorf("got %v", err)
	}
	if made, _ := os.ReadDir("."); len(made) > 0 {
		t.Errorf("created %v", made)
	}
}

func TestRun_OpsAddressInUseFailsOnlyIfSet(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	cfg, err := load(t, "LISTEN=127.0.0.1:0", "OPS_LISTEN="+taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), cfg, system.Clock{}, io.Discard, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "KEYLODGE_OPS_LISTEN") {
		t.Errorf("set: %v", err)
	}
	cfg.OpsListenSet = false
	ctx, stop := context.WithCancel(t.Context())
	log := newLineLog()
	stopped := make(chan error, 1)
	go func() { stopped <- run(ctx, cfg, system.Clock{}, io.Discard, slog.New(slog.NewTextHandler(log, nil))) }()
	if first, second := nextLine(t, log, stopped), nextLine(t, log, stopped); !strings.Contains(first, "is ready") || !strings.Contains(second, "KEYLODGE_OPS_LISTEN") {
		t.Errorf("default: logged %q and %q", first, second)
	}
	stop()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestRun_CreatesDatabaseAndSecretOnce(t *testing.T) {
	cfg, err := load(t, "LISTEN=127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var secrets []string
	for range 2 {
		ctx, stop := context.WithCancel(t.Context())
		log := newLineLog()
		stopped := make(chan error, 1)
		go func() { stopped <- run(ctx, cfg, system.Clock{}, io.Discard, slog.New(slog.NewTextHandler(log, nil))) }()
		if first := nextLine(t, log, stopped); !strings.Contains(first, "url=http://localhost ") {
			t.Errorf("the first line is %q", first)
		}
		stop()
		if err := <-stopped; err != nil {
			t.Fatal(err)
		}
		secret, err := os.ReadFile("keylodge.secret")
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, string(secret))
	}
	if secrets[0] != secrets[1] {
		t.Error("the second start created another secret")
	}
	files, _ := filepath.Glob("*")
	if !slices.Equal(files, []string{"keylodge.db", "keylodge.secret"}) {
		t.Errorf("files %v", files)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", file, info.Mode(), err)
		}
	}
}

func TestMain_StopsOnSignal(t *testing.T) {
	if _, err := load(t, "LISTEN=127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		log := newLineLog()
		exited := make(chan int, 1)
		go func() { exited <- Main(nil, emptyStdin, io.Discard, log) }()
		if first := nextLine(t, log, exited); !strings.Contains(first, "ready") {
			t.Fatal(first)
		}
		if err := syscall.Kill(os.Getpid(), signal); err != nil {
			t.Fatal(err)
		}
		if code := <-exited; code != cli.ExitOK {
			t.Errorf("%s: exit %d", signal, code)
		}
	}
}

func TestMain_LogsStartupFailureOnce(t *testing.T) {
	if _, err := load(t, "LISTEN=192.0.2.7:0"); err != nil { // an address for documentation (RFC 5737)
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	code := Main(nil, emptyStdin, &stdout, &stderr)
	if code != cli.ExitFailure || stdout.Len() > 0 || !strings.HasPrefix(stderr.String(), `{"time":`) || strings.Count(stderr.String(), "\n") != 1 {
		t.Errorf("exit %d, %q, %q", code, stdout.String(), stderr.String())
	}
}

// With a single processor, a commit would block all requests while it waits for the disk.
func TestServe_UsesAtLeastTwoProcessors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if _, err := load(t, "LISTEN="+taken.Addr().String()); err != nil {
		t.Fatal(err)
	}
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	for available, want := range map[int]int{1: 2, 2: 2, 3: 3} {
		runtime.GOMAXPROCS(available)
		var stderr bytes.Buffer
		if code := Main([]string{"serve"}, emptyStdin, io.Discard, &stderr); code != cli.ExitFailure || !strings.Contains(stderr.String(), "KEYLODGE_LISTEN") {
			t.Errorf("exit %d, %s", code, stderr.String())
		}
		if got := runtime.GOMAXPROCS(0); got != want {
			t.Errorf("uses %d of %d processors", got, available)
		}
	}
}

func TestCollectGarbageLessOften(t *testing.T) {
	for setting, want := range map[string]int{"": 200, "50": 100} { // Go itself has applied the setting of the process
		before := debug.SetGCPercent(100)
		t.Setenv("GOGC", setting)
		collectGarbageLessOften()
		if got := debug.SetGCPercent(before); got != want {
			t.Errorf("with GOGC=%q the heap grows by %d %%, want %d", setting, got, want)
		}
	}
}

func TestNewLogger_FormatAndLevel(t *testing.T) {
	for name, c := range map[string]struct {
		settings []string
		want     string
	}{
		"not on a terminal": {nil, `{"time":`},
		"text":              {[]string{"LOG_FORMAT=text"}, "time="},
		"JSON":              {[]string{"LOG_FORMAT=json"}, `{"time":`},
		"errors only":       {[]string{"LOG_LEVEL=error"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := load(t, c.settings...)
			if err != nil {
				t.Fatal(err)
			}
			file, err := os.Create("log")
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			log := newLogger(cfg, file)
			log.Debug("never") // by default
			log.Info("hello")
			written, err := os.ReadFile("log")
			if err != nil || !strings.HasPrefix(string(written), c.want) || strings.Contains(string(written), "hello") != (c.want != "") || strings.Contains(string(written), "never") {
				t.Errorf("%v: %s", err, written)
			}
		})
	}
}

func TestNewLogger_TextOnTerminal(t *testing.T) {
	terminal, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0) // a character device, like a terminal
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	for format, text := range map[config.LogFormat]bool{config.LogAuto: true, config.LogText: true, config.LogJSON: false} {
		if _, isText := newLogger(config.Config{LogFormat: format}, terminal).Handler().(*slog.TextHandler); isText != text {
			t.Errorf("format %q: text %t", format, isText)
		}
	}
}

func TestLogMetadata(t *testing.T) {
	for name, c := range map[string]struct {
		nextUpdate  time.Time
		level, text string
	}{
		"current":  {time.Now().AddDate(0, 1, 0), "INFO", "models=1"},
		"outdated": {time.Now().AddDate(0, -1, 0), "WARN", "replace the file of KEYLODGE_METADATA_FILE"},
	} {
		t.Run(name, func(t *testing.T) {
			blobFile, rootFile := settings.MetadataFiles(t, c.nextUpdate)
			cfg, err := load(t, settings.Attested(blobFile, rootFile)...)
			if err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			logMetadata(cfg.Metadata, time.Now(), slog.New(slog.NewTextHandler(&log, nil)))
			if !strings.Contains(log.String(), "level="+c.level) || !strings.Contains(log.String(), c.text) || !strings.Contains(log.String(), "number=7") {
				t.Errorf("%s", log.String())
			}
		})
	}
	var log bytes.Buffer
	if logMetadata(nil, time.Now(), slog.New(slog.NewTextHandler(&log, nil))); log.Len() > 0 {
		t.Errorf("%s", log.String())
	}
}

// lineLog sends the first log lines to a channel.
type lineLog struct{ lines chan string }

func newLineLog() lineLog { return lineLog{make(chan string, 16)} }

func (l lineLog) Write(line []byte) (int, error) {
	select {
	case l.lines <- string(line):
	default: // tests read the first ones only
	}
	return len(line), nil
}

// nextLine returns the next log line of a server. It fails the test if the server ends instead.
func nextLine[Result any](t *testing.T, log lineLog, ended <-chan Result) string {
	t.Helper()
	select {
	case line := <-log.lines:
		return line
	case result := <-ended:
		t.Fatalf("ended with %v before the next log line", result)
		return ""
	}
}

package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/keylodge/keylodge/acceptance/testkit/keylodgeserver"
)

// silent shows no progress.
func silent(string, ...any) {}

// TestMain runs the server of the limits if this program was started for it.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == limitsCommand {
		exitWith(serveLimits(os.Args[2]))
	}
	os.Exit(m.Run())
}

// A run measures each operation with each number of clients, loses nothing and writes its results. It asserts no times.
func TestRun_MeasuresEachOperation(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and starts the server")
	}
	if runtime.GOOS != "linux" || runtime.NumCPU() < 2 {
		t.Skip("needs Linux with two processors")
	}
	results, err := run(options{binary: keylodgeserver.Binary(t), seconds: 0.5, overload: 1, database: "sqlite", scale: "1k"}, silent)
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range []string{onSQLite, onFilled} {
		for _, op := range []operation{signUps, logins, sessionChecks, cookieChecks} {
			for _, clients := range clientCounts {
				if m, ok := results.measured(server, op, clients); !ok || m.Errors > 0 {
					t.Errorf("%s, %s with %d clients: %+v", server, op.name, clients, m)
				}
			}
		}
		if s, ok := results.server(server); !ok || s.Idle <= 0 || s.Peak < s.Idle {
			t.Errorf("%s: %+v", server, s)
		}
	}
	if len(results.Overloads) != 1 || results.Overloads[0].Count == 0 || results.Overloads[0].Errors+results.Overloads[0].Lost > 0 {
		t.Errorf("overload: %+v", results.Overloads)
	}
	for _, target := range results.Targets {
		if notMeasured := strings.Contains(target.Figure, "peer") || strings.Contains(target.Figure, "PostgreSQL"); (target.Verdict == "not measured") != notMeasured {
			t.Errorf("target %+v", target)
		}
	}
	folder := t.TempDir()
	if err := results.write(folder); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"results.json", "results.md", "latency.svg"} {
		if file, err := os.Stat(filepath.Join(folder, name)); err != nil || file.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRun_RejectsInvalidOptions(t *testing.T) {
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "linux" || runtime.NumCPU() < 2 {
		t.Skip("needs Linux with two processors")
	}
	for name, o := range map[string]options{
		"SCALE":    {binary: binary, database: "sqlite", scale: "many"},
		"DATABASE": {binary: binary, database: "mysql"},
		"PEER":     {binary: binary, database: "sqlite", peer: "node server.js"},
	} {
		if _, err := run(o, silent); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("invalid %s: %v", name, err)
		}
	}
}

func TestParseScale(t *testing.T) {
	for scale, want := range map[string]int{"500": 500, "10k": 10_000, "1m": 1_000_000, "": 0, "0": 0, "-1k": 0, "1g": 0} {
		if got, err := parseScale(scale); got != want || (err == nil) != (want > 0) {
			t.Errorf("parseScale(%q) = %d, %v", scale, got, err)
		}
	}
}

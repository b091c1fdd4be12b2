package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Results are written to docs/performance/results.json.
type Results struct {
	Date         string        `json:"date"`
	Commit       string        `json:"commit"`
	Go           string        `json:"go"`
	CPU          string        `json:"cpu"`
	Load         string        `json:"load_average"` // of the last minute, before the run: other work distorts the figures
	Seconds      float64       `json:"seconds"`      // of one measurement
	Users        int           `json:"scale_users,omitempty"`
	BinaryBytes  int64         `json:"binary_bytes"`
	Limits       Limits        `json:"limits"`
	Servers      []Server      `json:"servers"`
	Measurements []Measurement `json:"measurements"`
	Overloads    []Overload    `json:"overloads"`
	Targets      []Target      `json:"targets"`
}

// Server is what the process of a server needs.
type Server struct {
	Name  string  `json:"name"`
	Start float64 `json:"start_ms"`       // until the first response
	Idle  int64   `json:"rss_idle_bytes"` // one second later
	Peak  int64   `json:"rss_peak_bytes"` // after the measurements with 64 clients
}

// The names of the servers in the results.
const (
	onSQLite   = "SQLite"
	onFilled   = "SQLite, filled"
	onPostgres = "PostgreSQL"
	asPeer     = "peer"
)

func (r *Results) measured(server string, op operation, clients int) (Measurement, bool) {
	for _, m := range r.Measurements {
		if m.Server == server && m.Operation == op.name && m.Clients == clients && m.Count > 0 {
			return m, true
		}
	}
	return Measurement{}, false
}

func (r *Results) server(name string) (Server, bool) {
	for _, s := range r.Servers {
		if s.Name == name {
			return s, true
		}
	}
	return Server{}, false
}

// describe sets the members about the machine and the sources.
func (r *Results) describe() {
	r.Date, r.Go = time.Now().UTC().Format(time.DateOnly), runtime.Version()
	if commit, err := exec.CommandContext(context.Background(), "git", "rev-parse", "--short", "HEAD").Output(); err == nil {
		r.Commit = strings.TrimSpace(string(commit))
	}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		_, rest, _ := strings.Cut(string(text), "model name")
		line, _, _ := strings.Cut(rest, "\n")
		r.CPU = fmt.Sprintf("%d × %s", runtime.NumCPU(), strings.Trim(line, "\t :"))
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		r.Load, _, _ = strings.Cut(string(text), " ")
	}
}

// write writes results.json, results.md and latency.svg into the folder.
func (r *Results) write(folder string) error {
	encoded, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for name, text := range map[string]string{"results.json": string(encoded) + "\n", "results.md": r.markdown(), "latency.svg": r.plot()} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// markdown returns the results as a page, which is also what the terminal shows.
func (r *Results) markdown() string {
	var b strings.Builder
	line := func(format string, values ...any) { fmt.Fprintf(&b, format+"\n", values...) }
	line("# Results")
	line("")
	line("`make bench` generates this page. The [README](README.md) explains the figures.")
	line("")
	line("| run | |\n| --- | --- |")
	line("| date, commit | %s, `%s` |", r.Date, r.Commit)
	line("| processors | %s; the server has one of them |", r.CPU)
	line("| load average before the run | %s |", r.Load)
	line("| Go | %s |", r.Go)
	line("| one measurement | %g s |", r.Seconds)
	if r.Users > 0 {
		line("| rows of \"%s\" | %d users, %d passkeys, %d sessions, %d events |", onFilled, r.Users, r.Users*passkeysOfUser, r.Users*sessionsOfUser, r.Users*eventsOfUser)
	}
	line("\n## Targets\n\n| figure | target | measured | |\n| --- | --- | --- | --- |")
	for _, t := range r.Targets {
		line("| %s | %s | %s | %s |", t.Figure, t.Target, t.Measured, t.Verdict)
	}
	line("\n## Limits\n\n| CPU, µs | |\n| --- | --- |")
	line("| one request to a route that does nothing | %.1f |", r.Limits.Route)
	line("| one P-256 verification | %.1f |", r.Limits.Verify)
	line("| one ES256 signature | %.1f |", r.Limits.Sign)
	line("| one durable row, in a group of %d | %.1f |", rowsPerCommit, r.Limits.Row)
	line("| a login: two requests and one of each other | %.1f |", r.Limits.Login)
	line("\n## Operations\n\n| server | operation | clients | per second | p50, ms | p99, ms | CPU, µs | × limit | errors |")
	line("| --- | --- | --: | --: | --: | --: | --: | --: | --: |")
	for _, m := range r.Measurements {
		line("%s", r.row(m))
	}
	for _, o := range r.Overloads {
		line("%s", r.row(o.Measurement))
	}
	for _, o := range r.Overloads {
		line("\n%s: of %d sign-ins that the server acknowledged to %d clients before it was killed, %d sessions were lost.", o.Server, o.Count, o.Clients, o.Lost)
	}
	line("\n## Processes\n\n| server | first response, ms | memory idle, MB | peak, MB |\n| --- | --: | --: | --: |")
	for _, s := range r.Servers {
		line("| %s | %.0f | %.1f | %.1f |", s.Name, s.Start, megabytes(s.Idle), megabytes(s.Peak))
	}
	line("\nThe binary has %.1f MB.", megabytes(r.BinaryBytes))
	return b.String()
}

func (r *Results) row(m Measurement) string {
	ratio := ""
	switch m.Operation {
	case logins.name:
		ratio = fmt.Sprintf("%.1f", m.CPU/r.Limits.Login)
	case sessionChecks.name, cookieChecks.name:
		ratio = fmt.Sprintf("%.1f", m.CPU/r.Limits.Route)
	}
	return fmt.Sprintf("| %s | %s | %d | %.0f | %.2f | %.2f | %.0f | %s | %d |", m.Server, m.Operation, m.Clients, m.PerSecond, m.P50/1000, m.P99/1000, m.CPU, ratio, m.Errors)
}

func megabytes(bytes int64) float64 { return float64(bytes) / (1 << 20) }

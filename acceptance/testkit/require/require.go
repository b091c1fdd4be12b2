// Package require decides what happens to a test that needs a program which the machine lacks: it is skipped, or it fails if
// the variable REQUIRE names the program (REQUIRE=postgres,redis), or is "all" and a package installs the program. With -short such a
// test is always skipped.
package require

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Need is something that a machine may lack.
type Need struct {
	name       string // in REQUIRE
	what       string
	commands   []string // the names and paths of the program, also in .ci/setup; /usr/sbin is rarely on a user's PATH
	unpackaged bool     // no package installs it: only its name in REQUIRE requires it
}

// The needs of the tests.
var (
	Browser = Need{"browser", "Chromium", []string{
		"chromium-headless-shell", "headless_shell", "headless-shell", // without windows, and therefore several times faster
		"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "google-chrome-beta", "google-chrome-unstable",
		"/usr/local/bin/chrome", "/snap/bin/chromium", "chrome",
		"/Applications/Chromium.app/Contents/MacOS/Chromium", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
	}, false}
	MailServer = Need{"mailserver", "Exim", []string{"exim4", "exim", "/usr/sbin/exim4", "/usr/sbin/exim"}, false}
	Postgres   = Need{"postgres", "PostgreSQL", nil, false} // package postgresserver searches it, because its version matters
	PgBouncer  = Need{"pgbouncer", "PgBouncer", []string{"pgbouncer", "/usr/sbin/pgbouncer"}, false}
	Redis      = Need{"redis", "Redis or Valkey", []string{"valkey-server", "redis-server"}, false}
	HAProxy    = Need{"haproxy", "HAProxy", []string{"haproxy", "/usr/sbin/haproxy"}, false}
	Caddy      = Need{"caddy", "Caddy", []string{"caddy"}, false}
	Nginx      = Need{"nginx", "nginx", []string{"nginx", "/usr/sbin/nginx"}, false}
	Prometheus = Need{"prometheus", "Prometheus", []string{"prometheus"}, false}
	Promtool   = Need{"prometheus", "promtool", []string{"promtool"}, false}
	Traefik    = Need{"traefik", "Traefik", []string{"traefik"}, true}
	Axe        = Need{"axe", "axe-core: run `make javascript` once", nil, true}
	Tools      = Need{"tools", "curl, lsof, sqlite3, systemd-analyze or another program of the operator", nil, false}
	Root       = Need{"root", "the rights of root", nil, false}
	SmallDisk  = Need{"disk", "a small disk, which only root can mount", nil, false}
)

// Program returns the path of the program. If it is not installed, the test ends as Missing says.
func Program(t testing.TB, need Need) string {
	t.Helper()
	NotShort(t, need)
	for _, name := range need.commands {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	Missing(t, need)
	return ""
}

// NotShort skips the test if -short is set.
func NotShort(t testing.TB, need Need) {
	t.Helper()
	if testing.Short() {
		t.Skipf("-short skips tests that need %s", need.what)
	}
}

// Missing skips the test, or fails it if REQUIRE names the need.
func Missing(t testing.TB, need Need) {
	t.Helper()
	if required := strings.Split(os.Getenv("REQUIRE"), ","); slices.Contains(required, need.name) || slices.Contains(required, "all") && !need.unpackaged {
		t.Fatalf("REQUIRE=%s, but the test found no %s; `make setup` installs missing programs", os.Getenv("REQUIRE"), need.what)
	}
	t.Skipf("found no %s; `make setup` installs missing programs", need.what)
}

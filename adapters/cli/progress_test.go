package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/application/transfer"
)

func TestBar(t *testing.T) {
	for _, c := range []struct {
		done, total int
		elapsed     time.Duration
		want        string
	}{
		{0, 0, 0, "[==============================] 100%  0 of 0 users"},
		{0, 10, time.Minute, "[                              ]   0%  0 of 10 users"},
		{5, 10, 0, "[===============               ]  50%  5 of 10 users"},
		{2500, 10_000, 5 * time.Second, "[=======                       ]  25%  2500 of 10000 users  500/s  15s left"},
		{10_000, 10_000, 20 * time.Second, "[==============================] 100%  10000 of 10000 users  500/s"},
		{11, 10, 11 * time.Second, "[==============================] 100%  11 of 10 users  1/s"},
	} {
		if got := bar(transfer.Importing, c.done, c.total, c.elapsed); got != "importing "+c.want {
			t.Errorf("%d of %d in %s: %q, want %q", c.done, c.total, c.elapsed, got, c.want)
		}
	}
}

// On a terminal it is drawn at most ten times a second and at the end, otherwise a line is printed every ten seconds.
func TestProgress_ThrottlesOutput(t *testing.T) {
	show := func(terminal bool) string {
		var w bytes.Buffer
		now := time.Unix(0, 0)
		p := &progress{w: &w, terminal: terminal, now: func() time.Time { return now }}
		for done := range 10_000 { // at 400 a second
			p.report(transfer.Exporting, done+1, 10_000)
			now = now.Add(2500 * time.Microsecond)
		}
		p.end()
		return w.String()
	}
	output := show(true)
	if n := strings.Count(output, "\r"); n < 240 || n > 260 || strings.Count(output, "\n") != 1 || !strings.Contains(output, "10000 of 10000 users") {
		t.Errorf("drawn %d times: %q", n, output[max(0, len(output)-300):])
	}
	if output = show(false); output != "exporting: 4001 of 10000 users\nexporting: 8001 of 10000 users\n" {
		t.Errorf("%q", output)
	}
}

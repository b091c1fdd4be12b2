package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keylodge/keylodge/application/transfer"
)

const (
	barWidth       = 30
	redrawInterval = 100 * time.Millisecond
	lineInterval   = 10 * time.Second
)

// progress shows the progress of an export or import: as a bar on a terminal, otherwise as a line every ten seconds, so that a short
// one prints nothing.
type progress struct {
	w        io.Writer // nil to show nothing
	terminal bool
	now      func() time.Time

	stage      transfer.Stage
	stageStart time.Time
	lastShown  time.Time
	lineOpen   bool // the bar is on the current line of the terminal
}

// newProgress shows progress on standard error, unless the output is JSON.
func (p *Program) newProgress(cmd *cobra.Command) *progress {
	if asJSON(cmd) {
		return &progress{now: time.Now}
	}
	return &progress{w: p.Stderr, terminal: p.Terminal, now: time.Now}
}

func (p *progress) report(stage transfer.Stage, done, total int) {
	if p.w == nil {
		return
	}
	now := p.now()
	if stage != p.stage {
		p.end()
		p.stage, p.stageStart, p.lastShown = stage, now, now
		if !p.terminal {
			return
		}
	} else if wait := now.Sub(p.lastShown); p.terminal && wait < redrawInterval && done < total || !p.terminal && wait < lineInterval {
		return
	}
	p.lastShown = now
	if !p.terminal {
		fmt.Fprintf(p.w, "%s: %d of %d users\n", stage, done, total)
		return
	}
	const clearToEnd = "\x1b[K"
	fmt.Fprintf(p.w, "\r%s%s", bar(stage, done, total, now.Sub(p.stageStart)), clearToEnd)
	p.lineOpen = true
}

// end completes the line of the bar.
func (p *progress) end() {
	if p.lineOpen {
		fmt.Fprintln(p.w)
		p.lineOpen = false
	}
}

// bar returns one line with the progress, the rate and the remaining time.
func bar(stage transfer.Stage, done, total int, elapsed time.Duration) string {
	share := 1.0
	if total > done { // users that are added meanwhile can make done the larger one
		share = float64(done) / float64(total)
	}
	full := int(share * barWidth)
	line := fmt.Sprintf("%-9s [%s%s] %3.0f%%  %d of %d users", stage, strings.Repeat("=", full), strings.Repeat(" ", barWidth-full),
		100*share, done, total)
	if done == 0 || elapsed < time.Second {
		return line
	}
	rate := float64(done) / elapsed.Seconds()
	line += fmt.Sprintf("  %.0f/s", rate)
	if left := max(total-done, 0); left > 0 {
		line += fmt.Sprintf("  %s left", time.Duration(float64(left)/rate*float64(time.Second)).Round(time.Second))
	}
	return line
}

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

// progress shows how far a move has come: as a bar on a terminal, elsewhere as a line now and then, so that one that is
// soon over says nothing.
type progress struct {
	w        io.Writer // nil: nobody wants to know
	terminal bool
	now      func() time.Time

	stage      transfer.Stage
	stageStart time.Time // the stage
	lastShown  time.Time
	lineOpen   bool // the bar stands on the terminal's present line
}

// newProgress shows progress on standard error, unless that is for a program.
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

// end leaves the bar where it is.
func (p *progress) end() {
	if p.lineOpen {
		fmt.Fprintln(p.w)
		p.lineOpen = false
	}
}

// bar is one line: how much is done, how fast, and how long the rest will take at that rate.
func bar(stage transfer.Stage, done, total int, took time.Duration) string {
	share := 1.0
	if total > done { // users who come meanwhile make it the other way round
		share = float64(done) / float64(total)
	}
	full := int(share * barWidth)
	line := fmt.Sprintf("%-9s [%s%s] %3.0f%%  %d of %d users", stage, strings.Repeat("=", full), strings.Repeat(" ", barWidth-full),
		100*share, done, total)
	if done == 0 || took < time.Second {
		return line
	}
	rate := float64(done) / took.Seconds()
	line += fmt.Sprintf("  %.0f/s", rate)
	if left := max(total-done, 0); left > 0 {
		line += fmt.Sprintf("  %s left", time.Duration(float64(left)/rate*float64(time.Second)).Round(time.Second))
	}
	return line
}

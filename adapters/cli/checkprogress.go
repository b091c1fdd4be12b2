package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/keylodge/keylodge/ports/dbadmin"
)

// checkWithProgress returns options of a check that print its progress to standard error: on a terminal as a line that changes,
// otherwise as a line every ten seconds. With --json nothing is printed.
func (p *Program) checkWithProgress(cmd *cobra.Command, full bool) dbadmin.CheckOptions {
	options := dbadmin.CheckOptions{Full: full}
	if asJSON(cmd) {
		return options
	}
	var stage dbadmin.Stage
	var stageStart, lastShown time.Time
	lineOpen := false
	options.Progress = func(now dbadmin.Progress) {
		if now.Stage != stage {
			stage, stageStart, lastShown = now.Stage, time.Now(), time.Now()
		}
		line := fmt.Sprintf("%s: %s", now.Stage, time.Since(stageStart).Round(time.Second))
		if now.Total > 0 {
			line += fmt.Sprintf(", %d of %d pages, %d %%", now.Done, now.Total, 100*now.Done/now.Total)
		}
		switch {
		case p.Terminal && now.Total > 0 && now.Done == now.Total:
			if lineOpen {
				fmt.Fprint(p.Stderr, "\r\x1b[K")
				lineOpen = false
			}
		case p.Terminal:
			fmt.Fprintf(p.Stderr, "\r%s\x1b[K", line)
			lineOpen = true
		case time.Since(lastShown) >= lineInterval:
			lastShown = time.Now()
			fmt.Fprintln(p.Stderr, line)
		}
	}
	return options
}

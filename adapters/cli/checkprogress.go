package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/keylodge/keylodge/ports/dbadmin"
)

// checkWithProgress returns a check that shows its progress on standard error: on a terminal as a line that changes, elsewhere as a line
// every ten seconds, and not at all beside --json.
func (p *Program) checkWithProgress(cmd *cobra.Command, full bool) dbadmin.CheckOptions {
	check := dbadmin.CheckOptions{Full: full}
	if asJSON(cmd) {
		return check
	}
	var stage dbadmin.Stage
	var began, shown time.Time
	onALine := false
	check.Progress = func(now dbadmin.Progress) {
		if now.Stage != stage {
			stage, began, shown = now.Stage, time.Now(), time.Now()
		}
		line := fmt.Sprintf("%s: %s", now.Stage, time.Since(began).Round(time.Second))
		if now.Total > 0 {
			line += fmt.Sprintf(", %d of %d pages, %d %%", now.Done, now.Total, 100*now.Done/now.Total)
		}
		switch {
		case p.Terminal && now.Total > 0 && now.Done == now.Total:
			if onALine {
				fmt.Fprint(p.Stderr, "\r\x1b[K")
				onALine = false
			}
		case p.Terminal:
			fmt.Fprintf(p.Stderr, "\r%s\x1b[K", line)
			onALine = true
		case time.Since(shown) >= lineInterval:
			shown = time.Now()
			fmt.Fprintln(p.Stderr, line)
		}
	}
	return check
}

package cli

import (
	"github.com/spf13/cobra"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var errFaultsFound = &domain.Error{Code: "faults_found", Message: "something is wrong; the faults above say what to do"}

func (p *Program) doctor() *cobra.Command {
	var full bool
	cmd := &cobra.Command{
		Use: "doctor", Short: "Look for what is wrong with the installation, and say what to do", Args: noArguments,
		Long: `Look for what is wrong with the installation, and say what to do: settings, RP id and origins, addresses, proxies, secrets, the
database and its disk, clocks. It changes nothing, and asks nobody but this machine and the mail server, if there is one. A fault
keeps something from working, and is exit code 5; a warning is worth a look. It may run beside the server, and should as the server's own user.
The check of the database's pages ends after ten seconds; with --full it reads all of them, which takes minutes on a large one.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			findings := p.Examine(cmd.Context(), p.follow(cmd, full))
			if err := cmd.Context().Err(); err != nil {
				return err
			}
			if asJSON(cmd) {
				if err := printJSON(p.Stdout, map[string][]finding{"findings": each(findings, findingOf)}); err != nil {
					return err
				}
			} else {
				p.printFindings(findings)
			}
			if countState(findings, ports.FindingFault) > 0 {
				return errFaultsFound
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&full, "full", false, "check every page of the database")
	return offerJSON(cmd)
}

func (p *Program) printFindings(findings []ports.Finding) {
	t := newTable(p.Stdout)
	var rows [][]string
	for _, f := range findings {
		rows = append(rows, []string{string(f.State), f.Check, f.Found})
		if f.Advice != "" {
			rows = append(rows, []string{" ", " ", "→ " + f.Advice})
		}
	}
	t.write(rows...)
	p.say("")
	p.say("%s, %s.", counted(countState(findings, ports.FindingFault), "fault"), counted(countState(findings, ports.FindingWarning), "warning"))
}

func countState(findings []ports.Finding, state ports.FindingState) int {
	n := 0
	for _, f := range findings {
		if f.State == state {
			n++
		}
	}
	return n
}

type finding struct {
	Check  string  `json:"check"`
	State  string  `json:"state"`
	Found  string  `json:"found"`
	Advice *string `json:"advice"`
}

func findingOf(f ports.Finding) finding {
	return finding{f.Check, string(f.State), f.Found, optional(f.Advice)}
}

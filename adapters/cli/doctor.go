package cli

import (
	"github.com/spf13/cobra"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var errChecksFailed = &domain.Error{Code: "faults_found", Message: "something is wrong; the faults above say what to do"}

func (p *Program) doctor() *cobra.Command {
	var full bool
	cmd := &cobra.Command{
		Use: "doctor", Short: "Look for what is wrong with the installation, and say what to do", Args: noArguments,
		Long: `Look for what is wrong with the installation, and say what to do: settings, RP id and origins, addresses, proxies, secrets, the
database and its disk, clocks. It changes nothing, and asks nobody but this machine and the mail server, if there is one. A fault
keeps something from working, and is exit code 5; a warning is worth a look. It may run beside the server, and should as the server's own user.
The check of the database's pages ends after ten seconds; with --full it reads all of them, which takes minutes on a large one.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			findings := p.RunChecks(cmd.Context(), p.checkWithProgress(cmd, full))
			if err := cmd.Context().Err(); err != nil {
				return err
			}
			if asJSON(cmd) {
				if err := printJSON(p.Stdout, map[string][]checkResult{"findings": mapSlice(findings, checkResultOf)}); err != nil {
					return err
				}
			} else {
				p.printCheckResults(findings)
			}
			if countStatus(findings, ports.CheckError) > 0 {
				return errChecksFailed
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&full, "full", false, "check every page of the database")
	return addJSONFlag(cmd)
}

func (p *Program) printCheckResults(findings []ports.CheckResult) {
	t := newTable(p.Stdout)
	var rows [][]string
	for _, f := range findings {
		rows = append(rows, []string{string(f.Status), f.Name, f.Message})
		if f.Advice != "" {
			rows = append(rows, []string{" ", " ", "→ " + f.Advice})
		}
	}
	t.write(rows...)
	p.printLine("")
	p.printLine("%s, %s.", pluralize(countStatus(findings, ports.CheckError), "fault"), pluralize(countStatus(findings, ports.CheckWarning), "warning"))
}

func countStatus(findings []ports.CheckResult, state ports.CheckStatus) int {
	n := 0
	for _, f := range findings {
		if f.Status == state {
			n++
		}
	}
	return n
}

type checkResult struct {
	Name    string  `json:"check"`
	Status  string  `json:"state"`
	Message string  `json:"found"`
	Advice  *string `json:"advice"`
}

func checkResultOf(f ports.CheckResult) checkResult {
	return checkResult{f.Name, string(f.Status), f.Message, optional(f.Advice)}
}

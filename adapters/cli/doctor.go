package cli

import (
	"github.com/spf13/cobra"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

var errChecksFailed = &domain.Error{Code: "checks_failed", Message: "one or more checks failed; follow the advice above"}

func (p *Program) doctor() *cobra.Command {
	var full bool
	cmd := &cobra.Command{
		Use: "doctor", Short: "Check the deployment, and advise what to do", Args: noArguments,
		Long: `Check the deployment, and advise what to do: settings, RP ID and origins, authenticators, apps,
addresses, proxies, secrets, e-mail, rate limits, the database and its disk, clocks. It changes no
data, and connects only to the server's own addresses, the database, and the mail server and the
Redis of the settings. An error means that something does not work, and gives exit code 5; a warning
needs attention. It can run beside the server, and should run as the user of the server. The pages
of the database are checked for ten seconds, or all of them with --full, which takes minutes on a
large database.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			checks := p.RunChecks(cmd.Context(), p.checkWithProgress(cmd, full))
			if err := cmd.Context().Err(); err != nil {
				return err
			}
			if asJSON(cmd) {
				if err := printJSON(p.Stdout, map[string][]checkResult{"checks": mapSlice(checks, checkResultOf)}); err != nil {
					return err
				}
			} else {
				p.printCheckResults(checks)
			}
			if checks.HasErrors() {
				return errChecksFailed
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&full, "full", false, "check every page of the database")
	return addJSONFlag(cmd)
}

func (p *Program) printCheckResults(checks dbadmin.CheckResults) {
	t := newTable(p.Stdout)
	var rows [][]string
	count := map[dbadmin.CheckStatus]int{}
	for _, c := range checks {
		count[c.Status]++
		rows = append(rows, []string{string(c.Status), c.Name, c.Message})
		if c.Advice != "" {
			rows = append(rows, []string{" ", " ", "→ " + c.Advice})
		}
	}
	t.write(rows...)
	p.printLine("")
	p.printLine("%s, %s.", pluralize(count[dbadmin.CheckError], "error"), pluralize(count[dbadmin.CheckWarning], "warning"))
}

type checkResult struct {
	Name    string  `json:"check"`
	Status  string  `json:"state"`
	Message string  `json:"found"`
	Advice  *string `json:"advice"`
}

func checkResultOf(c dbadmin.CheckResult) checkResult {
	return checkResult{c.Name, string(c.Status), c.Message, optional(c.Advice)}
}

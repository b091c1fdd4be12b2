package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/keylodge/keylodge/ports/dbadmin"
)

func (p *Program) config() *cobra.Command {
	return addJSONFlag(&cobra.Command{
		Use: "config", Short: "Print the settings in effect, and where each is from", Args: noArguments,
		Long: `Print the settings that the server would start with in this directory, and where each is from: the
environment, a file, or the default. Secrets are not printed. If settings are invalid, their errors
follow, and the exit code is 2.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := p.Settings()
			if asJSON(cmd) {
				return errors.Join(err, printJSON(p.Stdout, map[string][]setting{"settings": mapSlice(all, settingOf)}))
			}
			t := newTable(p.Stdout, "SETTING", "FROM", "VALUE")
			t.write(mapSlice(all, func(s dbadmin.Setting) []string {
				value := s.Value
				if value == "" && s.Hidden {
					value = "(hidden)"
				}
				return []string{s.Name, s.Origin, value}
			})...)
			return err
		},
	})
}

func settingOf(s dbadmin.Setting) setting {
	return setting{s.Name, optional(s.Value), s.Origin, s.Hidden}
}

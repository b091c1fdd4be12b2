package cli

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keylodge/keylodge/ports/dbadmin"
)

func (p *Program) migrate() *cobra.Command {
	group := &cobra.Command{
		Use: "migrate", Short: "Manage the schema of the database",
		Long: "Manage the schema of the database. The server upgrades it when it starts.",
	}
	group.AddCommand(p.migrationStatus(), p.migrateUp(), p.migrateDown())
	return addJSONFlag(group)
}

func (p *Program) migrationStatus() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "List the migrations, and which are applied", Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := p.Maintain()
			if err != nil {
				return err
			}
			status, err := m.Status(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON(cmd) {
				return printJSON(p.Stdout, map[string][]migration{"migrations": mapSlice(status, migrationOf)})
			}
			newTable(p.Stdout, "VERSION", "STATE", "NAME").write(mapSlice(status, func(m dbadmin.Migration) []string {
				name := m.Name
				if m.Newer {
					name = "(from a newer release)"
				}
				return []string{strconv.Itoa(m.Version), migrationState(m), name}
			})...)
			return nil
		},
	}
}

func (p *Program) migrateUp() *cobra.Command {
	return &cobra.Command{
		Use: "up", Short: "Apply the pending migrations, as the next start would", Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := p.Maintain()
			if err != nil {
				return err
			}
			applied, err := m.Up(cmd.Context())
			if err != nil {
				return err
			}
			for i := range applied {
				applied[i].Applied = true
			}
			if asJSON(cmd) {
				return printJSON(p.Stdout, map[string][]migration{"migrations": mapSlice(applied, migrationOf)})
			}
			for _, m := range applied {
				p.printLine("Applied migration %d (%s).", m.Version, m.Name)
			}
			if len(applied) == 0 {
				p.printLine("There are no pending migrations.")
			}
			return nil
		},
	}
}

func (p *Program) migrateDown() *cobra.Command {
	var confirmed bool
	cmd := &cobra.Command{
		Use: "down", Short: "Revert the latest migration, while no server runs", Args: noArguments,
		Long: `Revert the latest migration, before you start an earlier release. Use the later release for this:
the earlier one does not have the migration. Data that the earlier schema cannot store is deleted;
the command lists it and asks for confirmation. Stop the server first, and every other program
that has the database open, and make a backup.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := p.Maintain()
			if err != nil {
				return err
			}
			return p.revertMigration(cmd, m, confirmed)
		},
	}
	cmd.Flags().BoolVar(&confirmed, "yes", false, "do not ask for confirmation; required without a terminal")
	return cmd
}

func (p *Program) revertMigration(cmd *cobra.Command, m Maintenance, confirmed bool) error {
	if !confirmed {
		loss, err := m.DryRunDown(cmd.Context())
		if err != nil {
			return err
		}
		err = p.confirm(cmd.Context(), "down", "Reverting migration %d (%s) of %s deletes: %s. Type down to continue: ",
			loss.Migration.Version, loss.Migration.Name, m.Database, describeLoss(loss))
		if err != nil {
			return err
		}
	}
	loss, err := m.Down(cmd.Context())
	if err != nil {
		return err
	}
	if asJSON(cmd) {
		return printJSON(p.Stdout, lossOf(loss))
	}
	p.printLine("Reverted migration %d (%s); deleted: %s.", loss.Migration.Version, loss.Migration.Name, describeLoss(loss))
	p.printLine("Start the earlier release next: this one would apply the migration again.")
	return nil
}

func describeLoss(l dbadmin.DataLoss) string {
	var parts []string
	for _, table := range slices.Sorted(maps.Keys(l.Rows)) {
		parts = append(parts, fmt.Sprintf("%s of %s", pluralize(int(l.Rows[table]), "row"), table))
	}
	for _, table := range l.Tables {
		if l.Rows[table] == 0 {
			parts = append(parts, "the empty table "+table)
		}
	}
	for _, column := range l.Columns {
		parts = append(parts, "the column "+column)
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

type (
	migration struct {
		Version int    `json:"version"`
		Name    string `json:"name"`
		State   string `json:"state"`
	}

	migrationLoss struct {
		Migration migration        `json:"migration"`
		Rows      map[string]int64 `json:"rows"`
		Tables    []string         `json:"tables"`
		Columns   []string         `json:"columns"`
	}
)

func migrationOf(m dbadmin.Migration) migration {
	return migration{m.Version, m.Name, migrationState(m)}
}

func lossOf(l dbadmin.DataLoss) migrationLoss {
	return migrationLoss{migrationOf(l.Migration), l.Rows, nonNil(l.Tables), nonNil(l.Columns)}
}

func migrationState(m dbadmin.Migration) string {
	switch {
	case m.Newer:
		return "newer"
	case m.Applied:
		return "applied"
	}
	return "pending"
}

func countPending(status []dbadmin.Migration) int {
	pending := 0
	for _, m := range status {
		if !m.Applied {
			pending++
		}
	}
	return pending
}

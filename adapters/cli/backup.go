package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keylodge/keylodge/application/timestamp"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

func (p *Program) backup() *cobra.Command {
	var force, full bool
	cmd := &cobra.Command{
		Use: "backup FILE", Short: "Save the database in a file, also while the server runs", Args: oneArgument,
		Long: `Save the database in a file, also while the server runs. All that was acknowledged before the backup began is in it. The file
is checked for ten seconds, and with --full to its end; it is there whole or not at all, for this user alone. It does not hold the secret, which is to be kept too.
A database on a PostgreSQL server is saved with pg_dump.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := p.Maintain()
			if err != nil {
				return err
			}
			saved, err := m.Save(cmd.Context(), args[0], force, p.checkWithProgress(cmd, full))
			if err != nil {
				return err
			}
			if asJSON(cmd) {
				return printJSON(p.Stdout, backupResult{args[0], inventoryOf(saved), !saved.Unchecked, optional(m.SecretFile)})
			}
			checked := "it is checked"
			if saved.Unchecked {
				checked = "the check found nothing in ten seconds; add --full to check all of it"
			}
			p.printLine("%s holds %s; %s.", args[0], describeInventory(saved), checked)
			if m.SecretFile != "" {
				p.printLine("It does not hold the secret, without which parts of it cannot be read: keep a copy of %s too, in another place.", m.SecretFile)
			} else {
				p.printLine("It does not hold the secret, without which parts of it cannot be read: keep what KEYLODGE_SECRET says too, in another place.")
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "replace FILE if it is there")
	cmd.Flags().BoolVar(&full, "full", false, "check every page of the backup")
	return addJSONFlag(cmd)
}

func (p *Program) restore() *cobra.Command {
	var confirmed bool
	cmd := &cobra.Command{
		Use: "restore FILE", Short: "Put a backup in the place of the database, while no server runs", Args: oneArgument,
		Long: `Put a backup in the place of the database. The server, and whatever else has the database open, is stopped first. The backup is
checked; what was there is kept beside it under another name. A backup of an earlier release is upgraded by the next start,
one of a later release is refused. A database on a PostgreSQL server is restored with pg_restore.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := p.Maintain()
			if err != nil {
				return err
			}
			return p.restoreFrom(cmd, m, args[0], confirmed)
		},
	}
	cmd.Flags().BoolVar(&confirmed, "yes", false, "do not ask; needed where there is no terminal and something to replace")
	return addJSONFlag(cmd)
}

func (p *Program) restoreFrom(cmd *cobra.Command, m Maintenance, file string, confirmed bool) error {
	ctx := cmd.Context()
	prepared, err := m.PrepareRestore(ctx, file)
	if err != nil {
		return err
	}
	defer func() { _ = prepared.Discard() }() // a draft that is in nobody's way
	present, err := prepared.Current(ctx)
	if err != nil {
		return err
	}
	sealed := m.CheckSecret(prepared.Backup().SigningKeys)
	if sealed != nil && !asJSON(cmd) {
		fmt.Fprintln(p.Stderr, printable(fmt.Sprintf("Warning: the backup holds keys that this installation cannot open: %v", sealed)))
	}
	if present != nil && !confirmed {
		err := p.confirm(ctx, "restore", "The database %s (%s) is replaced by %s (%s). What is there is kept under another name. Type restore to go on: ",
			m.Database, describeInventory(*present), file, describeInventory(prepared.Backup()))
		if err != nil {
			return err
		}
	}
	kept, err := prepared.Commit(ctx)
	if err != nil {
		return err
	}
	status, err := m.Status(ctx)
	if err != nil {
		return err
	}
	pending := countPending(status)
	if asJSON(cmd) {
		return printJSON(p.Stdout, restoreResult{file, inventoryOf(prepared.Backup()), optional(kept), pending, sealed == nil})
	}
	p.printLine("%s is restored from %s: %s.", m.Database, file, describeInventory(prepared.Backup()))
	if kept != "" {
		p.printLine("What was there is kept as %s; remove it once you are sure.", kept)
	}
	if pending > 0 {
		p.printLine("It is of an earlier release: the next start upgrades it, by %s.", pluralize(pending, "migration"))
	}
	return nil
}

// describeInventory is an inventory in a few words.
func describeInventory(i dbadmin.Inventory) string {
	if i.Bytes == 0 {
		return "which cannot be read"
	}
	parts := []string{
		pluralize(int(i.Users), "user"), pluralize(int(i.Passkeys), "passkey"),
		fmt.Sprintf("%s in %s", formatSize(i.Bytes), pluralize(int(i.Pages), "page")), fmt.Sprintf("schema version %d", i.Schema),
	}
	if !i.LatestEvent.IsZero() {
		parts = append(parts, "latest event "+formatTime(i.LatestEvent))
	}
	return strings.Join(parts, ", ")
}

func formatSize(bytes int64) string {
	switch {
	case bytes >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(bytes)/1e9)
	case bytes >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(bytes)/1e6)
	}
	return fmt.Sprintf("%.1f kB", float64(bytes)/1e3)
}

type (
	inventory struct {
		Bytes       int64           `json:"bytes"`
		Pages       int64           `json:"pages"`
		Schema      int             `json:"schema"`
		Users       int64           `json:"users"`
		Passkeys    int64           `json:"passkeys"`
		LatestEvent *timestamp.Time `json:"latest_event"`
	}

	backupResult struct {
		File string `json:"file"`
		inventory
		Checked    bool    `json:"checked"` // all of it
		SecretFile *string `json:"secret_file"`
	}

	restoreResult struct {
		File string `json:"file"`
		inventory
		Kept          *string `json:"kept"`
		Pending       int     `json:"pending_migrations"`
		SecretMatches bool    `json:"secret_fits"`
	}
)

func inventoryOf(i dbadmin.Inventory) inventory {
	return inventory{i.Bytes, i.Pages, i.Schema, i.Users, i.Passkeys, timestamp.Optional(i.LatestEvent)}
}

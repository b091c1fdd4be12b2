package cli

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keylodge/keylodge/application/timestamp"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

func (p *Program) backup() *cobra.Command {
	var force, full bool
	cmd := &cobra.Command{
		Use: "backup FILE", Short: "Back up the database to a file, also while the server runs", Args: oneArgument,
		Long: `Back up the database to a file, also while the server runs. The backup contains every change that
was acknowledged before it began. Its pages are checked for ten seconds, or all of them with
--full. The file is created atomically, and only this user can read it. It does not contain the
secret: keep a copy of that, too. Use pg_dump for a PostgreSQL database.`,
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
			checked := "all pages are checked"
			if saved.Unchecked {
				checked = "the check found no error in ten seconds; add --full to check all pages"
			}
			p.printLine("%s contains %s; %s.", args[0], describeInventory(saved), checked)
			p.printLine("It does not contain the secret that decrypts parts of it: keep a copy of %s in another place.", cmp.Or(m.SecretFile, "KEYLODGE_SECRET"))
			return nil
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "replace FILE if it exists")
	cmd.Flags().BoolVar(&full, "full", false, "check every page of the backup")
	return addJSONFlag(cmd)
}

func (p *Program) restore() *cobra.Command {
	var confirmed bool
	cmd := &cobra.Command{
		Use: "restore FILE", Short: "Replace the database with a backup, while no server runs", Args: oneArgument,
		Long: `Replace the database with a backup. Stop the server first, and every other program that has the
database open. The backup is checked, and the previous database is kept under another name. The
next start upgrades a backup of an earlier release; a backup of a later release is rejected. Use
pg_restore for a PostgreSQL database.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := p.Maintain()
			if err != nil {
				return err
			}
			return p.restoreFrom(cmd, m, args[0], confirmed)
		},
	}
	cmd.Flags().BoolVar(&confirmed, "yes", false, "do not ask for confirmation; required without a terminal if a database is replaced")
	return addJSONFlag(cmd)
}

func (p *Program) restoreFrom(cmd *cobra.Command, m Maintenance, file string, confirmed bool) error {
	ctx := cmd.Context()
	prepared, err := m.PrepareRestore(ctx, file)
	if err != nil {
		return err
	}
	defer func() { _ = prepared.Discard() }() // deletes temporary files; does nothing after Commit
	current, err := prepared.Current(ctx)
	if err != nil {
		return err
	}
	secretErr := m.CheckSecret(prepared.Backup().SigningKeys)
	if secretErr != nil && !asJSON(cmd) {
		fmt.Fprintln(p.Stderr, printable(fmt.Sprintf("Warning: the backup contains keys that the secret of this server cannot decrypt: %v", secretErr)))
	}
	if current != nil && !confirmed {
		err := p.confirm(ctx, "restore", "This replaces the database %s (%s) with %s (%s), and keeps the previous one under another name. Type restore to continue: ",
			m.Database, describeInventory(*current), file, describeInventory(prepared.Backup()))
		if err != nil {
			return err
		}
	}
	previous, err := prepared.Commit(ctx)
	if err != nil {
		return err
	}
	status, err := m.Status(ctx)
	if err != nil {
		return err
	}
	pending := countPending(status)
	if asJSON(cmd) {
		return printJSON(p.Stdout, restoreResult{file, inventoryOf(prepared.Backup()), optional(previous), pending, secretErr == nil})
	}
	p.printLine("%s is restored from %s: %s.", m.Database, file, describeInventory(prepared.Backup()))
	if previous != "" {
		p.printLine("The previous database is kept as %s; remove it when you no longer need it.", previous)
	}
	if pending > 0 {
		p.printLine("It is from an earlier release: the next start applies %s.", pluralize(pending, "migration"))
	}
	return nil
}

// describeInventory describes an inventory in one line.
func describeInventory(i dbadmin.Inventory) string {
	if i.Bytes == 0 {
		return "unreadable"
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
		Checked    bool    `json:"checked"` // all pages
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

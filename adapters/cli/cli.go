// Package cli is the command line: it parses arguments, executes a use case, and prints the result as text or JSON.
//
// Users choose parts of the output, so all of it is made safe for a terminal: see printable.
package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

// Program has the dependencies of the commands.
type Program struct {
	Version string
	// Serve runs the server until ctx ends. It returns ErrAlreadyLogged if it has logged the error.
	Serve func(ctx context.Context) error
	// Develop runs a server in the development mode until ctx ends, with its page at the address. Its errors are those of Serve.
	Develop func(ctx context.Context, pageAddress string) error
	// Open returns the use cases over the existing database. Release closes the database.
	Open              func(ctx context.Context) (usecases application.UseCases, release func() error, err error)
	AuthenticatorName func(domain.AAGUID) string // "" for an unknown model
	// OpenForImport is Open, but creates the database if there is none.
	OpenForImport func(ctx context.Context) (usecases application.UseCases, release func() error, err error)
	// Maintain returns the maintenance of the database, and does not open it.
	Maintain func() (Maintenance, error)
	// RunChecks checks the deployment, settings first, and changes nothing.
	RunChecks func(ctx context.Context, check dbadmin.CheckOptions) dbadmin.CheckResults
	// Settings returns all settings as they are in effect. If some are invalid, it returns an error and the settings.
	Settings func() ([]dbadmin.Setting, error)
	// CheckReady returns an error unless a server with these settings is ready on this machine.
	CheckReady func(ctx context.Context) error

	// Pause waits, unless ctx ends before.
	Pause func(ctx context.Context, d time.Duration) error

	Stdin          io.Reader
	Interactive    bool // Stdin is a terminal
	Stdout, Stderr io.Writer
	Terminal       bool // Stderr is a terminal
}

// Maintenance has the operations on the whole database.
type Maintenance struct {
	Database string // its name in messages, for example the file
	dbadmin.Backups
	dbadmin.Schema
	SecretFile string // "" if the secret is a setting
	// CheckSecret returns an error if the secret of this server cannot decrypt the signing keys of a backup.
	CheckSecret func(domain.SigningKeys) error
}

// ErrAlreadyLogged is an error that was logged, and is not printed again.
var ErrAlreadyLogged = errors.New("the error is logged")

// Run runs the command of the arguments until it is done or ctx ends, and returns its exit code.
func Run(ctx context.Context, p Program, arguments []string) int {
	out := bufio.NewWriter(p.Stdout)
	p.Stdout = out
	root := p.root()
	started := false
	root.PersistentPreRun = func(*cobra.Command, []string) { started = true }
	root.SetArgs(append([]string{}, arguments...)) // never nil, for which Cobra uses os.Args

	cmd, err := root.ExecuteContextC(ctx)
	var known *domain.Error
	if err != nil && !started && !errors.As(err, &known) {
		err = invalidArguments(cmd, err)
	}
	if flushErr := out.Flush(); flushErr != nil {
		err = errors.Join(err, fmt.Errorf("writing the output: %w", flushErr))
	}
	return p.reportError(err, wantsJSON(arguments))
}

func (p *Program) root() *cobra.Command {
	showVersion := false
	root := &cobra.Command{
		Use:   "keylodge [COMMAND]",
		Short: "Keylodge is a passkey server.",
		Long:  rootHelp,
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if showVersion {
				p.printVersion()
				return nil
			}
			return p.Serve(cmd.Context())
		},
		DisableFlagsInUseLine: true,
		SilenceErrors:         true,
		SilenceUsage:          true,
	}
	root.Flags().BoolVar(&showVersion, "version", false, "print the version")
	root.SetIn(p.Stdin)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	root.SetFlagErrorFunc(flagError)
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { printHelp(p.Stdout, cmd) })
	root.SetHelpCommand(helpCommand())
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	root.AddCommand(p.serve(), p.develop(), p.users(), p.sessions(), p.events(), p.keys(), p.apiKeys(), p.invites(), p.backup(), p.restore(), p.exportAll(), p.importAll(), p.migrate(), p.config(), p.doctor(),
		p.healthcheck(), p.version())
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.HasSubCommands() {
			requireSubcommand(cmd)
		}
	}
	return root
}

func (p *Program) serve() *cobra.Command {
	return &cobra.Command{
		Use: "serve", Short: "Run the server; this is the default command", Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.Serve(cmd.Context()) },
	}
}

func (p *Program) version() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: noArguments,
		Run: func(*cobra.Command, []string) { p.printVersion() },
	}
}

func (p *Program) printVersion() { p.printLine("keylodge %s", p.Version) }

// withUseCases opens the database, calls do, and closes the database.
func (p *Program) withUseCases(ctx context.Context, do func(usecases application.UseCases) error) error {
	return p.withUseCasesFrom(ctx, p.Open, do)
}

func (p *Program) withUseCasesFrom(ctx context.Context, open func(context.Context) (application.UseCases, func() error, error),
	do func(usecases application.UseCases) error) (err error) {
	usecases, release, err := open(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if releaseErr := release(); releaseErr != nil {
			err = errors.Join(err, fmt.Errorf("closing the database: %w", releaseErr))
		}
	}()
	return do(usecases)
}

// printResult prints a document with --json, or else a line of text.
func (p *Program) printResult(cmd *cobra.Command, document any, format string, values ...any) error {
	if asJSON(cmd) {
		return printJSON(p.Stdout, document)
	}
	p.printLine(format, values...)
	return nil
}

// printLine prints a line of text.
func (p *Program) printLine(format string, values ...any) {
	fmt.Fprintln(p.Stdout, printable(fmt.Sprintf(format, values...)))
}

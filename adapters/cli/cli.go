// Package cli is the command line: it turns arguments into calls of use cases, and what comes of them into words for people
// or JSON for programs, and into an exit code.
//
// Whatever it writes is safe on a terminal, since some of it was chosen by users: see printable.
package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

// Program is what the commands need of the house.
type Program struct {
	Version string
	// Serve serves until ctx ends. It returns ErrAlreadyLogged if its log says already why it could not go on.
	Serve func(ctx context.Context) error
	// Open opens the product over the database that is there, without serving. Release gives the database back.
	Open              func(ctx context.Context) (usecases application.UseCases, release func() error, err error)
	AuthenticatorName func(domain.AAGUID) string // "" for an unknown model
	// OpenForImport is Open, but makes the database if there is none.
	OpenForImport func(ctx context.Context) (usecases application.UseCases, release func() error, err error)
	// Maintain names the database for what is done to it as a whole, and opens nothing.
	Maintain func() (Maintenance, error)
	// RunChecks looks at the whole installation, settings first, and changes nothing.
	RunChecks func(ctx context.Context, check dbadmin.CheckOptions) dbadmin.CheckResults

	Stdin          io.Reader
	Interactive    bool // whoever is at Stdin can be asked
	Stdout, Stderr io.Writer
	Terminal       bool // whoever is at Stderr can watch
}

// Maintenance is the database as a whole.
type Maintenance struct {
	Database string // what people know it by: its file, say
	dbadmin.Backups
	dbadmin.Schema
	SecretFile string // "" if the secret is a setting
	// CheckSecret returns why the secret of this installation does not open what another one, or a backup, has sealed: nil if
	// it does.
	CheckSecret func(domain.SigningKeys) error
}

// ErrAlreadyLogged is a failure that nobody needs to be told of again.
var ErrAlreadyLogged = errors.New("the log says what went wrong")

// Run runs the command that the arguments name, until it is done or ctx ends, and returns its exit code.
func Run(ctx context.Context, p Program, arguments []string) int {
	out := bufio.NewWriter(p.Stdout)
	p.Stdout = out
	root := p.root()
	started := false
	root.PersistentPreRun = func(*cobra.Command, []string) { started = true }
	root.SetArgs(append([]string{}, arguments...)) // never nil, which Cobra takes for os.Args

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
	root.AddCommand(p.serve(), p.users(), p.sessions(), p.keys(), p.backup(), p.restore(), p.exportAll(), p.importAll(), p.migrate(), p.doctor(),
		p.version())
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
		Use: "serve", Short: "Serve; this is also what happens without a command", Args: noArguments,
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

// withUseCases opens the product for as long as do takes.
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

// printLine writes a sentence for people.
func (p *Program) printLine(format string, values ...any) {
	fmt.Fprintln(p.Stdout, printable(fmt.Sprintf(format, values...)))
}

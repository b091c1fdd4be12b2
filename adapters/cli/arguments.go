package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keylodge/keylodge/domain"
)

// invalidArguments returns an error about the arguments of cmd that refers to its help.
func invalidArguments(cmd *cobra.Command, err error) error {
	return &domain.Error{
		Kind: domain.KindInvalid, Code: "invalid_arguments",
		Message: fmt.Sprintf("%s; see: %s --help", err, cmd.CommandPath()),
	}
}

// noArguments rejects arguments. An argument of a group of commands is a mistyped command.
func noArguments(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case cmd.HasSubCommands():
		return noSuchCommand(cmd, args[0])
	}
	return fmt.Errorf("unexpected argument %q", args[0])
}

// oneArgument requires exactly one argument.
func oneArgument(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return errors.New("usage: " + cmd.UseLine())
	}
	return nil
}

// requireSubcommand makes a group of commands fail without a command. Cobra would print its help and exit with 0, also for a mistyped
// command, and a script would continue.
func requireSubcommand(cmd *cobra.Command) {
	cmd.Use = cmd.Name() + " COMMAND"
	cmd.DisableFlagsInUseLine = true
	cmd.Args = noArguments
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		names := make([]string, len(cmd.Commands()))
		for i, sub := range cmd.Commands() {
			names[i] = sub.Name()
		}
		return invalidArguments(cmd, errors.New("missing command: one of "+strings.Join(names, ", ")))
	}
}

func noSuchCommand(cmd *cobra.Command, name string) error {
	cmd.SuggestionsMinimumDistance = 2
	message := fmt.Sprintf("unknown command %q", name)
	if similar := cmd.SuggestionsFor(name); len(similar) > 0 {
		message += " (did you mean " + strings.Join(similar, " or ") + "?)"
	}
	return errors.New(message)
}

// flagError reports a mistyped command instead of its flags, which are unknown because of it.
func flagError(cmd *cobra.Command, err error) error {
	if args := cmd.Flags().Args(); cmd.HasSubCommands() && len(args) > 0 {
		return noSuchCommand(cmd, args[0])
	}
	return err
}

const jsonFlag = "json"

// addJSONFlag adds the flag --json to a command or a group of commands.
func addJSONFlag(group *cobra.Command) *cobra.Command {
	group.PersistentFlags().Bool(jsonFlag, false, "print one JSON document; an error is a document on stderr")
	return group
}

func asJSON(cmd *cobra.Command) bool {
	set, err := cmd.Flags().GetBool(jsonFlag)
	return err == nil && set
}

// wantsJSON looks for --json in arguments that may be invalid.
func wantsJSON(arguments []string) bool {
	if end := slices.Index(arguments, "--"); end >= 0 {
		arguments = arguments[:end]
	}
	return slices.Contains(arguments, "--"+jsonFlag) || slices.Contains(arguments, "--"+jsonFlag+"=true")
}

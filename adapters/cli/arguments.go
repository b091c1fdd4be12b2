package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keylodge/keylodge/domain"
)

// invalidArguments says what is wrong with how cmd was called, and where to read on.
func invalidArguments(cmd *cobra.Command, err error) error {
	return &domain.Error{
		Kind: domain.KindInvalid, Code: "invalid_arguments",
		Message: fmt.Sprintf("%s; see: %s --help", err, cmd.CommandPath()),
	}
}

// noArguments lets a command be called alone only. For one that has others below it, an argument is a mistyped command.
func noArguments(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case cmd.HasSubCommands():
		return noSuchCommand(cmd, args[0])
	}
	return fmt.Errorf("%q is too much", args[0])
}

// oneArgument lets a command be called with what its usage line names.
func oneArgument(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return errors.New("call it like this: " + cmd.UseLine())
	}
	return nil
}

// requireSubcommand makes a command that only gathers others fail when called itself. Cobra would show its help and exit
// with 0, also for a mistyped command, and scripts would go on.
func requireSubcommand(cmd *cobra.Command) {
	cmd.Use = cmd.Name() + " COMMAND"
	cmd.DisableFlagsInUseLine = true
	cmd.Args = noArguments
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		names := make([]string, len(cmd.Commands()))
		for i, sub := range cmd.Commands() {
			names[i] = sub.Name()
		}
		return invalidArguments(cmd, errors.New("say which command: "+strings.Join(names, ", ")))
	}
}

func noSuchCommand(cmd *cobra.Command, typed string) error {
	cmd.SuggestionsMinimumDistance = 2
	problem := fmt.Sprintf("there is no command %q", typed)
	if meant := cmd.SuggestionsFor(typed); len(meant) > 0 {
		problem += " (did you mean " + strings.Join(meant, " or ") + "?)"
	}
	return errors.New(problem)
}

// flagError blames a mistyped command for the flags that nobody knows because of it.
func flagError(cmd *cobra.Command, err error) error {
	if args := cmd.Flags().Args(); cmd.HasSubCommands() && len(args) > 0 {
		return noSuchCommand(cmd, args[0])
	}
	return err
}

const jsonFlag = "json"

// addJSONFlag lets the answers of a group of commands be had as JSON.
func addJSONFlag(group *cobra.Command) *cobra.Command {
	group.PersistentFlags().Bool(jsonFlag, false, "answer with one JSON document; also on failure, then on stderr")
	return group
}

func asJSON(cmd *cobra.Command) bool {
	wanted, err := cmd.Flags().GetBool(jsonFlag)
	return err == nil && wanted
}

// wantsJSON finds the flag also among arguments that could not be understood.
func wantsJSON(arguments []string) bool {
	if end := slices.Index(arguments, "--"); end >= 0 {
		arguments = arguments[:end]
	}
	return slices.Contains(arguments, "--"+jsonFlag) || slices.Contains(arguments, "--"+jsonFlag+"=true")
}

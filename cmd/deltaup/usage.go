package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// checkCommand refuses a command line without a command, or with one that does not exist. Cobra
// itself prints help for some of these, as if nothing was wrong.
func checkCommand(root *cobra.Command, args []string) error {
	root.InitDefaultHelpCmd() // these two come late otherwise
	root.InitDefaultCompletionCmd(args...)
	if len(args) > 0 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) {
		return nil // a shell asks what could be typed next
	}
	cmd, rest, err := root.Find(args)
	switch {
	case err == nil && cmd.Runnable():
		return nil
	case err == nil && len(rest) == 0:
		return &usageError{fmt.Errorf("no command is given (see %s --help)", cmd.CommandPath())}
	case err == nil && strings.HasPrefix(rest[0], "-"):
		return nil // --help, or a flag that there is not
	}
	return unknownCommand(cmd, rest)
}

// unknownCommand is the error for the first of args that is no flag.
func unknownCommand(parent *cobra.Command, args []string) error {
	name := ""
	for _, a := range args {
		if name = a; !strings.HasPrefix(a, "-") {
			break
		}
	}
	return &usageError{
		fmt.Errorf("unknown command %q%s (see %s --help)", name, suggest(parent, name, ""),
			parent.CommandPath()),
	}
}

// suggest gives ", did you mean …?" when names of parent's commands are like the one that was
// typed.
func suggest(parent *cobra.Command, typed, prefix string) string {
	parent.SuggestionsMinimumDistance = 2
	if len(typed) < 5 {
		parent.SuggestionsMinimumDistance = 1 // of four letters, two say little
	}
	names := parent.SuggestionsFor(typed)
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf(", did you mean %s%s?", prefix, strings.Join(names, " or "+prefix))
}

// flagError makes a usage error of what pflag says.
func flagError(cmd *cobra.Command, err error) error {
	hint := ""
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) && len(unknown.GetSpecifiedName()) > 1 {
		// Cobra measures names of commands, so the flags become some.
		flags := &cobra.Command{}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			flags.AddCommand(&cobra.Command{Use: f.Name, Run: func(*cobra.Command, []string) {}})
		})
		hint = suggest(flags, unknown.GetSpecifiedName(), "--")
	}
	return &usageError{fmt.Errorf("%w%s (see %s --help)", err, hint, cmd.CommandPath())}
}

// newHelpCommand is cobra's, which is content with a command that does not exist.
func newHelpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Tell more about a command",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return unknownCommand(about, rest)
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}

package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"deltaup/internal/human"
)

// run runs one command line and returns the process's exit code.
func run(ctx context.Context, env *Env, args []string) int {
	root := newRootCommand(env)
	root.SetArgs(args)
	cmd, err := root, checkCommand(root, args)
	if err == nil {
		cmd, err = root.ExecuteContextC(ctx)
	}
	if err == nil {
		return exitOK
	}
	f := explain(err)
	if wantsJSON(cmd, args) && !isReported(err) {
		printFailure(env.Stdout, f)
	}
	printf(env.Stderr, "deltaup: %s\n", human.Line(f.line(), maxMessage))
	return f.Code
}

// wantsJSON tells whether --json was given, also behind a flag that was wrong.
func wantsJSON(cmd *cobra.Command, args []string) bool {
	f := cmd.Flags().Lookup("json")
	return f != nil && (f.Value.String() == "true" || slices.Contains(args, "--json"))
}

func newRootCommand(env *Env) *cobra.Command {
	root := &cobra.Command{
		Use:           "deltaup",
		Short:         "Move machines from one squashfs image to the next over a thin line",
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version(),
	}
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	root.SetFlagErrorFunc(flagError)
	root.SetHelpCommand(newHelpCommand())
	root.AddCommand(publisherCommands(env)...)
	root.AddCommand(
		// those of a target, a line each, in the order of an update
		newPlanCommand(env),
		newPullCommand(env),
		newInstallCommand(env),
		newRepairCommand(env),
		newStatusCommand(env),
		newListCommand(env),
		newNoticeCommand(env),
		newMarkGoodCommand(env),
		newMarkBadCommand(env),
		newMarkActiveCommand(env),
		newRollbackCommand(env),
		newPinCommand(env),
		newUnpinCommand(env),
		newHealthCommand(env),
		newDoctorCommand(env),
		newBootCommand(env),
		newLsCommand(env),
		newCatCommand(env),
		newTraceCommand(env),
		newVersionCommand(env),
	)
	return root
}

// exactArgs is cobra.ExactArgs with our usage error.
func exactArgs(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return &usageError{
				fmt.Errorf("%s takes %d argument(s), got %d: usage: %s", cmd.CommandPath(), n,
					len(args), cmd.UseLine()),
			}
		}
		return nil
	}
}

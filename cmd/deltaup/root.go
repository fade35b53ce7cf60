package main

import (
	"context"
	"strconv"
	"strings"

	"deltaup/internal/command"
	"deltaup/internal/human"
)

// run runs one command line and returns the process's exit code.
func run(ctx context.Context, env *Env, args []string) int {
	root := newRootCommand(env)
	cmd, err := root.Execute(ctx, args)
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
func wantsJSON(cmd *command.Command, args []string) bool {
	f := cmd.Flags().Lookup("json")
	if f == nil {
		return false
	}
	wants := f.Value.String() == "true"
	for _, a := range args {
		if a == "--" {
			break // no flags any more
		}
		if name, value, given := strings.Cut(a, "="); name == "--json" {
			is, err := strconv.ParseBool(value)
			wants = !given || is || err != nil
		}
	}
	return wants
}

func newRootCommand(env *Env) *command.Root {
	root := command.NewRoot("deltaup",
		"Move machines from one squashfs image to the next over a thin line", version(), env.Stdout)
	root.Add(publisherCommands(env)...)
	root.Add(
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
		newSettingsCommand(env),
		newLsCommand(env),
		newCatCommand(env),
		newTraceCommand(env),
		newVersionCommand(env),
	)
	return root
}

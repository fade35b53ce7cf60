package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"deltaup/internal/command"
)

func newVersionCommand(env *Env) *command.Command {
	return &command.Command{
		Use:   "version",
		Short: "Print the version of this program",
		Args:  command.Exactly(0),
		Run: func(context.Context, []string) error {
			return printf(env.Stdout, "deltaup version %s\n", version())
		},
	}
}

// linkedVersion is what `make build` sets; "" leaves it to the go command.
var linkedVersion string

// version tells what this program was built from: a tag, or a commit or its date and revision, with
// "dirty" for changes that nobody has committed.
func version() string {
	number := linkedVersion
	if info, ok := debug.ReadBuildInfo(); ok && number == "" {
		number = info.Main.Version
	}
	return fmt.Sprintf("%s (%s %s/%s)", number, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

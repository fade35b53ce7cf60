package main

import (
	"context"

	"deltaup/internal/command"
)

func newInstallCommand(env *Env) *command.Command {
	var o pullOptions
	cmd := &command.Command{
		Use:   "install DIR|URL... [flags]",
		Short: "Update this machine from another mirror, such as a folder on a USB stick",
		Long: `Install does what pull does without arguments, from the mirrors given instead of
those of the configuration. From a folder it needs no network.`,
		Run: func(ctx context.Context, args []string) error {
			o.mirrors, o.configured = args, true
			return runPull(ctx, env, &o)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.channel, "channel", "",
		"channel whose newest release is installed (default: the configuration's)")
	f.StringVar(&o.version, "version", "", "release to install instead of the channel's newest")
	o.trust.addFlags(f)
	o.addUpdateFlags(f)
	o.addLineFlags(f)
	return cmd
}

package main

import (
	"context"
	"fmt"

	"deltaup/device"
	"deltaup/internal/command"
)

func newRepairCommand(env *Env) *command.Command {
	o := pullOptions{repair: true}
	ifDamaged := false
	cmd := &command.Command{
		Use:   "repair [DIR|URL...] [flags]",
		Short: "Install the running release anew, from what is good of it",
		Long: `Repair installs the release that runs, not the newest, into another slot and
puts it on trial: from the blocks of the running image that are right, and from
what has to be fetched in place of those that are damaged, or that the medium
does not give any more. A damaged kernel or initrd is made anew as well. What
the machine runs from is only read. The mirrors are those of the configuration,
or the ones given.

The next update mends a machine as well. See also deltaup doctor --scrub, which
finds what is damaged.`,
		Run: func(ctx context.Context, args []string) error {
			o.mirrors, o.configured = args, true
			o.trust.downgrade = true // to what runs
			if ifDamaged {
				if err := someDamaged(&o); err != nil {
					return err
				}
			}
			return runPull(ctx, env, &o)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVar(&ifDamaged, "if-damaged", false,
		"only when the last scrub found a slot to be damaged")
	f.StringVar(&o.version, "version", "",
		"the release that runs, where deltaup has not installed it")
	o.trust.addFlags(f)
	o.addUpdateFlags(f)
	o.addLineFlags(f)
	for _, name := range []string{"allow-downgrade", "optimize"} { // say nothing here
		if err := f.MarkHidden(name); err != nil {
			panic(err)
		}
	}
	return cmd
}

// someDamaged fails with device.ErrNothing when no scrub found damage.
func someDamaged(o *pullOptions) error {
	d, err := o.machine.open()
	if err != nil {
		return err
	}
	damaged, err := d.Damaged()
	if err == nil && len(damaged) == 0 {
		err = fmt.Errorf("%w: the last scrub found no damage", device.ErrNothing)
	}
	return err
}

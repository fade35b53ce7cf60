package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"deltaup/device"
)

func newDoctorCommand(env *Env) *cobra.Command {
	var asJSON bool
	cmd := newMachineCommand("doctor", "Look at all that updates and fallbacks rest on",
		`Doctor looks whether the slots are what the configuration says, whether GRUB and this program use
the same environment block on a file system that GRUB can write, whether each slot has
kernel and initrd, and whether there is a slot to fall back to. For each finding it says what to do.
It changes nothing. The exit code is 18 when something is wrong.`, exactArgs(0),
		func(_ context.Context, d *device.Device, _ []string) error {
			findings := d.Doctor()
			if asJSON {
				if err := printJSON(env.Stdout, findings); err != nil {
					return err
				}
				return device.Sound(findings)
			}
			for _, f := range findings {
				fmt.Fprintf(env.Stdout, "%-8s %s\n", f.Level, f.What)
				if f.Advice != "" {
					fmt.Fprintf(env.Stdout, "%-8s -> %s\n", "", f.Advice)
				}
			}
			return device.Sound(findings)
		})
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array of findings")
	return cmd
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"deltaup/device"
	"deltaup/slotboot/config"
)

// machineOptions are the flags of all commands that know the machine's slots.
type machineOptions struct {
	sysroot string
	config  string
}

func (o *machineOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(
		&o.config,
		"config",
		"",
		"configuration `FILE` (default: the first of "+config.Places[0]+", "+config.Places[1]+", "+config.Places[2]+")",
	)
	f.StringVar(&o.sysroot, "sysroot", "",
		"work on the machine whose root folder is `DIR`, such as one that is being installed")
}

// open reads the configuration.
func (o *machineOptions) open() (*device.Device, error) {
	return device.Open(o.sysroot, o.config, loaders)
}

// newMachineCommand is a command with the flags of machineOptions.
func newMachineCommand(use, short, long string, args cobra.PositionalArgs,
	run func(ctx context.Context, d *device.Device, args []string) error) *cobra.Command {
	var o machineOptions
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Args: args,
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := o.open()
			if err != nil {
				return err
			}
			return run(cmd.Context(), d, args)
		},
	}
	cmd.Flags().SortFlags = false
	o.addFlags(cmd.Flags())
	return cmd
}

// atMostArgs is cobra.MaximumNArgs with our usage error.
func atMostArgs(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n {
			return &usageError{
				fmt.Errorf("%s takes at most %d argument(s), got %d: usage: %s", cmd.CommandPath(),
					n, len(args), cmd.UseLine()),
			}
		}
		return nil
	}
}

// reboot asks systemd, so that services end in order.
func reboot(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "systemctl", "reboot").CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return errors.New("reboot: there is no systemctl; restart the machine by hand")
	}
	if err != nil {
		return fmt.Errorf("reboot: %w: %s", err, out)
	}
	return nil
}

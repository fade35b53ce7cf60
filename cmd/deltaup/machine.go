package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"sync"

	"github.com/spf13/pflag"

	"deltaup/device"
	"deltaup/internal/command"
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
	d, err := device.Open(o.sysroot, o.config, loaders)
	if err == nil {
		var once sync.Once
		var lines []string
		d.Others = func(ctx context.Context) []string {
			once.Do(func() { lines = settingsTroubles(ctx, d) })
			return lines
		}
	}
	return d, err
}

// newMachineCommand is a command with the flags of machineOptions.
func newMachineCommand(use, short, long string, args command.Args,
	run func(ctx context.Context, d *device.Device, args []string) error) *command.Command {
	var o machineOptions
	cmd := &command.Command{
		Use: use, Short: short, Long: long, Args: args,
		Run: func(ctx context.Context, args []string) error {
			d, err := o.open()
			if err != nil {
				return err
			}
			return run(ctx, d, args)
		},
	}
	cmd.Flags().SortFlags = false
	o.addFlags(cmd.Flags())
	return cmd
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

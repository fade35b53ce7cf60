package main

import (
	"context"
	"errors"
	"path/filepath"

	"deltaup/device"
	"deltaup/internal/command"
	"deltaup/slotboot/scripts"
)

func newMarkGoodCommand(env *Env) *command.Command {
	var check bool
	cmd := newMachineCommand("mark-good", "Keep the running slot",
		`Mark-good ends the trial of the running slot: it is what boots from now on. A
slot that is good already stays so.

With --check, a slot on trial has to pass the programs in
/etc/deltaup/check.d/required.d first. When one fails the slot is marked bad,
its release is not installed again, and the exit code is 15; the next boot is of
the slot before. Failures in wanted.d are only told.`, command.Exactly(0),
		func(ctx context.Context, d *device.Device, _ []string) error {
			trial, err := d.OnTrial()
			if err != nil {
				return err
			}
			if check && trial {
				if err := judge(ctx, env, d); err != nil {
					return err
				}
			}
			slot, changed, err := d.MarkGood(ctx)
			if err := warnOfHook(env, err); err != nil {
				return err
			}
			if changed {
				printf(env.Stdout, "slot %s is good\n", slot)
			} else {
				printf(env.Stdout, "slot %s was good already\n", slot)
			}
			return nil
		})
	cmd.Flags().
		BoolVar(&check, "check", false, "only when the health checks pass; mark it bad otherwise")
	return cmd
}

// judge runs the checks, and marks the running slot bad when one says so.
func judge(ctx context.Context, env *Env, d *device.Device) error {
	h, err := d.Check(ctx)
	printHealth(env, h)
	if !errors.Is(err, device.ErrUnhealthy) {
		return err
	}
	slot, bootedErr := d.Booted()
	if bootedErr != nil {
		return bootedErr
	}
	return errors.Join(err, d.MarkBad(ctx, slot, err.Error()))
}

func newHealthCommand(env *Env) *command.Command {
	return newMachineCommand(
		"health",
		"Run the health checks and mark nothing",
		`Health runs the programs in /etc/deltaup/check.d/required.d and wanted.d as
mark-good --check does, and prints what failed. The exit code is 15 when a
required one did.`,
		command.Exactly(0),
		func(ctx context.Context, d *device.Device, _ []string) error {
			h, err := d.Check(ctx)
			printHealth(env, h)
			return err
		},
	)
}

func printHealth(env *Env, h device.Health) {
	for _, part := range []struct {
		kind    string
		results []scripts.Result
	}{{"required", h.Required}, {"wanted", h.Wanted}} {
		for _, r := range part.results {
			state := "passed"
			if r.Err != nil {
				state = "failed: " + r.Err.Error()
			}
			printf(env.Stdout, "%s %s: %s\n", part.kind, filepath.Base(r.Path), state)
		}
	}
}

func newMarkBadCommand(env *Env) *command.Command {
	var reason string
	var ifTrial, restart bool
	cmd := newMachineCommand(
		"mark-bad [SLOT]",
		"Do not boot a slot any more",
		`Mark-bad keeps a slot, by default the running one, from being booted, and its
release from being installed again. The last good slot is refused. SLOT is a
name, booted or other.`,
		command.AtMost(1),
		func(ctx context.Context, d *device.Device, args []string) error {
			if ifTrial {
				if trial, err := d.OnTrial(); err != nil || !trial {
					return err
				}
			}
			slot, err := d.Select(argument(args, "booted"))
			if err != nil {
				return err
			}
			if err := warnOfHook(env, d.MarkBad(ctx, slot, reason)); err != nil {
				return err
			}
			printf(env.Stdout, "slot %s is bad\n", slot)
			if restart {
				return reboot(ctx)
			}
			return nil
		},
	)
	f := cmd.Flags()
	f.StringVar(&reason, "reason", "marked bad by hand", "`TEXT` that deltaup status shows")
	f.BoolVar(&ifTrial, "if-trial", false, "do nothing unless the running slot is on trial")
	f.BoolVar(&restart, "reboot", false, "restart the machine then")
	return cmd
}

// warnOfHook makes a warning of a hook that failed: what it was told of is done. The unit of
// mark-good restarts a machine whose slot could not be marked, and must not for a hook.
func warnOfHook(env *Env, err error) error {
	if hook, ok := err.(*device.HookError); ok {
		warn(env.Stderr, hook.Error())
		return nil
	}
	return err
}

// argument is the first argument, or what stands for it.
func argument(args []string, otherwise string) string {
	if len(args) == 0 {
		return otherwise
	}
	return args[0]
}

func newMarkActiveCommand(env *Env) *command.Command {
	return newMachineCommand(
		"mark-active [booted|other|SLOT]",
		"Have a slot boot from now on, without a trial",
		`Mark-active makes a slot, by default the running one, the one that boots from
now on. It is not put on trial: when it does not boot, nothing falls back.
deltaup rollback puts an older slot on trial.`,
		command.AtMost(1),
		func(ctx context.Context, d *device.Device, args []string) error {
			slot, err := d.Select(argument(args, "booted"))
			if err != nil {
				return err
			}
			if err := d.MarkActive(ctx, slot); err != nil {
				return err
			}
			printf(env.Stdout, "slot %s is active\n", slot)
			return nil
		},
	)
}

func newRollbackCommand(env *Env) *command.Command {
	var version string
	var restart bool
	cmd := newMachineCommand(
		"rollback",
		"Go back to the release before, or to an older one",
		`Rollback has the slot boot next that holds the release before the running one,
or the release of --to. It is a trial like that of a new release. The running
release is not installed again until a newer one is published; deltaup pull
--again does so all the same.`,
		command.Exactly(0),
		func(ctx context.Context, d *device.Device, _ []string) error {
			slot, err := d.Rollback(ctx, version)
			if err := warnOfHook(env, err); err != nil {
				return err
			}
			printf(env.Stdout, "slot %s boots next\n", slot)
			if restart {
				return reboot(ctx)
			}
			return nil
		},
	)
	cmd.Flags().StringVar(&version, "to", "", "`VERSION` to go to")
	cmd.Flags().BoolVar(&restart, "reboot", false, "restart the machine then")
	return cmd
}

func newPinCommand(env *Env) *command.Command {
	return newMachineCommand(
		"pin SLOT",
		"Keep a slot from being overwritten",
		"",
		command.Exactly(1),
		func(_ context.Context, d *device.Device, args []string) error {
			return pin(env, d, args[0], true)
		},
	)
}

func newUnpinCommand(env *Env) *command.Command {
	return newMachineCommand(
		"unpin SLOT",
		"Let updates overwrite a slot again",
		"",
		command.Exactly(1),
		func(_ context.Context, d *device.Device, args []string) error {
			return pin(env, d, args[0], false)
		},
	)
}

func pin(env *Env, d *device.Device, what string, pinned bool) error {
	slot, err := d.Select(what)
	if err != nil {
		return err
	}
	if err := d.Pin(slot, pinned); err != nil {
		return err
	}
	state := "is pinned"
	if !pinned {
		state = "can be overwritten"
	}
	printf(env.Stdout, "slot %s %s\n", slot, state)
	return nil
}

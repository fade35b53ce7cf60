package main

import (
	"context"
	"fmt"
	"io"

	"deltaup/device"
	"deltaup/internal/command"
	"deltaup/slotboot/loader"
)

// doctorOptions are the command's flags.
type doctorOptions struct {
	json      bool
	scrub     bool
	slot      string
	limitRate string
}

func newDoctorCommand(env *Env) *command.Command {
	var o doctorOptions
	cmd := newMachineCommand(
		"doctor",
		"Look at all that updates and fallbacks rest on",
		`Doctor looks whether the slots are what the configuration says, whether GRUB and
this program use the same environment block on a file system that GRUB can
write, whether each slot has kernel and initrd, and whether there is a slot to
fall back to. For each finding it says what to do. The exit code is 18 when
something is wrong.

With --scrub, it first reads the images, kernels and initrds of all slots that
GRUB may boot, the running one included, from their media and holds them against
the hashes that were remembered when they were installed. It gives way to
whatever else wants the disk or the processor. What it found, and when, is
remembered for later runs of doctor and status. Nothing else is written: deltaup
repair mends what it finds.`,
		command.Exactly(0),
		func(ctx context.Context, d *device.Device, _ []string) error {
			if err := o.scrubs(ctx, env, d); err != nil {
				return err
			}
			findings := append(d.Doctor(), settingsFindings(ctx, d)...)
			if o.json {
				return printReport(env.Stdout, findings, device.Sound(findings))
			}
			printFindings(env.Stdout, findings)
			return device.Sound(findings)
		},
	)
	f := cmd.Flags()
	f.BoolVar(&o.scrub, "scrub", false, "read all slots and compare them with what was installed")
	f.StringVar(&o.slot, "slot", "", "with --scrub: read this `SLOT` only: a name, booted or other")
	f.StringVar(&o.limitRate, "limit-rate", "",
		"with --scrub: read no more than `BYTES` a second, such as 20M")
	f.BoolVar(&o.json, "json", false, "print a JSON array of findings")
	return cmd
}

func printFindings(w io.Writer, findings loader.Findings) {
	for _, f := range findings {
		printf(w, "%-8s %s\n", f.Level, f.What)
		if f.Advice != "" {
			printf(w, "%-8s -> %s\n", "", f.Advice)
		}
	}
}

// scrubs reads the slots when that is wanted.
func (o *doctorOptions) scrubs(ctx context.Context, env *Env, d *device.Device) error {
	if !o.scrub {
		if o.slot != "" || o.limitRate != "" {
			return &usageError{fmt.Errorf("--slot and --limit-rate go with --scrub")}
		}
		return nil
	}
	rate, err := parseBytes("--limit-rate", o.limitRate)
	if err != nil {
		return &usageError{err}
	}
	slot := ""
	if o.slot != "" {
		if slot, err = d.Select(o.slot); err != nil {
			return err
		}
	}
	line := newStatusLine(env)
	defer line.clear()
	return d.Scrub(ctx, device.ScrubOptions{
		Slot: slot, Rate: rate,
		Progress: func(slot, what string, done, total int64) { line.show("slot "+slot+", "+what, done, total) },
		Warning: func(text string) {
			line.clear()
			warn(env.Stderr, text)
		},
	})
}

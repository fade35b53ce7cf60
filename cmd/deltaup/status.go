package main

import (
	"context"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"deltaup/device"
	"deltaup/internal/command"
	"deltaup/internal/human"
	"deltaup/trust"
)

func newStatusCommand(env *Env) *command.Command {
	var asJSON bool
	cmd := newMachineCommand(
		"status",
		"Say which slot runs, which boots next, and what failed",
		`Status prints the running slot, the one that boots next, what each slot holds,
and which releases did not stay: with the check that failed or what the boot
loader saw, and the last lines of the console when pstore or the journal have
them. It changes nothing.`,
		command.Exactly(0),
		func(ctx context.Context, d *device.Device, _ []string) error {
			s, err := d.Status(ctx)
			if err != nil {
				return err
			}
			trusted, err := trust.ReadStatus(d.Machine.Path(d.Config.State))
			if err != nil {
				return err
			}
			kept := summarize(ctx, d)
			if asJSON {
				return printJSON(env.Stdout, struct {
					*device.Status
					Trust    trust.Status     `json:"trust"`
					Settings *settingsSummary `json:"settings,omitempty"`
				}{s, trusted, kept})
			}
			printStatus(env.Stdout, s)
			printSummary(env.Stdout, kept)
			printTrust(env.Stdout, trusted)
			return nil
		},
	)
	cmd.Flags().
		BoolVar(&asJSON, "json", false, "print one JSON object; its fields are in doc/slots.md")
	return cmd
}

func newListCommand(env *Env) *command.Command {
	return newMachineCommand("list", "List the slots and what they hold", "", command.Exactly(0),
		func(ctx context.Context, d *device.Device, _ []string) error {
			s, err := d.Status(ctx)
			if err == nil {
				printSlots(env.Stdout, s)
			}
			return err
		})
}

func printStatus(w io.Writer, s *device.Status) {
	switch {
	case s.Booted == "":
		printf(w, "running: %s\n", s.BootedError)
	case s.OnTrial:
		printf(w, "running: slot %s, on trial, %s left\n", s.Booted,
			count(s.TriesLeft, "further boot"))
	default:
		printf(w, "running: slot %s\n", s.Booted)
	}
	if s.RebootNeeded {
		printf(w, "reboot needed: slot %s boots next\n", s.Next)
	}
	if s.FellBack != "" {
		printf(w, "fell back: %s\n", s.Fallback)
	}
	if s.NoData != "" {
		printf(w, "data: %s\n", s.NoData)
	}
	if s.Fault != "" {
		printf(w, "failed before this boot: %s\n", s.Fault)
	}
	if s.BlockError != "" {
		printf(w, "not known what boots next: %s; deltaup doctor says what helps\n", s.BlockError)
	}
	printSlots(w, s)
	printScrubs(w, s)
	if f := s.Fallback; f != nil &&
		!slices.ContainsFunc(s.Failed, func(x device.Failure) bool { return x.Slot == f.Slot }) {
		printConsole(w, f.Console)
	}
	for _, f := range s.Failed {
		printf(w, "\nnot installed again: release %s (%s, slot %s): %s\n", orUnknown(f.Version),
			f.Time.Format(time.DateTime), f.Slot, f.Reason)
		printConsole(w, f.Console)
	}
}

func printConsole(w io.Writer, lines []string) {
	for _, line := range lines {
		printf(w, "    %s\n", line)
	}
}

func printTrust(w io.Writer, s trust.Status) {
	if s.Root == 0 {
		printf(w, "\ntrust: no publisher\n")
	} else {
		printf(w, "\ntrust: root %d of the publisher", s.Root)
		if s.Expires != nil {
			printf(w, ", signed until %s", s.Expires.Format(time.DateTime))
		}
		printf(w, "\n")
	}
	if s.Insecure != nil {
		printf(w, "a release was pulled without being verified, the last on %s\n",
			s.Insecure.Format(time.DateTime))
	}
}

// printScrubs says what scrubs found.
func printScrubs(w io.Writer, s *device.Status) {
	for _, slot := range s.Slots {
		if slot.Scrub == nil {
			continue
		}
		for i := range slot.Scrub.Damage {
			printf(w, "\ndamaged: slot %s, on %s: %s\n", slot.Name,
				slot.Scrub.Time.Format(time.DateTime), &slot.Scrub.Damage[i])
			for _, file := range slot.Scrub.Damage[i].Files {
				printf(w, "    %s\n", file)
			}
		}
	}
}

// printSlots prints a table.
func printSlots(w io.Writer, s *device.Status) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	printf(t, "SLOT\tRELEASE\tSTATE\tSIZE\tINSTALLED\tSCRUBBED\t\n")
	for _, slot := range s.Slots {
		var notes []string
		for _, n := range []struct {
			is   bool
			text string
		}{
			{slot.Booted, "running"},
			{slot.Active, "active"},
			{slot.Name == s.Next, "next"},
			{slot.Pinned, "pinned"},
		} {
			if n.is {
				notes = append(notes, n.text)
			}
		}
		size, installed, scrubbed := "-", "-", "-"
		if slot.Size > 0 {
			size = human.Size(slot.Size)
		}
		if !slot.Installed.IsZero() {
			installed = slot.Installed.Format(time.DateTime)
		}
		if slot.Scrub != nil {
			scrubbed = slot.Scrub.Time.Format(time.DateTime)
		}
		if slot.Scrub != nil && len(slot.Scrub.Damage) > 0 {
			notes = append(notes, "damaged")
		}
		printf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", slot.Name, orUnknown(slot.Version), slot.State,
			size, installed, scrubbed, strings.Join(notes, ", "))
	}
	t.Flush() // what a closed output means is found out at the next print
}

func orUnknown(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

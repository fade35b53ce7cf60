package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"deltaup/internal/command"
	"deltaup/mkimage/trace"
)

type traceRecordOptions struct {
	trace.RecordOptions
	output string
	until  string
}

func newTraceRecordCommand(env *Env) *command.Command {
	var o traceRecordOptions
	cmd := &command.Command{
		Use:   "record -o FILE [flags]",
		Short: "Record which files this system reads",
		Long: `Record writes down each file that is opened, run or read for the first time,
until a signal ends it or --until is reached:

  boot-complete  when systemd has finished the boot
  taken          when a later trace record takes over, which then writes what both
                 saw: for the initramfs, where the first files of a boot are read;
                 it prints "recording" when it has begun
  DURATION       such as 90s

It takes root's rights. With --pages it also records which bytes came into
memory, from the kernel's tracing.`,
		Args: command.Exactly(0),
		Run:  func(ctx context.Context, _ []string) error { return recordTrace(ctx, env, &o) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVarP(&o.output, "output", "o", "", "`FILE` to write; - is standard output")
	f.StringVar(&o.until, "until", "", "`WHEN` to end: boot-complete, taken or a duration")
	f.StringVar(&o.Root, "root", "/", "`DIR` where the file system to watch is mounted")
	f.BoolVar(&o.Pages, "pages", false, "record the bytes that came into memory too")
	f.StringVar(
		&o.Image,
		"image",
		"",
		"with --pages: device or file of the squashfs `IMAGE` below the root (default: the only one mounted)",
	)
	return cmd
}

func recordTrace(ctx context.Context, env *Env, o *traceRecordOptions) error {
	if o.until == "taken" {
		// Whoever began it in the background waits for this line before the next step.
		o.Started = func() { printf(env.Stdout, "recording\n") }
		return trace.RecordUntilTaken(ctx, o.RecordOptions)
	}
	if o.output == "" {
		return &usageError{errors.New("trace record needs -o FILE")}
	}
	wait, err := untilFunc(o.until)
	if err != nil {
		return &usageError{err}
	}
	t, err := trace.RecordOn(ctx, o.RecordOptions, wait)
	if t == nil {
		return err
	}
	// What was recorded is worth having, also when it ended otherwise than it should.
	if err := writeTrace(env.Stdout, o.output, t); err != nil {
		return err
	}
	printf(env.Stderr, "deltaup: recorded %d files, %d events lost\n", len(t.Files), t.Lost)
	return err
}

// untilFunc gives a function that blocks until recording is to end.
func untilFunc(until string) (func(context.Context) error, error) {
	switch until {
	case "":
		return func(ctx context.Context) error { <-ctx.Done(); return nil }, nil
	case "boot-complete":
		return bootedSystemd.wait, nil
	}
	d, err := time.ParseDuration(until)
	if err != nil || d <= 0 {
		return nil, fmt.Errorf("--until %q: want boot-complete, taken or a duration such as 90s",
			until)
	}
	return func(ctx context.Context) error {
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
		return nil
	}, nil
}

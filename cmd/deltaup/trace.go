package main

import (
	"io"
	"path/filepath"

	"deltaup/internal/command"
	"deltaup/internal/durable"
	"deltaup/mkimage/trace"
)

func newTraceCommand(env *Env) *command.Command {
	cmd := &command.Command{
		Use:   "trace",
		Short: "Record what a boot reads, for mkimage --trace",
	}
	cmd.Add(newTraceRecordCommand(env), newTracePrefetchCommand(env))
	cmd.Add(traceReaders(env)...)
	return cmd
}

// writeTrace writes t to a file, which is there whole or not at all, or to stdout for "-".
func writeTrace(stdout io.Writer, file string, t *trace.Trace) error {
	write := func(w io.Writer) error {
		_, err := t.WriteTo(w)
		return err
	}
	if file == "-" {
		return write(stdout)
	}
	return durable.WriteFile(filepath.Dir(file), file, write)
}

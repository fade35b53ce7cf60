package main

import (
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"deltaup/internal/durable"
	"deltaup/mkimage/trace"
)

func newTraceCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trace",
		Short: "Record what a boot reads, for mkimage --trace",
	}
	cmd.AddCommand(newTraceRecordCommand(env), newTracePrefetchCommand(env))
	cmd.AddCommand(traceReaders(env)...)
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

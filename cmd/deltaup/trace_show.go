//go:build !target

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"deltaup/internal/command"
	"deltaup/internal/human"
	"deltaup/mkimage/rootfs"
	"deltaup/mkimage/trace"
)

func newTraceMergeCommand(env *Env) *command.Command {
	var output string
	var share float64
	cmd := &command.Command{
		Use:   "merge -o FILE TRACE...",
		Short: "Join the traces of several boots or machines",
		Long: `Merge joins traces, in any form that mkimage --trace takes, into one. A file's
place is the median of its ranks in the traces that have it; times are medians
too.`,
		Args: command.Between(1, 1<<20),
		Run: func(ctx context.Context, args []string) error {
			t, err := readTraces(args, share)
			if err != nil {
				return err
			}
			return writeTrace(env.Stdout, output, t)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "-", "`FILE` to write; - is standard output")
	cmd.Flags().
		Float64Var(&share, "trace-share", defaultTraceShare, "leave out files that fewer than this `SHARE` of the traces have")
	return cmd
}

func newTraceShowCommand(env *Env) *command.Command {
	var image string
	var asJSON bool
	cmd := &command.Command{
		Use:   "show [--image IMAGE] TRACE",
		Short: "Show what is in a trace, and how scattered it lies in an image",
		Args:  command.Exactly(1),
		Run: func(ctx context.Context, args []string) error {
			t, err := readTrace(args[0])
			if err != nil {
				return err
			}
			return showTrace(ctx, env.Stdout, t, image, asJSON)
		},
	}
	cmd.Flags().StringVar(&image, "image", "", "squashfs `IMAGE` in which to look for the files")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// traceReport is what trace show prints as JSON.
type traceReport struct {
	Files   int            `json:"files"`
	Bytes   int64          `json:"bytes"` // 0: not known
	Seconds float64        `json:"seconds"`
	Lost    int64          `json:"lost"`
	Scatter *trace.Scatter `json:"scatter,omitempty"`
}

func showTrace(ctx context.Context, stdout io.Writer, t *trace.Trace, image string,
	asJSON bool) error {
	report := traceReport{Files: len(t.Files), Lost: t.Lost}
	for i := range t.Files {
		report.Bytes += t.Files[i].Bytes()
	}
	if n := len(t.Files); n > 0 {
		report.Seconds = (t.Files[n-1].First - t.Files[0].First).Seconds()
	}
	if image != "" {
		s, err := scatter(ctx, t, image)
		if err != nil {
			return fmt.Errorf("%s: %w", image, err)
		}
		report.Scatter = s
	}
	if asJSON {
		return printJSON(stdout, report)
	}
	return printTrace(stdout, t, &report)
}

// scatter measures how t lies in an image.
func scatter(ctx context.Context, t *trace.Trace, image string) (*trace.Scatter, error) {
	names, err := rootfs.Open(ctx, image, rootfs.Options{ContainerFiles: true})
	if err != nil {
		return nil, err
	}
	defer names.Close() // only read, as the image is
	m, err := openImage(image)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	resolved, unknown := t.Resolve(names.Entries())
	s, err := trace.Measure(resolved, m, m.Size())
	s.Missing += len(unknown)
	return &s, err
}

func printTrace(stdout io.Writer, t *trace.Trace, report *traceReport) error {
	out := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	for i := range t.Files {
		f := &t.Files[i]
		size := "-"
		if n := f.Bytes(); n > 0 {
			size = human.Size(n)
		}
		printf(out, "%.3f s\t%s\t  %s\n", f.First.Seconds(), size, human.Name("/"+f.Path))
	}
	if err := out.Flush(); err != nil {
		return err
	}
	printf(stdout, "%d files in %.1f s, %d events lost\n", report.Files, report.Seconds,
		report.Lost)
	if s := report.Scatter; s != nil {
		printf(
			stdout,
			"in the image: %d files (%d are not there), %s in %d blocks, %d ranges and %d seeks, within %s of %s; %d metadata blocks\n",
			s.Files,
			s.Missing,
			human.Size(s.Bytes),
			s.Blocks,
			s.Ranges,
			s.Seeks,
			human.Size(s.Span),
			human.Size(s.Data),
			s.Tables,
		)
	}
	return nil
}

// defaultTraceShare leaves out what fewer than half of the boots read.
const defaultTraceShare = 0.5

// readTraces reads traces in any form, and merges them if there are several.
func readTraces(files []string, share float64) (*trace.Trace, error) {
	if share < 0 || share > 1 {
		return nil, &usageError{fmt.Errorf("a share of %g: want 0 to 1", share)}
	}
	var traces []*trace.Trace
	for _, file := range files {
		t, err := readTrace(file)
		if err != nil {
			return nil, err
		}
		traces = append(traces, t)
	}
	if len(traces) == 1 {
		return traces[0], nil
	}
	return trace.Merge(traces, share), nil
}

func readTrace(file string) (*trace.Trace, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read
	t, err := trace.Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return t, nil
}

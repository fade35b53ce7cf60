// Command deltaup-bench measures deltaup beside other tools and writes a report.
//
//	deltaup-bench [flags] OLD NEW       two tars, folders or squashfs images
//	deltaup-bench -scale [flags] TREE   growth with image and releases, merged into the same report
//	deltaup-bench -whole [flags] PAIR...  bytes with kernel and initrd, of folders with v1.tar and v2.tar
//	deltaup-bench -render [flags]       the report of an earlier run once more
//	deltaup-bench -over LINE COMMAND    runs a command at the target's end of a line
//	deltaup-bench -relay [LINE...]      what ping and iperf3 see of the lines, such as GPRS
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"deltaup/bench"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			os.Exit(2)
		}
		fmt.Fprintln(os.Stderr, "deltaup-bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	var o bench.Options
	f := flag.NewFlagSet("deltaup-bench", flag.ContinueOnError)
	f.StringVar(&o.Deltaup, "deltaup", "bin/deltaup", "the `binary` to measure")
	f.StringVar(&o.Name, "name", "", "of the pair, for the report (default: the folder of OLD)")
	f.StringVar(&o.Scratch, "scratch", "",
		"`folder` for tens of GB of scratch files (default: the system's)")
	f.BoolVar(&o.Quick, "quick", false, "one run of each, no slow peers")
	f.DurationVar(
		&o.Budget,
		"budget",
		0,
		"the run ends within about this `time`, with fewer points if need be (default 27m; 115s with -quick, 1h with -scale)",
	)
	f.StringVar(&o.Level, "level", "better", "deltaup mkimage --level")
	f.IntVar(&o.Jobs, "jobs", 0, "ways that -whole prepares at a time (default: one for each CPU)")
	only := f.String("only", "", "ids of the `methods` to run, separated by commas (default: all)")
	out := f.String("o", "bench/results",
		"`folder` of results.json, scale.json, results.md and report.html")
	readme := f.String("readme", "",
		"put the first figures into these `pages`, too, separated by commas")
	scale := f.Bool("scale", false, "measure growth, and put it into the report of the folder")
	whole := f.Bool("whole", false,
		"measure what is sent with kernel and initrd, and put it into the pages of -readme; with -only other figures of the same images stay")
	render := f.Bool("render", false, "make no measurements but the report of the folder's figures")
	relay := f.Bool("relay", false,
		"print what ping and iperf3 see of the lines with these names, or all; as root, on a quiet machine")
	over := f.String("over", "", "run a command over a `line` like 10mbit/50ms/1%, as root")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *over != "" {
		line, err := bench.ParseLine(*over)
		if err == nil && f.NArg() == 0 {
			err = errors.New("-over wants a command")
		}
		if err != nil {
			return err
		}
		return bench.Over(ctx, line, f.Args())
	}
	if *relay {
		return bench.Calibrate(ctx, os.Stdout, f.Args())
	}
	if *render {
		if f.NArg() > 0 {
			return errors.New("-render takes no trees")
		}
		report, err := bench.Read(*out)
		if err != nil {
			return err
		}
		return write(report, *out, *readme)
	}
	if *only != "" {
		o.Only = strings.Split(*only, ",")
	}
	start := time.Now()
	o.Log = func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "%6.1f s  %s\n", time.Since(start).Seconds(),
			fmt.Sprintf(format, args...))
	}
	if *whole {
		return runWhole(ctx, o, f.Args(), *out, *readme)
	}
	trees := 2
	if *scale {
		trees = 1
	}
	if f.NArg() != trees {
		return errors.New("want two trees: OLD NEW; or one with -scale")
	}
	o.Pair = [2]string{f.Arg(0), f.Arg(1)}
	if o.Name == "" {
		abs, err := filepath.Abs(o.Pair[0])
		if err != nil {
			return err
		}
		o.Name = filepath.Base(filepath.Dir(abs))
	}
	switch {
	case o.Budget != 0:
	case *scale:
		o.Budget = time.Hour
	case o.Quick:
		o.Budget = 115 * time.Second
	default:
		o.Budget = 27 * time.Minute
	}
	if *scale {
		return runScale(ctx, o, *out, *readme)
	}
	growth, err := bench.ReadScale(*out) // before the work, which a broken file must not waste
	if err != nil {
		return err
	}
	updates, err := bench.ReadWhole(*out)
	if err != nil {
		return err
	}
	report, err := bench.Run(ctx, o)
	if err != nil {
		return err
	}
	report.Scale, report.Whole = growth, updates
	return write(report, *out, *readme)
}

// runScale measures growth and renders the folder's report anew, if there is one.
func runScale(ctx context.Context, o bench.Options, out, readme string) error {
	scale, err := bench.RunScale(ctx, o)
	if err != nil {
		return err
	}
	if err := scale.WriteFile(out); err != nil {
		return err
	}
	return renderAnew(out, readme)
}

// runWhole measures what is sent with kernel and initrd, pair by pair, and renders the folder's
// report anew.
func runWhole(ctx context.Context, o bench.Options, pairs []string, out, readme string) error {
	whole, err := bench.ReadWhole(out)
	if err != nil {
		return err
	}
	if len(pairs) == 0 {
		return errors.New("-whole wants folders of pairs")
	}
	for _, folder := range pairs {
		abs, err := filepath.Abs(folder)
		if err != nil {
			return err
		}
		o.Name = filepath.Base(abs)
		o.Pair = [2]string{filepath.Join(abs, "v1.tar"), filepath.Join(abs, "v2.tar")}
		measured, err := bench.RunWhole(ctx, o, whole)
		if measured != nil { // what follows takes long, and what was measured is kept
			whole = measured
			err = errors.Join(err, whole.WriteFile(out))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", folder, err)
		}
	}
	return renderAnew(out, readme)
}

// renderAnew renders the folder's report, if there is one.
func renderAnew(out, readme string) error {
	report, err := bench.Read(out)
	if errors.Is(err, fs.ErrNotExist) { // there is no report yet
		return nil
	}
	if err != nil {
		return err
	}
	return write(report, out, readme)
}

// write writes the files of a report and its figures into pages, which commas separate.
func write(report *bench.Report, out, pages string) error {
	if err := report.WriteFiles(out); err != nil || pages == "" {
		return err
	}
	for page := range strings.SplitSeq(pages, ",") {
		if err := report.WriteReadme(page); err != nil {
			return err
		}
	}
	return nil
}

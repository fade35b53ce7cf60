// Command deltaup-bench measures deltaup beside other tools and writes a report.
//
//	deltaup-bench [flags] OLD NEW       two tars, folders or squashfs images
//	deltaup-bench -render results.json  the report of an earlier run once more
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
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
	f.StringVar(&o.Scratch, "scratch", "", "`folder` for tens of GB of scratch files (default: the system's)")
	f.BoolVar(&o.Quick, "quick", false, "few runs, no slow peers, short scales")
	f.DurationVar(&o.Budget, "budget", 0, "the run ends within about this `time`, with fewer points if need be (default 19m, 115s with -quick)")
	f.StringVar(&o.Level, "level", "better", "deltaup mkimage --level")
	f.BoolVar(&o.NoScale, "no-scale", false, "leave the scales out")
	only := f.String("only", "", "ids of the `methods` to run, separated by commas (default: all)")
	out := f.String("o", "bench/results", "`folder` for results.json, results.md and report.html")
	readme := f.String("readme", "", "put the first figures into this `file`, too")
	render := f.String("render", "", "make no measurements but the report of this `results.json`")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *render != "" {
		report, err := read(*render)
		if err != nil {
			return err
		}
		return write(report, *out, *readme)
	}
	if f.NArg() != 2 {
		return errors.New("want two trees: OLD NEW")
	}
	o.Pair = [2]string{f.Arg(0), f.Arg(1)}
	if o.Name == "" {
		abs, err := filepath.Abs(o.Pair[0])
		if err != nil {
			return err
		}
		o.Name = filepath.Base(filepath.Dir(abs))
	}
	if *only != "" {
		o.Only = strings.Split(*only, ",")
	}
	if o.Budget == 0 {
		if o.Budget = 19 * time.Minute; o.Quick {
			o.Budget = 115 * time.Second
		}
	}
	start := time.Now()
	o.Log = func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "%6.1f s  %s\n", time.Since(start).Seconds(), fmt.Sprintf(format, args...))
	}
	report, err := bench.Run(ctx, o)
	if err != nil {
		return err
	}
	return write(report, *out, *readme)
}

// read reads an earlier run's figures.
func read(path string) (*bench.Report, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return bench.Decode(b)
}

func write(report *bench.Report, out, readme string) error {
	err := report.WriteFiles(out)
	if err == nil && readme != "" {
		err = report.WriteReadme(readme)
	}
	return err
}

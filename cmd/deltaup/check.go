//go:build !target

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"deltaup/internal/command"
	"deltaup/internal/human"
	"deltaup/mirror"
	"deltaup/mirror/check"
	"deltaup/mirror/folder"
	"deltaup/trust"
)

// checkOptions are the command's flags and argument.
type checkOptions struct {
	deep bool
	json bool
	dir  string
}

func newCheckCommand(env *Env) *command.Command {
	var o checkOptions
	cmd := &command.Command{
		Use:   "check [flags] DIR",
		Short: "Verify every file of a mirror",
		Long: `Check reads the whole mirror in DIR: pointers, releases, recipes, indexes,
images, block maps, packs and patch sets with all that is in them, and whether
signed metadata fit together. It names every file that is damaged or missing
with the releases that need it, and lists files that no release needs.`,
		Args: command.Exactly(1),
		Run: func(ctx context.Context, args []string) error {
			o.dir = args[0]
			return runCheck(ctx, env, &o)
		},
	}
	cmd.Flags().BoolVar(&o.deep, "deep", false,
		"also apply each patch set to the release that it leads from")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the report as JSON")
	return cmd
}

func runCheck(ctx context.Context, env *Env, o *checkOptions) error {
	status := newStatusLine(env)
	store := folder.At(o.dir)
	report, err := check.Mirror(ctx, store, check.Options{
		Deep:     o.deep,
		Progress: func(done, total int64) { status.show("checking", done, total) },
	})
	status.clear()
	if err != nil {
		return err
	}
	switch err := trust.Check(ctx, store); {
	case errors.Is(err, trust.ErrUnsigned):
	case err != nil:
		report.Damaged = append(report.Damaged,
			check.Damage{Name: "signed metadata", What: err.Error()})
	}
	if n := len(report.Damaged); n > 0 {
		err = fmt.Errorf("%s: %s: %w", o.dir, count(n, "file"), mirror.ErrDamaged)
	}
	if o.json {
		return printReport(env.Stdout, report, err)
	}
	printChecked(env.Stdout, report)
	return err
}

func printChecked(w io.Writer, r *check.Report) {
	for _, d := range r.Damaged {
		printf(w, "damaged: %s: %s", human.Name(d.Name), d.What)
		if len(d.Releases) > 0 {
			printf(w, " (needed by %s)", strings.Join(d.Releases, ", "))
		}
		printf(w, "\n")
	}
	for _, name := range r.Unreferenced {
		printf(w, "unreferenced: %s\n", human.Name(name))
	}
	printf(w, "%s, %s, %s: %d damaged, %d unreferenced\n", count(r.Releases, "release"),
		count(r.Files, "file"), human.Size(r.Bytes), len(r.Damaged), len(r.Unreferenced))
}

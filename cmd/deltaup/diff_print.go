//go:build !target

package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"deltaup/delta/diff"
	"deltaup/internal/human"
)

func printDiff(w io.Writer, o *diffOptions, r *diff.Report) {
	printTotals(w, r)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	printf(t, "\nroute\tfiles\tsize\tcost\t\n")
	for _, c := range r.Routes {
		printf(t, "%s\t%s\t%s\t%s\t\n", c.Route, human.Comma(c.Files), human.Size(c.Size),
			human.Size(c.Cost))
	}
	t.Flush()
	printNames(w, &r.Names)
	if len(r.Reasons) > 0 {
		printf(w, "\nwhat looks avoidable:\n")
		for _, reason := range r.Reasons {
			printReason(w, &reason)
		}
	}
	printCosts(w, r)
}

// printTotals tells what the step takes by each way.
func printTotals(w io.Writer, r *diff.Report) {
	if t := r.Whole; t.PatchSet > 0 {
		printf(w, "by patches: %s in a patch set (%s of it the recipe), %s in chunks beside it\n",
			human.Size(t.PatchSet), human.Size(t.Recipe), human.Size(t.LeftChunks))
		if t.LeftOut > 0 {
			printf(w, "to know where these chunks are: %s for recipe, index and requests\n",
				human.Size(t.LeftOut))
		}
	}
	printf(w, "by chunks: %s, recipe and index not counted\n", human.Size(r.Whole.Chunks))
	if r.Whole.Blocks > 0 {
		printf(w, "by stored blocks: %s; without them %s are compressed again\n",
			human.Size(r.Whole.Blocks), human.Size(r.Whole.Compress))
	}
}

func printNames(w io.Writer, n *diff.Names) {
	printf(
		w,
		"\n%s names: %s added (%s renamed or copied), %s removed, %s with another content, %s with another owner or mode alone, %s with another time stamp alone\n",
		human.Comma(n.Total),
		human.Comma(n.Added),
		human.Comma(n.Renamed),
		human.Comma(n.Removed),
		human.Comma(n.Content),
		human.Comma(n.Owner),
		human.Comma(n.Times),
	)
	if n.Owner > 0 {
		printf(w, "another owner or mode: %s\n", example(n.OwnerExample, n.Owner))
	}
	if n.Times > 0 {
		printf(w, "another time stamp: %s\n", example(n.TimesExample, n.Times))
	}
	if n.Moved > 0 || n.Repacked > 0 {
		printf(
			w,
			"%s unchanged files moved in the order of the data; %s of unchanged files lie in changed blocks\n",
			human.Comma(n.Moved),
			human.Size(n.Repacked),
		)
	}
}

// example names one of several.
func example(path string, n int) string {
	if n == 1 {
		return human.Name("/" + path)
	}
	return fmt.Sprintf("%s and %s more", human.Name("/"+path), human.Comma(n-1))
}

func printReason(w io.Writer, r *diff.Reason) {
	printf(w, "  %s", r.What)
	if r.Files > 0 {
		printf(w, " (%s", count(r.Files, "file"))
		if r.Cost > 0 {
			printf(w, ", %s", human.Size(r.Cost))
		}
		if r.Example != "" {
			printf(w, "; %s", human.Name("/"+r.Example))
		}
		printf(w, ")")
	}
	printf(w, "\n")
}

func printCosts(w io.Writer, r *diff.Report) {
	if len(r.Files) == 0 {
		return
	}
	printf(w, "\ndirectories, with all below them:\n")
	for _, d := range r.Directories {
		printf(w, "%10s  %s (%s)\n", human.Size(d.Cost), human.Name("/"+d.Path),
			count(d.Files, "file"))
	}
	printf(w, "\nfiles:\n")
	for _, f := range r.Files {
		printf(w, "%10s  %-6s  %s, %s", human.Size(f.Cost), f.Route, human.Name("/"+f.Path),
			human.Size(f.Size))
		switch {
		case f.Base != "" && f.Base != f.Path:
			printf(w, ", from %s", human.Name("/"+f.Base))
		case f.New:
			printf(w, ", new")
		}
		if f.Transform != "" {
			printf(w, " (%s)", f.Transform)
		}
		printf(w, "\n")
	}
}

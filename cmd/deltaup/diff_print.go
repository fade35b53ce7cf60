package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/dustin/go-humanize"

	"deltaup/delta/diff"
)

func printDiff(w io.Writer, o *diffOptions, r *diff.Report) {
	printTotals(w, r)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "\nroute\tfiles\tsize\tcost\t\n")
	for _, c := range r.Routes {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t\n", c.Route, humanize.Comma(int64(c.Files)), size(c.Size), size(c.Cost))
	}
	t.Flush()
	printNames(w, &r.Names)
	if len(r.Reasons) > 0 {
		fmt.Fprint(w, "\nwhat looks avoidable:\n")
		for _, reason := range r.Reasons {
			printReason(w, &reason)
		}
	}
	printCosts(w, r)
}

func size(n int64) string { return humanize.Bytes(uint64(n)) }

// printTotals tells what the step takes by each way.
func printTotals(w io.Writer, r *diff.Report) {
	if t := r.Whole; t.PatchSet > 0 {
		fmt.Fprintf(w, "by patches: %s in a patch set (%s of it the recipe), %s in chunks beside it\n",
			size(t.PatchSet), size(t.Recipe), size(t.LeftChunks))
		if t.LeftOut > 0 {
			fmt.Fprintf(w, "to know where these chunks are: %s for recipe, index and requests\n", size(t.LeftOut))
		}
	}
	fmt.Fprintf(w, "by chunks: %s, recipe and index not counted\n", size(r.Whole.Chunks))
	if r.Whole.Blocks > 0 {
		fmt.Fprintf(w, "by stored blocks: %s; without them %s are compressed again\n", size(r.Whole.Blocks), size(r.Whole.Compress))
	}
}

func printNames(w io.Writer, n *diff.Names) {
	fmt.Fprintf(w, "\n%s names: %s added (%s renamed or copied), %s removed, %s with another content, %s with another owner or mode alone, %s with another time stamp alone\n",
		humanize.Comma(int64(n.Total)), humanize.Comma(int64(n.Added)), humanize.Comma(int64(n.Renamed)), humanize.Comma(int64(n.Removed)),
		humanize.Comma(int64(n.Content)), humanize.Comma(int64(n.Owner)), humanize.Comma(int64(n.Times)))
	if n.Owner > 0 {
		fmt.Fprintf(w, "another owner or mode: %s\n", example(n.OwnerExample, n.Owner))
	}
	if n.Times > 0 {
		fmt.Fprintf(w, "another time stamp: %s\n", example(n.TimesExample, n.Times))
	}
	if n.Moved > 0 || n.Repacked > 0 {
		fmt.Fprintf(w, "%s unchanged files moved in the order of the data; %s of unchanged files lie in changed blocks\n",
			humanize.Comma(int64(n.Moved)), size(n.Repacked))
	}
}

// example names one of several.
func example(path string, n int) string {
	if n == 1 {
		return "/" + path
	}
	return fmt.Sprintf("/%s and %s more", path, humanize.Comma(int64(n-1)))
}

func printReason(w io.Writer, r *diff.Reason) {
	fmt.Fprintf(w, "  %s", r.What)
	if r.Files > 0 {
		fmt.Fprintf(w, " (%s", count(r.Files, "file"))
		if r.Cost > 0 {
			fmt.Fprintf(w, ", %s", size(r.Cost))
		}
		if r.Example != "" {
			fmt.Fprintf(w, "; /%s", r.Example)
		}
		fmt.Fprint(w, ")")
	}
	fmt.Fprintln(w)
}

func printCosts(w io.Writer, r *diff.Report) {
	if len(r.Files) == 0 {
		return
	}
	fmt.Fprint(w, "\ndirectories, with all below them:\n")
	for _, d := range r.Directories {
		fmt.Fprintf(w, "%10s  /%s (%s)\n", size(d.Cost), d.Path, count(d.Files, "file"))
	}
	fmt.Fprint(w, "\nfiles:\n")
	for _, f := range r.Files {
		fmt.Fprintf(w, "%10s  %-6s  /%s, %s", size(f.Cost), f.Route, f.Path, size(f.Size))
		switch {
		case f.Base != "" && f.Base != f.Path:
			fmt.Fprintf(w, ", from /%s", f.Base)
		case f.New:
			fmt.Fprint(w, ", new")
		}
		if f.Transform != "" {
			fmt.Fprintf(w, " (%s)", f.Transform)
		}
		fmt.Fprintln(w)
	}
}

//go:build !target

package main

import (
	"errors"
	"fmt"
	"io"

	"deltaup/internal/human"
	"deltaup/mkimage/trace"
	"deltaup/mkimage/tree"
)

// dataOrder reads what --order, --trace and --previous name and gives the paths whose data come
// first. It warns of paths that are not in the tree.
func (o *mkimageOptions) dataOrder(stderr io.Writer, entries []tree.Entry) ([]string, error) {
	files := o.traces
	if o.order != "" {
		if len(files) > 0 {
			return nil, &usageError{errors.New("--order and --trace exclude each other")}
		}
		files = []string{o.order}
	}
	if len(files) == 0 {
		if o.previous != "" && o.level != levelAuto {
			return nil, &usageError{errors.New("--previous goes with --trace, --order or --level auto")}
		}
		return nil, nil
	}
	t, err := readTraces(files, o.traceShare)
	if err != nil {
		return nil, err
	}
	t, unknown := t.Resolve(entries)
	if len(unknown) > 0 {
		warn(
			stderr,
			fmt.Sprintf("%s: no files of the tree: %s, first %s", files[0],
				count(len(unknown), "path"), human.Name("/"+unknown[0])),
		)
	}
	if o.previous == "" {
		return t.Paths(), nil
	}
	previous, err := previousOrder(o.previous, entries)
	if err != nil {
		return nil, err
	}
	return trace.Keep(previous, t.Paths()), nil
}

// previousOrder gives the order of an earlier recipe, as paths of this tree.
func previousOrder(recipe string, entries []tree.Entry) ([]string, error) {
	r, err := readRecipe(recipe)
	if err != nil {
		return nil, err
	}
	t := &trace.Trace{Files: make([]trace.File, len(r.First))}
	for i, path := range r.First {
		t.Files[i].Path = path
	}
	t, _ = t.Resolve(entries)
	return t.Paths(), nil
}

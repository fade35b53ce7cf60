package trace

import (
	"path"
	"slices"
	"strings"

	"deltaup/mkimage/modulename"
	"deltaup/mkimage/tree"
)

// Resolve gives t with the paths of a tree, and the paths of t that name no file there. A path may
// lead through symbolic links. Where the tree lacks a file, Resolve takes the one whose path
// differs in version numbers only, if there is exactly one, since a trace was often recorded on the
// release before. A kernel module that is compressed in the trace may be plain in the tree.
func (t *Trace) Resolve(entries []tree.Entry) (resolved *Trace, unknown []string) {
	r := newResolver(entries)
	resolved = &Trace{Lost: t.Lost}
	seen := make(map[string]bool)
	for _, f := range t.Files {
		path, ok := r.file(f.Path)
		if !ok {
			unknown = append(unknown, f.Path)
		} else if !seen[path] {
			seen[path] = true
			resolved.Files = append(resolved.Files, File{path, f.First, f.ranges})
		}
	}
	return resolved, unknown
}

// resolver finds files of a tree by the paths of another machine.
type resolver struct {
	byPath      tree.Paths
	unversioned map[string][]string // regular files, by their path without version numbers
}

func newResolver(entries []tree.Entry) *resolver {
	r := &resolver{byPath: tree.NewPaths(entries), unversioned: make(map[string][]string)}
	for i := range entries {
		e := &entries[i]
		if e.Type == tree.Regular {
			key := tree.Unversioned(e.Path)
			r.unversioned[key] = append(r.unversioned[key], e.Path)
		}
	}
	return r
}

// file gives the regular file that p leads to.
func (r *resolver) file(p string) (string, bool) {
	p = strings.TrimPrefix(path.Clean("/"+p), "/")
	if real, ok := r.byPath.Follow(p); ok {
		return real, r.byPath[real].Type == tree.Regular
	}
	if same := r.unversioned[tree.Unversioned(p)]; len(same) == 1 {
		return same[0], true
	}
	if plain, ok := modulename.Plain(p); ok {
		return r.file(plain)
	}
	return "", false
}

// Keep gives the order wanted, but keeps as much as possible of the previous order, so that blocks
// stay the same and targets copy them. Paths in both orders keep their previous places among each
// other, except those whose rank moved by more than a twentieth of these paths: two boots of one
// system differ by less. A new or moved path follows the path that wanted has before it.
func Keep(previous, wanted []string) []string {
	old := ranks(previous, ranks(wanted, nil))
	now := ranks(wanted, old)
	slack := max(len(now)/20, 8)
	var kept []string
	for _, p := range previous {
		if n, ok := now[p]; ok && max(n-old[p], old[p]-n) <= slack {
			kept = append(kept, p)
		}
	}
	stays := ranks(kept, nil)
	behind := make(map[string][]string) // the paths that follow a kept path, or "", the front
	anchor := ""
	for _, p := range wanted {
		if _, ok := stays[p]; ok {
			anchor = p
		} else {
			behind[anchor] = append(behind[anchor], p)
		}
	}
	order := slices.Clone(behind[""])
	for _, p := range kept {
		order = append(append(order, p), behind[p]...)
	}
	return order
}

// ranks numbers the paths that are in among, in their order; nil is all paths.
func ranks(paths []string, among map[string]int) map[string]int {
	m := make(map[string]int, len(paths))
	for _, p := range paths {
		if _, ok := among[p]; ok || among == nil {
			m[p] = len(m)
		}
	}
	return m
}

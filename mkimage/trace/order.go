package trace

import (
	"path"
	"slices"
	"strings"

	"deltaup/mkimage/tree"
)

// Resolve gives t with its paths as a tree has them, and the paths that mean no file there. A path
// may lead through symbolic links, and where the tree has no such file, the only one whose path
// differs in version numbers alone stands for it: a trace was often recorded on the release before.
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
			resolved.Files = append(resolved.Files, File{path, f.First, f.Ranges})
		}
	}
	return resolved, unknown
}

// resolver finds files by the paths of another machine.
type resolver struct {
	byPath      tree.Paths
	unversioned map[string][]string // regular files by their path without version numbers
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
	return "", false
}

// Keep is the order wanted with as much of the previous one as still holds, so that
// blocks stay what they were and a target copies them. A path keeps its place among those that
// both have unless its rank there moved by more than a twentieth of them: two boots
// of one system differ by less. What is new, or moved, follows the path that wanted has before it.
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
	behind := make(map[string][]string) // kept path, "" for the front: what follows it
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

// ranks numbers paths in their order, leaving out those that are not in among, unless that is nil.
func ranks(paths []string, among map[string]int) map[string]int {
	m := make(map[string]int, len(paths))
	for _, p := range paths {
		if _, ok := among[p]; ok || among == nil {
			m[p] = len(m)
		}
	}
	return m
}

package patchset

import (
	"slices"
	"sort"
	"strings"

	"deltaup/mkimage"
	"deltaup/mkimage/tree"
)

// rename is a path of the old tree and the path that takes its place in the new tree. Everything
// below a folder moves with it.
type rename struct{ old, new string }

// split splits a path into folder and name. The folder of a name in the root is "".
func split(path string) (folder, name string) {
	cut := strings.LastIndexByte(path, '/')
	return path[:max(cut, 0)], path[cut+1:]
}

// join undoes split.
func join(folder, name string) string {
	if folder == "" {
		return name
	}
	return folder + "/" + name
}

// findRenames pairs paths that only the old tree has with paths that only the new tree has, when
// they differ in version numbers only, such as in usr/lib/modules/6.1.0-54-cloud-amd64 and
// usr/lib/libfoo.so.3.0.2.
func findRenames(from, to *mkimage.Recipe) []rename {
	type key struct{ folder, name string }
	// entries that only the old tree has, by folder and unversioned name
	gone := make(map[key][]int)
	for i, e := range from.Entries.All() {
		folder, name := split(e.Path)
		k := key{folder, tree.Unversioned(name)}
		gone[k] = append(gone[k], i)
	}
	var found []rename
	origin := make(map[string]string) // old path of each folder of the new tree that has one
	for _, e := range to.Entries.All() {
		folder, name := split(e.Path)
		from0, ok := origin[folder]
		if folder == "" {
			from0, ok = "", true
		}
		if !ok || e.Path == "" {
			continue
		}
		candidate := join(from0, name)
		if _, there := from.Entries.Find(candidate); !there {
			k := key{from0, tree.Unversioned(name)}
			n := slices.IndexFunc(gone[k], func(n int) bool {
				o := from.Entries.At(n)
				_, name := split(o.Path)
				_, kept := to.Entries.Find(join(folder, name))
				return !kept && o.Type == e.Type
			})
			if n < 0 {
				continue
			}
			candidate = from.Entries.At(gone[k][n]).Path
			gone[k] = slices.Delete(slices.Clone(gone[k]), n, n+1)
			found = append(found, rename{candidate, e.Path})
		}
		if e.Type == tree.Directory {
			origin[e.Path] = candidate
		}
	}
	return found
}

// pattern is an entry of the old tree with its path after the renames. The entry of the new tree
// with that path is written as its difference from the pattern.
type pattern struct {
	path    string // "": that of the old tree
	index   int    // of the entry there
	modTime uint32
}

// pathOf is the path of a pattern.
func (c *ledger) pathOf(p *pattern) string {
	if p.path == "" {
		return c.from.Entries.At(p.index).Path
	}
	return p.path
}

// patterns gives the entries of the old tree after the renames, in path order, and the new path of
// each path that changes.
func patterns(from *mkimage.Recipe, renames []rename) (list []pattern, renamed map[string]string) {
	explicit := make(map[string]string, len(renames))
	for _, r := range renames {
		explicit[r.old] = r.new
	}
	renamed = make(map[string]string) // paths that are not in it stay
	list = make([]pattern, from.Entries.Len())
	for i, e := range from.Entries.All() {
		list[i] = pattern{index: i, modTime: e.ModTime}
		if len(renames) == 0 {
			continue
		}
		list[i].path = e.Path
		if path, ok := explicit[e.Path]; ok {
			list[i].path = path
		} else if folder, name := split(e.Path); folder != "" {
			if f, ok := renamed[folder]; ok {
				list[i].path = join(f, name)
			}
		}
		if list[i].path != e.Path {
			renamed[e.Path] = list[i].path
		}
	}
	if len(renames) > 0 {
		sort.Stable(byPath(list))
	}
	return list, renamed
}

// byPath sorts patterns. Sorts with an interface share their code, which keeps the command for
// targets small.
type byPath []pattern

func (l byPath) Len() int           { return len(l) }
func (l byPath) Less(i, j int) bool { return tree.Compare(l[i].path, l[j].path) < 0 }
func (l byPath) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }

package mkimage

import (
	"deltaup/mkimage/tree"
)

// hotInodes gives the paths of the entries whose inodes shall lie together, with their ranks, from
// 1 on. These are the files in r.First and the symbolic links that lead to such a file or to a
// folder above one; a link to a folder has the rank of the first hot entry below, by path it. The
// writer adds the folders. The result depends on the recipe alone.
func hotInodes(r *Recipe) map[string]int {
	if len(r.First) == 0 {
		return nil
	}
	h := heater{
		files:   make(map[string]int),
		folders: make(map[string]int),
	}
	ranks := make(map[string]int, len(r.First))
	for i, path := range r.First {
		ranks[path] = i + 1
	}
	for _, path := range r.Entries.paths.all() {
		if rank := ranks[string(path)]; rank > 0 {
			h.heat(string(path), rank)
		}
	}
	h.links(r)
	return h.files
}

// heater collects hot entries: those that a boot needs.
type heater struct {
	files   map[string]int // ranks of files and links, by path
	folders map[string]int // rank of the first file below
}

// heat marks an entry that is no folder as hot.
func (h *heater) heat(path string, rank int) {
	h.files[path] = rank
	for path != "" {
		path, _ = splitPath(path)
		if known := h.folders[path]; known == 0 || known > rank {
			h.folders[path] = rank
		}
	}
}

// links marks the symbolic links that lead to hot entries.
func (h *heater) links(r *Recipe) {
	found := make(map[string]int)
	find := func(path string) *tree.Entry {
		i, ok := r.Entries.Find(path)
		if !ok {
			return nil
		}
		e := r.Entries.At(i)
		return &e.Entry
	}
	for _, e := range r.Entries.All() {
		if e.Type != tree.Symlink || e.Link != "" {
			continue
		}
		target, ok := tree.Follow(e.Path, find)
		if !ok {
			continue
		}
		if first := find(target).Link; first != "" {
			target = first
		}
		if rank := max(h.files[target], h.folders[target]); rank > 0 {
			found[e.Path] = rank
		}
	}
	for path, rank := range found {
		h.heat(path, rank)
	}
}

package mkimage

import (
	"deltaup/mkimage/tree"
)

// hotInodes gives the entries whose inodes are to lie together, with their order, from 1 on: the
// files that r.First names and the symbolic links that lead to them, or to a folder above them, as
// early as the first of what is there. The writer adds the folders. It depends on the recipe alone.
func hotInodes(r *Recipe) map[string]int {
	if len(r.First) == 0 {
		return nil
	}
	h := heater{
		paths:   make(tree.Paths, len(r.Entries)),
		files:   make(map[string]int),
		folders: make(map[string]int),
	}
	ranks := make(map[string]int, len(r.First))
	for i, path := range r.First {
		ranks[path] = i + 1
	}
	for i := range r.Entries {
		e := &r.Entries[i]
		h.paths[e.Path] = &e.Entry
		if rank := ranks[e.Path]; rank > 0 {
			h.heat(e.Path, rank)
		}
	}
	h.links(r)
	return h.files
}

// heater collects what is hot.
type heater struct {
	paths   tree.Paths
	files   map[string]int // and links: their ranks
	folders map[string]int // rank of the first file below
}

// heat marks what is no folder.
func (h *heater) heat(path string, rank int) {
	h.files[path] = rank
	for path != "" {
		path, _ = splitPath(path)
		if known := h.folders[path]; known == 0 || known > rank {
			h.folders[path] = rank
		}
	}
}

// links marks the symbolic links that lead to what is hot by then.
func (h *heater) links(r *Recipe) {
	found := make(map[string]int)
	for i := range r.Entries {
		e := &r.Entries[i]
		if e.Type != tree.Symlink || e.Link != "" {
			continue
		}
		target, ok := h.paths.Follow(e.Path)
		if !ok {
			continue
		}
		if first := h.paths[target].Link; first != "" {
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

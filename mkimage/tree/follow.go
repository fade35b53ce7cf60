package tree

import (
	"path"
	"strings"
)

// MaxSymlinks is how many symbolic links a path may lead through, as in Linux.
const MaxSymlinks = 40

// Paths finds the entries of a tree by their paths.
type Paths map[string]*Entry

// NewPaths makes the Paths of a tree, whose entries they share.
func NewPaths(entries []Entry) Paths {
	p := make(Paths, len(entries))
	for i := range entries {
		p[entries[i].Path] = &entries[i]
	}
	return p
}

// Follow resolves the symbolic links in a path, also in its last name. It gives false when the tree
// has no such path or the links lead in a circle.
func (p Paths) Follow(name string) (string, bool) {
	return Follow(name, func(path string) *Entry { return p[path] })
}

// Follow is Paths.Follow in a tree whose entries find gives; nil: there is none with that path.
func Follow(name string, find func(path string) *Entry) (string, bool) {
	for range MaxSymlinks {
		link, rest := firstLink(name, find)
		if link == nil {
			return name, find(name) != nil
		}
		target := link.Target
		if !strings.HasPrefix(target, "/") {
			target = path.Join("/", path.Dir(link.Path), target)
		}
		name = strings.TrimPrefix(path.Join(target, rest), "/")
	}
	return "", false
}

// firstLink finds the first symbolic link in the path name, and the rest of name behind it.
func firstLink(name string, find func(string) *Entry) (link *Entry, rest string) {
	for i := 0; i <= len(name); i++ {
		if i < len(name) && name[i] != '/' {
			continue
		}
		if e := find(name[:i]); e != nil && e.Type == Symlink {
			return e, name[i:]
		}
	}
	return nil, ""
}

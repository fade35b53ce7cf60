// Package lookup finds and reads files of a tree by their paths, like a process whose root is the
// tree.
package lookup

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"deltaup/mkimage/tree"
)

// errTooLarge is wrapped by errors about files that have more bytes than their reader takes.
var errTooLarge = errors.New("too large")

// View is a tree whose files are found by their paths. Paths may begin with a slash.
type View struct {
	tree  tree.Tree
	paths tree.Paths
	place map[string]int      // index of an entry by its path
	names map[string][]string // of each folder, by its path, in path order
}

// New makes the View of a tree, which stays open.
func New(t tree.Tree) *View {
	entries := t.Entries()
	r := &View{t, tree.NewPaths(entries), make(map[string]int, len(entries)), map[string][]string{}}
	for i := range entries {
		p := entries[i].Path
		r.place[p] = i
		if p != "" {
			dir, name := path.Split(p)
			dir = strings.TrimSuffix(dir, "/")
			r.names[dir] = append(r.names[dir], name)
		}
	}
	return r
}

// Lstat gives the entry that name leads to, which may be a symbolic link; nil: there is none.
func (r *View) Lstat(name string) *tree.Entry {
	dir, base := path.Split(clean(name))
	dir, ok := r.paths.Follow(strings.TrimSuffix(dir, "/"))
	if !ok {
		return nil
	}
	return r.paths[path.Join(dir, base)]
}

// Stat gives the entry that name leads to when all symbolic links are followed; nil: there is none.
func (r *View) Stat(name string) *tree.Entry {
	at, ok := r.paths.Follow(clean(name))
	if !ok {
		return nil
	}
	return r.paths[at]
}

func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

// Names gives the names in a folder, symbolic links followed, in path order. Where there is no
// folder there are none.
func (r *View) Names(dir string) []string {
	e := r.Stat(dir)
	if e == nil || e.Type != tree.Directory {
		return nil
	}
	return r.names[e.Path]
}

// Inode is the path by which all hard links of an entry are known.
func Inode(e *tree.Entry) string {
	if e.Link != "" {
		return e.Link
	}
	return e.Path
}

// Open opens the content of an entry that Lstat or Stat gave, a regular file.
func (r *View) Open(e *tree.Entry) (io.ReadCloser, error) {
	i, ok := r.place[Inode(e)]
	if !ok || e.Type != tree.Regular {
		return nil, fmt.Errorf("/%s: %w: no regular file", e.Path, fs.ErrInvalid)
	}
	return r.tree.Open(i)
}

// Read reads a regular file, symbolic links followed, that has at most so many bytes. Its errors
// wrap fs.ErrNotExist or fs.ErrInvalid (no regular file), tell that the file has more bytes, or are
// those of the tree.
func (r *View) Read(name string, most int64) ([]byte, error) {
	e := r.Stat(name)
	switch {
	case e == nil:
		return nil, fmt.Errorf("/%s: %w", clean(name), fs.ErrNotExist)
	case e.Size > most:
		return nil, fmt.Errorf("/%s: %w: it has more than %d bytes", e.Path, errTooLarge, most)
	}
	c, err := r.Open(e)
	if err != nil {
		return nil, err
	}
	defer c.Close() // it is only read
	b := make([]byte, e.Size)
	_, err = io.ReadFull(c, b)
	return b, err
}

// Link puts a symbolic link into the View, not into its tree: programs that make a cache also make
// links, and then see them. What was there is replaced.
func (r *View) Link(name, target string) {
	dir, base := path.Split(clean(name))
	dir, ok := r.paths.Follow(strings.TrimSuffix(dir, "/"))
	if !ok {
		return
	}
	at := path.Join(dir, base)
	r.paths[at] = &tree.Entry{Path: at, Attr: tree.Attr{Type: tree.Symlink, Target: target}}
}

// Remove takes a name out of the View, not out of its tree.
func (r *View) Remove(name string) {
	if e := r.Lstat(name); e != nil {
		delete(r.paths, e.Path)
	}
}

package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"deltaup/mkimage/tree"
)

// tarName is a name in the tree so far.
type tarName struct {
	path     string
	parent   *tarName            // nil for the root
	file     *tarFile            // shared by hard links
	children map[string]*tarName // of a folder
	layer    int32               // that has put the file there last
}

// tarFile is the file of one or more names.
type tarFile struct {
	// without Path; of Type 0 while it is a hard link whose target, Link, has not come yet
	tree.Entry
	data
	resolved  *tarFile // the target of such a hard link, once it is found
	resolving bool
}

// child adds a name to a folder.
func (n *tarName) child(base string, f *tarFile, layer int32) *tarName {
	c := &tarName{path: joinPath(n.path, base), parent: n, file: f, layer: layer}
	if n.children == nil {
		n.children = make(map[string]*tarName)
	}
	n.children[base] = c
	return c
}

// sorted gives the names in a folder in byte order.
func (n *tarName) sorted() []*tarName {
	children := make([]*tarName, 0, len(n.children))
	for _, c := range n.children {
		children = append(children, c)
	}
	slices.SortFunc(children, func(a, b *tarName) int { return strings.Compare(a.path, b.path) })
	return children
}

func joinPath(dir, base string) string {
	if dir == "" {
		return base
	}
	return dir + "/" + base
}

// walk gives the folder at a clean path. It follows symbolic links like a kernel whose root is the
// tree, and never leaves the tree. With create it makes missing folders of the path itself; the
// target of a link must be there.
//
// what names the thing in that folder, for messages.
func (x *tarIndex) walk(to, what string, create bool) (*tarName, error) {
	if x.lastDir != nil && x.lastPath == to {
		return x.lastDir, nil
	}
	at, rest := x.root, to
	var link *tarName // the last link that was followed
	links := 0
	own := len(rest) // names at the end of rest that are the path's own, not of a link's target
	for rest != "" {
		if x.steps += 1 + len(rest)>>10; x.steps > stepsMax { // copying a long rest takes time
			return nil, fmt.Errorf("%w: the entries lie behind too many folders and links",
				ErrTooLarge)
		}
		inTarget := len(rest) > own
		var base string
		base, rest, _ = strings.Cut(rest, "/")
		own = min(own, len(rest))
		if base == "" || base == "." {
			continue
		}
		if base == ".." { // in a link's target, since the path is clean
			if at = at.parent; at == nil {
				return nil, behind(what, link, errOutside)
			}
			continue
		}
		next := at.children[base]
		switch {
		case next == nil && create && !inTarget:
			if err := checkPath(joinPath(at.path, base)); err != nil {
				return nil, err
			}
			if err := x.take(at.path, base); err != nil {
				return nil, err
			}
			next = at.child(base, &tarFile{Entry: x.implied()}, x.layer)
		case next == nil && link == nil:
			return nil, fmt.Errorf("%s: %w", show(what), fs.ErrNotExist)
		case next == nil:
			return nil, behind(what, link, errDangling)
		case next.file.Type == tree.Symlink:
			link = next
			if links++; links > tree.MaxSymlinks || len(next.file.Target) > pathMax {
				return nil, behind(what, link, errCircle)
			}
			if strings.HasPrefix(next.file.Target, "/") {
				at = x.root
			}
			rest = next.file.Target + "/" + rest
			continue
		case next.file.Type != tree.Directory && next.path == what:
			return nil, fmt.Errorf("%w: %s is no folder", ErrMalformed, show(what))
		case next.file.Type != tree.Directory:
			return nil, fmt.Errorf("%w: %s lies below %s, which is no folder", ErrMalformed,
				show(what), show(next.path))
		}
		at = next
	}
	x.lastPath, x.lastDir = to, at
	return at, nil
}

// Why a symbolic link cannot be followed.
var (
	errOutside  = errors.New("which leads out of the tree")
	errDangling = errors.New("which leads to no folder at this point of the archive")
	errCircle   = errors.New("which leads through too many symbolic links, or in a circle")
)

// behind makes the error for what, whose place lies behind a link that cannot be followed.
func behind(what string, link *tarName, why error) error {
	return fmt.Errorf("%w: %s lies behind the symbolic link %s -> %s, %w (--exclude leaves it out)",
		ErrMalformed, show(what), show(link.path), show(link.file.Target), why)
}

// place gives a name of the archive its file. As in GNU tar, a folder that comes again keeps its
// content, and anything else is replaced.
func (x *tarIndex) place(to string, f *tarFile) error {
	if err := x.take(to, f.Target); err != nil {
		return err
	}
	if to == "" {
		if f.Type != tree.Directory {
			return fmt.Errorf("%w: the root is no folder", ErrMalformed)
		}
		x.root.file = f
		return nil
	}
	dir, err := x.walk(parentOf(to), to, true)
	if err != nil {
		return err
	}
	base := path.Base(to)
	if err := checkPath(joinPath(dir.path, base)); err != nil {
		return err
	}
	old := dir.children[base]
	switch {
	case old == nil:
		dir.child(base, f, x.layer)
		return nil
	case old.file == f:
		old.layer = x.layer
		return nil // the hard link is there already
	case old.file.Type == tree.Directory && f.Type == tree.Directory:
		old.file, old.layer = f, x.layer
		return nil
	case old.file.Type == tree.Symlink && f.Type == tree.Directory:
		if x.options.KeepDirectorySymlink {
			if _, err := x.walk(old.path, old.path, false); err == nil ||
				errors.Is(err, errOutside) {
				return err
			}
		}
		if x.keeps(old.path) {
			x.cut.add(1, old.path)
		}
	case len(old.children) > 0 && old.layer == x.layer && x.keeps(old.path):
		x.buried.add(1, old.path)
	}
	x.lastDir = nil // the replaced name may be the folder or lead to it
	dir.child(base, f, x.layer)
	return nil
}

// keeps reports whether the entry at a path may stay in the tree.
func (x *tarIndex) keeps(path string) bool {
	if sub := x.options.Subdir; sub != "" {
		if path != sub && !below(path, sub) {
			return false
		}
		path = strings.TrimPrefix(path[len(sub):], "/")
	}
	return x.filter.keeps(path)
}

// settle finds the targets of the hard links that came before them, while all names are there.
func (x *tarIndex) settle() {
	for _, link := range x.pending {
		if _, err := x.target(link.file, link.name); err != nil {
			link.file.fault = err
		}
	}
	x.pending = nil
}

// collect adds the entries of the finished tree that stay to the collection.
func (x *tarIndex) collect() error {
	root, err := x.walk(x.options.Subdir, x.options.Subdir, false)
	if err != nil {
		return err
	}
	x.collection.budget = budget{sets: x.sets} // from now on it counts what stays
	return x.collectFolder(root, "", verdict{})
}

// collectFolder adds the folder n, whose path becomes at, and everything in it.
func (x *tarIndex) collectFolder(n *tarName, at string, v verdict) error {
	if err := x.collectFile(n, at); err != nil {
		return err
	}
	names := n.sorted()
	n.children = nil // frees each name as soon as it is collected
	for i, c := range names {
		names[i] = nil
		at := joinPath(at, path.Base(c.path))
		v := x.filter.judge(v, at)
		folder := c.file.Type == tree.Directory
		if !v.keep() && !(folder && x.filter.reaches(at)) {
			continue
		}
		var err error
		if folder {
			err = x.collectFolder(c, at, v)
		} else {
			err = x.collectFile(c, at)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (x *tarIndex) collectFile(n *tarName, at string) error {
	f, err := x.target(n.file, n.path)
	if err != nil {
		return err
	}
	if start, sparse := sparseHandle(f.handle); sparse && f.fault == nil {
		if _, err := openSparse(x.archive, start, f.Size); err != nil {
			return fmt.Errorf("read sparse file %s: %w", show(at), err)
		}
	}
	e := f.Entry
	e.Path, e.Link = at, ""
	return x.add(e, f.data)
}

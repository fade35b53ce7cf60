package layers

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"deltaup/mkimage/tree"
)

// mergedDirs are the folders that are links into usr where it is merged.
var mergedDirs = []string{"bin", "lib", "lib32", "lib64", "libo32", "libx32", "sbin"}

// alias makes the link into usr that a path lies behind, where usr is merged.
func (s *stage) alias(name string) error {
	first, _, _ := strings.Cut(name, "/")
	if !s.mergedUsr || s.files[first] != nil || !slices.Contains(mergedDirs, first) {
		return nil
	}
	s.files[first] = s.symlink("merged-usr", "usr/"+first)
	return s.folders("usr/"+first, "merged-usr")
}

// merge puts the trees of a layer upon what is there. A path that several have must be the same in
// each; one of a layer with a higher priority counts instead. Folders and links come first, so that
// files find their places whatever the order of the trees.
func (s *stage) merge(l *Layer, trees []named, c *choices) error {
	var problems []error
	for _, files := range []bool{false, true} {
		for _, t := range trees {
			m := merging{
				stage: s, layer: l, from: t, choices: c, inodes: map[string]*file{},
			}
			if err := m.all(files); err != nil {
				problems = append(problems, err)
			}
		}
	}
	return errors.Join(problems...)
}

// choices decide where several have a path.
type choices struct {
	diverted map[string]diversion // by the path from which other packages' files go elsewhere
	replaced map[string]string    // whose file counts, by path
}

// wins tells whether f counts instead of old, and whether it has been decided at all.
func (c *choices) wins(at string, old, f *file) (wins, decided bool) {
	from, ok := c.replaced[at]
	is := func(x *file) bool { return x.from == from || x.layer == from }
	switch {
	case !ok || is(old) == is(f):
		return f.priority > old.priority, f.priority != old.priority
	default:
		return is(f), true
	}
}

// merging puts one tree upon a stage.
type merging struct {
	*stage
	layer  *Layer
	from   named
	inodes map[string]*file // by the path of the first name in the tree
	*choices
}

const problemsMax = 20 // that are told of one tree

// all puts the tree's files, or what is none, in their places.
func (m *merging) all(files bool) error {
	var problems []error
	entries := m.from.Entries()
	for i := range entries {
		e := &entries[i]
		if (e.Type == tree.Regular || e.Link != "") != files || len(problems) >= problemsMax {
			continue
		}
		if err := m.one(i, e); err != nil {
			problems = append(problems, fmt.Errorf("%s: /%s: %w", m.from.name, e.Path, err))
		}
	}
	return errors.Join(problems...)
}

func (m *merging) one(i int, e *tree.Entry) error {
	name := e.Path
	if d, ok := m.diverted[name]; ok && d.keeper != m.from.name && e.Type != tree.Directory {
		name = d.to
	}
	if err := m.alias(name); err != nil {
		return err
	}
	at, ok := m.resolve(name)
	if !ok {
		return fmt.Errorf("%w: it lies behind links that lead in a circle", ErrConflict)
	}
	if up := m.files[parent(at)]; at != "" && (up == nil || up.Type != tree.Directory) {
		return fmt.Errorf("%w: it lies in no folder", ErrConflict)
	}
	f, known := m.inodes[e.Link]
	if e.Link == "" || !known {
		f = &file{
			Attr: e.Attr, size: e.Size, from: m.from.name, layer: m.layer.Name,
			priority: m.layer.Priority,
		}
		f.open = func() (io.ReadCloser, error) { return m.from.Open(i) }
		m.inodes[e.Path] = f
	}
	old := m.files[at]
	if old == nil {
		m.files[at] = f
		return nil
	}
	return m.meet(at, old, f)
}

// meet puts f where old is.
func (m *merging) meet(at string, old, f *file) error {
	if f.Type == tree.Directory {
		// a folder where a link leads to one is that folder
		if to := m.find(at); old.Type == tree.Symlink && to != nil && to.Type == tree.Directory {
			old = to
		}
	}
	if old.Type == tree.Directory && f.Type == tree.Directory {
		return m.folder(old, f)
	}
	same, err := equal(old, f)
	switch {
	case err != nil:
		return err
	case same:
		old.ModTime = max(old.ModTime, f.ModTime)
		return nil
	}
	wins, decided := m.wins(at, old, f)
	switch {
	case !decided:
		return conflict(old)
	case wins && old.Type == tree.Directory:
		m.remove(at)
		fallthrough
	case wins:
		m.files[at] = f
	}
	return nil
}

// conflict says that a path is somebody else's.
func conflict(old *file) error {
	return fmt.Errorf("%w: %s has it, too, and not the same (a layer's priority, or replace,"+
		" decides)", ErrConflict, old.from)
}

// folder joins two folders, whose attributes must be the same.
func (m *merging) folder(old, f *file) error {
	if old.from == "nothing" || old.from == "merged-usr" || f.priority > old.priority {
		time := max(old.ModTime, f.ModTime)
		*old = *f
		old.ModTime = time
		return nil
	}
	old.ModTime = max(old.ModTime, f.ModTime)
	if f.priority == old.priority && (old.Mode != f.Mode || old.UID != f.UID || old.GID != f.GID ||
		!equalXattrs(old.Xattrs, f.Xattrs)) {
		return fmt.Errorf("%w: the folder is %04o %d:%d, %s has it %04o %d:%d", ErrConflict, f.Mode,
			f.UID, f.GID, old.from, old.Mode, old.UID, old.GID)
	}
	return nil
}

// equal tells whether two files are the same, apart from their times.
func equal(a, b *file) (bool, error) {
	if a.Type != b.Type || a.UID != b.UID || a.GID != b.GID || a.Mode != b.Mode ||
		a.Target != b.Target || a.Major != b.Major || a.Minor != b.Minor || a.size != b.size ||
		!equalXattrs(a.Xattrs, b.Xattrs) {
		return false, nil
	}
	if a.Type != tree.Regular {
		return true, nil
	}
	return sameContent(a.open, b.open)
}

// sameContent tells whether two files have the same content.
func sameContent(a, b func() (io.ReadCloser, error)) (bool, error) {
	x, err := sumOf(a)
	if err != nil {
		return false, err
	}
	y, err := sumOf(b)
	return x == y, err
}

func sumOf(open func() (io.ReadCloser, error)) (sum [sha256.Size]byte, err error) {
	r, err := open()
	if err != nil {
		return sum, err
	}
	h := sha256.New()
	_, err = io.Copy(h, r)
	h.Sum(sum[:0])
	return sum, errors.Join(err, r.Close())
}

func equalXattrs(a, b []tree.Xattr) bool {
	return slices.EqualFunc(a, b, func(x, y tree.Xattr) bool {
		return x.Name == y.Name && bytes.Equal(x.Value, y.Value)
	})
}

// check refuses what no image for many machines may have.
func (s *stage) check() error {
	var problems []error
	refuse := func(p, why string) {
		problems = append(problems, fmt.Errorf("%w: /%s: %s", ErrForbidden, p, why))
	}
	for _, p := range s.paths() {
		f := s.files[p]
		switch f.Type {
		case tree.BlockDevice, tree.CharDevice:
			refuse(p, "a device; the kernel makes these in /dev")
		}
		name := path.Base(p)
		if parent(p) == "etc/ssh" && strings.HasPrefix(name, "ssh_host_") &&
			!strings.HasSuffix(name, ".pub") {
			refuse(p, "all machines would have the same key")
		}
		if p == "etc/machine-id" && f.size > 0 {
			content, err := f.read()
			if err != nil {
				return err
			}
			if text := strings.TrimSpace(string(content)); text != "" && text != "uninitialized" {
				refuse(p, "all machines would have the same id; leave it empty")
			}
		}
	}
	return errors.Join(problems...)
}

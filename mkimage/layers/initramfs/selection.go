package initramfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"deltaup/mkimage/internal/lookup"
	"deltaup/mkimage/tree"
)

// selection is a part of a tree, with files of its own beside. It is a tree itself.
type selection struct {
	root  *lookup.View // the whole tree
	items map[string]*item
	order []*item       // in path order; nil: not known yet
	list  []tree.Entry  // of order
	fresh []*tree.Entry // regular files that were taken since takeLibraries looked at them
}

// item is one path of a selection. Each name of a file with several is a file of its own.
type item struct {
	tree.Entry
	open func() (io.ReadCloser, error) // regular files
}

func newSelection(t tree.Tree) *selection {
	in := &selection{root: lookup.New(t), items: map[string]*item{}}
	in.items[""] = &item{Entry: tree.Entry{Attr: tree.Attr{Type: tree.Directory, Mode: 0o755}}}
	return in
}

func (in *selection) add(i *item) {
	in.items[i.Path] = i
	in.order = nil
}

func (in *selection) remove(name string) {
	if e := in.lookup().Lstat(name); e != nil {
		delete(in.items, e.Path)
		in.order = nil
	}
}

// lookup finds files of the selection itself.
func (in *selection) lookup() *lookup.View { return lookup.New(in) }

// take takes what a path of the tree leads to, and gives it: with all folders and symbolic links on
// the way. Errors wrap fs.ErrNotExist where the tree has it not.
func (in *selection) take(name string) (*tree.Entry, error) {
	var way []*tree.Entry
	at, links := "", 0
	for rest := name; rest != ""; {
		var first string
		first, rest, _ = strings.Cut(rest, "/")
		switch first {
		case "", ".":
			continue
		case "..":
			at = strings.TrimPrefix(path.Dir("/"+at), "/")
			continue
		}
		next := path.Join(at, first)
		e := in.root.Lstat(next)
		if e == nil {
			return nil, fmt.Errorf("/%s: %w in the tree", strings.TrimPrefix(name, "/"), fs.ErrNotExist)
		}
		way = append(way, e)
		if e.Type != tree.Symlink {
			at = next
			continue
		}
		if links++; links > tree.MaxSymlinks {
			return nil, fmt.Errorf("/%s leads through too many symbolic links", name)
		}
		if strings.HasPrefix(e.Target, "/") {
			at = ""
		}
		rest = e.Target + "/" + rest
	}
	for _, e := range way {
		if err := in.takeEntry(e); err != nil {
			return nil, err
		}
	}
	return in.root.Lstat(at), nil
}

// takeEntry takes an entry whose folder is there.
func (in *selection) takeEntry(e *tree.Entry) error {
	if in.items[e.Path] != nil {
		return nil
	}
	i := &item{Entry: *e}
	i.Link = ""
	switch e.Type {
	case tree.Directory, tree.Symlink:
	case tree.Regular:
		i.open = func() (io.ReadCloser, error) { return in.root.Open(e) }
		in.fresh = append(in.fresh, e)
	default:
		return fmt.Errorf("/%s is neither a file, a folder nor a symbolic link", e.Path)
	}
	in.add(i)
	return nil
}

// takeAll takes what a path leads to, with all that is below. Links in a folder stay what they are.
func (in *selection) takeAll(name string) error {
	e, err := in.take(name)
	if err != nil || e.Type != tree.Directory {
		return err
	}
	for _, sub := range in.root.Names(e.Path) {
		to := in.root.Lstat(path.Join(e.Path, sub))
		if to.Type == tree.Directory {
			err = in.takeAll(to.Path)
		} else {
			err = in.takeEntry(to)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// makeFolder makes a folder where a path leads, and those above it.
func (in *selection) makeFolder(name string) error {
	dir, err := in.place(name)
	if err != nil || in.items[dir] != nil {
		return err
	}
	in.add(&item{Entry: tree.Entry{Path: dir, Attr: tree.Attr{Type: tree.Directory, Mode: 0o755}}})
	return nil
}

// makeFile makes a file where a path leads.
func (in *selection) makeFile(name string, mode uint16, content []byte) error {
	at, err := in.place(name)
	if err != nil {
		return err
	}
	in.add(&item{
		Entry: tree.Entry{Path: at, Size: int64(len(content)),
			Attr: tree.Attr{Type: tree.Regular, Mode: mode}},
		open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
	})
	return nil
}

// place gives the path of what is made where a path leads in the selection. It takes the tree's
// folders on the way, and makes those that are missing.
func (in *selection) place(name string) (string, error) {
	dir, base := path.Split(name)
	dir = strings.TrimSuffix(dir, "/")
	if dir == "" {
		return base, nil
	}
	e, err := in.take(dir)
	if err == nil && e.Type == tree.Directory {
		return path.Join(e.Path, base), nil
	}
	if err == nil {
		return "", wrong("/%s is no folder", dir)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", wrong("%w", err)
	}
	if err := in.makeFolder(dir); err != nil {
		return "", err
	}
	up, err := in.place(dir)
	return path.Join(up, base), err
}

// Entries implements tree.Tree.
func (in *selection) Entries() []tree.Entry {
	if in.order == nil {
		in.order = make([]*item, 0, len(in.items))
		for _, i := range in.items {
			in.order = append(in.order, i)
		}
		slices.SortFunc(in.order, func(a, b *item) int { return tree.Compare(a.Path, b.Path) })
		in.list = make([]tree.Entry, len(in.order))
		for i, from := range in.order {
			in.list[i] = from.Entry
		}
	}
	return in.list
}

// Open implements tree.Tree.
func (in *selection) Open(i int) (io.ReadCloser, error) {
	in.Entries()
	return in.order[i].open()
}

// Warnings and Close implement tree.Tree.
func (in *selection) Warnings() []string { return nil }
func (in *selection) Close() error       { return nil }

// frozen gives the selection as it is now, whatever is added later.
func (in *selection) frozen() *selection {
	in.Entries()
	return &selection{root: in.root, items: in.items, order: in.order, list: in.list}
}

// replace makes the selection what another tree has.
func (in *selection) replace(t tree.Tree) {
	in.items, in.order = map[string]*item{}, nil
	for i, e := range t.Entries() {
		e.Link = ""
		in.add(&item{Entry: e, open: func() (io.ReadCloser, error) { return t.Open(i) }})
	}
}

// Package modules makes the kernel modules of a tree cheap to update.
//
// [Plain] stores them plain. Distributions ship them compressed, each by itself, and a patch
// between two compressed files has nearly the size of the new one. An image compresses them anyway,
// and its patches see their code. Signatures lie in the plain modules and stay valid.
//
// [Unsigned] cuts the signatures off, where nothing checks them.
package modules

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"deltaup/mkimage/modulename"
	"deltaup/mkimage/tree"
)

// ErrModule is wrapped by errors about a module that does not unpack, or a tree in which modules
// cannot be plain.
var ErrModule = errors.New("kernel modules")

// Dear is from how many bytes of new compressed modules on a step is worth a word, in bytes.
const Dear = 1 << 20

// Plain gives the tree t with all compressed modules plain and renamed, from .ko.xz, .ko.zst and
// .ko.gz to .ko. Symbolic links to them lead to the plain ones, and modules.dep and modules.dep.bin
// name these. The other indexes of depmod(8) do not have the modules' paths, and stay.
//
// Plain unpacks each module once to learn its size, and again when it is opened. A module stays as
// it is when one of its hard links does not have the name of a module. Closing the result closes t.
func Plain(ctx context.Context, t tree.Tree) (tree.Tree, error) {
	p := &plainTree{Tree: t}
	packed := p.packed()
	if len(packed) == 0 && len(p.warnings) == 0 {
		return t, nil
	}
	entries := slices.Clone(t.Entries())
	if err := p.measure(ctx, entries, packed); err != nil {
		return nil, err
	}
	renamed := rename(entries, packed)
	indexes, err := p.indexes(entries, renamed)
	if err != nil {
		return nil, err
	}
	if err := p.arrange(entries, packed, indexes); err != nil {
		return nil, err
	}
	return p, nil
}

// plainTree is a tree whose modules are plain.
type plainTree struct {
	tree.Tree
	entries  []tree.Entry
	contents []content // of each entry
	warnings []string
}

// content says where the bytes of an entry come from.
type content struct {
	from  int    // entry of the tree below
	codec string // suffix of a packed module's name; "": its bytes as they are
	bytes []byte // not nil: these bytes, and nothing of the tree below
}

func (p *plainTree) Entries() []tree.Entry { return p.entries }

func (p *plainTree) Warnings() []string { return append(p.Tree.Warnings(), p.warnings...) }

func (p *plainTree) Open(i int) (io.ReadCloser, error) {
	c := p.contents[i]
	switch {
	case c.bytes != nil:
		return io.NopCloser(strings.NewReader(string(c.bytes))), nil
	case c.codec == "":
		return p.Tree.Open(c.from)
	}
	return p.unpack(c.from, c.codec)
}

// packed finds the modules to unpack, as indexes of the tree's entries.
func (p *plainTree) packed() []int {
	packed, kept := inodes(p.Tree.Entries(), func(name string) bool {
		_, ok := modulename.Plain(name)
		return ok
	})
	for _, k := range kept {
		p.warnings = append(p.warnings,
			fmt.Sprintf("/%s stays compressed: it is also /%s", k.path, k.other))
	}
	return packed
}

// keptName is a path that is a module's, and another name of the same inode that is none.
type keptName struct{ path, other string }

// inodes finds the regular files all of whose names are modules', as indexes of their first names.
// Of those with other names, too, it gives the names.
func inodes(entries []tree.Entry, isModule func(name string) bool) (all []int, kept []keptName) {
	other := map[string]string{} // first name of an inode: a name of it that no module has
	for i := range entries {
		if e := &entries[i]; e.Link != "" && !isModule(e.Path) {
			other[e.Link] = e.Path
		}
	}
	for i := range entries {
		e := &entries[i]
		if e.Type != tree.Regular || !isModule(e.Path) {
			continue
		}
		link := other[e.Path]
		if e.Link != "" && !isModule(e.Link) {
			link = e.Link
		}
		switch {
		case link != "":
			kept = append(kept, keptName{e.Path, link})
		case e.Link == "":
			all = append(all, i)
		}
	}
	return all, kept
}

// rename gives the packed modules and all names that lead to them their new names: hard links, and
// symbolic links by name and target. It returns the new path of each old one.
func rename(entries []tree.Entry, packed []int) map[string]string {
	paths := tree.NewPaths(slices.Clone(entries))
	renamed := make(map[string]string, len(packed))
	for _, i := range packed {
		renamed[entries[i].Path], _ = modulename.Plain(entries[i].Path)
	}
	for i := range entries {
		e := &entries[i]
		if _, ok := renamed[e.Link]; ok && e.Link != "" {
			renamed[e.Path], _ = modulename.Plain(e.Path)
		}
	}
	for i := range entries {
		e := &entries[i]
		if e.Type != tree.Symlink {
			continue
		}
		at, ok := paths.Follow(e.Path)
		if !ok || renamed[at] == "" {
			continue
		}
		if target, ok := modulename.Target(e.Target); ok {
			e.Target = target
		}
		if name, ok := modulename.Plain(e.Path); ok {
			renamed[e.Path] = name
		}
	}
	for i := range entries {
		if name := renamed[entries[i].Path]; name != "" {
			entries[i].Path = name
		}
	}
	return renamed
}

// arrange puts the renamed entries in path order and notes where the bytes of each come from.
func (p *plainTree) arrange(entries []tree.Entry, packed []int, indexes map[int][]byte) error {
	contents := make([]content, len(entries))
	for i := range contents {
		contents[i] = content{from: i, bytes: indexes[i]}
	}
	below := p.Tree.Entries()
	inode := make(map[string]int) // old first name: index of its entry
	for _, i := range packed {
		contents[i].codec = suffix(below[i].Path)
		inode[below[i].Path] = i
	}
	order := make([]int, len(entries))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return tree.Compare(entries[a].Path, entries[b].Path)
	})
	first := map[string]string{} // old first name of a packed inode: its first name now
	p.entries = make([]tree.Entry, len(entries))
	p.contents = make([]content, len(entries))
	for to, from := range order {
		e, c := entries[from], contents[from]
		old := below[from].Link
		if old == "" {
			old = below[from].Path
		}
		if i, ok := inode[old]; ok { // a name of a packed module
			c = contents[i]
			e.Size, e.Link = entries[i].Size, first[old]
			if e.Link == "" {
				first[old] = e.Path
			}
		}
		p.entries[to], p.contents[to] = e, c
		if to > 0 && p.entries[to-1].Path == e.Path {
			return fmt.Errorf("%w: the tree has /%s compressed and plain", ErrModule, e.Path)
		}
	}
	return nil
}

// suffix is the part of a packed module's name that tells its codec.
func suffix(name string) string { return path.Ext(name) }

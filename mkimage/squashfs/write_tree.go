package squashfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"deltaup/mkimage/tree"
)

// finisher writes the metadata of one image. plan numbers and checks everything, writeTables writes
// it.
type finisher struct {
	w       *Writer
	numbers map[*Inode]uint32 // inode numbers, from 1 on in path order, of inodes without an ID
	byID    []uint32          // those of the others, by ID; 0: none yet
	nodes   []node            // by inode number less 1
	ids     idTable
	xattrs  xattrWriter
	hot     []*hotEntry

	inodes   *metaWriter
	dirs     *metaWriter
	dirBytes bytes.Buffer // the finished blocks of dirs, which come after the inodes
	record   []byte       // scratch
}

// node is what the finisher knows about one inode.
type node struct {
	links    uint32 // names; for a directory 2 + subdirectories
	uid, gid uint16 // indexes into the id table
	xattr    uint32 // index into the xattr id table, or noXattr
	hot      int    // Inode.Hot; of a directory the least below it
	written  bool
	ref      inodeRef // reference to the inode, once it is written
}

func newFinisher(w *Writer) *finisher {
	f := &finisher{w: w, numbers: map[*Inode]uint32{}}
	f.ids.index = map[uint32]uint16{}
	f.xattrs.init(w.params.Compressor)
	f.dirs = newMetaWriter(&f.dirBytes, w.params.Compressor)
	return f
}

// node gives the node of an inode, which plan must have seen.
func (f *finisher) node(in *Inode) *node { return &f.nodes[f.number(in)-1] }

// number is the number of an inode; 0: it has none yet.
func (f *finisher) number(in *Inode) uint32 {
	switch {
	case in.ID == 0:
		return f.numbers[in]
	case in.ID < len(f.byID):
		return f.byID[in.ID]
	}
	return 0
}

// setNumber gives an inode the number of the last node.
func (f *finisher) setNumber(in *Inode) {
	if in.ID == 0 {
		f.numbers[in] = uint32(len(f.nodes))
		return
	}
	if n := in.ID + 1 - len(f.byID); n > 0 {
		f.byID = append(f.byID, make([]uint32, n)...)
	}
	f.byID[in.ID] = uint32(len(f.nodes))
}

// plan walks the tree in path order, checks it and gives numbers to inodes, owners and xattr sets.
func (f *finisher) plan(root *Entry) error {
	if root == nil || root.Inode == nil || root.Inode.Type != tree.Directory {
		return errors.New("the root is no directory")
	}
	return walk(root, func(e, parent *Entry) error {
		if e.Inode == nil {
			return errors.New("no inode")
		}
		if parent != nil && e.Inode.Type == tree.Directory {
			f.node(parent.Inode).links++
		}
		if number := f.number(e.Inode); number > 0 {
			if e.Inode.Type == tree.Directory {
				return errors.New("a directory with two names")
			}
			f.nodes[number-1].links++
			return checkChildren(e)
		}
		if err := checkChildren(e); err != nil {
			return err
		}
		if err := f.checkInode(e.Inode); err != nil {
			return err
		}
		return f.add(e.Inode)
	}, func(e, parent *Entry) error {
		f.warm(e, parent)
		return nil
	})
}

// add gives a number to a new inode.
func (f *finisher) add(in *Inode) (err error) {
	if int64(len(f.nodes)) >= math.MaxUint32-1 { // the root's parent takes one more number
		return errors.New("too many inodes")
	}
	n := node{links: 1}
	if in.Type == tree.Directory {
		n.links = 2
	} else {
		n.hot = in.Hot
	}
	if n.uid, err = f.ids.add(in.UID); err != nil {
		return err
	}
	if n.gid, err = f.ids.add(in.GID); err != nil {
		return err
	}
	if n.xattr, err = f.xattrs.add(in.Xattrs); err != nil {
		return err
	}
	f.nodes = append(f.nodes, n)
	f.setNumber(in)
	return nil
}

// WriteNameMax bounds the bytes of a name that is written: it is Linux's NAME_MAX. An image can
// hold a longer name, but nobody can open it.
const WriteNameMax = 255

// checkChildren checks the names in a directory.
func checkChildren(e *Entry) error {
	if len(e.children) > 0 && e.Inode.Type != tree.Directory {
		return errors.New("entries below what is no directory")
	}
	for i := range e.children {
		name := e.children[i].Name
		switch {
		case name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00"):
			return fmt.Errorf("%q is no file name", name)
		case len(name) > WriteNameMax:
			return fmt.Errorf("file name %.40q… of %d bytes, at most %d", name, len(name),
				WriteNameMax)
		case i > 0 && e.children[i-1].Name >= name:
			return fmt.Errorf("names out of order: %q before %q", e.children[i-1].Name, name)
		}
	}
	return nil
}

// idTable collects the distinct owners and groups, in order of first appearance.
type idTable struct {
	index map[uint32]uint16
	list  []uint32
}

func (t *idTable) add(id uint32) (uint16, error) {
	if i, ok := t.index[id]; ok {
		return i, nil
	}
	if len(t.list) == IDsMax {
		return 0, fmt.Errorf("more than %d distinct owners and groups", IDsMax)
	}
	i := uint16(len(t.list))
	t.index[id] = i
	t.list = append(t.list, id)
	return i, nil
}

// writeTables writes all tables, in the order that Linux demands, and notes their positions in sb.
func (f *finisher) writeTables(root *Entry, sb *superblock) (err error) {
	t := newTail(f.w)
	sb.InodeTable = t.pos()
	f.inodes = newMetaWriter(t, f.w.params.Compressor)
	if err := f.writeInodes(root); err != nil {
		return err
	}
	sb.RootInode = uint64(f.node(root.Inode).ref)
	sb.DirTable = t.pos()
	if _, err := f.dirBytes.WriteTo(t); err != nil {
		return err
	}
	sb.FragmentTable = noTable
	if n := len(f.w.fragments); n > 0 {
		sb.FragmentTable, err = t.writeLookup(n,
			func(b []byte, i int) []byte { return marshal(b, &f.w.fragments[i]) })
		if err != nil {
			return err
		}
	} else {
		sb.Flags |= flagNoFragments
	}
	sb.ExportTable, err = t.writeLookup(len(f.nodes), func(b []byte, i int) []byte {
		return binary.LittleEndian.AppendUint64(b, uint64(f.nodes[i].ref))
	})
	if err != nil {
		return err
	}
	sb.IDTable, err = t.writeLookup(len(f.ids.list), func(b []byte, i int) []byte {
		return binary.LittleEndian.AppendUint32(b, f.ids.list[i])
	})
	if err != nil {
		return err
	}
	if sb.XattrTable, err = f.xattrs.writeTo(t); err != nil {
		return err
	}
	if sb.XattrTable == noTable {
		sb.Flags |= flagNoXattrs
	}
	sb.BytesUsed = t.pos()
	return t.Flush()
}

// writeInodes writes all inodes and listings. A listing needs the references of its inodes, so
// these come first. The hot inodes, and then the directories above them, come last, which works
// because no hot inode lies below a directory that is not hot.
func (f *finisher) writeInodes(root *Entry) error {
	err := walk(root, nil, func(e, parent *Entry) error {
		if f.node(e.Inode).hot != 0 {
			return nil
		}
		return f.writeEntry(e, parent)
	})
	if err != nil {
		return err
	}
	slices.SortFunc(f.hot, f.compareHot)
	for _, h := range f.hot {
		if err := f.writeEntry(h.e, h.parent); err != nil {
			return fmt.Errorf("%q: %w", h.e.Name, err)
		}
	}
	if err := f.inodes.flush(); err != nil {
		return err
	}
	return f.dirs.flush()
}

// writeEntry writes the inode of an entry, unless another name of it came before.
func (f *finisher) writeEntry(e, parent *Entry) error {
	n := f.node(e.Inode)
	if n.written {
		return nil
	}
	n.written = true
	if e.Inode.Type == tree.Directory {
		return f.writeDir(e, parent)
	}
	n.ref = f.inodes.ref()
	return f.writeInode(e.Inode)
}

// walk visits the tree depth first, in the order of names. It calls enter before an entry's
// children and leave after them. Either may be nil; parent is nil for the root. It does not
// recurse, since trees may be deep. It adds the entry's path to errors.
func walk(root *Entry, enter, leave func(e, parent *Entry) error) error {
	type frame struct {
		e    *Entry
		next int // next child to visit
	}
	var stack []frame
	root.load()
	visit := func(fn func(e, parent *Entry) error, e, parent *Entry) error {
		if fn == nil {
			return nil
		}
		err := fn(e, parent)
		if err == nil {
			return nil
		}
		var path strings.Builder
		for _, f := range stack[min(1, len(stack)):] {
			path.WriteString(f.e.Name + "/")
		}
		if parent == nil {
			return fmt.Errorf("root: %w", err)
		}
		return fmt.Errorf("%q: %w", path.String()+e.Name, err)
	}
	if err := visit(enter, root, nil); err != nil {
		return err
	}
	stack = append(stack, frame{e: root})
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		e := top.e
		if top.next < len(e.children) {
			child := &e.children[top.next]
			top.next++
			child.load()
			if err := visit(enter, child, e); err != nil {
				return err
			}
			stack = append(stack, frame{e: child})
			continue
		}
		stack = stack[:len(stack)-1]
		var parent *Entry
		if len(stack) > 0 {
			parent = stack[len(stack)-1].e
		}
		if err := visit(leave, e, parent); err != nil {
			return err
		}
		e.unload()
	}
	return nil
}

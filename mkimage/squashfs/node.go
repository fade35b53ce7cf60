package squashfs

import (
	"bytes"
	"fmt"

	"deltaup/mkimage/tree"
)

// Node is one name in an image, with its inode. It is valid for the image that gave it. Nodes share
// Xattrs, which nobody may change.
type Node struct {
	tree.Attr
	Path  string // "" for the root, else slash-separated without leading slash: "usr/bin/env"
	Inode uint32 // number, from 1 to Info.Inodes; hard links of one file have the same
	Links uint32
	Size  int64 // bytes of a regular file; else 0

	ref  inodeRef
	dir  dirLocation  // directories
	file fileLocation // regular files
}

// dirLocation is where a directory's listing lies.
type dirLocation struct {
	start   inodeRef // relative to the directory table
	size    uint32   // as stored: with dirSizeExtra
	index   inodeRef // reference to the directory index, relative to the inode table
	indexes int      // entries of the index
}

// fileLocation is where a regular file's data lie.
type fileLocation struct {
	start    int64 // position of the first stored block
	fragment uint32
	offset   uint32   // offset of the tail in the plain fragment block
	list     inodeRef // reference to the length words, relative to the inode table
}

// FileData says where the data of a regular file lie in an image, in less memory than a Node.
type FileData struct {
	size int64
	file fileLocation
}

// Data gives what [FileData.Node] needs of a regular file.
func (n *Node) Data() FileData { return FileData{n.Size, n.file} }

// Node gives a Node of a regular file that has nothing but its data and a path.
func (d FileData) Node(path string) *Node {
	return &Node{Attr: tree.Attr{Type: tree.Regular}, Path: path, Size: d.size, file: d.file}
}

// Size is the number of the file's bytes.
func (d FileData) Size() int64 { return d.size }

// Start is the position of the first stored data block, if there is one.
func (d FileData) Start() int64 { return d.file.start }

// StatSize is the size that the kernel's stat gives: for a directory the size of its listing as the
// format counts it, for a symbolic link the length of its target.
func (n *Node) StatSize() int64 {
	switch n.Type {
	case tree.Directory:
		return int64(n.dir.size)
	case tree.Symlink:
		return int64(len(n.Target))
	}
	return n.Size
}

// node reads the inode at ref as the node with a path.
func (m *Image) node(ref inodeRef, path string) (*Node, error) {
	n := &Node{Path: path, ref: ref}
	if err := m.readInode(n); err != nil {
		if path == "" {
			path = "/"
		}
		return nil, fmt.Errorf("inode of %s: %w", quote(path), err)
	}
	return n, nil
}

func (m *Image) readInode(n *Node) error {
	cur := m.cursor(&m.inodes, n.ref)
	again := cur // records begin with the header
	var h inodeHeader
	if err := cur.record(&h, inodeHeaderSize); err != nil {
		return err
	}
	t, extended, err := h.kind()
	if err != nil {
		return err
	}
	if h.Number == 0 || int64(h.Number) > int64(m.info.Inodes) {
		return fmt.Errorf("%w: number %d of %d", ErrCorrupt, h.Number, m.info.Inodes)
	}
	if int(h.UID) >= len(m.ids) || int(h.GID) >= len(m.ids) {
		return fmt.Errorf("%w: owner %d and group %d of %d ids", ErrCorrupt, h.UID, h.GID,
			len(m.ids))
	}
	n.Type, n.Mode, n.ModTime, n.Inode = t, h.Mode&07777, h.ModTime, h.Number
	n.UID, n.GID = m.ids[h.UID], m.ids[h.GID]

	xattr := noXattr
	switch t {
	case tree.Directory:
		xattr, err = n.readDirInode(&again, extended)
	case tree.Regular:
		xattr, err = m.readRegular(n, &again, extended)
	case tree.Symlink:
		xattr, err = n.readSymlink(&again, extended)
	case tree.BlockDevice, tree.CharDevice:
		xattr, err = n.readDevice(&again, extended)
	case tree.FIFO, tree.Socket:
		xattr, err = n.readIPC(&again, extended)
	}
	if err != nil {
		return err
	}
	n.Xattrs, err = m.xattrs(xattr)
	return err
}

// readDirInode reads the inode of a directory and returns its xattr index. The functions below do
// the same for other types.
func (n *Node) readDirInode(cur *metaCursor, extended bool) (xattr uint32, err error) {
	if !extended {
		var d dirInode
		err := cur.record(&d, dirInodeSize)
		n.Links = d.Links
		n.dir = dirLocation{start: makeRef(int64(d.Block), int(d.Offset)), size: uint32(d.Size)}
		return noXattr, err
	}
	var d extDirInode
	err = cur.record(&d, extDirInodeSize)
	n.Links = d.Links
	n.dir = dirLocation{makeRef(int64(d.Block), int(d.Offset)), d.Size, cur.ref(), int(d.Indexes)}
	return d.Xattr, err
}

func (m *Image) readRegular(n *Node, cur *metaCursor, extended bool) (xattr uint32, err error) {
	var f extFileInode
	if extended {
		err = cur.record(&f, extFileInodeSize)
	} else {
		var b fileInode
		err = cur.record(&b, fileInodeSize)
		f = extFileInode{
			Start: uint64(b.Start), Size: uint64(b.Size), Links: 1,
			Fragment: b.Fragment, Offset: b.Offset, Xattr: noXattr,
		}
	}
	if err != nil {
		return 0, err
	}
	if f.Size > 1<<62 || f.Start > 1<<62 {
		return 0, fmt.Errorf("%w: file of %d bytes at %d", ErrCorrupt, f.Size, f.Start)
	}
	n.Links, n.Size = f.Links, int64(f.Size)
	n.file = fileLocation{int64(f.Start), f.Fragment, f.Offset, cur.ref()}
	// not by the result of Fragment, whose numbers may be negative where int has 32 bits
	blockSize := int64(m.info.BlockSize)
	if _, _, ok := m.Fragment(n); ok && (int64(f.Fragment) >= m.fragments.n ||
		int64(f.Offset)+n.Size%blockSize > blockSize) {
		return 0, fmt.Errorf("%w: tail at %d of fragment block %d of %d", ErrCorrupt, f.Offset,
			f.Fragment, m.fragments.n)
	}
	return f.Xattr, nil
}

func (n *Node) readSymlink(cur *metaCursor, extended bool) (xattr uint32, err error) {
	var s symlinkInode
	if err := cur.record(&s, symlinkInodeSize); err != nil {
		return 0, err
	}
	if s.Length == 0 || s.Length > TargetMax {
		return 0, fmt.Errorf("%w: symbolic link's target of %d bytes", ErrCorrupt, s.Length)
	}
	target := make([]byte, s.Length)
	if err := cur.read(target); err != nil {
		return 0, err
	}
	if bytes.IndexByte(target, 0) >= 0 {
		return 0, fmt.Errorf("%w: zero byte in a symbolic link's target", ErrCorrupt)
	}
	n.Links, n.Target = s.Links, string(target)
	xattr = noXattr
	if extended {
		err = cur.record(&xattr, 4)
	}
	return xattr, err
}

func (n *Node) readDevice(cur *metaCursor, extended bool) (xattr uint32, err error) {
	d := extDeviceInode{Xattr: noXattr}
	if extended {
		err = cur.record(&d, extDeviceInodeSize)
	} else {
		var b deviceInode
		err = cur.record(&b, deviceInodeSize)
		d.Links, d.Device = b.Links, b.Device
	}
	n.Links = d.Links
	n.Major, n.Minor = parseDevice(d.Device)
	return d.Xattr, err
}

func (n *Node) readIPC(cur *metaCursor, extended bool) (xattr uint32, err error) {
	i := extIPCInode{Xattr: noXattr}
	if extended {
		err = cur.record(&i, extIPCInodeSize)
	} else {
		var b ipcInode
		err = cur.record(&b, ipcInodeSize)
		i.Links = b.Links
	}
	n.Links = i.Links
	return i.Xattr, err
}

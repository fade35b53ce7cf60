package squashfs

import (
	"fmt"

	"deltaup/mkimage/tree"
)

// Inode types on disk: the basic ones have the numbers of [tree.Type]. The extended ones, with room
// for extended attributes and large numbers, are extendedType higher.
const extendedType = 7

// inodeHeader begins every inode.
type inodeHeader struct {
	Type    uint16 // a tree.Type, or one plus extendedType
	Mode    uint16 // permission bits, 07777
	UID     uint16 // index into the id table
	GID     uint16 // index into the id table
	ModTime uint32 // seconds since 1970
	Number  uint32 // 1 to superblock.Inodes
}

const inodeHeaderSize = 16

// kind decodes the type on disk.
func (h *inodeHeader) kind() (t tree.Type, extended bool, err error) {
	switch {
	case h.Type >= uint16(tree.Directory) && h.Type <= uint16(tree.Socket):
		return tree.Type(h.Type), false, nil
	case h.Type > extendedType && h.Type <= extendedType+uint16(tree.Socket):
		return tree.Type(h.Type - extendedType), true, nil
	}
	return 0, false, fmt.Errorf("%w: inode type %d", ErrCorrupt, h.Type)
}

// dirInode is a whole basic directory inode.
type dirInode struct {
	inodeHeader
	Block  uint32 // position of the listing's metadata block, relative to the directory table
	Links  uint32 // 2 + subdirectories
	Size   uint16 // plain bytes of the listing + 3 (Linux counts "." and ".." in); 3 or less: empty
	Offset uint16 // offset of the listing in the plain block
	Parent uint32 // inode number of the parent; the root's is superblock.Inodes + 1
}

// extDirInode is an extended directory inode. Indexes times a dirIndex with its name follow.
type extDirInode struct {
	inodeHeader
	Links   uint32 // as in dirInode
	Size    uint32 // as in dirInode
	Block   uint32 // as in dirInode
	Parent  uint32 // as in dirInode
	Indexes uint16 // entries of the directory index
	Offset  uint16 // as in dirInode
	Xattr   uint32 // index into the xattr id table, or noXattr
}

// fileInode is the basic inode of a regular file: below 4 GiB, one link, holes not counted.
// fileBlocks length words (see parseLengthWord) follow, one for each data block.
type fileInode struct {
	inodeHeader
	Start    uint32 // position of the first data block; the others follow without gaps
	Fragment uint32 // index into the fragment table, or NoFragment
	Offset   uint32 // offset of the tail in the plain fragment block
	Size     uint32 // bytes of the file
}

// extFileInode is the extended inode of a regular file. Length words follow as for fileInode.
type extFileInode struct {
	inodeHeader
	Start    uint64 // as in fileInode
	Size     uint64 // as in fileInode
	Sparse   uint64 // bytes of Size that are in holes
	Links    uint32 // names
	Fragment uint32 // as in fileInode
	Offset   uint32 // as in fileInode
	Xattr    uint32 // index into the xattr id table, or noXattr
}

// symlinkInode is the inode of a symbolic link. Length bytes of the target follow, without a zero
// byte. In an extended inode the xattr index (4 bytes) follows the target.
type symlinkInode struct {
	inodeHeader
	Links  uint32 // names
	Length uint32 // bytes of the target
}

// deviceInode is the whole basic inode of a block or character device.
type deviceInode struct {
	inodeHeader
	Links  uint32 // names
	Device uint32 // see makeDevice
}

// extDeviceInode is the whole extended inode of a block or character device.
type extDeviceInode struct {
	inodeHeader
	Links  uint32 // names
	Device uint32 // see makeDevice
	Xattr  uint32 // index into the xattr id table, or noXattr
}

// ipcInode is the whole basic inode of a FIFO or socket.
type ipcInode struct {
	inodeHeader
	Links uint32 // names
}

// extIPCInode is the whole extended inode of a FIFO or socket.
type extIPCInode struct {
	inodeHeader
	Links uint32 // names
	Xattr uint32 // index into the xattr id table, or noXattr
}

// Sizes of the fixed parts with the header, in bytes.
const (
	dirInodeSize       = inodeHeaderSize + 16
	extDirInodeSize    = inodeHeaderSize + 24
	fileInodeSize      = inodeHeaderSize + 16
	extFileInodeSize   = inodeHeaderSize + 40
	symlinkInodeSize   = inodeHeaderSize + 8
	deviceInodeSize    = inodeHeaderSize + 8
	extDeviceInodeSize = inodeHeaderSize + 12
	ipcInodeSize       = inodeHeaderSize + 4
	extIPCInodeSize    = inodeHeaderSize + 8
)

// lengthWordSize is the size of one entry of a file's block list, in bytes.
const lengthWordSize = 4

// fileBlocks is how many length words a file of size bytes has. A tail shorter than a block has a
// word of its own unless it lies in a fragment block.
func fileBlocks(size int64, blockSize int, inFragment bool) int64 {
	n := size / int64(blockSize)
	if size%int64(blockSize) != 0 && !inFragment {
		n++
	}
	return n
}

// makeDevice encodes a device number like Linux's new_encode_dev: from the lowest bit on, the low 8
// bits of minor, 12 bits of major, the upper 12 bits of minor.
func makeDevice(major, minor uint32) uint32 {
	return minor&0xff | major<<8 | minor&^0xff<<12
}

// parseDevice undoes makeDevice.
func parseDevice(d uint32) (major, minor uint32) {
	return d >> 8 & MajorMax, d&0xff | d>>12&0xfff00
}

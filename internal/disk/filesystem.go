package disk

import (
	"encoding/binary"
	"math/bits"
)

// HeadSize is how many bytes FileSystem needs, unless the disk ends before.
const HeadSize = 0x10040 + 8

// signature is what a file system has at a fixed place.
type signature struct {
	offset int
	magic  string
	name   string
	sound  func(head []byte) bool // a further check; nil: none
}

// signatures are tried in order. The first that matches counts.
var signatures = []signature{
	{extSuper + 0x38, "\x53\xef", "", isExt}, // extName names it
	{0, "XFSB", "an XFS file system", nil},
	{0x10040, "_BHRfS_M", "a btrfs file system", nil},
	{0x400, "\xe2\xe1\xf5\xe0", "an EROFS file system", nil},
	{0x400, "\x10\x20\xf5\xf2", "an F2FS file system", nil},
	{0, "\x45\x3d\xcd\x28", "a cramfs file system", nil},
	{0x8001, "CD001", "an ISO 9660 file system", nil},
	{3, "NTFS    ", "an NTFS file system", isBootSector},
	{3, "EXFAT   ", "an exFAT file system", isBootSector},
	{54, "FAT1", "a FAT file system", isBootSector},
	{82, "FAT32", "a FAT file system", isBootSector},
	{0, "hsqs", "a squashfs image, damaged or of an unknown kind", nil},
	{0, "LUKS\xba\xbe", "encrypted (LUKS)", nil},
	{512, "LABELONE", "a volume of LVM", nil},
	{4096 - 10, "SWAPSPACE2", "swap space", nil},
}

// FileSystem names the file system whose first HeadSize bytes, or all of whose bytes, are head: "an
// ext4 file system". It gives "" when it does not know it.
func FileSystem(head []byte) string {
	for _, s := range signatures {
		if len(head) < s.offset+len(s.magic) || string(head[s.offset:][:len(s.magic)]) != s.magic ||
			s.sound != nil && !s.sound(head) {
			continue
		}
		if s.name == "" {
			return extName(head[extSuper:])
		}
		return s.name
	}
	return ""
}

// extSuper is where the superblock of the extended file system begins, extLen how many bytes of it
// matter.
const (
	extSuper = 0x400
	extLen   = 0x64
)

// isExt tells a superblock from two bytes that match by chance: the block size must exist, and a
// group must have no more blocks than a block has bits.
func isExt(head []byte) bool {
	if len(head) < extSuper+extLen {
		return false
	}
	super := head[extSuper:]
	word := func(at int) uint32 { return binary.LittleEndian.Uint32(super[at:]) }
	blockLog := word(0x18)
	return word(0) > 0 && word(4) > 0 && blockLog <= 6 && word(0x4c) <= 1 &&
		word(0x20) > 0 && word(0x20) <= 8<<(10+blockLog)
}

// extName tells ext2, ext3 and ext4 by the features in the superblock.
func extName(super []byte) string {
	compatible := binary.LittleEndian.Uint32(super[0x5c:])
	incompatible := binary.LittleEndian.Uint32(super[0x60:])
	switch {
	case incompatible&(0x40|0x80|0x200) != 0: // extents, 64 bits, flexible groups
		return "an ext4 file system"
	case compatible&0x4 != 0: // a journal
		return "an ext3 file system"
	}
	return "an ext2 file system"
}

// isBootSector tells whether a sector is the first of FAT or a similar file system. FAT has the
// size of a sector there, exFAT zero.
func isBootSector(head []byte) bool {
	if len(head) < mbrSize || head[510] != 0x55 || head[511] != 0xaa {
		return false
	}
	size := binary.LittleEndian.Uint16(head[11:])
	return size == 0 || bits.OnesCount16(size) == 1
}

package squashfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"deltaup/mkimage/tree"
)

// WriteTargetMax is the length, in bytes, of the longest symbolic link that Linux follows and that
// is written: PATH_MAX less a zero byte.
const WriteTargetMax = 4095

// checkInode refuses an inode that its record cannot hold or that Linux refuses.
func (f *finisher) checkInode(in *Inode) error {
	if in.Mode&^0o7777 != 0 {
		return fmt.Errorf("mode %#o has bits beyond 07777", in.Mode)
	}
	if in.Data != nil && in.Type != tree.Regular {
		return errors.New("data of what is no regular file")
	}
	switch in.Type {
	case tree.Directory, tree.FIFO, tree.Socket:
		return nil
	case tree.Regular:
		if in.Data != nil {
			return f.checkData(in.Data)
		}
		return nil
	case tree.Symlink:
		if n := len(in.Target); n == 0 || n > WriteTargetMax || strings.Contains(in.Target, "\x00") {
			return fmt.Errorf("symbolic link's target of %d bytes, want 1 to %d without zero bytes",
				n, WriteTargetMax)
		}
		return nil
	case tree.BlockDevice, tree.CharDevice:
		if in.Major > MajorMax || in.Minor > MinorMax {
			return fmt.Errorf("device %d:%d, at most %d:%d", in.Major, in.Minor, MajorMax, MinorMax)
		}
		return nil
	}
	return fmt.Errorf("unknown inode type %d", in.Type)
}

// checkData checks that the data of a file lie where the Writer has written data.
func (f *finisher) checkData(d *Data) error {
	blockSize := f.w.params.BlockSize
	if d.Size < 0 {
		return fmt.Errorf("size %d", d.Size)
	}
	inFragment := d.Fragment != NoFragment
	if want := fileBlocks(d.Size, blockSize, inFragment); int64(len(d.Lengths)) != want {
		return fmt.Errorf("%d blocks for %d bytes, want %d", len(d.Lengths), d.Size, want)
	}
	tail := d.Size % int64(blockSize)
	if inFragment {
		if int64(d.Fragment) >= int64(len(f.w.fragments)) {
			return fmt.Errorf("fragment block %d of %d", d.Fragment, len(f.w.fragments))
		}
		if tail == 0 || int64(d.Offset)+tail > int64(blockSize) {
			return fmt.Errorf("tail of %d bytes at %d in fragment block", tail, d.Offset)
		}
	}
	end, holes := d.Start, int64(0)
	for i, word := range d.Lengths {
		stored, _, err := parseLengthWord(word, blockSize)
		if err != nil {
			return err
		}
		end += int64(stored)
		if word == 0 {
			holes += min(int64(blockSize), d.Size-int64(i)*int64(blockSize))
		}
	}
	if end > d.Start && (d.Start < f.w.dataStart || end > f.w.end) {
		return fmt.Errorf("blocks at %d to %d, data were written at %d to %d", d.Start, end,
			f.w.dataStart, f.w.end)
	}
	if d.Holes != holes {
		return fmt.Errorf("%d bytes in holes, by its blocks %d", d.Holes, holes)
	}
	return nil
}

// header makes the header of an inode's record.
func (f *finisher) header(in *Inode, extended bool) inodeHeader {
	n := f.node(in)
	h := inodeHeader{
		Type:    uint16(in.Type),
		Mode:    in.Mode,
		UID:     n.uid,
		GID:     n.gid,
		ModTime: in.ModTime,
		Number:  f.number(in),
	}
	if extended {
		h.Type += extendedType
	}
	return h
}

// writeInode writes the record of any inode except a directory: the basic record if that suffices.
func (f *finisher) writeInode(in *Inode) error {
	if in.Type == tree.Regular {
		return f.writeFile(in)
	}
	n := f.node(in)
	extended := n.xattr != noXattr
	h := f.header(in, extended)
	b := f.record[:0]
	switch in.Type {
	case tree.Symlink:
		b = marshal(b,
			&symlinkInode{inodeHeader: h, Links: n.links, Length: uint32(len(in.Target))})
		b = append(b, in.Target...)
	case tree.BlockDevice, tree.CharDevice:
		b = marshal(b,
			&deviceInode{inodeHeader: h, Links: n.links, Device: makeDevice(in.Major, in.Minor)})
	default:
		b = marshal(b, &ipcInode{inodeHeader: h, Links: n.links})
	}
	if extended { // the extended records of these types are the basic ones with the xattr index
		b = binary.LittleEndian.AppendUint32(b, n.xattr)
	}
	f.record = b
	return f.inodes.write(b)
}

// writeFile writes the record and the block list of a regular file.
func (f *finisher) writeFile(in *Inode) error {
	n := f.node(in)
	d := Data{Fragment: NoFragment}
	if in.Data != nil {
		d = *in.Data
	}
	// Without stored blocks Start means nothing, so the image must not depend on it.
	if !slices.ContainsFunc(d.Lengths, func(word uint32) bool { return word != 0 }) {
		d.Start = 0
	}
	if d.Fragment == NoFragment {
		d.Offset = 0
	}
	b := f.record[:0]
	if d.Start > math.MaxUint32 || d.Size > math.MaxUint32 || d.Holes > 0 || n.links > 1 ||
		n.xattr != noXattr {
		b = marshal(b, &extFileInode{
			inodeHeader: f.header(in, true),
			Start:       uint64(d.Start),
			Size:        uint64(d.Size),
			Sparse:      uint64(d.Holes),
			Links:       n.links,
			Fragment:    d.Fragment,
			Offset:      d.Offset,
			Xattr:       n.xattr,
		})
	} else {
		b = marshal(b, &fileInode{
			inodeHeader: f.header(in, false),
			Start:       uint32(d.Start),
			Fragment:    d.Fragment,
			Offset:      d.Offset,
			Size:        uint32(d.Size),
		})
	}
	// Write the block list, which can be long, in pieces.
	for _, word := range d.Lengths {
		if len(b) >= metaBlockSize {
			if err := f.inodes.write(b); err != nil {
				return err
			}
			b = b[:0]
		}
		b = binary.LittleEndian.AppendUint32(b, word)
	}
	f.record = b
	return f.inodes.write(b)
}

package squashfs

import (
	"encoding/binary"
	"errors"
	"testing"
)

func TestRecordSizes(t *testing.T) {
	for _, c := range []struct {
		record any
		size   int
	}{
		{&superblock{}, superblockSize},
		{&inodeHeader{}, inodeHeaderSize},
		{&dirInode{}, dirInodeSize},
		{&extDirInode{}, extDirInodeSize},
		{&fileInode{}, fileInodeSize},
		{&extFileInode{}, extFileInodeSize},
		{&symlinkInode{}, symlinkInodeSize},
		{&deviceInode{}, deviceInodeSize},
		{&extDeviceInode{}, extDeviceInodeSize},
		{&ipcInode{}, ipcInodeSize},
		{&extIPCInode{}, extIPCInodeSize},
		{&dirHeader{}, dirHeaderSize},
		{&dirEntry{}, dirEntrySize},
		{&dirIndex{}, dirIndexSize},
		{&fragmentEntry{}, fragmentEntrySize},
		{&xattrKey{}, xattrKeySize},
		{&xattrValue{}, xattrValueSize},
		{&xattrID{}, xattrIDSize},
		{&xattrTable{}, xattrTableSize},
	} {
		if got := binary.Size(c.record); got != c.size {
			t.Errorf("%T has %d bytes, its constant says %d", c.record, got, c.size)
		}
		b := marshal([]byte("x"), c.record)
		if len(b) != 1+c.size {
			t.Errorf("%T: marshal appends %d bytes, want %d", c.record, len(b)-1, c.size)
		}
		if err := unmarshal(b[1:], c.record); err != nil {
			t.Errorf("%T: %v", c.record, err)
		}
		if err := unmarshal(b[2:], c.record); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%T a byte short: %v, want ErrCorrupt", c.record, err)
		}
	}
}

func TestDevice(t *testing.T) {
	for _, c := range []struct{ major, minor, disk uint32 }{
		{0, 0, 0},
		{1, 3, 0x103},
		{8, 255, 0x8ff},
		{8, 256, 0x100800},
		{MajorMax, MinorMax, 0xffffffff},
	} {
		if got := makeDevice(c.major, c.minor); got != c.disk {
			t.Errorf("makeDevice(%d, %d) = %#x, want %#x", c.major, c.minor, got, c.disk)
		}
		if major, minor := parseDevice(c.disk); major != c.major || minor != c.minor {
			t.Errorf("parseDevice(%#x) = %d, %d, want %d, %d", c.disk, major, minor, c.major, c.minor)
		}
	}
}

func TestFileBlocks(t *testing.T) {
	for _, c := range []struct {
		size       int64
		inFragment bool
		want       int64
	}{
		{0, false, 0}, {1, false, 1}, {1, true, 0}, {4096, false, 1}, {4097, false, 2}, {4097, true, 1},
		{1 << 40, false, 1 << 28},
	} {
		if got := fileBlocks(c.size, 4096, c.inFragment); got != c.want {
			t.Errorf("fileBlocks(%d, 4096, %v) = %d, want %d", c.size, c.inFragment, got, c.want)
		}
	}
}

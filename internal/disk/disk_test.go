package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"deltaup/internal/test/disktest"
)

func TestPartitions(t *testing.T) {
	const size = 8 << 20
	empty := func() []byte { return make([]byte, size) }
	// an extended partition with three links, of which the last leads back to the first
	logical := disktest.MBR(empty(), 0x83, 2048, 4096)
	logical[mbrEntries+mbrEntrySize+mbrType] = 0x05
	for i, next := range []uint32{1024, 2048, 1024} {
		at := []int64{4096, 4096 + 1024, 4096 + 2048}[i] * mbrSize
		disktest.MBR(logical[at:], 0x83, 63, next)[mbrEntries+mbrEntrySize+mbrType] = 0x05
	}
	endless := disktest.GPT(empty(), 512, 34)
	binary.LittleEndian.PutUint32(endless[512+gptCount:], 1<<32-1)
	short := disktest.GPT(empty(), 512, 34)
	binary.LittleEndian.PutUint32(short[512+gptLength:], 1)
	far := disktest.GPT(empty(), 512, 34)
	binary.LittleEndian.PutUint64(far[512+gptEntriesAt:], 1<<63)
	for name, c := range map[string]struct {
		b           []byte
		table, want string
	}{
		"an MBR":          {disktest.MBR(empty(), 0x83, 63, 4096), "MBR", "[partition 1 at byte 32256 partition 2 at byte 2097152]"},
		"entries unused":  {disktest.MBR(empty(), 0x83, 0, 4096, 1<<31), "MBR", "[partition 2 at byte 2097152]"},
		"logical ones":    {logical, "MBR", "[partition 1 at byte 1048576 partition 5 at byte 2129408 partition 6 at byte 2653696 partition 7 at byte 3177984]"},
		"a GPT":           {disktest.GPT(empty(), 512, 34, 0, 2048), "GPT", "[partition 1 at byte 17408 partition 3 at byte 1048576]"},
		"one of 4 KiB":    {disktest.GPT(empty(), 4096, 34), "GPT", "[partition 1 at byte 139264]"},
		"one twice":       {disktest.GPT(empty(), 512, 34, 34), "GPT", "[partition 1 at byte 17408]"},
		"wild entries":    {disktest.GPT(empty(), 512, 1<<63, 1<<55, 1<<40), "GPT", "[]"},
		"without end":     {endless, "GPT", "[partition 1 at byte 17408]"},
		"short entries":   {short, "GPT", "[]"},
		"a table far off": {far, "GPT", "[]"},
		"none":            {empty(), "", "[]"},
		"nothing":         {nil, "", "[]"},
	} {
		table, parts, err := Partitions(bytes.NewReader(c.b), int64(len(c.b)))
		if got := fmt.Sprint(parts); err != nil || table != c.table || got != c.want {
			t.Errorf("%s: %s %s, error %v", name, table, got, err)
		}
	}
}

// TestRealFileSystems demands the right name for what real tools make, and no other name within it.
func TestRealFileSystems(t *testing.T) {
	for _, c := range []struct{ want, tool, arguments string }{
		{"an ext2 file system", "mkfs.ext2", "-q -F"},
		{"an ext3 file system", "mkfs.ext3", "-q -F"},
		{"an ext4 file system", "mkfs.ext4", "-q -F"},
		{"an ext4 file system", "mkfs.ext4", "-q -F -b 1024 -O ^has_journal"},
		{"a FAT file system", "mkfs.vfat", "-F 12"},
		{"a FAT file system", "mkfs.vfat", "-F 16"},
		{"a FAT file system", "mkfs.vfat", "-F 32"},
		{"an XFS file system", "mkfs.xfs", "-q"},
		{"a btrfs file system", "mkfs.btrfs", "-q"},
		{"swap space", "mkswap", "-q"},
	} {
		t.Run(c.tool+" "+c.arguments, func(t *testing.T) {
			if _, err := exec.LookPath(c.tool); err != nil {
				t.Skip(err)
			}
			path := filepath.Join(t.TempDir(), "disk")
			for _, err := range []error{os.WriteFile(path, nil, 0o600), os.Truncate(path, 48<<20)} {
				if err != nil {
					t.Fatal(err)
				}
			}
			if out, err := exec.Command(c.tool, append(strings.Fields(c.arguments), path)...).CombinedOutput(); err != nil {
				t.Skipf("%v: %s", err, out)
			}
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			b := make([]byte, 1<<20)
			if _, err := f.ReadAt(b, 0); err != nil {
				t.Fatal(err)
			}
			if got := FileSystem(b[:HeadSize]); got != c.want {
				t.Errorf("got %q", got)
			}
			if got := FileSystem(b[:100]); got != "" {
				t.Errorf("of 100 bytes: got %q", got)
			}
			got, err := Describe(bytes.NewReader(append(make([]byte, 5*512), b...)), int64(5*512+len(b)))
			if want := c.want + " begins at byte 2560"; err != nil || got != want {
				t.Errorf("got %q, error %v, want %q", got, err, want)
			}
		})
	}
}

// TestNotFileSystems demands no name for bytes that only look like a superblock.
func TestNotFileSystems(t *testing.T) {
	b := make([]byte, HeadSize)
	copy(b[0x438:], "\x53\xef")
	copy(b[54:], "FAT16   ")
	if got := FileSystem(b); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestDescribeMany(t *testing.T) {
	b := make([]byte, 1<<20)
	var firsts []uint64
	for i := range uint64(11) {
		firsts = append(firsts, 100+i)
	}
	got, err := Describe(bytes.NewReader(disktest.GPT(b, 512, firsts...)), int64(len(b)))
	if err != nil || !strings.HasSuffix(got, "partition 8 at byte 54784 is nothing known, and 3 more") {
		t.Errorf("got %q, error %v", got, err)
	}
}

// unreadable fails everywhere except at the start.
type unreadable struct{}

func (unreadable) ReadAt(p []byte, off int64) (int, error) {
	if clear(p); off > 0 {
		return 0, io.ErrUnexpectedEOF
	}
	return len(p), nil
}

func TestDescribeReadError(t *testing.T) {
	if got, err := Describe(unreadable{}, 8<<20); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %q, error %v", got, err)
	}
}

// FuzzDescribe describes any disk. It must end, and no partition may lie outside of the disk.
func FuzzDescribe(f *testing.F) {
	f.Add(disktest.MBR(make([]byte, 4096), 0x83, 1, 2))
	f.Add(disktest.MBR(make([]byte, 4096), 0x05, 1, 2))
	f.Add(disktest.GPT(make([]byte, 32<<10), 512, 40))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		if _, err := Describe(r, int64(len(b))); err != nil {
			t.Fatal(err)
		}
		_, parts, err := Partitions(r, int64(len(b)))
		if err != nil || len(parts) > maxPartitions+4 {
			t.Fatalf("%d partitions, error %v", len(parts), err)
		}
		for _, p := range parts {
			if p.Offset <= 0 || p.Offset >= int64(len(b)) || p.partition < 1 {
				t.Errorf("%v of %d bytes", p, len(b))
			}
		}
	})
}

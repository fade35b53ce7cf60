package squashfs

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"deltaup/internal/test/disktest"
)

// behind makes a file of zeros with an image at each of some places.
func behind(image []byte, size int64, places ...int64) []byte {
	b := make([]byte, size)
	for _, at := range places {
		copy(b[at:], image)
	}
	return b
}

func TestFind(t *testing.T) {
	image := goldenImages(t)["zstd"]
	damaged := bytes.Clone(image)
	damaged[40] ^= 0xff // in the reference to the root
	far := int64(searchBytes + 3*stepBytes)
	odd := int64(searchBytes + 5*512)
	for name, c := range map[string]struct {
		b    []byte
		want int64 // offset of the image; -1: none
	}{
		"at the start":                     {image, 0},
		"an offset of mksquashfs":          {behind(image, 1<<20, 4096), 4096},
		"an odd offset":                    {behind(image, 1<<20, 188393), 188393},
		"across two windows":               {behind(image, 3<<20, 1<<20-2), 1<<20 - 2},
		"the last bytes that are searched": {behind(image, 20<<20, searchBytes-1), searchBytes - 1},
		"a whole MiB further in":           {behind(image, far+1<<20, far), far},
		"a partition of an MBR":            {disktest.MBR(behind(image, odd+1<<20, odd), 0x83, 63, uint32(odd/512)), odd},
		"a partition of a GPT":             {disktest.GPT(behind(image, odd+1<<20, odd), 512, 34, uint64(odd/512)), odd},
		"a GPT with sectors of 4 KiB":      {disktest.GPT(behind(image, 18<<20, searchBytes+4096), 4096, 0, searchBytes/4096+1), searchBytes + 4096},
		"nowhere":                          {behind(image, odd+1<<20, odd), -1},
		"the first of two":                 {behind(image, 1<<20, 100<<10, 300<<10), 100 << 10},
		"one of two is damaged":            {append(behind(damaged, 1<<20, 4096), image...), 1 << 20},
		"the first is cut off by the end":  {append(make([]byte, 4096), image[:len(image)-5]...), -1},
		"inside a cpio archive":            {append([]byte("070701"), behind(image, 1<<20, 4096)...), -1},
		"inside a gzip file":               {append([]byte("\x1f\x8b\x08"), behind(image, 1<<20, 4096)...), -1},
		"behind a damaged image":           {append(bytes.Clone(damaged), image...), -1},
		"an empty file":                    {nil, -1},
		"a text":                           {[]byte("hello, hsqs"), -1},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := Find(bytes.NewReader(c.b), int64(len(c.b)))
			if c.want < 0 {
				if !errors.Is(err, ErrCorrupt) {
					t.Fatalf("found %v, error %v", m, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if m.Start() != c.want || m.Size() != int64(len(c.b))-c.want {
				t.Errorf("starts at %d, %d bytes; want %d", m.Start(), m.Size(), c.want)
			}
			inodes, contents := goldenTree()
			compareImage(t, m, inodes, contents)
			got := make([]byte, len(image))
			if _, err := m.ReadAt(got, 0); err != nil || !bytes.Equal(got, image) {
				t.Errorf("its stored bytes are others (%v)", err)
			}
		})
	}
}

// TestFindAll demands each image once, and none inside another.
func TestFindAll(t *testing.T) {
	image := goldenImages(t)["zstd"]
	damaged := bytes.Clone(image)
	damaged[40] ^= 0xff
	far := int64(searchBytes + 3*stepBytes)
	size := far + 1<<20
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"at the start":       {append(bytes.Clone(image), behind(image, 1<<20, 8192)...), "byte 0"},
		"one":                {behind(image, 1<<20, 5000), "byte 5000"},
		"two behind offsets": {behind(image, 1<<20, 100<<10, 300<<10), "byte 102400 and byte 307200"},
		"one of them far":    {behind(image, size, 5000, far), "byte 5000 and byte 19922944"},
		"two in a GPT":       {disktest.GPT(behind(image, size, 1<<20, far), 512, 34, 2048, uint64(far/512)), "partition 2 at byte 1048576 and partition 3 at byte 19922944"},
		"one in a GPT":       {disktest.GPT(behind(image, size, 1<<20, far), 512, 34, uint64(far/512)), "partition 2 at byte 19922944"},
		"an entry twice":     {disktest.MBR(behind(image, size, 1<<20), 0x83, 2048, 2048), "partition 1 at byte 1048576"},
		"two of three":       {append(behind(image, 1<<20, 100<<10, 300<<10), damaged...), "byte 102400 and byte 307200"},
		"three":              {behind(image, 1<<20, 100<<10, 300<<10, 500<<10), "byte 102400, byte 307200 and byte 512000"},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := FindAll(bytes.NewReader(c.b), int64(len(c.b)))
			if err != nil {
				t.Fatal(err)
			}
			if got := Places(found); got != c.want {
				t.Errorf("found %s, want %s", got, c.want)
			}
		})
	}
}

// TestFindAllNested demands that an image that is a file in another image does not count.
func TestFindAllNested(t *testing.T) {
	image := goldenImages(t)["zstd"]
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, err := range []error{
		w.WriteHeader(&tar.Header{Name: "inner", Mode: 0o644, Size: int64(len(image))}),
		func() error { _, err := w.Write(image); return err }(),
		w.Close(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	path := mksquashfs(t, b.Bytes(), "-noD", "-noF", "-offset", "5000")
	outer, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(outer, image) {
		t.Fatal("the inner image is not stored as it is")
	}
	found, err := FindAll(bytes.NewReader(outer), int64(len(outer)))
	if err != nil || Places(found) != "byte 5000" {
		t.Errorf("found %s, error %v", Places(found), err)
	}
}

// TestFindMksquashfs finds an image that the real program puts behind an offset.
func TestFindMksquashfs(t *testing.T) {
	archive, inodes, contents := sampleTar(t)
	for _, offset := range []string{"1", "512", "5000", "1M"} {
		path := mksquashfs(t, archive, "-offset", offset)
		m, err := OpenFile(path)
		if err != nil {
			t.Fatalf("offset %s: %v", offset, err)
		}
		compareImage(t, m.Image, inodes, contents)
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestFindHostile demands that many places that look like images cost few reads.
func TestFindHostile(t *testing.T) {
	image := goldenImages(t)["zstd"]
	image[40] ^= 0xff
	many := bytes.Repeat(append(bytes.Clone(image[:superblockSize]), make([]byte, 32)...), 8<<20/128)
	endless := disktest.GPT(make([]byte, 1<<20), 512)
	binary.LittleEndian.PutUint32(endless[512+disktest.GPTCount:], 1<<32-1)
	wild := disktest.GPT(make([]byte, 1<<20), 512, 1<<63, 1<<55, 2047)
	far := disktest.GPT(make([]byte, 1<<20), 512)
	binary.LittleEndian.PutUint64(far[512+disktest.GPTEntriesAt:], 1<<63)
	for name, b := range map[string][]byte{"many superblocks": append([]byte("X"), many...), "entries without end": endless, "wild entries": wild, "a table far away": far} {
		r := &countingReader{ReaderAt: bytes.NewReader(b)}
		if m, err := Find(r, int64(len(b))); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: found %v, error %v", name, m, err)
		}
		if r.calls > 20*maxCandidates+400 {
			t.Errorf("%s: %d reads", name, r.calls)
		}
	}
}

// countingReader counts reads. It fails at an offset, unless that is 0.
type countingReader struct {
	io.ReaderAt
	calls int
	bad   int64
}

func (r *countingReader) ReadAt(p []byte, off int64) (int, error) {
	if r.calls++; r.bad > 0 && off <= r.bad && r.bad < off+int64(len(p)) {
		return 0, syscall.EIO
	}
	return r.ReaderAt.ReadAt(p, off)
}

// TestFindReadError demands that an unreadable medium gives another error than one without an
// image.
func TestFindReadError(t *testing.T) {
	b := behind(goldenImages(t)["zstd"], 3<<20, 2<<20)
	if _, err := Find(&countingReader{ReaderAt: bytes.NewReader(b), bad: 1500 << 10}, int64(len(b))); !errors.Is(err, syscall.EIO) {
		t.Errorf("got %v, want EIO", err)
	}
}

func TestOpenFileRefuses(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, "/dev/null", t.TempDir()} {
		done := make(chan error, 1)
		go func() { _, err := OpenFile(path); done <- err }()
		select {
		case err := <-done:
			if !errors.Is(err, ErrNoFile) {
				t.Errorf("%s: %v", path, err)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: opening waits", path)
		}
	}
	if _, err := OpenFile(filepath.Join(t.TempDir(), "nothing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

// FuzzFind looks for images in any bytes. It must end, and what it finds can be opened again.
func FuzzFind(f *testing.F) {
	image := goldenImages(f)["zstd"]
	f.Add(append(make([]byte, 700), image...))
	f.Add(disktest.MBR(behind(image, 4<<10, 1024), 0x83, 2))
	f.Add(disktest.GPT(behind(image, 32<<10, 20<<10), 512, 40))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Find(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			checkError(t, err)
			return
		}
		if _, err := openBytes(b[m.Start():]); err != nil {
			t.Errorf("what was found at %d cannot be opened: %v", m.Start(), err)
		}
	})
}

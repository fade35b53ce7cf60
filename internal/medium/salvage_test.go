package medium

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// badSectors is a disk with bad sectors. A read that includes one fails as a whole.
type badSectors struct {
	data []byte
	bad  []int64 // offsets in bytes
	err  error
}

func (b *badSectors) ReadAt(p []byte, off int64) (int, error) {
	for _, at := range b.bad {
		if off < at+512 && at < off+int64(len(p)) {
			return 0, &os.PathError{Op: "read", Path: "disk", Err: b.err}
		}
	}
	return bytes.NewReader(b.data).ReadAt(p, off)
}

func TestSalvage(t *testing.T) {
	data := bytes.Repeat([]byte("deltaup!"), (5*Align+100)/8+1)[:5*Align+100]
	want := bytes.Clone(data)
	clear(want[Align : 2*Align])
	clear(want[5*Align:])
	lost := int64(0)
	s := &Salvage{&badSectors{data, []int64{Align + 512, 5*Align + 50}, unix.EIO}, int64(len(data)), func(_, n int64, _ error) { lost += n }}
	for _, size := range []int{Align, 3 * Align, len(data), len(data) + 9} {
		lost = 0
		var got []byte
		for {
			p := make([]byte, size)
			n, err := s.ReadAt(p, int64(len(got)))
			got = append(got, p[:n]...)
			if err == io.EOF {
				break
			}
			if err != nil || n < size {
				t.Fatalf("by %d bytes: %d, %v", size, n, err)
			}
		}
		if !bytes.Equal(got, want) || lost != Align+100 {
			t.Errorf("by %d bytes: %d others, %d are told to be lost", size, len(got), lost)
		}
	}
	p := make([]byte, 200)
	if n, err := s.ReadAt(p, 4*Align-100); n != 200 || err != nil || !bytes.Equal(p, data[4*Align-100:][:200]) {
		t.Errorf("beside what is lost: %d, %v", n, err)
	}
	if n, err := s.ReadAt(p, int64(len(data))); n != 0 || err != io.EOF {
		t.Errorf("behind the end: %d, %v", n, err)
	}
	// Errors that are not about a sector stay errors.
	for _, err := range []error{unix.EINVAL, unix.ENOMEM, os.ErrClosed, unix.ENXIO} {
		s := &Salvage{R: &badSectors{data, []int64{0}, err}, Size: 4096}
		if _, got := s.ReadAt(p, 0); !errors.Is(got, err) {
			t.Errorf("%v became %v", err, got)
		}
	}
}

package medium

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
)

// TestReadWritten demands that ReadAt gives what was just written, with O_DIRECT and without it, in
// aligned pieces and from anywhere to anywhere.
func TestReadWritten(t *testing.T) {
	for _, dir := range []string{t.TempDir(), "/dev/shm"} { // /dev/shm may lack O_DIRECT
		f, err := os.CreateTemp(dir, "deltaup-medium")
		if err != nil {
			t.Skip(err)
		}
		t.Cleanup(func() { f.Close(); os.Remove(f.Name()) })
		r := NewReader(f)
		want := append(bytes.Repeat([]byte("deltaup!"), 3*Align/8), "the end"...)
		for round := range 3 {
			want[round*5000]++
			if _, err := f.WriteAt(want, 0); err != nil {
				t.Fatal(err)
			}
			check(t, r, want)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func check(t *testing.T, r *Reader, want []byte) {
	t.Helper()
	var got []byte
	for len(got) < len(want) {
		p := Buffer(min(2*Align, len(want)-len(got)))
		if n, err := r.ReadAt(p, int64(len(got))); n < len(p) {
			t.Fatalf("%d of %d bytes at %d: %v", n, len(p), len(got), err)
		}
		got = append(got, p...)
	}
	if !bytes.Equal(got, want) {
		t.Error("the medium gives other bytes than were written")
	}
	var all bytes.Buffer
	if err := Copy(&all, r.f); err != nil || !bytes.Equal(all.Bytes(), want) {
		t.Errorf("a copy of the medium has %d other bytes: %v", all.Len(), err)
	}
	p := make([]byte, len(want)-200)
	if n, err := r.ReadAt(p, 100); n < len(p) || !bytes.Equal(p, want[100:][:len(p)]) {
		t.Errorf("from byte 100 on the medium gives %d other bytes: %v", n, err)
	}
	p = Buffer((len(want)/Align + 2) * Align) // beyond the end
	if n, err := r.ReadAt(p, 0); n != len(want) || !errors.Is(err, io.EOF) || !bytes.Equal(p[:n], want) {
		t.Errorf("of a file of %d bytes the medium gives %d and %v", len(want), n, err)
	}
}

func TestClosed(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	r := NewReader(f)
	f.Close()
	if n, err := r.ReadAt(Buffer(Align), 0); n != 0 || err == nil {
		t.Errorf("%d bytes of a closed file, and %v", n, err)
	}
}

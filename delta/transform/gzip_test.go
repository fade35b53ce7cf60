package transform

import (
	"bytes"
	"compress/gzip"
	"testing"
)

// TestGzipBase: a base may be of any encoder for the transform gzip+any, which gives the encoder
// that the header hints at, and only of a known one for gzip.
func TestGzipBase(t *testing.T) {
	known := sample(t, "text.gz")
	rewritten, ok := registry[idGzip].Forward(known)
	if !ok {
		t.Fatal("the sample is of no known encoder")
	}
	content := rewritten[len(rewritten)-len(unpacked(t, known)):]
	for flags, encoder := range map[byte]byte{0: 6, 2: 9, 4: 1} {
		var b bytes.Buffer
		w, err := gzip.NewWriterLevel(&b, 4) // of Go, which nobody else writes like
		if err != nil {
			t.Fatal(err)
		}
		w.Write(content)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		old := b.Bytes()
		old[8] = flags
		if _, _, ok := Base(registry[idGzip], old); ok {
			t.Fatal("gzip makes the bytes of Go again")
		}
		base, _, ok := Base(registry[idGzipAny], old)
		want := append(append([]byte{encoder, 10}, old[:10]...), content...)
		if !ok || !bytes.Equal(base, want) {
			t.Errorf("flags %d: %.30q, want %.30q", flags, base, want)
		}
	}
	if base, _, ok := Base(registry[idGzip], known); !ok || !bytes.Equal(base, rewritten) {
		t.Errorf("the base of a known encoder: %.30q, want %.30q", base, rewritten)
	}
	for n := range 20 {
		if _, _, ok := Base(registry[idGzipAny], known[:len(known)-1-n]); ok {
			t.Errorf("without its last %d bytes it is a base", n+1)
		}
	}
}

func unpacked(t *testing.T, b []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := out.ReadFrom(r); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

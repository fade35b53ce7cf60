package lzmaparse

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// again makes a file of the symbols of its reader.
func again(t testing.TB, file []byte) []byte {
	t.Helper()
	_, content, _, err := unpack(file, 0, false)
	if err != nil {
		t.Fatal(err)
	}
	r, f, err := newReader(file, make([]byte, len(content)))
	if err != nil {
		t.Fatal(err)
	}
	w := &writer{lzma: lzma{content: content}}
	stream, block := f.head()
	out := append(stream, block...)
	begin := len(out)
	for {
		c, err := r.begin()
		if err != nil || !w.begin(c) {
			t.Fatal("a chunk", err)
		}
		for c.lzma() && r.more() {
			s, err := r.next()
			if err != nil {
				t.Fatal(err)
			}
			if w.full() {
				t.Errorf("the chunk at %d is full", w.start)
			}
			if got, ok := w.symbol(s, len(content)); !ok || got != s {
				t.Fatal("a symbol", got, s, ok)
			}
		}
		if c.lzma() && !w.full() {
			t.Errorf("the chunk at %d is not full: %d bytes, of %d", w.start, w.size(), w.at-w.start)
		}
		var ok bool
		if out, ok = w.append(out); !ok {
			t.Fatal("a chunk does not fit")
		}
		if c.control == chunkEnd {
			break
		}
	}
	packed := len(out) - begin
	if f.x86 {
		x86(content, false)
	}
	return f.appendTail(out, packed, len(content), sum(content))
}

// TestFiles makes the payloads of all kernels in a folder again.
func TestFiles(t *testing.T) {
	dir := os.Getenv("DELTAUP_XZ_FILES")
	if dir == "" {
		t.Skip("DELTAUP_XZ_FILES is not set")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		at := bytes.Index(b, []byte(magic))
		b = b[at:]
		n, size, ok := Size(b)
		if !ok {
			t.Fatal("no file")
		}
		start := time.Now()
		_, p, err := Unpack(b, 0, true)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d bytes at %d, content %d, parse of %d matches, %d bytes, %v", name, n, at, size, p.count, p.size, time.Since(start))
		start = time.Now()
		if got := again(t, b[:n]); !bytes.Equal(got, b[:n]) {
			t.Fatal("another file")
		}
		t.Log(time.Since(start))
	}
}

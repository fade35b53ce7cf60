package rootfs

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"deltaup/mkimage/tree"

	"github.com/klauspost/compress/zstd"
)

// sparseHeader is the header of a GNU sparse file that is one hole.
func sparseHeader(t testing.TB, name string, size int64) []byte {
	h := makeTar(t, file{Name: name, Header: tar.Header{Format: tar.FormatGNU}})[:blockSize]
	h[156] = tar.TypeGNUSparse
	number := func(b []byte, n int64) {
		b[0] = 0x80
		for i := len(b) - 1; i > 0; i-- {
			b[i], n = byte(n), n>>8
		}
	}
	number(h[386:398], size) // the only piece is empty and lies at the end
	number(h[398:410], 0)
	number(h[483:495], size)
	setChecksum(h)
	return h
}

func TestTooLarge(t *testing.T) {
	end := make([]byte, 2*blockSize)
	one := func(f file) []byte { b := makeTar(t, f); return b[:len(b)-2*blockSize] }
	huge := func(name string) []byte { return sparseHeader(t, name, sizeMax+1) }
	half := sparseHeader(t, "half", sizeMax/2+1)
	folder := writeFolder(t, plain("a", "1"))
	must(t, os.Truncate(filepath.Join(folder, "a"), sizeMax+1))

	for name, c := range map[string]struct {
		archive []byte
		o       Options
		want    string
	}{
		"one":         {append(huge("h"), end...), Options{}, `"h" alone has 274877906945 bytes`},
		"excluded":    {append(huge("h"), end...), Options{Filter: Filter{Exclude: []string{"h"}}}, ""},
		"replaced":    {append(append(sparseHeader(t, "h", sizeMax), half...), append(one(plain("h", "1")), end...)...), Options{}, ""},
		"in all":      {append(append(sparseHeader(t, "b", sizeMax/2), half...), end...), Options{}, `"half"`},
		"all of it":   {append(sparseHeader(t, "b", sizeMax), end...), Options{}, ""},
		"outside":     {append(append(huge("h"), one(plain("d/x", "1"))...), end...), Options{Subdir: "d"}, ""},
		"linked once": {append(append(sparseHeader(t, "b", sizeMax), one(link("c", "b"))...), end...), Options{}, ""},
	} {
		_, err := FromTar(context.Background(), bytes.NewReader(c.archive), c.o)
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got error %v", name, err)
		}
	}
	if _, err := Open(context.Background(), folder, Options{}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("folder: got error %v", err)
	}
}

// endless is a compressed stream of beginning and then zeros without end.
func endless(t *testing.T, beginning []byte) io.Reader {
	r, w := io.Pipe()
	t.Cleanup(func() { r.Close() })
	go func() {
		z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest))
		if err == nil {
			_, err = z.Write(beginning)
		}
		for zeros := make([]byte, 1<<20); err == nil; {
			_, err = z.Write(zeros)
		}
		w.CloseWithError(err)
	}()
	return r
}

// TestBomb demands that headers that claim too much end the reading, and behind the end of the
// archive the length does.
func TestBomb(t *testing.T) {
	header := makeTar(t, plain("a", "1"))
	huge := bytes.Clone(header[:blockSize])
	copy(huge[124:136], "\x80\x00\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff")
	setChecksum(huge)
	for name, c := range map[string]struct {
		beginning []byte
		want      error
	}{
		"zeros": {nil, ErrMalformed}, "a huge file": {huge, ErrTooLarge}, "zeros behind the end": {header, ErrTooLarge},
	} {
		temp := t.TempDir()
		_, err := FromTar(context.Background(), endless(t, c.beginning), Options{tempDir: temp})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got error %v", name, err)
		}
	}
}

// TestSpoolHoles demands that unpacked zeros take no room in the spool.
func TestSpoolHoles(t *testing.T) {
	archive := zstded(t, makeTar(t, plain("a", "begin"+strings.Repeat("\x00", 16<<20)+"end"), plain("b", "1")))
	s, err := newSpool(context.Background(), bytes.NewReader(archive), t.TempDir())
	must(t, err)
	defer s.Close()
	all, err := io.ReadAll(io.NewSectionReader(s, 0, spoolMax))
	must(t, err, s.drain())
	if !strings.HasPrefix(string(all[blockSize:]), "begin\x00") || !bytes.Contains(all, []byte("\x00end\x00")) || s.size != int64(len(all)) {
		t.Errorf("%d bytes, which are not those of the archive", len(all))
	}
	info, err := s.file.Stat()
	must(t, err)
	if used := info.Sys().(*syscall.Stat_t).Blocks * 512; used > 1<<20 {
		t.Errorf("takes %d bytes", used)
	}
}

func TestXattrLimit(t *testing.T) {
	c := &collection{}
	value := bytes.Repeat([]byte("v"), 1<<20)
	var e tree.Entry
	for i := range xattrsMax>>20 + 10 { // equal sets count once
		var set xattrSet
		set.add("user.a", string(value))
		if err := c.setXattrs(&e, &data{}, set); err != nil {
			t.Fatalf("set %d: %v", i, err)
		}
	}
	var err error
	n := 0
	for ; err == nil; n++ {
		var set xattrSet
		set.add(fmt.Sprintf("user.%d", n), string(value))
		err = c.setXattrs(&e, &data{}, set)
	}
	if !errors.Is(err, ErrTooLarge) || n != xattrsMax>>20-1 {
		t.Errorf("%d sets of a MiB, then %v", n, err)
	}
}

// TestNamesLimit demands that implied folders count, since each name may imply a thousand.
func TestNamesLimit(t *testing.T) {
	b := budget{names: namesMax - 2}
	x := newTarIndex(&collection{budget: b, filter: &filter{}}, nil)
	if _, err := x.walk("a/b/c", "a/b/c/d", true); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got error %v", err)
	}
	b = budget{text: textMax - 2}
	if err := b.take("a", "b"); err != nil {
		t.Error(err)
	}
	if err := b.take("a", ""); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got error %v", err)
	}
}

// TestSlowArchives reads small archives in which names that go up, links and global records could
// take very long.
func TestSlowArchives(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine")
	}
	must := func(err error, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("got error %v, want %v", err, want)
		}
	}
	var xattrs, globals bytes.Buffer
	many := make(map[string]string)
	for i := range 20000 {
		many[fmt.Sprintf("SCHILY.xattr.user.%d", i)] = "v"
	}
	for i := range 20 {
		xattrs.Write(makeTar(t, file{Name: fmt.Sprint(i), Header: tar.Header{PAXRecords: many}}))
		xattrs.Truncate(xattrs.Len() - 2*blockSize)
	}
	xattrs.Write(make([]byte, 2*blockSize))
	writeGlobal(t, &globals, many)
	globals.Write(makeTar(t, plain("a", "1")))
	climbing := makeTar(t, plain(strings.Repeat("a/../", 200000)+"f", "1"))

	start := time.Now()
	for name, c := range map[string]struct {
		archive []byte
		o       Options
		want    error
	}{
		"attributes":         {archive: xattrs.Bytes()},
		"records for all":    {archive: globals.Bytes(), want: ErrMalformed},
		"climbing":           {archive: climbing, want: ErrMalformed},
		"climbing, excluded": {archive: climbing, o: Options{Filter: Filter{Exclude: []string{"f"}}}},
	} {
		_, err := FromTar(context.Background(), bytes.NewReader(c.archive), c.o)
		t.Run(name, func(t *testing.T) { must(err, c.want) })
	}
	if took := time.Since(start); took > time.Minute { // one quadratic step would take minutes
		t.Errorf("took %v", took)
	}

	x := newTarIndex(&collection{filter: &filter{}}, nil)
	x.steps = stepsMax - 3
	_, err := x.walk("a/b/c", "a/b/c/d", true)
	must(err, nil)
	x.lastDir = nil
	_, err = x.walk("a/b/c", "a/b/c/d", true)
	must(err, ErrTooLarge)
}

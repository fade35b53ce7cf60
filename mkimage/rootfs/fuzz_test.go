package rootfs

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"deltaup/mkimage/tree"
)

// FuzzFromTar demands for any archive either an error of a known kind or a proper tree, whose
// contents have their sizes or give an error.
func FuzzFromTar(f *testing.F) {
	f.Add(makeTar(f, plain("a", "1"), folder("b"), plain("b/c", "2"), link("b/d", "a"), symlink("e", "a")), byte(0))
	f.Add(makeTar(f, folder("usr/lib"), symlink("l", "usr/lib"), plain("l/a", "1"), link("b", "l/a"), folder("l"), symlink("c", "../x"), symlink("d", "/c/d")), byte(fuzzKeep))
	f.Add(append(makeTar(f, plain("a", "1")), makeTar(f, plain("b/.wh.x", "2"))...), byte(fuzzOn|fuzzSubdir))
	f.Add(makeTar(f, link("a", "b"), link("b", "c"), plain("c", "1"), plain("b", "2"), plain("x/y", ""), plain("x", "")), byte(fuzzExclude))
	f.Add(makeTar(f, file{Name: strings.Repeat("long/", 60) + "ä", Header: tar.Header{
		ModTime: at(-5), Format: tar.FormatPAX, PAXRecords: map[string]string{"SCHILY.xattr.user.a": "1", "LIBARCHIVE.xattr.user.b": "AA"}}}), byte(0))
	f.Add(makeTar(f, file{Name: strings.Repeat("gnu/", 60), Header: tar.Header{Format: tar.FormatGNU, Typeflag: tar.TypeDir, Uid: 1 << 30}},
		file{Name: "dev", Header: tar.Header{Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3}}), byte(0))
	var global bytes.Buffer
	writeGlobal(f, &global, map[string]string{"mtime": "1.5", "uid": "7"})
	f.Add(append(global.Bytes(), makeTar(f, plain("a", "1"))...), byte(0))
	seeds, err := filepath.Glob("testdata/*.tar")
	if err != nil || len(seeds) != 5 {
		f.Fatalf("seeds in testdata, which seeds.sh makes: %q, %v", seeds, err)
	}
	for _, name := range seeds {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, byte(0))
	}
	temp := f.TempDir()
	f.Fuzz(func(t *testing.T, archive []byte, how byte) {
		if len(archive) > 1<<16 {
			return
		}
		archive = bytes.Clone(archive)
		for at := 0; at+blockSize <= len(archive); at += blockSize {
			if block := archive[at : at+blockSize]; bytes.HasPrefix(block[257:], []byte("ustar")) {
				setChecksum(block)
			}
		}
		tr, err := FromTar(context.Background(), bytes.NewReader(archive), fuzzOptions(how, temp))
		if err != nil {
			for _, kind := range []error{ErrMalformed, ErrKind, ErrTooLarge, ErrContainer} {
				if errors.Is(err, kind) {
					return
				}
			}
			if how&fuzzSubdir == 0 || !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("error of no kind: %v", err)
			}
			return
		}
		defer tr.Close()
		checkTree(t, tr)
		tr.Warnings()
		for i, e := range tr.Entries() {
			if e.Type != tree.Regular || e.Link != "" {
				continue
			}
			r, err := tr.Open(i)
			if err != nil {
				continue
			}
			n, err := io.Copy(io.Discard, io.LimitReader(r, 1<<20))
			if err == nil && n != min(e.Size, 1<<20) {
				t.Fatalf("%q: read %d bytes of %d", e.Path, n, e.Size)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Bits that say how FuzzFromTar reads an archive.
const (
	fuzzKeep = 1 << iota
	fuzzOn
	fuzzSubdir
	fuzzExclude
	fuzzContainer
)

func fuzzOptions(how byte, temp string) Options {
	o := Options{tempDir: temp, KeepDirectorySymlink: how&fuzzKeep != 0, IgnoreZeros: how&fuzzOn != 0, ContainerFiles: how&fuzzContainer != 0}
	if how&fuzzSubdir != 0 {
		o.Subdir = "b"
	}
	if how&fuzzExclude != 0 {
		o.Filter = Filter{Exclude: []string{"a", "*/c"}, Include: []string{"a/x"}}
	}
	return o
}

// setChecksum makes the checksum of a changed header right. Otherwise no mutation would get any
// further.
func setChecksum(header []byte) {
	sum := 8 * int(' ') // the bytes of the checksum count as spaces
	for i, b := range header {
		if i < 148 || i >= 156 {
			sum += int(b)
		}
	}
	copy(header[148:], fmt.Sprintf("%06o\x00 ", sum))
}

func BenchmarkFromTar(b *testing.B) {
	const files = 20000
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for i := range files {
		h := &tar.Header{Name: "usr/share/doc/package-" + strings.Repeat("x", i%50) + "/file" + string(rune('a'+i%26)), Size: 1000, Mode: 0o644}
		must(b, w.WriteHeader(h))
		_, err := w.Write(make([]byte, 1000))
		must(b, err)
	}
	must(b, w.Close())
	b.ReportAllocs()
	for b.Loop() {
		tr, err := FromTar(context.Background(), bytes.NewReader(buf.Bytes()), Options{})
		must(b, err)
		must(b, tr.Close())
	}
	b.ReportMetric(float64(b.N)*files/b.Elapsed().Seconds(), "entries/s")
}

package tree

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestFirstNameExcluded(t *testing.T) {
	archive := makeTar(t, plain("a", "1"), link("b", "a"), link("c", "a"), symlink("d", "x"))
	tr := readTar(t, archive, Options{Filter: Filter{Exclude: []string{"a"}}})
	if got, want := summary(t, tr), "b:1 c=b d>x"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTreeOpenRefuses(t *testing.T) {
	tr := readTar(t, makeTar(t, plain("a", "1"), link("b", "a"), folder("c")), Options{})
	for _, path := range []string{"", "b", "c"} {
		i, _ := entry(t, tr, path)
		if r, err := tr.Open(i); err == nil || r != nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", path)) {
			t.Errorf("%q: got %v, %v", path, r, err)
		}
	}
}

// Every truncation of an archive is an error that says so, or that it is no archive at all.
func TestTarTruncated(t *testing.T) {
	archive := makeTar(t, plain("a", strings.Repeat("1", 700)), folder("b"), plain("b/"+strings.Repeat("c", 150), "2"),
		file{Name: "d", Content: "x", Header: tar.Header{PAXRecords: map[string]string{"SCHILY.xattr.user.a": "v"}}})
	end := len(archive) - 1024 // two blocks of zeros, of which one is enough
	for n := range end + blockSize {
		_, err := FromTar(context.Background(), bytes.NewReader(archive[:n]), Options{})
		switch {
		case n < blockSize && (errors.Is(err, ErrKind) || n == 0 && errors.Is(err, ErrMalformed)):
		case n >= blockSize && errors.Is(err, ErrMalformed) && strings.Contains(err.Error(), "truncated"):
		default:
			t.Fatalf("%d of %d bytes: got error %v", n, len(archive), err)
		}
	}
	for n := end + blockSize; n <= len(archive); n += blockSize {
		if got := len(readTar(t, archive[:n], Options{}).Entries()); got != 5 {
			t.Errorf("%d of %d bytes: got %d entries", n, len(archive), got)
		}
	}
}

func TestTarTrailingGarbage(t *testing.T) {
	one, two := makeTar(t, plain("a", "1")), makeTar(t, plain("b", "2"))
	for name, tail := range map[string][]byte{
		"zeros": make([]byte, 9000), "garbage": bytes.Repeat([]byte("garbage"), 999), "another archive": two,
	} {
		if got := summary(t, readTar(t, slices.Concat(one, tail), Options{})); got != "a:1" {
			t.Errorf("%s: got %s", name, got)
		}
	}
}

// An archive starts where the reader stands.
func TestTarFromMiddle(t *testing.T) {
	r := bytes.NewReader(slices.Concat([]byte("before"), makeTar(t, plain("a", "1"), plain("b", "2"))))
	if _, err := r.Seek(6, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	tr, err := FromTar(context.Background(), r, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := summary(t, closeLater(t, tr)); got != "a:1 b:2" {
		t.Errorf("got %s", got)
	}
}

// Old archives, and some new ones, mark folders by a slash alone.
func TestTarSlashMakesFolder(t *testing.T) {
	for _, typeflag := range []byte{tar.TypeReg, 0, 'D'} {
		archive := makeTar(t, folder("a/"))
		archive[156] = typeflag
		setChecksum(archive[:blockSize])
		if got := summary(t, readTar(t, archive, Options{})); got != "a:d" {
			t.Errorf("type %q: got %s", typeflag, got)
		}
	}
}

func TestGlobalHeaderWarned(t *testing.T) {
	archive := makeTarRaw(t, []file{
		{Name: "g", Header: tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"mtime": "1"}}}, plain("a", "1")})
	if w := readTar(t, archive, Options{}).Warnings(); len(w) != 1 || !strings.Contains(w[0], "pax header") {
		t.Errorf("got warnings %q", w)
	}
}

func TestTarCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	archive := makeTar(t, plain("a", "1"))
	if _, err := FromTar(ctx, bytes.NewReader(archive), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("in place: got %v", err)
	}
	if _, err := FromTar(ctx, io.MultiReader(bytes.NewReader(archive)), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("spooled: got %v", err)
	}
}

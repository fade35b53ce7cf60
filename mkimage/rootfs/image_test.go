package rootfs

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"deltaup/mkimage/squashfs"
)

// TestImageEqualsItsFolder demands the same tree from a folder and from the image that the real
// mksquashfs makes of it.
func TestImageEqualsItsFolder(t *testing.T) {
	dir := makeEverything(t)
	must(t, os.Link(dir+"/pipe", dir+"/pipe2"))
	// mksquashfs, which has no times before 1970 either, replaces them by others
	early := filepath.Join(dir, "usr.conf")
	must(t, os.Chtimes(early, at(1), at(1)))
	want := mustRead(t, dir, Options{})
	for _, arguments := range []string{"-comp gzip", "-comp zstd -b 4096 -no-exports", "-comp xz -always-use-fragments"} {
		t.Run(arguments, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "image")
			run(t, "mksquashfs", append([]string{dir, path, "-noappend", "-no-progress", "-quiet"}, strings.Fields(arguments)...)...)
			got := mustRead(t, path, Options{})
			checkTree(t, got)
			checkSame(t, describe(t, got), describe(t, want))
			if w := got.Warnings(); len(w) != 0 {
				t.Errorf("got warnings %q", w)
			}
		})
	}
}

// TestImageBehindOffset demands the same tree from an image behind an offset. Zeros alone are an
// empty archive.
func TestImageBehindOffset(t *testing.T) {
	dir := writeFolder(t, plain("a", "1"), folder("boot"), plain("boot/x", "2"))
	want := mustRead(t, dir, Options{})
	for _, offset := range []string{"512", "5000", "1M"} {
		path := filepath.Join(t.TempDir(), "image")
		run(t, "mksquashfs", dir, path, "-offset", offset, "-noappend", "-no-progress", "-quiet")
		checkSame(t, describe(t, mustRead(t, path, Options{})), describe(t, want))
	}
	zeros := filepath.Join(t.TempDir(), "zeros")
	must(t, os.WriteFile(zeros, make([]byte, 10<<10), 0o600))
	if _, err := Open(context.Background(), zeros, Options{}); !errors.Is(err, ErrMalformed) {
		t.Errorf("zeros: %v", err)
	}
}

func TestImageFiltered(t *testing.T) {
	dir := writeFolder(t, plain("a", "1"), folder("boot"), plain("boot/x", "2"))
	must(t, os.Link(dir+"/a", dir+"/b"))
	path := filepath.Join(t.TempDir(), "image")
	run(t, "mksquashfs", dir, path, "-noappend", "-no-progress", "-quiet")
	clamp := uint32(9)
	tr := mustRead(t, path, Options{Filter: Filter{Exclude: []string{"boot/*", "a"}}, Owner: &Owner{1, 2}, Clamp: &clamp})
	if got, want := summary(t, tr), "b:1 boot:d"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if _, e := entry(t, tr, "b"); e.UID != 1 || e.GID != 2 || e.ModTime != 9 {
		t.Errorf("got %+v", e)
	}
}

func TestImageErrors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "image")
	must(t, os.WriteFile(path, append([]byte("hsqs"), bytes.Repeat([]byte{0xff}, 5000)...), 0o600))
	_, err := Open(context.Background(), path, Options{})
	if err == nil || !strings.Contains(err.Error(), path) ||
		!errors.Is(err, squashfs.ErrCorrupt) && !errors.Is(err, squashfs.ErrUnsupported) {
		t.Errorf("got error %v", err)
	}
}

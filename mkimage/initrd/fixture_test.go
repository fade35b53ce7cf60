package initrd

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"deltaup/chunkstore"
	"deltaup/mkimage"
)

// smallChunks cut small files into several chunks.
var smallChunks = chunkstore.Params{Min: 512, Average: 1024, Max: 4096}

// realistic gives n bytes that compress about as well as files do, always the same for a seed.
func realistic(seed uint64, n int) []byte {
	random := rand.NewPCG(seed, 1)
	var b []byte
	for len(b) < n {
		r := random.Uint64()
		switch word := r >> 8 % 97; r % 4 {
		case 0:
			b = binary.LittleEndian.AppendUint64(b, r)
		case 1:
			b = append(b, make([]byte, word%8)...)
		default:
			for i := range word % 12 {
				b = append(b, byte('a'+(word*7+i*3)%26))
			}
			b = append(b, ' ')
		}
	}
	return b[:n]
}

func needTool(tb testing.TB, name string) {
	tb.Helper()
	if _, err := exec.LookPath(name); err == nil {
		return
	}
	if os.Getenv("DELTAUP_TEST_ALL") != "" {
		tb.Fatalf("%s is not installed", name)
	}
	tb.Skipf("%s is not installed", name)
}

// pipe runs a command with stdin in the folder dir.
func pipe(tb testing.TB, dir string, stdin []byte, name string, args ...string) []byte {
	tb.Helper()
	needTool(tb, name)
	var out, errs bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, bytes.NewReader(stdin), &out, &errs
	if err := cmd.Run(); err != nil {
		tb.Fatalf("%s %q: %v\n%s", name, args, err, errs.Bytes())
	}
	return out.Bytes()
}

// zooNames are the files of zoo in the order of the archive.
var zooNames = []string{
	".", "bin", "dev", "dev/console", "empty", "etc", "etc/100% odd name\twith \xff and ü", "init",
	"lib", "lib/a.ko", "lib/b.ko", "lib/again.ko", "lib/holes", "link", "pipe", "second name",
}

// zoo makes a folder with every kind of file that an initrd can have.
func zoo(tb testing.TB) string {
	tb.Helper()
	dir := tb.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	write := func(name string, data []byte) {
		if err := os.WriteFile(path(name), data, 0o755); err != nil {
			tb.Fatal(err)
		}
	}
	for _, name := range []string{"bin", "dev", "etc", "lib"} {
		if err := os.Mkdir(path(name), 0o755); err != nil {
			tb.Fatal(err)
		}
	}
	write("empty", nil)
	write("etc/100% odd name\twith \xff and ü", []byte("1"))
	write("init", []byte("#!/bin/sh\n"))
	write("lib/a.ko", realistic(1, 300_001))
	write("lib/b.ko", realistic(2, 70_002))
	write("lib/again.ko", realistic(1, 300_001))
	write("lib/holes", make([]byte, 50_003))
	if err := os.Symlink("/a target/with spaces", path("link")); err != nil {
		tb.Fatal(err)
	}
	if err := os.Link(path("init"), path("second name")); err != nil {
		tb.Fatal(err)
	}
	if err := unix.Mkfifo(path("pipe"), 0o600); err != nil {
		tb.Fatal(err)
	}
	if err := unix.Mknod(path("dev/console"), unix.S_IFCHR|0o600, int(unix.Mkdev(5, 1))); err != nil {
		write("dev/console", nil) // only root can make devices
	}
	for i, name := range zooNames {
		at := time.Unix(1_700_000_000+int64(i), 0)
		if err := unix.Lutimes(path(name), []unix.Timeval{unix.NsecToTimeval(at.UnixNano()), unix.NsecToTimeval(at.UnixNano())}); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

// archive packs files of dir with a program and its options.
func archive(tb testing.TB, dir string, names []string, program ...string) []byte {
	tb.Helper()
	var list []byte
	for _, name := range names {
		list = append(append(list, name...), 0)
	}
	return pipe(tb, dir, list, program[0], append(program[1:], "--null", "-o", "--quiet")...)
}

func gnuArchive(tb testing.TB, dir string, names ...string) []byte {
	return archive(tb, dir, names, "cpio", "-H", "newc", "--reproducible")
}

// member gives one hand-made member of an archive.
func member(m Member, data string) []byte {
	h := header{member: m, size: uint32(len(data)), nameSize: uint32(len(m.Name) + 1)}
	b := h.append(nil, false)
	b = append(append(b, m.Name...), 0)
	b = append(b, padding[:align(int64(len(b)))]...)
	b = append(b, data...)
	return append(b, padding[:align(int64(len(b)))]...)
}

// end is the usual trailer.
var end = string(member(Member{Name: trailerName, links: 1}, ""))

// memorySpool is a Spool in memory.
type memorySpool struct{ b []byte }

func (s *memorySpool) WriteAt(p []byte, off int64) (int, error) {
	s.b = append(s.b[:min(off, int64(len(s.b)))], p...)
	return len(p), nil
}

func (s *memorySpool) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(s.b).ReadAt(p, off)
}

// takeApart makes a recipe and demands that its text parses to the same recipe.
func takeApart(tb testing.TB, initrd []byte, level string) (*Recipe, mkimage.Source) {
	tb.Helper()
	r, src, err := NewRecipe(context.Background(), bytes.NewReader(initrd), Options{Level: level, Chunking: smallChunks, Spool: new(memorySpool)})
	if err != nil {
		tb.Fatal(err)
	}
	text := recipeText(tb, r)
	parsed, err := ParseRecipe(bytes.NewReader(text))
	if err != nil {
		tb.Fatal(err)
	}
	if again := recipeText(tb, parsed); !bytes.Equal(again, text) {
		tb.Fatalf("the recipe parses to another:\n%s\nnot\n%s", again, text)
	}
	return parsed, src
}

func recipeText(tb testing.TB, r *Recipe) []byte {
	tb.Helper()
	var b bytes.Buffer
	n, err := r.WriteTo(&b)
	if err != nil || n != int64(b.Len()) {
		tb.Fatalf("wrote %d of %d bytes: %v", n, b.Len(), err)
	}
	return b.Bytes()
}

// build builds an initrd and verifies it against the recipe.
func build(tb testing.TB, r *Recipe, src mkimage.Source) []byte {
	tb.Helper()
	var b bytes.Buffer
	stats, err := Build(context.Background(), r, src, &b)
	if err != nil {
		tb.Fatal(err)
	}
	if stats.Size != int64(b.Len()) {
		tb.Errorf("%d bytes built, the statistics say %d", b.Len(), stats.Size)
	}
	if err := r.Verify(context.Background(), bytes.NewReader(b.Bytes())); err != nil {
		tb.Errorf("what was built is taken apart to another recipe: %v", err)
	}
	return b.Bytes()
}

// sourceFunc is a mkimage.Source made of a function.
type sourceFunc func(c *chunkstore.Content) (io.ReadCloser, error)

func (f sourceFunc) Open(_ context.Context, c *chunkstore.Content) (io.ReadCloser, error) {
	return f(c)
}

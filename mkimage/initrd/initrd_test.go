package initrd

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"deltaup/chunkstore"
	"deltaup/internal/test/cpiotest"
	"deltaup/mkimage"
)

// packers are the commands for all compressions that NewRecipe knows, as initramfs-tools and dracut
// call them.
var packers = map[string][]string{
	"gzip":   {"gzip", "-n", "-9", "-c"},
	"zstd":   {"zstd", "-q", "-19", "-T0", "-c"},
	"zstd-3": {"zstd", "-q", "-3", "--no-check", "-c"},
	"xz":     {"xz", "--check=crc32", "-c"},
	"xz-mt":  {"xz", "--check=sha256", "-T2", "--block-size=65536", "-c"},
	"lz4":    {"lz4", "-q", "-9", "-l", "-c"},
}

func pack(tb testing.TB, packer string, plain []byte) []byte {
	tb.Helper()
	return pipe(tb, "", plain, packers[packer][0], packers[packer][1:]...)
}

// TestOneArchive takes an archive through every compression and every writer of archives. The
// rebuilt initrd must decompress to the same bytes.
func TestOneArchive(t *testing.T) {
	dir := zoo(t)
	archives := map[string][]byte{
		"gnu":     archive(t, dir, zooNames, "cpio", "-H", "newc"),
		"gnu-crc": archive(t, dir, zooNames, "cpio", "-H", "crc"),
		"renumb":  gnuArchive(t, dir, zooNames...),
		"bsd":     archive(t, dir, zooNames, "bsdcpio", "-H", "newc"),
	}
	for writer, plain := range archives {
		for packer := range packers {
			t.Run(writer+"/"+packer, func(t *testing.T) {
				r, src := takeApart(t, pack(t, packer, plain), "better")
				if len(r.Segments) != 1 || !r.Segments[0].packed || len(r.Segments[0].Archives[0].Members) != len(zooNames)+1 {
					t.Errorf("taken apart to %+v", r.Segments)
				}
				if got := pipe(t, "", build(t, r, src), "zstd", "-dc"); !bytes.Equal(got, plain) {
					t.Error("the rebuilt archive has other bytes")
				}
			})
		}
	}
}

// pieces are the parts of an initrd of every kind: microcode in front, several streams, padding.
type pieces struct {
	early, main, second, late []byte
}

func newPieces(tb testing.TB) pieces {
	dir := zoo(tb)
	return pieces{
		early:  gnuArchive(tb, dir, "lib", "lib/b.ko"),
		main:   gnuArchive(tb, dir, zooNames...),
		second: archive(tb, dir, []string{"etc", "lib", "lib/holes", "init"}, "bsdcpio", "-H", "newc"),
		late:   gnuArchive(tb, dir, "empty", "link"),
	}
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// TestSegments takes apart initrds of several parts.
func TestSegments(t *testing.T) {
	p := newPieces(t)
	zeros := func(n int) []byte { return make([]byte, n) }
	toFour := func(b []byte) []byte { return append(b, zeros(int(align(int64(len(b)))))...) }
	cases := []struct {
		name   string
		initrd []byte
		want   string // P for a plain segment, F for a frame
		plain  [][]byte
	}{
		{"plain", p.main, "P", [][]byte{p.main}},
		{"plain in a row", join(p.early, zeros(1000), p.main), "P", [][]byte{join(p.early, zeros(1000), p.main)}},
		{"microcode", join(p.early, pack(t, "gzip", p.main)), "PF", [][]byte{p.early, p.main}},
		{"microcode, padded", join(p.early, zeros(5001), pack(t, "zstd", p.main)), "PF", [][]byte{join(p.early, zeros(5001)), p.main}},
		{"streams", join(pack(t, "xz", p.main), pack(t, "gzip", p.second), zeros(7), pack(t, "zstd", p.late), zeros(512)), "FFF",
			[][]byte{p.main, p.second, p.late}},
		{"archives in a stream", pack(t, "xz-mt", join(p.main, zeros(1024), p.second, p.late, zeros(3))), "F",
			[][]byte{join(p.main, zeros(1024), p.second, p.late, zeros(3))}},
		{"plain at the end", join(toFour(pack(t, "zstd-3", p.main)), p.late, zeros(9)), "FP", [][]byte{p.main, join(p.late, zeros(9))}},
		{"lz4, padded", join(p.early, pack(t, "lz4", p.main), zeros(6)), "PF", [][]byte{p.early, p.main}},
		{"trailer without padding", []byte(strings.TrimRight(end, "\x00") + "\x00"), "P", [][]byte{[]byte(strings.TrimRight(end, "\x00") + "\x00")}},
		{"zeros in front", join(zeros(8), p.main), "P", [][]byte{join(zeros(8), p.main)}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r, src := takeApart(t, c.initrd, "better")
			shape := ""
			for _, s := range r.Segments {
				shape += map[bool]string{true: "F", false: "P"}[s.packed]
			}
			if shape != c.want {
				t.Fatalf("segments %s, want %s", shape, c.want)
			}
			rest := build(t, r, src)
			for i, s := range r.Segments {
				want := c.plain[i]
				if !s.packed {
					if i > 0 { // TestPlainAfterFrame counts these zeros
						rest = bytes.TrimLeft(rest, "\x00")
					}
					if !bytes.HasPrefix(rest, want) {
						t.Fatalf("segment %d has other bytes", i)
					}
					rest = rest[len(want):]
					continue
				}
				n := frameSize(t, rest)
				if got := pipe(t, "", rest[:n], "zstd", "-dc"); !bytes.Equal(got, want) {
					t.Fatalf("segment %d has other bytes", i)
				}
				rest = rest[n:]
			}
			if len(rest) != 0 {
				t.Errorf("%d bytes are left over", len(rest))
			}
		})
	}
}

// TestPlainAfterFrame demands that plain archives begin at multiples of 4 in the file, where a
// kernel looks for them.
func TestPlainAfterFrame(t *testing.T) {
	seen := map[int]bool{}
	for n := range 40 {
		file := member(Member{Name: "f", mode: modeFile}, string(realistic(uint64(n), 100+n)))
		initrd := join(pack(t, "gzip", join(file, []byte(end))), nil)
		initrd = join(initrd, make([]byte, align(int64(len(initrd)))), file, []byte(end))
		r, src := takeApart(t, initrd, "fastest")
		got := build(t, r, src)
		frame := frameSize(t, got)
		seen[frame%4] = true
		if at := bytes.LastIndex(got, file); at != frame+int(align(int64(frame))) {
			t.Errorf("the frame ends at %d, the plain archive begins at %d", frame, at)
		}
	}
	if len(seen) != 4 {
		t.Errorf("frames of %v bytes modulo 4 only", seen)
	}
}

// TestTools demands that tools of distributions list and unpack the same from the rebuilt initrd as
// from the old one.
func TestTools(t *testing.T) {
	p := newPieces(t)
	old := join(p.early, pack(t, "gzip", p.main))
	r, src := takeApart(t, old, "best")
	folder := t.TempDir()
	var listings, trees []string
	for name, initrd := range map[string][]byte{"old": old, "new": build(t, r, src)} {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, initrd, 0o600); err != nil {
			t.Fatal(err)
		}
		listings = append(listings, string(pipe(t, "", nil, "lsinitramfs", "-l", path)))
		pipe(t, "", nil, "unmkinitramfs", path, path+".d")
		trees = append(trees, sums(t, path+".d"))
	}
	if listings[0] != listings[1] || strings.Count(listings[0], "lib/a.ko") != 1 {
		t.Errorf("lsinitramfs lists\n%s\nand\n%s", listings[0], listings[1])
	}
	if trees[0] != trees[1] || strings.Count(trees[0], "main/lib/a.ko ") != 1 {
		t.Errorf("unmkinitramfs unpacks\n%s\nand\n%s", trees[0], trees[1])
	}
}

// sums lists a tree with modes, times, link targets and hashes.
func sums(tb testing.TB, dir string) string {
	tb.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		target, _ := os.Readlink(path)
		fmt.Fprintf(&b, "%s %v %s", name, info.Mode(), target)
		if info.Mode().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " %v %x", info.ModTime().Unix(), sha256.Sum256(data))
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

func TestUnsupported(t *testing.T) {
	file := string(member(Member{Name: "file", mode: modeFile, links: 0xab}, "data"))
	good := file + end
	gz := string(pack(t, "gzip", []byte(good)))
	cases := []struct{ name, initrd string }{
		{"nothing", ""},
		{"zeros", strings.Repeat("\x00", 1000)},
		{"text", "it is no initrd"},
		{"bzip2", "BZh91AY&SY"},
		{"no trailer", file},
		{"cut in a header", good[:200]},
		{"cut in a name", file[:headerSize+2]},
		{"cut in data", file[:headerSize+8]},
		{"bytes after it", good + "x"},
		{"bytes after a stream", gz + "#BOOTCONFIG\n"},
		{"cut stream", gz[:len(gz)-9]},
		{"damaged stream", gz[:len(gz)-7] + "\x00" + gz[len(gz)-6:]},
		{"a stream in a stream", string(pack(t, "zstd", []byte(gz)))},
		{"an empty stream", string(pack(t, "gzip", nil))},
		{"a stream without trailer", string(pack(t, "xz", []byte(file)))},
		{"old magic", "070707" + good[6:]},
		{"two magics", file + "070702" + end[6:]},
		{"no digit", strings.Replace(good, "AB", "AG", 1)},
		{"two cases", file + strings.ToLower(file) + end},
		{"padding of a name", strings.Replace(good, "file\x00\x00", "file\x00x", 1)},
		{"padding of data", string(member(Member{Name: "f", mode: modeFile}, "123456"))[:headerSize+2+6+1] + "x" + end},
		{"a name without NUL", strings.Replace(good, "file\x00", "file.", 1)},
		{"an empty name", string(member(Member{Name: "", mode: modeDir}, "")) + end},
		{"a long name", string(member(Member{Name: strings.Repeat("n", 4096), mode: modeDir}, "")) + end},
		{"a long target", string(member(Member{Name: "n", mode: modeLink}, strings.Repeat("n", 4097))) + end},
		{"a folder with data", string(member(Member{Name: "n", mode: modeDir}, "data")) + end},
		{"a trailer with data", string(member(Member{Name: trailerName, mode: modeFile}, "data"))},
		{"a mode of 17 bits", string(member(Member{Name: "n", mode: 1<<16 | modeDir}, "")) + end},
		{"no type", string(member(Member{Name: "n", mode: 0o755}, "")) + end},
		{"an archive at 3", good[:len(good)-2] + "\x00" + good},
		{"lz4: a long block", "\x02\x21\x4c\x18\xff\xff\xff\x7f"},
		{"lz4: a broken block", "\x02\x21\x4c\x18\x04\x00\x00\x00\xff\xff\xff\xff"},
		{"zstd: a large window", "\x28\xb5\x2f\xfd\x00\xff\x00\x00"},
		{"xz: other filters", "\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4\x46\x02\x01\x04\x00\x21\x01\x16\x00\x00\x00\x00\x00"},
		{"xz: a large dictionary", "\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4\x46\x02\x00\x21\x01\x28\x00\x00\x00\x00\x00\x00\x00"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := NewRecipe(context.Background(), strings.NewReader(c.initrd), Options{})
			if !errors.Is(err, ErrUnsupported) || errors.Is(err, chunkstore.ErrCorrupt) {
				t.Errorf("error %v", err)
			}
			t.Log(err)
		})
	}
	if _, _, err := NewRecipe(context.Background(), strings.NewReader(good), Options{}); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

// TestCallersErrors demands that errors of the caller's reader, spool and context are not
// ErrUnsupported.
func TestCallersErrors(t *testing.T) {
	initrd := pack(t, "gzip", newPieces(t).main)
	fail := errors.New("the disk is gone")
	for _, n := range []int{0, 100, len(initrd) / 2, len(initrd)} {
		r := io.MultiReader(bytes.NewReader(initrd[:n]), iotest.ErrReader(fail))
		if _, _, err := NewRecipe(context.Background(), r, Options{}); !errors.Is(err, fail) || errors.Is(err, ErrUnsupported) {
			t.Errorf("reader that fails at %d: error %v", n, err)
		}
	}
	_, _, err := NewRecipe(context.Background(), bytes.NewReader(initrd), Options{Spool: &brokenSpool{err: fail}})
	if !errors.Is(err, fail) || errors.Is(err, ErrUnsupported) {
		t.Errorf("spool that fails: error %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := NewRecipe(ctx, bytes.NewReader(initrd), Options{}); !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnsupported) {
		t.Errorf("cancelled: error %v", err)
	}
	r, src := takeApart(t, initrd, "fastest")
	if _, err := Build(ctx, r, src, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("build, cancelled: error %v", err)
	}
	if _, _, err := NewRecipe(context.Background(), bytes.NewReader(initrd), Options{Level: "ultra"}); err == nil || errors.Is(err, ErrUnsupported) {
		t.Errorf("level ultra: error %v", err)
	}
}

type brokenSpool struct {
	memorySpool
	err error
}

func (s *brokenSpool) WriteAt([]byte, int64) (int, error) { return 0, s.err }

func TestBuildErrors(t *testing.T) {
	r, src := takeApart(t, newPieces(t).main, "fastest")
	open := func(c *chunkstore.Content) []byte {
		in, err := src.Open(context.Background(), c)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	fail := errors.New("the seed is gone")
	cases := []struct {
		name string
		want error
		in   func(b []byte) io.Reader
	}{
		{"good", nil, func(b []byte) io.Reader { return iotest.OneByteReader(bytes.NewReader(b)) }},
		{"shorter", mkimage.ErrContent, func(b []byte) io.Reader { return bytes.NewReader(b[1:]) }},
		{"longer", mkimage.ErrContent, func(b []byte) io.Reader { return bytes.NewReader(append(b, 0)) }},
		{"other", mkimage.ErrContent, func(b []byte) io.Reader { b[len(b)-1]++; return bytes.NewReader(b) }},
		{"failing", fail, func(b []byte) io.Reader { return iotest.ErrReader(fail) }},
	}
	for _, c := range cases {
		_, err := Build(context.Background(), r, sourceFunc(func(k *chunkstore.Content) (io.ReadCloser, error) {
			return io.NopCloser(c.in(open(k))), nil
		}), io.Discard)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: error %v", c.name, err)
		}
		if err != nil && !strings.Contains(err.Error(), "odd name") {
			t.Errorf("%s: the error does not name the file: %v", c.name, err)
		}
	}
	r.Codec = "zstd-stream-best.2"
	if _, err := Build(context.Background(), r, src, io.Discard); !errors.Is(err, mkimage.ErrUnknownCodec) {
		t.Errorf("unknown codec: %v", err)
	}
}

// TestContents counts the files that a build reads, and the distinct contents that they have.
func TestContents(t *testing.T) {
	r, src := takeApart(t, newPieces(t).main, "fastest")
	stats, err := Build(context.Background(), r, src, io.Discard)
	if err != nil || stats.files != 6 {
		t.Errorf("%d files, error %v", stats.files, err)
	}
	if n := len(slices.Collect(r.Contents())); n != 5 {
		t.Errorf("%d distinct contents", n)
	}
}

// TestVerify demands that Verify refuses another initrd than the recipe's.
func TestVerify(t *testing.T) {
	p := newPieces(t)
	r, _ := takeApart(t, p.main, "fastest")
	if err := r.Verify(context.Background(), bytes.NewReader(p.second)); !errors.Is(err, mkimage.ErrContent) {
		t.Errorf("error %v", err)
	}
	if err := r.Verify(context.Background(), bytes.NewReader(p.main)); err != nil {
		t.Error(err)
	}
}

// TestKeep takes an initrd apart with a Keep that wants some contents only.
func TestKeep(t *testing.T) {
	files := map[string][]byte{"d": nil}
	for i, name := range []string{"a", "b", "c", "f"} {
		files[name] = bytes.Repeat([]byte(name+name+"\n"), []int{10, 20, 8, 2}[i]<<10)
	}
	files["e"] = files["b"]
	var spool memorySpool
	dropped := chunkstore.Sum(files["b"])
	r, src, err := NewRecipe(t.Context(), bytes.NewReader(cpiotest.Initrd(files)), Options{
		Spool: &spool, Keep: func(c *chunkstore.Content) bool { return c.ID != dropped },
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(spool.b) > 100<<10 {
		t.Errorf("the spool has %d bytes", len(spool.b))
	}
	n := 0
	for c := range r.Contents() {
		in, err := src.Open(t.Context(), c)
		if c.ID == dropped {
			if !errors.Is(err, chunkstore.ErrNotFound) {
				t.Errorf("a content that was not kept: %v", err)
			}
			continue
		}
		n++
		got := make([]byte, c.Size)
		if _, err := in.(io.ReaderAt).ReadAt(got, 0); err != nil || chunkstore.Sum(got) != c.ID {
			t.Errorf("content of %d bytes: other bytes, error %v", c.Size, err)
		}
	}
	if n != 3 {
		t.Errorf("%d contents", n)
	}
}

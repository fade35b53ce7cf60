package lzmaparse

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"deltaup/delta/transform/bcj"
	"deltaup/delta/transform/parsestep"
	"deltaup/delta/transform/xzutils"
	"deltaup/internal/test/oracle"
)

// corpus is contents that lead to every kind of symbol and chunk.
func corpus() map[string][]byte {
	rnd := rand.NewChaCha8([32]byte{7})
	random := make([]byte, 140_000)
	rnd.Read(random)
	var text []byte
	for i := range 3_000 {
		text = fmt.Appendf(text, "%d bottles of %x\n", i%977, random[i%300:i%300+i%9])
	}
	var code []byte // calls, as the x86 filter sees them, near each other and far
	for i := 0; len(code) < 40_000; i++ {
		b := random[i%100_000:]
		code = append(code, b[:b[0]%11]...)
		code = append(code, 0xe8+b[1]&1, b[2], b[3], b[4]&1, -(b[5] & 1))
	}
	return map[string][]byte{
		"one": {1}, "two": {1, 1}, "short": []byte("hello, hello, hello, hello"), "text": text,
		"code": code, "random": random, "zeros": make([]byte, chunkPlain+chunkPlain/8),
		"mixed": slices.Concat(text[:40_000], make([]byte, 100_000), random[:80_000], text, code),
	}
}

// again makes a file of the symbols of its reader.
func again(file []byte) ([]byte, error) {
	f, content, _, err := unpack(file, 0, false)
	if err != nil {
		return nil, err
	}
	r, _, err := newReader(file, make([]byte, len(content)))
	if err != nil {
		return nil, err
	}
	w := &writer{lzma: lzma{content: content}}
	stream, block := f.head()
	out := append(stream, block...)
	begin := len(out)
	for {
		c, err := r.begin()
		if err != nil || !w.begin(c) {
			return nil, errCorrupt
		}
		for c.lzma() && r.more() {
			s, err := r.next()
			if err != nil {
				return nil, err
			}
			if got, ok := w.symbol(s, len(content)); !ok || got != s {
				return nil, errContent
			}
		}
		var ok bool
		if out, ok = w.append(out); !ok {
			return nil, errContent
		}
		if c.control == chunkEnd {
			break
		}
	}
	packed := len(out) - begin
	if f.x86 {
		bcj.Decode(content)
	}
	return f.appendTail(out, packed, len(content), sum(content)), nil
}

// TestRealFiles makes the files of the real xz again, at all presets.
func TestRealFiles(t *testing.T) {
	oracle.Need(t, "xz")
	for name, content := range corpus() {
		for preset := range 10 {
			if preset != 6 && name != "mixed" && name != "code" {
				continue
			}
			args := fmt.Sprintf("--x86 --lzma2=preset=%d,dict=1MiB", preset)
			switch preset {
			case 3:
				args = "--lzma2=preset=3,dict=64KiB,lc=0,lp=2,pb=0"
			case 6: // as the build of the kernel calls it
				args = "--x86 --lzma2=dict=32MiB"
			case 9:
				args = "--x86 --lzma2=preset=9e,dict=1MiB,lc=4,pb=4"
			}
			file := xzOf(t, content, args)
			n, size, ok := Size(append(bytes.Clone(file), "behind"...))
			if !ok || n != len(file) || size != len(content) {
				t.Fatalf("%s %s: %d bytes, content %d, %v", name, args, n, size, ok)
			}
			got, _, err := Unpack(file, 0, false)
			if err != nil || !bytes.Equal(got, content) {
				t.Fatalf("%s %s: another content: %v", name, args, err)
			}
			if got, err := again(file); err != nil || !bytes.Equal(got, file) {
				t.Fatalf("%s %s: another file: %v", name, args, err)
			}
		}
	}
}

// TestOthers refuses files that have what the kernel's do not.
func TestOthers(t *testing.T) {
	oracle.Need(t, "xz")
	content := corpus()["text"]
	for _, args := range []string{"--check=crc64", "--check=none", "--arm --lzma2", "--delta --lzma2",
		"--x86 --delta --lzma2", "--block-size=10000", "--format=lzma"} {
		file := xzOf(t, content, args)
		if _, _, ok := Size(file); ok {
			t.Errorf("%s: it is taken", args)
		}
		if _, _, err := Unpack(file, 0, true); !errors.Is(err, errCorrupt) {
			t.Errorf("%s: %v", args, err)
		}
	}
	file := xzOf(t, content, "--x86 --lzma2")
	for _, at := range []int{0, 6, 7, 12, 13, 14, len(file) - 1, len(file) - 6, len(file) - 20} {
		b := bytes.Clone(file)
		b[at] ^= 1
		if _, _, ok := Size(b); ok {
			t.Errorf("another byte %d: it is taken", at)
		}
	}
	for i := range len(file) {
		if _, _, ok := Size(file[:i]); ok {
			t.Fatalf("%d of %d bytes are a file", i, len(file))
		}
	}
}

// TestParse demands that the matches of a parse lead to their sources.
func TestParse(t *testing.T) {
	for name, content := range corpus() {
		_, filtered, p, err := unpack(fileOf(t, content), 0, true)
		if err != nil {
			t.Fatal(err)
		}
		var list []parsestep.Match
		for i := range p.parts {
			if list, err = p.read(i, list); err != nil {
				t.Fatal(err)
			}
		}
		if len(list) != p.count {
			t.Errorf("%s: %d matches, not %d", name, len(list), p.count)
		}
		end := 0
		for i, m := range list {
			begin, n, distance := int(m.Begin), int(m.Size), int(m.Distance)
			if begin < end || n < 1 || n > matchMax || begin+n > len(filtered) || distance > begin {
				t.Fatalf("%s: match %d of %d bytes at %d, distance %d", name, i, n, begin, distance)
			}
			from := filtered[begin-distance:]
			for k, c := range filtered[begin : begin+n] {
				if from[k] != c {
					t.Fatalf("%s: match %d has another source", name, i)
				}
			}
			end = begin + n
		}
	}
}

// fileOf packs a content as the kernel's build does, with a small dictionary.
func fileOf(t testing.TB, content []byte) []byte {
	t.Helper()
	// As of xz --check=crc32 --x86 --lzma2=dict=64KiB.
	p, _, err := xzutils.Parse([]byte{1 | 1<<4 | 1<<6, 8, 2*45 + 3, 0x14, 64, 0, 48, 0, 0})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := xzutils.Encode(&b, content, p); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// FuzzReader demands that a file that is taken apart is made again, or refused.
func FuzzReader(f *testing.F) {
	f.Add([]byte{})
	for _, content := range corpus() {
		file := fileOf(f, content[:min(len(content), 2_000)])
		if _, _, err := Unpack(file, 0, true); err != nil {
			f.Fatal(err)
		}
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		n, size, ok := Size(file)
		if ok && (n > len(file) || size > contentMax) {
			t.Fatalf("a file of %d bytes, content %d, in %d", n, size, len(file))
		}
		if size > 1<<20 {
			return
		}
		content, _, err := Unpack(file, 7, true)
		if err != nil {
			return
		}
		if !ok || len(content) != size || cap(content) < size+7 {
			t.Fatalf("%d bytes, not %d", len(content), size)
		}
		made, err := again(file)
		if err != nil {
			t.Fatal(err)
		}
		if n, size, ok := Size(made); !ok || n != len(made) || size != len(content) {
			t.Fatalf("the file that is made is none: %d, %d, %v", n, size, ok)
		}
	})
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
		if at := bytes.Index(b, []byte(magic)); at > 0 {
			b = b[at:]
		}
		n, size, ok := Size(b)
		if !ok {
			t.Fatal("no file")
		}
		_, p, err := Unpack(b, 0, true)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d bytes, content %d, a parse of %d matches in %d bytes", name, n, size,
			p.count, p.size)
		if got, err := again(b); err != nil || !bytes.Equal(got, b[:n]) {
			t.Fatalf("%s: another file: %v", name, err)
		}
	}
}

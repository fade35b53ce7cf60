package zstdparse

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"

	"deltaup/internal/test/oracle"
)

// corpus is contents that lead to every kind of block, literals and table.
func corpus() map[string][]byte {
	rnd := rand.NewChaCha8([32]byte{7})
	random := make([]byte, 300_000)
	rnd.Read(random)
	var text, few []byte
	for i := range 12_000 {
		text = fmt.Appendf(text, "%d bottles of %x\n", i%977, random[i%300:i%300+i%9])
	}
	for _, c := range random[:100_000] {
		few = append(few, c&(c>>3)&15)
	}
	apart := slices.Clone(random[:blockMax]) // then a block of matches with one kind of literals
	for i := range 2_000 {
		apart = append(append(apart, random[i*61:i*61+50]...), 'x')
	}
	return map[string][]byte{
		"empty": {}, "one": {1}, "apart": apart, "text": text,
		"short": []byte("hello, hello, hello, hello"),
		"zeros": make([]byte, 400_000), "random": random, "few": few,
		"ascending": slices.Repeat([]byte("abcdefghijklmnopqrstuvwxyz0123456789"), 9_000),
		"mixed": slices.Concat(text[:90_000], make([]byte, 200_000), random[:1_000], text[:100], few,
			random[:150_000], text, few[:70]),
	}
}

// blocks gives the blocks of a frame, and its header and checksum.
func blocks(frame []byte) (header []byte, list []block, sum []byte, err error) {
	r, err := newReader(bytes.NewReader(frame))
	if err != nil {
		return nil, nil, nil, err
	}
	for {
		b, err := r.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, nil, nil, err
		}
		c := *b
		c.tree, c.tables = bytes.Clone(b.tree), bytes.Clone(b.tables)
		c.sequences = slices.Clone(b.sequences)
		list = append(list, c)
	}
	sum, err = r.trailer()
	return r.header(), list, sum, err
}

// again makes a frame of the parts of another one.
func again(header []byte, list []block, sum, content []byte) ([]byte, error) {
	var w writer
	out := bytes.Clone(header)
	for i := range list {
		n := list[i].size
		if n > len(content) {
			return nil, errContent
		}
		var err error
		if out, err = w.append(out, &list[i], content[:n]); err != nil {
			return nil, err
		}
		content = content[n:]
	}
	if len(content) > 0 {
		return nil, errContent
	}
	return append(out, sum...), nil
}

// check demands that a frame is made again exactly. It counts the kinds that occur.
func check(t *testing.T, name string, frame, content []byte, seen map[string]int) {
	t.Helper()
	header, list, sum, err := blocks(frame)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	got, err := again(header, list, sum, content)
	if err != nil || !bytes.Equal(got, frame) {
		t.Fatalf("%s: another frame: %v", name, err)
	}
	for _, b := range list {
		seen[fmt.Sprint("kind ", b.kind)]++
		if b.kind != compressed {
			continue
		}
		seen[fmt.Sprint("literals ", b.literals)]++
		if b.oneStream {
			seen["one stream"]++
		}
		for i := range tables {
			if len(b.sequences) > 0 {
				seen[fmt.Sprint("mode ", b.modes>>(6-2*i)&3)]++
			}
		}
	}
}

var everyKind = []string{"kind 0", "kind 1", "kind 2", "literals 0", "literals 1", "literals 2",
	"literals 3", "mode 0", "mode 1", "mode 2", "mode 3", "one stream"}

// TestRealFrames makes the frames of the real zstd again.
func TestRealFrames(t *testing.T) {
	oracle.Need(t, "zstd")
	seen, file := map[string]int{}, filepath.Join(t.TempDir(), "content")
	for name, content := range corpus() {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"-1"}, {"-3", "--no-check"}, {"--fast=5"}, {"-7"}, {"-19"},
			{"--ultra", "-22", "--no-content-size"}, {"-12", "--long=20"}} {
			args = append(args, "-q", "-c", file)
			frame, err := exec.Command("zstd", args...).Output()
			if err != nil {
				t.Fatal(err)
			}
			check(t, fmt.Sprint(name, args), frame, content, seen)
		}
	}
	for _, k := range everyKind {
		if seen[k] == 0 {
			t.Errorf("no %s: %v", k, seen)
		}
	}
}

// TestFrames makes the frames of another encoder again.
func TestFrames(t *testing.T) {
	seen := map[string]int{}
	for name, content := range corpus() {
		for level := zstd.SpeedFastest; level <= zstd.SpeedBestCompression; level++ {
			check(t, fmt.Sprint(name, level), encode(t, content, level), content, seen)
		}
	}
}

// TestFiles makes all frames of a folder again.
func TestFiles(t *testing.T) {
	dir := os.Getenv("DELTAUP_ZSTD_FRAMES")
	if dir == "" {
		t.Skip("DELTAUP_ZSTD_FRAMES is not set")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.zst"))
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	d, err := zstd.NewReader(nil, zstd.WithDecoderMaxWindow(1<<30))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, file := range files {
		frame, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		content, err := d.DecodeAll(frame, nil)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]int{}
		check(t, file, frame, content, seen)
		t.Log(file, seen)
	}
}

func encode(t testing.TB, content []byte, level zstd.EncoderLevel) []byte {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithZeroFrames(true),
		zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	return e.EncodeAll(content, nil)
}

// TestContent: a block of another content is refused or gives other bytes, and what cannot be
// written is refused.
func TestContent(t *testing.T) {
	content := corpus()["text"]
	header, list, sum, err := blocks(encode(t, content, zstd.SpeedDefault))
	if err != nil {
		t.Fatal(err)
	}
	other := bytes.ToUpper(content)
	for i := range other {
		other[i] |= 0x80
	}
	if _, err := again(header, list, sum, other); !errors.Is(err, errContent) {
		t.Errorf("literals without a code: %v", err)
	}
	if _, err := again(header, list, sum, content[1:]); !errors.Is(err, errContent) {
		t.Errorf("less content: %v", err)
	}
	for name, change := range map[string]func(*block){
		"no distance":        func(b *block) { b.sequences[3].offset = 0 },
		"a short match":      func(b *block) { b.sequences[3].match = 2 },
		"a long run":         func(b *block) { b.sequences[3].literals = blockMax },
		"a far match":        func(b *block) { b.sequences[3].offset = 1 << 31 },
		"no tree":            func(b *block) { b.literals = literalsSame },
		"a cut tree":         func(b *block) { b.tree = b.tree[:len(b.tree)-1] },
		"no tables":          func(b *block) { b.tables = nil },
		"a table before any": func(b *block) { b.modes |= 0xc0 },
		"reserved bits":      func(b *block) { b.modes |= 1 },
		"another kind":       func(b *block) { b.kind = 3 },
		"literals are one":   func(b *block) { b.literals = literalsOneByte },
		"all is one":         func(b *block) { b.kind = oneByte },
		"too many literals":  func(b *block) { b.oneStream = true },
	} {
		b := list[0]
		b.sequences = slices.Clone(b.sequences)
		change(&b)
		if _, err := new(writer).append(nil, &b, content[:b.size]); !errors.Is(err, errContent) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDamaged cuts and changes frames everywhere.
func TestDamaged(t *testing.T) {
	frame := encode(t, corpus()["mixed"][85_000:93_000], zstd.SpeedDefault)
	for i := range frame {
		if _, _, _, err := blocks(frame[:i]); err == nil {
			t.Fatalf("cut at %d: no error", i)
		}
		b := bytes.Clone(frame)
		b[i] ^= 1 << (i & 7)
		roundTrip(t, b, nil)
	}
}

// TestSize finds where frames end.
func TestSize(t *testing.T) {
	for name, content := range corpus() {
		frame := encode(t, content, zstd.SpeedDefault)
		n, ok := Size(append(bytes.Clone(frame), "what is behind"...))
		if !ok || n != len(frame) {
			t.Errorf("%s: %d of %d bytes, %v", name, n, len(frame), ok)
		}
		for _, n := range []int{0, 4, len(frame) / 2, len(frame) - 1} {
			if _, ok := Size(frame[:n]); ok {
				t.Errorf("%s: %d bytes are a frame", name, n)
			}
		}
	}
}

// TestEmptyRun: a block that repeats a byte no times has that byte nevertheless, which the content
// does not tell. No encoder makes one.
func TestEmptyRun(t *testing.T) {
	frame := encode(t, nil, zstd.SpeedDefault)
	at := bytes.LastIndex(frame, []byte{1, 0, 0}) // the header of the last block, empty
	run := slices.Concat(frame[:at], []byte{1 | byte(oneByte)<<1, 0, 0, 'x'}, frame[at+3:])
	if n, ok := Size(run); !ok || n != len(run) {
		t.Errorf("%d of %d bytes, %v", n, len(run), ok)
	}
	if _, _, _, err := blocks(run); !errors.Is(err, errCorrupt) {
		t.Errorf("it is taken apart: %v", err)
	}
	b := &block{kind: oneByte, last: true}
	if _, err := new(writer).append(nil, b, nil); !errors.Is(err, errContent) {
		t.Errorf("it is written: %v", err)
	}
}

// roundTrip demands of any bytes that are taken for a frame that what is made of its blocks is read
// as these blocks. content may be nil.
func roundTrip(t *testing.T, frame, content []byte) {
	t.Helper()
	header, list, sum, err := blocks(frame)
	if err != nil {
		return
	}
	size := 0
	for _, b := range list {
		size += b.size
	}
	if content == nil {
		content = make([]byte, size)
	}
	made, err := again(header, list, sum, content)
	if err != nil {
		if !errors.Is(err, errContent) {
			t.Fatal(err)
		}
		return
	}
	_, second, _, err := blocks(made)
	if err != nil {
		t.Fatal(err)
	}
	for i := range list {
		if len(list[i].sequences) == 0 {
			list[i].sequences, second[i].sequences = nil, nil
		}
	}
	if !reflect.DeepEqual(list, second) {
		t.Fatal("other blocks")
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte{})
	for _, content := range corpus() {
		for _, level := range []zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedBetterCompression} {
			frame := encode(f, content[:min(len(content), 5_000)], level)
			if _, _, _, err := blocks(frame); err != nil {
				f.Fatal(err)
			}
			f.Add(frame)
		}
	}
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(1<<20))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		roundTrip(t, b, nil)
		if content, err := d.DecodeAll(b, nil); err == nil {
			roundTrip(t, b, content)
		}
	})
}

func BenchmarkFrame(b *testing.B) {
	content := corpus()["mixed"]
	frame := encode(b, content, zstd.SpeedBestCompression)
	header, list, sum, err := blocks(frame)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("read", func(b *testing.B) {
		b.SetBytes(int64(len(content)))
		for b.Loop() {
			if _, _, _, err := blocks(frame); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("write", func(b *testing.B) {
		b.SetBytes(int64(len(content)))
		for b.Loop() {
			if _, err := again(header, list, sum, content); err != nil {
				b.Fatal(err)
			}
		}
	})
}

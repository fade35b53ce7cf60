package zstdparse

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"deltaup/delta/suffix"
	"deltaup/delta/transform"
)

// pair gives two contents that differ as two builds of a program do: addresses differ, and a few
// functions are longer. copies leads from the second one to the first.
func pair(size int) (old, new []byte, copies []copied) {
	rnd := rand.New(rand.NewPCG(3, 4))
	words := make([][]byte, 300)
	for i := range words {
		words[i] = make([]byte, 3+rnd.IntN(20))
		for k := range words[i] {
			words[i][k] = byte(rnd.IntN(60))
		}
	}
	for i := 0; len(old) < size; i++ {
		if i%50 == 49 {
			new = append(new, fmt.Sprint("a new function ", i)...)
		}
		c := copied{new: len(new), old: len(old)}
		for range 40 {
			w, a := words[rnd.IntN(len(words))], rnd.IntN(2000)
			old = append(append(old, w...), byte(a), byte(a>>8), 0)
			a += a / 9 * (i / 70)
			new = append(append(new, w...), byte(a), byte(a>>8), 0)
		}
		c.size = len(new) - c.new
		copies = append(copies, c)
	}
	return old, new, copies
}

// TestStep makes frames out of old ones.
func TestStep(t *testing.T) {
	old, content, copies := pair(600_000)
	from := encode(t, old, zstd.SpeedBestCompression)
	frame := encode(t, content, zstd.SpeedBestCompression)
	for name, copies := range map[string][]copied{"aligned": copies, "alone": nil} {
		step, err := makeStep(bytes.NewReader(from), bytes.NewReader(frame), content, copies)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: a step of %d bytes to a frame of %d", name, len(step), len(frame))
		var out bytes.Buffer
		if err := applyStep(&out, bytes.NewReader(from), step, content, len(frame)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), frame) {
			t.Fatalf("%s: another frame", name)
		}
		if name == "aligned" && len(step) > len(frame)/3 {
			t.Errorf("a step of %d bytes to a frame of %d", len(step), len(frame))
		}
	}
}

// TestStepKinds makes frames of every kind of block.
func TestStepKinds(t *testing.T) {
	for name, content := range corpus() {
		for level := zstd.SpeedFastest; level <= zstd.SpeedBestCompression; level++ {
			frame := encode(t, content, level)
			old := encode(t, content[:len(content)/2], level)
			copies := []copied{{0, 0, len(content) / 2}}
			step, err := makeStep(bytes.NewReader(old), bytes.NewReader(frame), content, copies)
			if err != nil {
				t.Fatal(name, level, err)
			}
			var out bytes.Buffer
			if err := applyStep(&out, bytes.NewReader(old), step, content, len(frame)); err != nil {
				t.Fatal(name, level, err)
			}
			if !bytes.Equal(out.Bytes(), frame) {
				t.Fatalf("%s, %v: another frame", name, level)
			}
		}
	}
}

var update = flag.Bool("update", false, "write testdata/step anew")

// TestGolden: a step never changes. The frames are those of `zstd --ultra -22` 1.5.4 from the
// contents of pair(40_000).
func TestGolden(t *testing.T) {
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	old, frame := read("old.zst"), read("new.zst")
	_, content, copies := pair(40_000)
	step, err := makeStep(bytes.NewReader(old), bytes.NewReader(frame), content, copies)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("testdata/step", step, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if want := read("step"); !bytes.Equal(step, want) {
		t.Errorf("another step, of %d bytes, not %d", len(step), len(want))
	}
	var out bytes.Buffer
	err = applyStep(&out, bytes.NewReader(old), read("step"), content, len(frame))
	if err != nil || !bytes.Equal(out.Bytes(), frame) {
		t.Errorf("another frame: %v", err)
	}
	t.Logf("a step of %d bytes to a frame of %d", len(step), len(frame))
	for i := 0; i < len(frame); i += 97 {
		out.Reset()
		err := applyStep(&out, bytes.NewReader(old), step, content, i)
		if err == nil || out.Len() > i {
			t.Errorf("no more than %d bytes: %d, %v", i, out.Len(), err)
		}
	}
}

// TestStepDamaged cuts and changes a step everywhere. Where that goes unnoticed a frame of the same
// content may come out.
func TestStepDamaged(t *testing.T) {
	old, content, copies := pair(3_000)
	from, frame := encode(t, old, zstd.SpeedDefault), encode(t, content, zstd.SpeedDefault)
	step, err := makeStep(bytes.NewReader(from), bytes.NewReader(frame), content, copies)
	if err != nil {
		t.Fatal(err)
	}
	for i := range step {
		b := bytes.Clone(step)
		b[i] ^= 1 << (i & 7)
		for _, b := range [][]byte{b, step[:i]} {
			var out bytes.Buffer
			err := applyStep(&out, bytes.NewReader(from), b, content, 2*len(frame))
			if err == nil && bytes.Equal(out.Bytes(), frame) && i < len(step)-4-overMax {
				t.Errorf("at %d: no difference", i)
			}
		}
	}
}

// FuzzStep runs a damaged step.
func FuzzStep(f *testing.F) {
	old, content, copies := pair(3_000)
	from, frame := encode(f, old, zstd.SpeedDefault), encode(f, content, zstd.SpeedDefault)
	step, err := makeStep(bytes.NewReader(from), bytes.NewReader(frame), content, copies)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(from, step, content)
	f.Add([]byte{}, step, content)
	f.Add(from, []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, from, step, content []byte) {
		var out bytes.Buffer
		const most = 1 << 16
		err := applyStep(&out, bytes.NewReader(from), step, content, most)
		if err == nil {
			if out.Len() > most {
				t.Errorf("a frame of %d bytes", out.Len())
			}
			return
		}
		if !errors.Is(err, errCorrupt) && !errors.Is(err, errContent) && err != io.EOF &&
			err != io.ErrUnexpectedEOF {
			t.Error(err)
		}
	})
}

// TestPair makes the frame of one kernel out of that of another one: OLD and NEW of
// DELTAUP_ZSTD_PAIR=OLD,NEW, two files with frames.
func TestPair(t *testing.T) {
	pair := strings.Split(os.Getenv("DELTAUP_ZSTD_PAIR"), ",")
	if len(pair) != 2 {
		t.Skip("DELTAUP_ZSTD_PAIR is not set")
	}
	var frames, contents, rewritten [2][]byte
	d, err := zstd.NewReader(nil, zstd.WithDecoderMaxWindow(1<<30))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	kernel, _ := transform.ByID(7)
	for i, name := range pair {
		if frames[i], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
		if contents[i], err = d.DecodeAll(frames[i], nil); err != nil {
			t.Fatal(err)
		}
		var ok bool
		if rewritten[i], ok = kernel.Forward(contents[i]); !ok {
			t.Fatal("no kernel")
		}
	}
	copies := resembling(rewritten[0], rewritten[1], len(contents[0]), len(contents[1]))
	begin := time.Now()
	step, err := makeStep(bytes.NewReader(frames[0]), bytes.NewReader(frames[1]), contents[1], copies)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("a step of %d bytes to a frame of %d: %v", len(step), len(frames[1]), time.Since(begin))
	copies, rewritten, contents[0] = nil, [2][]byte{}, nil
	debug.FreeOSMemory()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	begin = time.Now()
	h := sha256.New()
	err = applyStep(h, bytes.NewReader(frames[0]), step, contents[1], len(frames[1]))
	if err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if want := sha256.Sum256(frames[1]); !bytes.Equal(h.Sum(nil), want[:]) {
		t.Fatal("another frame")
	}
	allocated := (after.TotalAlloc - before.TotalAlloc) >> 20
	t.Logf("applied in %v; allocated %d MB", time.Since(begin), allocated)
}

// resembling gives where a rewritten kernel resembles another one, as a patch copies from it.
func resembling(old, new []byte, oldSize, newSize int) (copies []copied) {
	x := suffix.NewIndex(old, 0)
	for base := 0; base < len(new); base += suffix.NewMax {
		s := x.Search(new[base:min(base+suffix.NewMax, len(new))]).Diff(suffix.TextGain)
		number := func(stream int) int {
			v, n := binary.Uvarint(s[stream])
			s[stream] = s[stream][n:]
			return int(v)
		}
		at, q := base, 0
		for len(s[0]) > 0 {
			size, extra, seek := number(0), number(1), number(2)
			q += seek>>1 ^ -(seek & 1)
			if n := min(size, oldSize-q, newSize-at); n > 0 {
				copies = append(copies, copied{at, q, n})
			}
			at, q = at+size+extra, q+size
		}
	}
	return copies
}

package zstdparse

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"

	"deltaup/delta/transform/parsestep"
)

// pair gives two contents that differ as two builds of a program do: addresses differ, and a few
// functions are longer. copies leads from the second one to the first.
func pair(size int) (old, new []byte, copies []parsestep.Run) {
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
		c := parsestep.Run{New: len(new), Old: len(old)}
		for range 40 {
			w, a := words[rnd.IntN(len(words))], rnd.IntN(2000)
			old = append(append(old, w...), byte(a), byte(a>>8), 0)
			a += a / 9 * (i / 70)
			new = append(append(new, w...), byte(a), byte(a>>8), 0)
		}
		c.Size = len(new) - c.New
		copies = append(copies, c)
	}
	return old, new, copies
}

// TestStep makes frames out of old ones.
func TestStep(t *testing.T) {
	old, content, copies := pair(600_000)
	from := encode(t, old, zstd.SpeedBestCompression)
	frame := encode(t, content, zstd.SpeedBestCompression)
	for name, copies := range map[string][]parsestep.Run{"aligned": copies, "alone": nil} {
		step, err := MakeStep(from, frame, content, copies)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: a step of %d bytes to a frame of %d", name, len(step), len(frame))
		var out bytes.Buffer
		if err := applyAll(&out, from, step, content, len(frame)); err != nil {
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

// TestStepCopies: copies that are out of order, overlap by as little as a byte, or lie outside are
// refused.
func TestStepCopies(t *testing.T) {
	old, content, _ := pair(3_000)
	from, frame := encode(t, old, zstd.SpeedDefault), encode(t, content, zstd.SpeedDefault)
	for name, copies := range map[string][]parsestep.Run{
		"overlap":      {{New: 0, Old: 0, Size: 100}, {New: 99, Old: 200, Size: 100}},
		"out of order": {{New: 500, Old: 0, Size: 100}, {New: 0, Old: 200, Size: 100}},
		"behind":       {{New: 0, Old: 0, Size: len(content) + 1}},
		"old":          {{New: 0, Old: -1, Size: 100}},
		"far":          {{New: 0, Old: contentMax - 99, Size: 100}},
	} {
		if _, err := MakeStep(from, frame, content, copies); !errors.Is(err, errContent) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestStepKinds makes frames of every kind of block.
func TestStepKinds(t *testing.T) {
	for name, content := range corpus() {
		for level := zstd.SpeedFastest; level <= zstd.SpeedBestCompression; level++ {
			frame := encode(t, content, level)
			old := encode(t, content[:len(content)/2], level)
			copies := []parsestep.Run{{New: 0, Old: 0, Size: len(content) / 2}}
			step, err := MakeStep(old, frame, content, copies)
			if err != nil {
				t.Fatal(name, level, err)
			}
			var out bytes.Buffer
			if err := applyAll(&out, old, step, content, len(frame)); err != nil {
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
	step, err := MakeStep(old, frame, content, copies)
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
	err = applyAll(&out, old, read("step"), content, len(frame))
	if err != nil || !bytes.Equal(out.Bytes(), frame) {
		t.Errorf("another frame: %v", err)
	}
	t.Logf("a step of %d bytes to a frame of %d", len(step), len(frame))
	for i := 0; i < len(frame); i += 97 {
		out.Reset()
		err := applyAll(&out, old, step, content, i)
		if err == nil || out.Len() > i {
			t.Errorf("no more than %d bytes: %d, %v", i, out.Len(), err)
		}
	}
}

// overread is how many bytes behind the end of a step a reader may take.
const overread = 8

// TestStepDamaged cuts and changes a step everywhere. Where that goes unnoticed a frame of the same
// content may come out.
func TestStepDamaged(t *testing.T) {
	old, content, copies := pair(3_000)
	from, frame := encode(t, old, zstd.SpeedDefault), encode(t, content, zstd.SpeedDefault)
	step, err := MakeStep(from, frame, content, copies)
	if err != nil {
		t.Fatal(err)
	}
	for i := range step {
		b := bytes.Clone(step)
		b[i] ^= 1 << (i & 7)
		for _, b := range [][]byte{b, step[:i]} {
			var out bytes.Buffer
			err := applyAll(&out, from, b, content, 2*len(frame))
			if err == nil && bytes.Equal(out.Bytes(), frame) && i < len(step)-4-overread {
				t.Errorf("at %d: no difference", i)
			}
		}
	}
}

// FuzzStep runs a damaged step. Its tables are small, since it takes longer to clear those of a
// real step than to try a short input.
func FuzzStep(f *testing.F) {
	small := sizes{parsestep.Sizes{Slots: 10, Heads: 8, Window: 21}, 8}
	old, content, copies := pair(1_000)
	from, frame := encode(f, old, zstd.SpeedDefault), encode(f, content, zstd.SpeedDefault)
	step, err := small.makeStep(from, frame, content, copies)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(from, step, content)
	f.Add([]byte{}, step, content)
	f.Add(from, []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, from, step, content []byte) {
		var out bytes.Buffer
		const most = 1 << 16
		n, err := small.applyStep(&out, bytes.NewReader(from), int64(len(from)), step, content, most)
		if err == nil {
			if n > most || out.Len() != n {
				t.Errorf("a frame of %d bytes, %d are written", n, out.Len())
			}
			return
		}
		if !errors.Is(err, errCorrupt) && !errors.Is(err, errContent) && err != io.EOF &&
			err != io.ErrUnexpectedEOF {
			t.Error(err)
		}
	})
}

func applyAll(w io.Writer, old, step, content []byte, most int) error {
	_, err := ApplyStep(w, bytes.NewReader(old), int64(len(old)), step, content, most)
	return err
}

package lzmaparse

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"deltaup/delta/transform/parsestep"
	"deltaup/internal/test/oracle"
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
			old = append(append(old, w...), 0xe8, byte(a), byte(a>>8), 0, 0)
			a += a / 9 * (i / 70)
			new = append(append(new, w...), 0xe8, byte(a), byte(a>>8), 0, 0)
		}
		c.Size = len(new) - c.New
		copies = append(copies, c)
	}
	return old, new, copies
}

// xzOf gives what the real xz makes of plain.
func xzOf(t testing.TB, plain []byte, args string) []byte {
	t.Helper()
	cmd := exec.Command("xz", append([]string{"-T1", "--check=crc32", "-c"}, strings.Fields(args)...)...)
	cmd.Stdin = bytes.NewReader(plain)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(args, err)
	}
	return out
}

// parseOf gives the parse of a file.
func parseOf(t testing.TB, file []byte) *Parse {
	t.Helper()
	_, p, err := Unpack(file, 0, true)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestStep makes files out of old ones.
func TestStep(t *testing.T) {
	oracle.Need(t, "xz")
	old, content, copies := pair(200_000)
	const args = "--x86 --lzma2=dict=1MiB"
	from, file := xzOf(t, old, args), xzOf(t, content, args)
	for name, copies := range map[string][]parsestep.Run{"aligned": copies, "alone": nil} {
		step, err := MakeStep(parseOf(t, from), file, copies)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: a step of %d bytes to a file of %d", name, len(step), len(file))
		var out bytes.Buffer
		n, err := ApplyStep(&out, parseOf(t, from), step, bytes.Clone(content), len(file))
		if err != nil || n != len(file) || !bytes.Equal(out.Bytes(), file) {
			t.Fatalf("%s: another file, of %d bytes: %v", name, n, err)
		}
		if name == "aligned" && len(step) > len(file)/3 {
			t.Errorf("a step of %d bytes to a file of %d", len(step), len(file))
		}
	}
}

// TestStepKinds makes the files of all presets out of others.
func TestStepKinds(t *testing.T) {
	oracle.Need(t, "xz")
	for name, content := range corpus() {
		old := parseOf(t, fileOf(t, content[:(len(content)+1)/2]))
		copies := []parsestep.Run{{New: 0, Old: 0, Size: len(content) / 2}}
		for _, preset := range []int{0, 3, 6} {
			if name != "mixed" && preset > 0 {
				continue
			}
			file := xzOf(t, content, fmt.Sprintf("--x86 --lzma2=preset=%d,dict=1MiB", preset))
			step, err := MakeStep(old, file, copies)
			if err != nil {
				t.Fatal(name, preset, err)
			}
			var out bytes.Buffer
			if _, err := ApplyStep(&out, old, step, bytes.Clone(content), len(file)); err != nil {
				t.Fatal(name, preset, err)
			}
			if !bytes.Equal(out.Bytes(), file) {
				t.Fatalf("%s, %d: another file", name, preset)
			}
		}
	}
}

// TestStepCopies: copies that are out of order, overlap by as little as a byte, or lie outside are
// refused.
func TestStepCopies(t *testing.T) {
	old, content, _ := pair(3_000)
	from, file := parseOf(t, fileOf(t, old)), fileOf(t, content)
	for name, copies := range map[string][]parsestep.Run{
		"overlap":      {{New: 0, Old: 0, Size: 100}, {New: 99, Old: 200, Size: 100}},
		"out of order": {{New: 500, Old: 0, Size: 100}, {New: 0, Old: 200, Size: 100}},
		"behind":       {{New: 0, Old: 0, Size: len(content) + 1}},
		"old":          {{New: 0, Old: -1, Size: 100}},
		"far":          {{New: 0, Old: contentMax - 99, Size: 100}},
	} {
		if _, err := MakeStep(from, file, copies); !errors.Is(err, errContent) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestGolden: a step never changes.
func TestGolden(t *testing.T) {
	old, content, copies := pair(100_000)
	from, file := parseOf(t, fileOf(t, old)), fileOf(t, content)
	step, err := MakeStep(from, file, copies)
	if err != nil {
		t.Fatal(err)
	}
	const want = "85a3da3841b828a6b10c8907ad45556e4bd1342da5ed756b2dd6a05c7ef9786d"
	if sum := sha256.Sum256(step); hex.EncodeToString(sum[:]) != want {
		t.Errorf("another step, of %d bytes: %x", len(step), sum)
	}
	for i := 0; i < len(file); i += 1 + len(file)/5 {
		var out bytes.Buffer
		if _, err := ApplyStep(&out, from, step, bytes.Clone(content), i); err == nil || out.Len() > i {
			t.Errorf("no more than %d bytes: %d, %v", i, out.Len(), err)
		}
	}
}

// overread is how many bytes behind the end of a step a reader may take.
const overread = 8

// TestStepDamaged cuts and changes a step everywhere. Where that goes unnoticed a file of the same
// content may come out.
func TestStepDamaged(t *testing.T) {
	small := sizes{parsestep.Sizes{Slots: 12, Heads: 10, Window: 12}}
	old, content, copies := pair(3_000)
	from, file := parseOf(t, fileOf(t, old)), fileOf(t, content)
	step, err := small.makeStep(from, file, copies)
	if err != nil {
		t.Fatal(err)
	}
	for i := range step {
		b := bytes.Clone(step)
		b[i] ^= 1 << (i & 7)
		for _, b := range [][]byte{b, step[:i]} {
			var out bytes.Buffer
			_, err := small.applyStep(&out, from, b, bytes.Clone(content), 2*len(file))
			if err == nil && bytes.Equal(out.Bytes(), file) && i < len(step)-4-overread {
				t.Errorf("at %d: no difference", i)
			}
		}
	}
}

// FuzzStep runs a damaged step. Its tables are small, since it takes longer to clear those of a
// real step than to try a short input.
func FuzzStep(f *testing.F) {
	small := sizes{parsestep.Sizes{Slots: 10, Heads: 8, Window: 12}}
	old, content, copies := pair(1_000)
	from, file := fileOf(f, old), fileOf(f, content)
	step, err := small.makeStep(parseOf(f, from), file, copies)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(from, step, content)
	f.Add(from, []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, from, step, content []byte) {
		if _, size, _ := Size(from); size > 1<<20 {
			return
		}
		_, p, err := Unpack(from, 0, true)
		if err != nil {
			p = &Parse{}
		}
		var out bytes.Buffer
		const most = 1 << 16
		n, err := small.applyStep(&out, p, step, content, most)
		if err == nil && (n > most || out.Len() != n) {
			t.Errorf("a file of %d bytes, %d are written", n, out.Len())
		}
		if err != nil && !errors.Is(err, errCorrupt) && !errors.Is(err, errContent) {
			t.Error(err)
		}
	})
}

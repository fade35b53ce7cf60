package lz4hc

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pierrec/lz4/v4"

	"deltaup/internal/test/effort"
	"deltaup/internal/test/oracle"
)

// corpus is a set of contents that lead to every kind of match, run, cut and end of a block.
func corpus() map[string][]byte {
	rnd := rand.NewChaCha8([32]byte{5})
	random := make([]byte, 150_000)
	rnd.Read(random)
	var text []byte
	for i := range 8_000 {
		text = fmt.Appendf(text, "%d bottles of %x\n", i%977, random[i%300:i%300+i%9])
	}
	var runs []byte // of one byte, of all lengths, apart and at once
	for i := range 3_000 {
		runs = append(runs, bytes.Repeat([]byte{random[i] & 1}, int(random[i+1])>>(random[i+2]&7))...)
		runs = append(runs, random[i:i+int(random[i+3]&3)]...)
	}
	// The second of three matches is cut to less than a match, and that decides.
	rest := rand.New(rand.NewPCG(12173, 7))
	period := func(n int) []byte { return bytes.Repeat(random[:n], 70_000/n) }
	return map[string][]byte{
		"one": {1}, "short": []byte("hello, hello, hello, hello"), "zeros": make([]byte, 140_000),
		"random": random, "text": text, "runs": runs, "two": period(2), "three": period(3),
		"four": period(4), "seven": period(7), "many": period(999),
		"far": slices.Concat(text[:20_000], random[:70_000], text[:20_000], random[:45_000],
			text[:20_000], make([]byte, 70_000), text[:20_000]),
		"mixed": mixed(rand.New(rnd), 200_000),
		"end":   text[:43], // its last match begins as late as it may
		"rest":  mixed(rest, 3_000+rest.IntN(30_000)),
	}
}

// mixed makes content of what encoders decide about: literals of few kinds, runs, and copies of
// what came before, near and far, exact and not.
func mixed(rnd *rand.Rand, size int) []byte {
	b := make([]byte, 0, size)
	kinds, long := 1+rnd.IntN(256), 1<<rnd.IntN(12)
	for len(b) < size {
		n := min(1+rnd.IntN(long), size-len(b))
		switch rnd.IntN(6) {
		case 0:
			for range min(n, 1+rnd.IntN(30)) {
				b = append(b, byte(rnd.IntN(kinds)))
			}
		case 1:
			b = append(b, bytes.Repeat([]byte{byte(rnd.IntN(3))}, n)...)
		default:
			if len(b) == 0 {
				continue
			}
			distance := 1 + rnd.IntN(min(len(b), 1<<(1+rnd.IntN(17))))
			for range n {
				b = append(b, b[len(b)-distance])
			}
			if rnd.IntN(3) == 0 {
				b[len(b)-1-rnd.IntN(n)]++
			}
		}
	}
	return b
}

// lz4Frames gives what the real lz4 makes of contents. It skips the test without lz4 1.9.4, or
// fails it when all oracles must be there.
func lz4Frames(t testing.TB, level int, contents [][]byte) (frames [][]byte) {
	version, err := exec.Command(oracle.Need(t, "lz4"), "--version").CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(version, []byte("v1.9.4,")) {
		t.Skipf("another version: %s", version)
	}
	dir := t.TempDir()
	args := []string{"-l", fmt.Sprint("-", level), "-q", "-m"}
	for i, b := range contents {
		name := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	if out, err := exec.Command("lz4", args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for i := range contents {
		b, err := os.ReadFile(filepath.Join(dir, fmt.Sprint(i, ".lz4")))
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, b)
	}
	return frames
}

func encode(t testing.TB, plain []byte, level int) []byte {
	var b bytes.Buffer
	w, err := NewWriter(&b, level)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := w.Write(plain); n != len(plain) || err != nil {
		t.Fatal(n, err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// decode gives the content of a frame, which has at most so many bytes.
func decode(frame []byte, most int) (plain []byte, err error) {
	room := make([]byte, min(most, blockSize))
	for b := frame[len(magic):]; len(b) > 0; {
		size := 4 + binary.LittleEndian.Uint32(b)
		n, err := lz4.UncompressBlock(b[4:size], room)
		if err != nil {
			return nil, err
		}
		plain, b = append(plain, room[:n]...), b[size:]
	}
	return plain, nil
}

// compare demands that each content gives lz4's frame at each level.
func compare(t *testing.T, levels []int, contents [][]byte, names []string) {
	t.Helper()
	for _, level := range levels {
		for i, want := range lz4Frames(t, level, contents) {
			name := fmt.Sprint(i)
			if names != nil {
				name = names[i]
			}
			got := encode(t, contents[i], level)
			if !bytes.Equal(got, want) {
				t.Errorf("%s, %d bytes, level %d: %d bytes, lz4 has %d", name, len(contents[i]), level,
					len(got), len(want))
			}
		}
	}
}

var allLevels = []int{9, 12, 3, 10, 8, 11, 4, 5, 6, 7}

// levels are those that are compared with lz4: in a long run all, else the ends of both algorithms.
func levels() []int { return allLevels[:min(len(allLevels), effort.Times(len(allLevels))+1)] }

func TestEqualsLZ4(t *testing.T) {
	var names []string
	var contents [][]byte
	for name, b := range corpus() {
		names, contents = append(names, name), append(contents, b)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, levels(), append(contents, nil, program[:600_000]), append(names, "empty", "program"))
}

// TestEnds has blocks of few bytes, and around 64 KiB, where the first positions get out of reach.
func TestEnds(t *testing.T) {
	c := corpus()
	var few, many [][]byte
	for _, b := range [][]byte{c["text"], c["runs"]} {
		for n := range 100 {
			few = append(few, b[:n])
		}
		for n := 1<<16 - 16; n < 1<<16+16; n += 2 {
			many = append(many, b[:n])
		}
	}
	compare(t, []int{9, 12}, few, nil)
	compare(t, []int{9}, many, nil)
}

func TestRandom(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 0))
	contents := make([][]byte, effort.Times(90))
	for i := range contents {
		contents[i] = mixed(rnd, rnd.IntN(1<<(4+rnd.IntN(14))))
	}
	compare(t, levels(), contents, nil)
	if t.Failed() {
		t.Log("seed", seed)
	}
}

// TestBlocks has contents around one block and two.
func TestBlocks(t *testing.T) {
	if testing.Short() {
		t.Skip("takes megabytes")
	}
	plain := bytes.Repeat(corpus()["text"], 2*blockSize/100_000)
	var contents [][]byte
	for _, n := range []int{blockSize + 1, blockSize, 2 * blockSize} {
		contents = append(contents, plain[:n])
	}
	compare(t, []int{3}, contents, nil)
	compare(t, []int{9}, contents[:1], nil)
}

// TestWrites demands the same frame however the content is cut into writes.
func TestWrites(t *testing.T) {
	plain := slices.Concat(corpus()["text"], make([]byte, blockSize), corpus()["random"])
	want := encode(t, plain, 9)
	for _, n := range []int{4093, 1<<20 + 1, blockSize} {
		var b bytes.Buffer
		w, err := NewWriter(&b, 9)
		if err != nil {
			t.Fatal(err)
		}
		for part := range slices.Chunk(plain, n) {
			if _, err := w.Write(part); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil || !bytes.Equal(b.Bytes(), want) {
			t.Errorf("writes of %d: %d bytes, not %d: %v", n, b.Len(), len(want), err)
		}
	}
}

// TestGolden pins the encoder's frames, for machines without lz4.
func TestGolden(t *testing.T) {
	const want = "d2194f936ebce72707f61b11d157920bf940b599c79e8545495d6db494dce355"
	c := corpus()
	h := sha256.New()
	for _, name := range strings.Fields("one short zeros random text runs many far mixed end rest") {
		for level := minLevel; level <= maxLevel; level++ {
			h.Write(encode(t, c[name], level))
		}
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("frames have the hash %s", got)
	}
}

func TestLevels(t *testing.T) {
	for _, level := range []int{-1, 0, 1, 2, 13} {
		if _, err := NewWriter(io.Discard, level); err != errLevel {
			t.Errorf("%d: %v", level, err)
		}
	}
}

// TestMemory holds a Writer to the memory that its comment promises.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("for the race detector append allocates what it appends, too")
	}
	plain := make([]byte, 2*blockSize)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	w, err := NewWriter(io.Discard, 9)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 17<<20 {
		t.Errorf("%d bytes allocated", took)
	}
}

// TestStops demands that the first error of the writer below stays.
func TestStops(t *testing.T) {
	for room := range 3 {
		w, err := NewWriter(&failing{room}, 9)
		if err == nil {
			_, err = w.Write(make([]byte, blockSize+1))
			if again := w.Close(); err != nil && again != err || err == nil && room < 2 {
				t.Errorf("%d writes: %v, then %v", room, err, again)
			}
			err = w.Close()
		}
		if err != io.ErrShortWrite {
			t.Errorf("%d writes: error of the writer lost: %v", room, err)
		}
	}
}

// failing takes so many writes.
type failing struct{ room int }

func (f *failing) Write(p []byte) (int, error) {
	if f.room--; f.room < 0 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

// FuzzEncode demands that every frame decompresses to what went in.
func FuzzEncode(f *testing.F) {
	for _, b := range corpus() {
		for _, level := range allLevels {
			f.Add(b[:min(len(b), 2_000+level)], byte(level))
		}
	}
	f.Fuzz(func(t *testing.T, plain []byte, level byte) {
		l := minLevel + int(level)%(maxLevel-minLevel+1)
		frame := encode(t, plain, l)
		if back, err := decode(frame, len(plain)); err != nil || !bytes.Equal(back, plain) {
			t.Fatalf("level %d: %d bytes came back, %d went in: %v", l, len(back), len(plain), err)
		}
	})
}

// BenchmarkWriter encodes the test program, and tells how many times as long as the real lz4 it
// takes.
func BenchmarkWriter(b *testing.B) {
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	program, err := os.ReadFile(exe)
	if err != nil {
		b.Fatal(err)
	}
	for _, level := range []int{9, 3, 12} {
		b.Run(fmt.Sprint(level), func(b *testing.B) {
			b.SetBytes(int64(len(program)))
			for b.Loop() {
				encode(b, program, level)
			}
			ours := b.Elapsed() / time.Duration(b.N)
			cmd := exec.Command("lz4", "-l", fmt.Sprint("-", level), "-q", "-c")
			cmd.Stdin = bytes.NewReader(program)
			began := time.Now()
			if err := cmd.Run(); err == nil {
				b.ReportMetric(float64(ours)/float64(time.Since(began)), "of-lz4")
			}
		})
	}
}

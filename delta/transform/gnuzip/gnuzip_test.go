package gnuzip

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"testing"
	"testing/iotest"

	"deltaup/internal/test/effort"
	"deltaup/internal/test/oracle"
)

// corpus is a set of contents that lead to every kind of block, match and end of input.
func corpus(t testing.TB) map[string][]byte {
	rnd := rand.NewChaCha8([32]byte{7})
	random := make([]byte, 200_000)
	rnd.Read(random)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	program = program[:500_000]
	far := bytes.Clone(random)
	copy(far[40_000:], far[:10_000]) // beyond the window
	copy(far[80_000:], far[50_000:80_000])
	var text []byte
	for i := range 40_000 {
		text = fmt.Appendf(text, "%d bottles of %x\n", i%977, random[i%300:i%300+i%9])
	}
	skewed := make([]byte, 300_000) // Fibonacci frequencies: overlong codes
	for i := range skewed {
		for n := random[i%len(random)] ^ byte(i>>9); n&1 == 1 && skewed[i] < 30; n = n>>1 | random[(i*7)%len(random)]<<7 {
			skewed[i]++
		}
	}
	c := map[string][]byte{
		"empty": nil, "one": {1}, "three": []byte("aaa"), "short": []byte("hello, hello, hello"),
		"zeros": make([]byte, 100_000), "random": random, "program": program, "far": far, "text": text, "skewed": skewed,
	}
	for _, n := range []int{257, 258, 259, 262, 32506, 32768, 65273, 65274, 65275, 65276, 65535, 65536, 65537, 98304} {
		c[fmt.Sprint("text", n)] = text[:n]
		c[fmt.Sprint("random", n)] = random[:n]
		c[fmt.Sprint("program", n)] = program[300_000 : 300_000+n]
		c[fmt.Sprint("zeros", n)] = make([]byte, n)
		c[fmt.Sprint("end", n)] = append(bytes.Clone(text[:n-100]), text[500:600]...)
	}
	return c
}

func encode(t testing.TB, plain []byte, p Params) []byte {
	var b bytes.Buffer
	if err := Encode(&b, plain, p); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestEqualsGzip(t *testing.T) {
	oracle.Need(t, "gzip")
	for name, plain := range small(corpus(t)) {
		file := t.TempDir() + "/plain"
		if err := os.WriteFile(file, plain, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, level := range levels() {
			want, err := exec.Command("gzip", fmt.Sprintf("-%dnc", level), file).Output()
			if err != nil {
				t.Fatal(err)
			}
			got := encode(t, plain, Params{GNU, level})
			if !bytes.Equal(got, want[10:len(want)-8]) {
				t.Errorf("%s, level %d: %d bytes, gzip has %d", name, level, len(got), len(want)-18)
			}
		}
	}
}

// small leaves out, in short mode, the contents that take long.
func small(c map[string][]byte) map[string][]byte {
	if testing.Short() {
		maps.DeleteFunc(c, func(_ string, b []byte) bool { return len(b) > 100_000 })
	}
	return c
}

// levels are those that are compared with the oracles: in a long run all, else the ends of the two
// algorithms and the default.
func levels() (levels []int) {
	for i, level := range []int{6, 9, 1, 4, 2, 3, 5, 7, 8} {
		if i < effort.Times(9)+1 {
			levels = append(levels, level)
		}
	}
	return levels
}

// zlibScript deflates its input at all levels and writes each stream after its length.
const zlibScript = `
import sys, zlib, struct
plain = sys.stdin.buffer.read()
for level in range(1, 10):
    c = zlib.compressobj(level, zlib.DEFLATED, -15, 8)
    out = c.compress(plain) + c.flush()
    sys.stdout.buffer.write(struct.pack("<I", len(out)) + out)
`

func TestEqualsZlib(t *testing.T) {
	oracle.Need(t, "python3")
	for name, plain := range small(corpus(t)) {
		cmd := exec.Command("python3", "-c", zlibScript)
		cmd.Stdin = bytes.NewReader(plain)
		all, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		for level := 1; level <= 9; level++ {
			n := int(all[0]) | int(all[1])<<8 | int(all[2])<<16 | int(all[3])<<24
			want := all[4 : 4+n]
			all = all[4+n:]
			if !slices.Contains(levels(), level) {
				continue
			}
			if got := encode(t, plain, Params{Zlib, level}); !bytes.Equal(got, want) {
				t.Errorf("%s, level %d: %d bytes, zlib has %d", name, level, len(got), len(want))
			}
		}
	}
}

// TestGolden pins the encoder's streams, for machines without the oracles.
func TestGolden(t *testing.T) {
	const want = "07cbb52195a70978e52ca881542fcf8cc2c7295776abc33f89fb9b7dee889451"
	c := corpus(t)
	h := sha256.New()
	for _, name := range []string{"empty", "short", "zeros", "random", "far", "text", "skewed", "end65275"} {
		for level := 1; level <= 9; level++ {
			h.Write(encode(t, c[name], Params{GNU, level}))
			h.Write(encode(t, c[name], Params{Zlib, level}))
		}
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("streams have the hash %s", got)
	}
}

func TestParams(t *testing.T) {
	for _, p := range []Params{{GNU, 0}, {GNU, 10}, {Zlib, -1}, {2, 6}} {
		if err := Encode(io.Discard, nil, p); err != errParams {
			t.Errorf("%v: %v", p, err)
		}
	}
}

// TestStops demands that Encode stops at the first error of its writer.
func TestStops(t *testing.T) {
	w := &failing{}
	if err := Encode(w, make([]byte, 1<<20), Params{GNU, 6}); err != io.ErrShortWrite {
		t.Errorf("error of the writer lost: %v", err)
	}
}

type failing struct{}

func (*failing) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// FuzzEncode demands that every stream decompresses to what went in.
func FuzzEncode(f *testing.F) {
	for _, b := range corpus(f) {
		f.Add(b[:min(len(b), 2_000)], byte(9)) // TestEqualsGzip has the long ones
	}
	f.Fuzz(func(t *testing.T, plain []byte, choice byte) {
		p := Params{Family(choice >> 4 & 1), int(choice&15)%9 + 1}
		got, err := io.ReadAll(flate.NewReader(bytes.NewReader(encode(t, plain, p))))
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%v: %d bytes came back, %d went in: %v", p, len(got), len(plain), err)
		}
	})
}

// TestEncodeFrom reads in pieces, and fails where its input does.
func TestEncodeFrom(t *testing.T) {
	plain := corpus(t)["text"]
	failure := errors.New("cable pulled")
	for _, p := range []Params{{GNU, 9}, {Zlib, 6}, {GNU, 1}} {
		var b bytes.Buffer
		if err := EncodeFrom(&b, iotest.HalfReader(bytes.NewReader(plain)), p); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b.Bytes(), encode(t, plain, p)) {
			t.Errorf("%v: pieces make another stream", p)
		}
		in := io.MultiReader(bytes.NewReader(plain[:100_000]), iotest.ErrReader(failure))
		if err := EncodeFrom(io.Discard, in, p); !errors.Is(err, failure) {
			t.Errorf("%v: error %v", p, err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	text := corpus(b)["program"]
	for _, p := range []Params{{GNU, 9}, {Zlib, 6}} {
		b.Run(fmt.Sprint(p), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if err := Encode(io.Discard, text, p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

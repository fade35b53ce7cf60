package xzutils

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"deltaup/internal/test/effort"
	"deltaup/internal/test/oracle"
)

func TestEqualsXZ(t *testing.T) {
	oracle.Need(t, "xz")
	all := settings()
	if testing.Short() {
		all = all[:3]
	}
	for name, plain := range corpus() {
		for i, s := range all {
			if s.params.lzma.dict > 1<<23 && name != "far" && !effort.Takes(i+len(name)) {
				continue // its tables take long to clear
			}
			want := xzOf(t, plain, s.args)
			if got := encode(t, plain, s.params); !bytes.Equal(got, want) {
				t.Errorf("%s, %s: %d bytes, xz has %d", name, s.args, len(got), len(want))
			}
		}
	}
}

// TestFind takes files of the real xz apart and demands that their parameters give them again.
func TestFind(t *testing.T) {
	oracle.Need(t, "xz")
	c := corpus()
	for _, s := range settings()[:11+4] {
		for _, name := range []string{"empty", "one", "code", "text"} {
			file := xzOf(t, c[name], s.args)
			plain, err := Decompress(file, testLimits)
			if err != nil || !bytes.Equal(plain, c[name]) {
				t.Errorf("%s, %s: %d bytes: %v", name, s.args, len(plain), err)
				continue
			}
			if begin := Begin(file, 10, testLimits); !bytes.HasPrefix(plain, begin) ||
				len(begin) != min(10, len(plain)) {
				t.Errorf("%s, %s: begins with %q", name, s.args, begin)
			}
			p, ok := Find(file, plain, testLimits)
			if !ok {
				t.Errorf("%s, %s: not found", name, s.args)
			} else if !bytes.Equal(encode(t, plain, p), file) {
				t.Errorf("%s, %s: %v gives another file", name, s.args, p)
			}
		}
	}
}

// TestOthers demands that files that are not liblzma's are not found, and that this shows soon.
func TestOthers(t *testing.T) {
	plain := corpus()["text"]
	p := Params{check: checkCRC32, lzma: preset(0, 20)}
	p.lzma.nice = 50 // no preset's
	file := encode(t, plain, p)
	if back, err := Decompress(file, testLimits); err != nil || !bytes.Equal(back, plain) {
		t.Fatal(err)
	}
	if p, ok := Find(file, plain, testLimits); ok {
		t.Errorf("found %v", p)
	}
	if _, ok := Find(file, plain[1:], testLimits); ok {
		t.Error("found with another content")
	}
	if _, err := Decompress(append(file, file...), testLimits); err == nil {
		t.Error("two streams are accepted")
	}
	for _, l := range []Limits{{int64(len(plain)) - 1, 1 << 30}, {1 << 30, 1 << 20}} {
		if _, err := Decompress(file, l); err == nil {
			t.Errorf("beyond %v", l)
		}
	}
}

// TestShortBlocks demands that blocks for which all tables would be cleared again and again are
// refused, and longer ones are not.
func TestShortBlocks(t *testing.T) {
	plain := corpus()["text"][:5000]
	p := Params{check: checkCRC32, lzma: preset(0, 20)}
	p.blockSize = (hashMemory(p.lzma) + maxCleared - 1) / maxCleared
	file := encode(t, plain, p)
	if found, ok := Find(file, plain, testLimits); !ok || found != p {
		t.Errorf("found %v, %v, not %v", found, ok, p)
	}
	p.blockSize--
	if err := Encode(io.Discard, plain, p); err != errParams {
		t.Errorf("blocks of %d bytes: %v", p.blockSize, err)
	}
	if _, _, err := Parse(p.Append(nil)); err != errParams {
		t.Errorf("parameters with blocks of %d bytes: %v", p.blockSize, err)
	}
}

// TestDamagedHeads damages each byte of headers, index and footer: nothing panics.
func TestDamagedHeads(t *testing.T) {
	for _, sized := range []bool{false, true} {
		p := Params{check: checkCRC32, lzma: preset(0, 20)}
		if p.sized = sized; sized {
			p.blockSize = 1 << 20
		}
		file := encode(t, corpus()["short"], p)
		for i := range file {
			for _, value := range []byte{0, 1, 2, 0x21, 0x7f, 0x80, 0xfe, 0xff} {
				b := bytes.Clone(file)
				b[i] = value
				if plain, err := Decompress(b, testLimits); err == nil {
					Find(b, plain, testLimits)
				}
				Begin(b, 10, testLimits)
			}
		}
	}
}

// TestStored has blocks that a thread stores because they do not fit when compressed.
func TestStored(t *testing.T) {
	oracle.Need(t, "xz")
	if testing.Short() {
		t.Skip("takes megabytes")
	}
	plain := make([]byte, 12<<20)
	rand.NewChaCha8([32]byte{1}).Read(plain)
	p := Params{check: checkCRC32, lzma: preset(8, 16), sized: true, blockSize: 12<<20 - 100}
	want := xzOf(t, plain, "-T2 -0 --check=crc32 --lzma2=preset=0,dict=64KiB --block-size=12582812")
	if !bytes.Equal(encode(t, plain, p), want) {
		t.Error("other bytes than xz's")
	}
}

// TestGolden pins the encoder's files, for machines without xz.
func TestGolden(t *testing.T) {
	const want = "77a4a6cd1b27c76ee245101f0b93296ab92b70a1fb13768f21306855c00272d1"
	c := corpus()
	h := sha256.New()
	for _, name := range []string{"empty", "one", "short", "zeros", "random", "text", "code", "rare"} {
		for _, s := range settings() {
			s.params.lzma.dict = min(s.params.lzma.dict, 1<<16)
			h.Write(encode(t, c[name][:min(len(c[name]), 30_000)], s.params))
		}
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("files have the hash %s", got)
	}
}

func TestParams(t *testing.T) {
	for _, s := range settings() {
		b := s.params.Append(nil)
		p, rest, err := Parse(append(b, 7))
		if err != nil || p != s.params || !bytes.Equal(rest, []byte{7}) {
			t.Errorf("%s: %v, %v, %v", s.args, p, rest, err)
		}
		for i := range b {
			if _, _, err := Parse(b[:i]); err == nil {
				t.Errorf("%s: %d bytes are enough", s.args, i)
			}
		}
	}
	for i, bad := range []func(p *Params){
		func(p *Params) { *p = Params{} },
		func(p *Params) { p.check = 2 },
		func(p *Params) { p.sized = true },
		func(p *Params) { p.blockSize = maxContent + 1 },
		func(p *Params) { p.blockSize = 1 },
		func(p *Params) { p.lzma.lc, p.lzma.lp = 3, 2 },
		func(p *Params) { p.lzma.pb = 5 },
		func(p *Params) { p.lzma.finder = 0x15 },
		func(p *Params) { p.lzma.nice = 3 },
		func(p *Params) { p.lzma.nice = 274 },
		func(p *Params) { p.lzma.depth = 0 },
		func(p *Params) { p.lzma.depth = maxDepth + 1 },
		func(p *Params) { p.lzma.dict = 3 << 29 << 1 },
	} {
		p := settings()[0].params
		bad(&p)
		if err := Encode(io.Discard, nil, p); err != errParams {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// TestMemory holds Encode to what Memory tells.
func TestMemory(t *testing.T) {
	plain := corpus()["far"]
	for _, s := range settings() {
		if s.params.lzma.dict > 1<<23 {
			continue
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := Encode(io.Discard, plain, s.params); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		took, most := int64(after.TotalAlloc-before.TotalAlloc), s.params.Memory(int64(len(plain)))
		if took > most {
			t.Errorf("%s: %d bytes allocated, promised %d", s.args, took, most)
		}
	}
}

// TestStops demands that Encode stops at the first error of its writer.
func TestStops(t *testing.T) {
	for _, s := range settings() {
		if err := Encode(&failing{}, make([]byte, 1<<18), s.params); err != io.ErrShortWrite {
			t.Errorf("%s: error of the writer lost: %v", s.args, err)
		}
	}
}

type failing struct{ n int }

func (f *failing) Write(p []byte) (int, error) {
	if f.n += len(p); f.n > 30 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

// BenchmarkEncode encodes the test program, and tells how many times as long as the real xz it
// takes.
func BenchmarkEncode(b *testing.B) {
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	program, err := os.ReadFile(exe)
	if err != nil {
		b.Fatal(err)
	}
	program = program[:1<<20]
	for _, s := range settings()[:4] {
		b.Run(strings.ReplaceAll(s.args, " ", ""), func(b *testing.B) {
			b.SetBytes(int64(len(program)))
			for b.Loop() {
				if err := Encode(io.Discard, program, s.params); err != nil {
					b.Fatal(err)
				}
			}
			ours := b.Elapsed() / time.Duration(b.N)
			if _, err := exec.LookPath("xz"); err == nil {
				began := time.Now()
				xzOf(b, program, s.args)
				b.ReportMetric(float64(ours)/float64(time.Since(began)), "of-xz")
			}
		})
	}
}

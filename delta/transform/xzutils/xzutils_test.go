package xzutils

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"deltaup/internal/test/effort"
)

// corpus is a set of contents that lead to every kind of symbol, chunk and end of input.
func corpus() map[string][]byte {
	rnd := rand.NewChaCha8([32]byte{9})
	random := make([]byte, 140_000)
	rnd.Read(random)
	var text []byte
	for i := range 6_000 {
		text = fmt.Appendf(text, "%d bottles of %x\n", i%977, random[i%300:i%300+i%9])
	}
	code := make([]byte, 0, 120_000) // calls, as the x86 filter sees them, near each other and far
	for i := 0; len(code) < 120_000; i++ {
		b := random[i%100_000:]
		code = append(code, b[:b[0]%11]...)
		code = append(code, 0xe8+b[1]&1, b[2], b[3], b[4]&1, -(b[5] & 1))
	}
	rare := bytes.Clone(random) // chunks of which a few symbols are matches
	for i := 0; i+500 < len(rare); i += 450 {
		copy(rare[i:i+7], rare[i/2:])
	}
	far := slices.Concat(text, random, text, make([]byte, 30_000), random)
	return map[string][]byte{
		"empty": nil, "one": {1}, "two": {1, 1}, "short": []byte("hello, hello, hello"),
		"zeros": make([]byte, 70_000), "random": random, "text": text, "code": code,
		"rare": rare, "far": far, "ones": slices.Repeat([]byte{1}, 273*3+1),
	}
}

// setting is a way to call xz and the parameters that stand for it.
type setting struct {
	args   string
	params Params
}

func preset(i int, log uint8) options {
	o := presets[i]
	o.dict = 1 << log
	return o
}

// settings are all presets, and every parameter beside them.
func settings() []setting {
	const crc64, crc32 = checkCRC64, checkCRC32
	small := preset(0, 16)
	with := func(change func(o *options)) Params {
		o := small
		change(&o)
		return Params{check: crc64, lzma: o}
	}
	return []setting{
		{"-6", Params{check: crc64, lzma: preset(0, 23)}},
		{"-T2 --check=crc32 --lzma2=dict=1MiB",
			Params{check: crc32, lzma: preset(0, 20), sized: true, blockSize: 3 << 20}},
		{"-1", Params{check: crc64, lzma: preset(7, 20)}},
		{"-9e", Params{check: crc64, lzma: preset(1, 26)}},
		{"-0", Params{check: crc64, lzma: preset(8, 18)}},
		{"-2 --check=none", Params{check: checkNone, lzma: preset(6, 21)}},
		{"-3 --check=sha256", Params{check: checkSHA256, lzma: preset(5, 22)}},
		{"-4", Params{check: crc64, lzma: preset(3, 22)}},
		{"-5", Params{check: crc64, lzma: preset(2, 23)}},
		{"-5e", Params{check: crc64, lzma: preset(4, 23)}},
		{"-7", Params{check: crc64, lzma: preset(0, 24)}},
		{"-T2 --block-size=65536 --lzma2=dict=64KiB",
			Params{check: crc64, lzma: small, sized: true, blockSize: 1 << 16}},
		{"--block-size=60000 --lzma2=dict=64KiB",
			Params{check: crc64, lzma: small, blockSize: 60000}},
		{"--x86 --check=crc32 --lzma2=dict=64KiB",
			Params{check: crc32, lzma: small, x86: true}},
		{"--x86 --lzma2=dict=64KiB -T2 --block-size=50000",
			Params{check: crc64, lzma: small, x86: true, sized: true, blockSize: 50000}},
		{"--lzma2=dict=4KiB", with(func(o *options) { o.dict = 4 << 10 })},
		{"--lzma2=dict=96KiB,lc=0,lp=2,pb=0", with(func(o *options) {
			o.dict, o.lc, o.lp, o.pb = 96<<10, 0, 2, 0
		})},
		{"--lzma2=dict=64KiB,lc=4,pb=4,mf=bt2", with(func(o *options) {
			o.lc, o.pb, o.finder = 4, 4, trees2
		})},
		{"--lzma2=dict=64KiB,mf=bt3,nice=20,depth=7", with(func(o *options) {
			o.finder, o.nice, o.depth = trees3, 20, 7
		})},
		{"--lzma2=dict=64KiB,mf=hc4,mode=normal,nice=4", with(func(o *options) {
			o.finder, o.nice, o.depth = chains4, 4, 5
		})},
		{"--lzma2=dict=64KiB,mf=bt4,mode=fast,nice=273", with(func(o *options) {
			o.normal, o.nice, o.depth = false, 273, 16+273/2
		})},
	}
}

// need skips a test whose oracle is missing, or fails it when all oracles must be there.
func need(t testing.TB, tool string) {
	if _, err := exec.LookPath(tool); err != nil {
		if os.Getenv("DELTAUP_TEST_ALL") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

// xz gives what the real xz makes of plain.
func xzOf(t testing.TB, plain []byte, args string) []byte {
	cmd := exec.Command("xz", append(strings.Fields(args), "-c")...)
	if !strings.Contains(args, "-T") {
		cmd.Args = append(cmd.Args, "-T1")
	}
	cmd.Stdin = bytes.NewReader(plain)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(args, err)
	}
	return out
}

func encode(t testing.TB, plain []byte, p Params) []byte {
	var b bytes.Buffer
	if err := Encode(&b, plain, p); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var testLimits = Limits{Content: 1 << 24, Memory: 1 << 30}

func TestEqualsXZ(t *testing.T) {
	need(t, "xz")
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
	need(t, "xz")
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
	need(t, "xz")
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

// FuzzEncode demands that every file decompresses to what went in, and that Find knows it again.
func FuzzEncode(f *testing.F) {
	all := settings()
	for _, b := range corpus() {
		for i := range all {
			f.Add(b[:min(len(b), 1000+i)], byte(i))
		}
	}
	f.Fuzz(func(t *testing.T, plain []byte, choice byte) {
		p := all[int(choice)%len(all)].params
		p.lzma.dict = min(p.lzma.dict, 1<<20)
		file := encode(t, plain, p)
		back, err := Decompress(file, testLimits)
		if err != nil || !bytes.Equal(back, plain) {
			t.Fatalf("%v: %d bytes came back, %d went in: %v", p, len(back), len(plain), err)
		}
		if found, ok := Find(file, plain, testLimits); ok &&
			!bytes.Equal(encode(t, plain, found), file) {
			t.Fatalf("%v gives another file than %v", found, p)
		}
	})
}

// FuzzFile demands that damaged files and parameters give errors within the limits.
func FuzzFile(f *testing.F) {
	limits := Limits{Content: 1 << 18, Memory: 4 << 20}
	for i, s := range settings() {
		p := s.params
		p.lzma.dict = min(p.lzma.dict, 1<<16)
		f.Add(encode(f, corpus()["code"][:500+i], p))
		f.Add(p.Append(nil))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		if p, rest, err := Parse(file); err == nil {
			if again := p.Append(nil); len(again)+len(rest) > len(file) {
				t.Fatalf("%v has %d bytes", p, len(again))
			}
			if p.Memory(int64(len(rest))) <= limits.Memory {
				encode(t, rest, p)
			}
		}
		Begin(file, 64, limits)
		plain, err := Decompress(file, limits)
		if err != nil {
			return
		}
		if int64(len(plain)) > limits.Content {
			t.Fatalf("%d bytes", len(plain))
		}
		if p, ok := Find(file, plain, limits); ok && !bytes.Equal(encode(t, plain, p), file) {
			t.Fatalf("%v gives another file", p)
		}
	})
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

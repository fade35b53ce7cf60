package transform

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"

	"deltaup/delta/transform/gnuzip"
	"deltaup/delta/transform/xzutils"
)

// packings are the transforms of bzImages, with what packs their payloads here.
var packings = map[uint8]func(t testing.TB, plain []byte) []byte{
	idVmlinuz: func(t testing.TB, plain []byte) []byte {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression),
			zstd.WithEncoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		return e.EncodeAll(plain, nil)
	},
	idVmlinuzXZ: func(t testing.TB, plain []byte) []byte {
		// As of xz --check=crc32 --x86 --lzma2=dict=64KiB, with the search of its preset 6.
		p, _, err := xzutils.Parse([]byte{1 | 1<<4 | 1<<6, 8, 2*45 + 3, 0x14, 64, 0, 48, 0, 0})
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := xzutils.Encode(&b, plain, p); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	},
	idVmlinuzLZ4: func(t testing.TB, plain []byte) []byte {
		var b bytes.Buffer
		if err := encodeLZ4(&b, plain, 9); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	},
	idVmlinuzGzip: func(t testing.TB, plain []byte) []byte {
		b := bytes.NewBuffer([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3}) // as gzip -n -9
		if err := gnuzip.Encode(b, plain, gnuzip.Params{Family: gnuzip.GNU, Level: 9}); err != nil {
			t.Fatal(err)
		}
		return le.AppendUint32(b.Bytes(), crc32.ChecksumIEEE(plain))
	},
}

func packingOf(id uint8) vmlinuz { return registry[id].(vmlinuz) }

// testVmlinuz is a bzImage with a kernel in it.
func testVmlinuz(t testing.TB, id, version byte, plain []byte) []byte {
	t.Helper()
	const sectors, offset = 3, 700
	b := make([]byte, (1+sectors)*512+offset)
	b[0x1f1], b[0x300] = sectors, version
	copy(b[0x1fe:], "\x55\xaa\xeb\x6aHdrS\x0f\x02")
	begin := len(b)
	b = le.AppendUint32(append(b, packings[id](t, plain)...), uint32(len(plain)))
	le.PutUint32(b[0x248:], offset)
	le.PutUint32(b[0x24c:], uint32(len(b)-begin))
	return append(b, "relocations and a sum"...)
}

func testVmlinuzPair(t testing.TB, id uint8) (old, plain, base, form []byte) {
	t.Helper()
	old = testVmlinuz(t, id, 1, testKernel{late: true}.file())
	plain = testVmlinuz(t, id, 2, testKernel{late: true, moved: true}.file())
	base, ok := registry[id].Forward(old)
	form, ok2 := registry[id].Forward(plain)
	if !ok || !ok2 {
		t.Fatal("it does not apply")
	}
	n := min(len(base), len(form)) / 2
	copies := []Copy{{New: 0, Old: 0, Size: n}, {New: n, Old: n + 5, Size: LargeMax}}
	if form, ok = AddStep(registry[id], form, old, plain, copies); !ok {
		t.Fatal("there is no step")
	}
	return old, plain, base, form
}

// inverse undoes a transform in memory. Without an old content that it applies to, there is nothing
// learnt of it.
func inverse(id uint8, form, old []byte, limit int64) ([]byte, error) {
	var out bytes.Buffer
	_, learnt, _ := LearnBase(registry[id], old)
	err := InverseTo(&out, registry[id], bytes.Clone(form), limit, learnt, bytes.NewReader(old),
		int64(len(old)))
	return out.Bytes(), err
}

// vmlinuzGolden has the hashes of bases.
var vmlinuzGolden = map[uint8]string{
	idVmlinuz:   "562e56402c31f999e9dcb610a1583b077e65a86adc298af34a284052a634f6c7",
	idVmlinuzXZ: "f503a1c5d5a40adbc585adfa220b155765169f4d4478478d01fca22fa1bf412f",

	idVmlinuzLZ4:  "e8ec3e3738a843dbd4415aa37d0c43a4e5a646cdaec7a99b6811c1abd252b333",
	idVmlinuzGzip: "a399c387e4393b0307bd9ad07799c33f7ee4a4cd6103a9d53643322d9a294b78",
}

// failing takes so many writes, and then fails.
type failing struct {
	left int
	err  error
}

func (f *failing) Write(p []byte) (int, error) {
	if f.left--; f.left < 0 {
		return 0, f.err
	}
	return len(p), nil
}

// TestVmlinuz makes a kernel again out of an old one and a step.
func TestVmlinuz(t *testing.T) {
	for id := range packings {
		t.Run(registry[id].Name(), func(t *testing.T) { testVmlinuzStep(t, id) })
	}
}

func testVmlinuzStep(t *testing.T, id uint8) {
	old, plain, base, form := testVmlinuzPair(t, id)
	if ids := For("vmlinuz", plain); len(ids) != 1 || ids[0] != id || !Stepped(ids[0]) {
		t.Errorf("ids %v", ids)
	}
	if sum := sha256.Sum256(base); hex.EncodeToString(sum[:]) != vmlinuzGolden[id] {
		t.Errorf("another base: %x", sum)
	}
	undo := func(form, old []byte) ([]byte, error) { return inverse(id, form, old, maxContent) }
	if got, err := undo(form, old); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("another kernel: %v", err)
	}
	for name, other := range map[string][]byte{
		"none": nil, "short": old[:len(old)/2], "no kernel": make([]byte, len(old)),
		"another": plain,
	} {
		got, err := undo(form, other)
		if encoderAgain := id >= idVmlinuzLZ4; name == "another" && encoderAgain {
			continue // the encoder alone makes the payload
		}
		if err == nil && bytes.Equal(got, plain) {
			t.Errorf("%s: a wrong base is taken", name)
		}
	}
	if got, err := inverse(id, form, old, int64(len(plain))-1); err == nil || len(got) > 0 {
		t.Error("the limit is exceeded")
	}
	full := errors.New("full")
	_, learnt, _ := LearnBase(registry[id], old)
	for i := range 3 {
		if err := InverseTo(&failing{i, full}, registry[id], bytes.Clone(form), maxContent,
			learnt, bytes.NewReader(old), int64(len(old))); !errors.Is(err, full) {
			t.Errorf("no more than %d writes: %v", i, err)
		}
	}
	for i := range form[len(form)-vmlinuzTail:] {
		b := bytes.Clone(form)
		b[len(b)-1-i] ^= 0x55
		if got, err := undo(b, old); err == nil && bytes.Equal(got, plain) {
			t.Errorf("byte %d from the end does not matter", i)
		}
	}
}

func TestVmlinuzOthers(t *testing.T) {
	for id := range packings {
		t.Run(registry[id].Name(), func(t *testing.T) { testVmlinuzOthers(t, id) })
	}
}

func testVmlinuzOthers(t *testing.T, id uint8) {
	plain := testVmlinuz(t, id, 1, testKernel{late: true}.file())
	begin, end, ok := packingOf(id).find(plain)
	if !ok {
		t.Fatal("no payload")
	}
	change := func(at int, v string) []byte {
		b := bytes.Clone(plain)
		copy(b[at:], v)
		return b
	}
	for name, b := range map[string][]byte{
		"empty": nil, "header": plain[:headMax], "cut": plain[:end],
		"no magic":     change(begin, "x"),
		"old protocol": change(0x206, "\x07\x02"),
		"far":          change(0x248, "\xff\xff\xff\xff"),
		"long":         change(0x24c, "\xff\xff\xff\xff"),
		"another size": change(end, "\xff\xff\xff\xff"),
		"no kernel":    testVmlinuz(t, id, 1, []byte("no kernel")),
	} {
		if _, ok := registry[id].Forward(b); ok {
			t.Errorf("%s: it applies", name)
		}
	}
}

// TestVmlinuzMutated tries forms and old contents that are nearly right.
func TestVmlinuzMutated(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	rounds := 200
	if testing.Short() {
		rounds = 20
	}
	for id := range packings {
		old, plain, _, form := testVmlinuzPair(t, id)
		for range rounds {
			form, old := mutate(rnd, form), old
			if rnd.IntN(2) == 0 {
				old = mutate(rnd, old)
				registry[id].Forward(old)
			}
			limit := int64(len(plain) + rnd.IntN(3) - 1)
			if got, _ := inverse(id, form, old, limit); int64(len(got)) > limit {
				t.Fatalf("%s: %d bytes, limit %d", registry[id].Name(), len(got), limit)
			}
		}
	}
}

// FuzzVmlinuz cuts forms and finds payloads. What the parts then go through has its own targets,
// FuzzInverse and, of zstdparse and lzmaparse, FuzzStep.
func FuzzVmlinuz(f *testing.F) {
	head := make([]byte, headMax)
	head[0x1f1] = 1
	copy(head[0x202:], "HdrS\x0f\x02")
	le.PutUint32(head[0x24c:], 9+4)
	file := append(make([]byte, 1024), "\x28\xb5\x2f\xfd\x20\x00\x01\x00\x00"...)
	copy(file, head)
	file = append(file, 0, 0, 0, 0) // the size of the content
	form := []byte("kernelbefore.behindstep")
	for _, n := range []uint32{6, 7, 4, 9} {
		form = le.AppendUint32(form, n)
	}
	_, _, ok := packingOf(idVmlinuz).find(file)
	if _, err := cutForm(form, 22); err != nil || !ok {
		f.Fatalf("the seeds are none: %v, %v", err, ok)
	}
	f.Add(form, file, int64(22))
	xz := testVmlinuz(f, idVmlinuzXZ, 1, []byte("no kernel"))
	if _, _, ok := packingOf(idVmlinuzXZ).find(xz); !ok {
		f.Fatal("there is no .xz file")
	}
	f.Add(form, xz, int64(22))
	for _, id := range []uint8{idVmlinuzLZ4, idVmlinuzGzip} {
		f.Add(form, testVmlinuz(f, id, 1, []byte("no kernel")), int64(22))
	}
	f.Fuzz(func(t *testing.T, out, file []byte, limit int64) {
		if form, err := cutForm(out, limit); err == nil {
			joined := slices.Concat(form.kernel, form.before, form.behind, form.step)
			for _, n := range []int{len(form.before), len(form.behind), len(form.step), form.packed} {
				joined = le.AppendUint32(joined, uint32(n))
			}
			size := len(form.before) + form.packed + len(form.behind)
			if !bytes.Equal(joined, out) || int64(size) > limit {
				t.Errorf("%x is cut to %x, of %d bytes, limit %d", out, joined, size, limit)
			}
		}
		for id := range packings {
			begin, end, ok := packingOf(id).find(file)
			if ok && (begin < headMax || begin >= end || end+4 > len(file)) {
				t.Errorf("a payload from %d to %d of %d bytes", begin, end, len(file))
			}
		}
	})
}

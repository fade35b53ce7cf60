package transform

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// testVmlinuz is a bzImage with a kernel in it.
func testVmlinuz(t testing.TB, version byte, plain []byte) []byte {
	t.Helper()
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression),
		zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	const sectors, offset = 3, 700
	b := make([]byte, (1+sectors)*512+offset)
	b[0x1f1], b[0x300] = sectors, version
	copy(b[0x1fe:], "\x55\xaa\xeb\x6aHdrS\x0f\x02")
	begin := len(b)
	b = le.AppendUint32(e.EncodeAll(plain, b), uint32(len(plain)))
	le.PutUint32(b[0x248:], offset)
	le.PutUint32(b[0x24c:], uint32(len(b)-begin))
	return append(b, "relocations and a sum"...)
}

func testVmlinuzPair(t testing.TB) (old, plain, base, form []byte) {
	t.Helper()
	old = testVmlinuz(t, 1, testKernel{late: true}.file())
	plain = testVmlinuz(t, 2, testKernel{late: true, moved: true}.file())
	base, ok := vmlinuz{}.Forward(old)
	form, ok2 := vmlinuz{}.Forward(plain)
	if !ok || !ok2 {
		t.Fatal("it does not apply")
	}
	n := min(len(base), len(form)) / 2
	copies := []Copy{{New: 0, Old: 0, Size: n}, {New: n, Old: n + 5, Size: LargeMax}}
	if form, ok = AddStep(form, old, plain, copies); !ok {
		t.Fatal("there is no step")
	}
	return old, plain, base, form
}

// inverse undoes the transform in memory.
func inverse(form, old []byte, limit int64) ([]byte, error) {
	var out bytes.Buffer
	err := InverseTo(&out, vmlinuz{}, bytes.Clone(form), limit, bytes.NewReader(old),
		int64(len(old)))
	return out.Bytes(), err
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
	old, plain, base, form := testVmlinuzPair(t)
	if ids := For("vmlinuz", plain); len(ids) != 1 || ids[0] != idVmlinuz || !Stepped(ids[0]) {
		t.Errorf("ids %v", ids)
	}
	const want = "562e56402c31f999e9dcb610a1583b077e65a86adc298af34a284052a634f6c7"
	if sum := sha256.Sum256(base); hex.EncodeToString(sum[:]) != want {
		t.Errorf("another base: %x", sum)
	}
	undo := func(form, old []byte) ([]byte, error) { return inverse(form, old, maxContent) }
	if got, err := undo(form, old); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("another kernel: %v", err)
	}
	for name, other := range map[string][]byte{
		"none": nil, "short": old[:len(old)/2], "no kernel": make([]byte, len(old)),
		"another": plain,
	} {
		if got, err := undo(form, other); err == nil && bytes.Equal(got, plain) {
			t.Errorf("%s: a wrong base is taken", name)
		}
	}
	if got, err := inverse(form, old, int64(len(plain))-1); err == nil || len(got) > 0 {
		t.Error("the limit is exceeded")
	}
	full := errors.New("full")
	for i := range 3 {
		if err := InverseTo(&failing{i, full}, vmlinuz{}, bytes.Clone(form), maxContent,
			bytes.NewReader(old), int64(len(old))); !errors.Is(err, full) {
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
	plain := testVmlinuz(t, 1, testKernel{late: true}.file())
	begin, end, ok := findFrame(plain)
	if !ok {
		t.Fatal("no frame")
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
		"no kernel":    testVmlinuz(t, 1, []byte("no kernel")),
	} {
		if _, ok := (vmlinuz{}).Forward(b); ok {
			t.Errorf("%s: it applies", name)
		}
	}
}

// TestVmlinuzMutated tries forms and old contents that are nearly right.
func TestVmlinuzMutated(t *testing.T) {
	old, plain, _, form := testVmlinuzPair(t)
	rnd := rand.New(rand.NewPCG(3, 4))
	rounds := 300
	if testing.Short() {
		rounds = 30
	}
	for range rounds {
		form, old := mutate(rnd, form), old
		if rnd.IntN(2) == 0 {
			old = mutate(rnd, old)
			vmlinuz{}.Forward(old)
		}
		limit := int64(len(plain) + rnd.IntN(3) - 1)
		if got, _ := inverse(form, old, limit); int64(len(got)) > limit {
			t.Fatalf("%d bytes, limit %d", len(got), limit)
		}
	}
}

// FuzzVmlinuz cuts forms and finds frames. What the parts then go through has its own targets,
// FuzzInverse and, of zstdparse, FuzzStep.
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
	_, _, ok := findFrame(file)
	if _, err := cutForm(form, 22); err != nil || !ok {
		f.Fatalf("the seeds are none: %v, %v", err, ok)
	}
	f.Add(form, file, int64(22))
	f.Fuzz(func(t *testing.T, out, file []byte, limit int64) {
		if form, err := cutForm(out, limit); err == nil {
			joined := slices.Concat(form.kernel, form.before, form.behind, form.step)
			for _, n := range []int{len(form.before), len(form.behind), len(form.step), form.frame} {
				joined = le.AppendUint32(joined, uint32(n))
			}
			if !bytes.Equal(joined, out) || int64(form.size()) > limit {
				t.Errorf("%x is cut to %x, of %d bytes, limit %d", out, joined, form.size(), limit)
			}
		}
		if begin, end, ok := findFrame(file); ok && (begin < headMax || begin >= end || end+4 > len(file)) {
			t.Errorf("a frame from %d to %d of %d bytes", begin, end, len(file))
		}
	})
}

package transform

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
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
	undo := func(form, old []byte) ([]byte, error) {
		return InverseFrom(vmlinuz{}, bytes.Clone(form), maxContent, bytes.NewReader(old),
			int64(len(old)))
	}
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
	if _, err := InverseFrom(vmlinuz{}, form, int64(len(plain))-1, bytes.NewReader(old),
		int64(len(old))); err == nil {
		t.Error("the limit is exceeded")
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

func FuzzVmlinuz(f *testing.F) {
	old, _, _, form := testVmlinuzPair(f)
	f.Add(form, old)
	f.Add(form[:len(form)/2], old)
	f.Fuzz(func(t *testing.T, form, old []byte) {
		const limit = 1 << 20
		vmlinuz{}.Forward(old)
		got, err := InverseFrom(vmlinuz{}, form, limit, bytes.NewReader(old), int64(len(old)))
		if err == nil && len(got) > limit {
			t.Errorf("%d bytes", len(got))
		}
	})
}

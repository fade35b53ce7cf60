package patchset

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"

	"deltaup/chunkstore"
	"deltaup/delta/transform/xzutils"
	"deltaup/internal/test/kerneltest"
)

// largeKernel reads a kernel of more than PieceMax bytes, made by
//
//	go test ./delta/transform -run KernelSamples -update
func largeKernel(t *testing.T, name string) []byte {
	t.Helper()
	stored, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.DecodeAll(stored, nil)
	if err != nil || len(b) <= PieceMax {
		t.Fatalf("%s: %d bytes, %v", name, len(b), err)
	}
	return b
}

// kernelStep makes a set between two releases with a large kernel.
func kernelStep(t *testing.T) (set []byte, stats *Stats, from, to *release) {
	t.Helper()
	chunks := chunkstore.DefaultParams
	from = newRelease(t, 1, chunks, []file{{path: "other", plain: text(1, 100)}, {path: "vmlinux", plain: largeKernel(t, "kernel-1.zst")}})
	to = newRelease(t, 1, chunks, []file{{path: "other", plain: text(2, 100)}, {path: "vmlinux", plain: largeKernel(t, "kernel-2.zst")}})
	progress, end := watch(t, AmountsOf(from.recipe, to.recipe))
	set, stats = makeSet(t, from, to, MakeOptions{Progress: progress})
	if told := end()[PhaseMatch]; told == 0 {
		t.Error("no progress")
	}
	return set, stats, from, to
}

func TestLargeRewritten(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	set, stats, from, to := kernelStep(t)
	s := checkSet(t, set, from, to)
	i := len(s.Entries) - 1
	e := &s.Entries[i]
	if len(s.Entries) != 2 || !e.rewritesLarge() || e.Length != e.Content.Size || e.Offset != 0 {
		t.Fatalf("entries %+v", s.Entries)
	}
	if len(set) > 8<<10 {
		t.Errorf("a set of %d bytes: %+v", len(set), stats)
	}
	g, err := groupsIn(s, set).Open(e.Group)
	if err != nil {
		t.Fatal(err)
	}
	old := from.plain[e.Base.ID]
	for name, base := range map[string][]byte{
		"short":       old[:len(old)-1],
		"another":     to.plain[e.Content.ID][:len(old)],
		"not one":     make([]byte, len(old)),
		"one changed": append(bytes.Clone(old[:len(old)-1]), old[len(old)-1]+1),
	} {
		if _, err := g.Content(i, Bytes(base), nil); err == nil {
			t.Errorf("%s: a wrong base is taken", name)
		} else if name != "short" && !errors.Is(err, chunkstore.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := g.Content(i, Bytes(old), nil); err != nil || !bytes.Equal(got, to.plain[e.Content.ID]) {
		t.Errorf("the right base: %v", err)
	}
}

func TestPacked(t *testing.T) {
	for _, size := range []int{0, 1, packedBlock - 1, packedBlock, packedBlock + 1, 3*packedBlock + 100} {
		plain := text(uint64(size), size)
		p := pack(bytes.Clone(plain))
		r := rand.New(rand.NewPCG(1, uint64(size)))
		for range 50 {
			off, n := r.IntN(size+1), r.IntN(2*packedBlock)
			b, want := make([]byte, n), plain[off:min(size, off+n)]
			got, err := p.ReadAt(b, int64(off))
			if got != len(want) || !bytes.Equal(b[:got], want) || (got < n) != (err == io.EOF) {
				t.Fatalf("%d bytes at %d of %d: %d, %v", n, off, size, got, err)
			}
		}
	}
}

// zstdKernel is a bzImage with the kernel in it that largeKernel reads.
func zstdKernel(t *testing.T, name string) []byte {
	t.Helper()
	frame, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return kerneltest.Packed(0, frame, len(largeKernel(t, name)))
}

// xzKernel is zstdKernel, packed as xz --check=crc32 --x86 --lzma2=dict=64KiB does.
func xzKernel(t *testing.T, name string) []byte {
	t.Helper()
	p, _, err := xzutils.Parse([]byte{1 | 1<<4 | 1<<6, 8, 2*45 + 3, 0x14, 64, 0, 48, 0, 0})
	if err != nil {
		t.Fatal(err)
	}
	plain := largeKernel(t, name)
	var b bytes.Buffer
	if err := xzutils.Encode(&b, plain, p); err != nil {
		t.Fatal(err)
	}
	return kerneltest.Packed(0, b.Bytes(), len(plain))
}

// TestStepped makes a kernel that is compressed by a step from another one, where that is wanted.
func TestStepped(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Run("zstd", func(t *testing.T) { testStepped(t, zstdKernel) })
	t.Run("xz", func(t *testing.T) { testStepped(t, xzKernel) })
}

func testStepped(t *testing.T, kernel func(t *testing.T, name string) []byte) {
	chunks := chunkstore.DefaultParams
	from := newRelease(t, 1, chunks, []file{{path: "vmlinuz", plain: kernel(t, "kernel-1.zst")}})
	to := newRelease(t, 1, chunks, []file{{path: "vmlinuz", plain: kernel(t, "kernel-2.zst")}})
	without, _ := makeSet(t, from, to, MakeOptions{})
	if s := checkSet(t, without, from, to); len(s.Entries) != 1 || s.Entries[0].Transform != 0 {
		t.Errorf("entries %+v", s.Entries)
	}
	set, _ := makeSet(t, from, to, MakeOptions{Steps: true})
	s := checkSet(t, set, from, to)
	e := &s.Entries[0]
	if len(s.Entries) != 1 || !e.rewritesLarge() || e.length <= PieceMax {
		t.Fatalf("entries %+v", s.Entries)
	}
	if len(set) > len(without)/2 {
		t.Errorf("a set of %d bytes, without a step %d", len(set), len(without))
	}
	g, err := groupsIn(s, set).Open(0)
	if err != nil {
		t.Fatal(err)
	}
	old := from.plain[e.Base.ID]
	for name, base := range map[string][]byte{
		"short":   old[:len(old)-1],
		"another": make([]byte, len(old)),
	} {
		if _, err := g.Content(0, Bytes(base), nil); err == nil {
			t.Errorf("%s: a wrong base is taken", name)
		}
	}
	// The base is read once for the patch, and again for the step.
	for reads := range 2 {
		base := &failing{Bytes: old, reads: reads}
		_, err := g.Content(0, base, nil)
		if !errors.Is(err, errFailing) || errors.Is(err, chunkstore.ErrCorrupt) {
			t.Errorf("a base that fails after it was read %d times: %v", reads, err)
		}
	}
}

var errFailing = errors.New("the disk failed")

// failing is bytes whose beginning can be read so many times.
type failing struct {
	Bytes
	reads int
}

func (f *failing) ReadAt(p []byte, off int64) (int, error) {
	if off == 0 {
		if f.reads--; f.reads < 0 {
			return 0, errFailing
		}
	}
	return f.Bytes.ReadAt(p, off)
}

// TestStepDeclined: a kernel is made as it is when there is no old one, when that is too large, and
// in sets without steps.
func TestStepDeclined(t *testing.T) {
	plain := zstdKernel(t, "kernel-1.zst")
	const vmlinuz = 10
	content := &chunkstore.Content{Size: int64(len(plain))}
	base := &chunkstore.Content{Size: int64(len(plain))}
	for name, f := range map[string]form{
		"no base":       {entry: Entry{Content: content}, steps: true},
		"a large base":  {entry: Entry{Content: content, Base: &chunkstore.Content{Size: PieceMax + 1}}, steps: true},
		"without steps": {entry: Entry{Content: content, Base: base}},
		"another base":  {entry: Entry{Content: content, Base: base}, old: make([]byte, len(plain)), steps: true},
		"a cut content": {entry: Entry{Content: content, Base: base}, old: plain, plain: plain[:len(plain)/2], steps: true},
	} {
		if f.plain == nil {
			f.plain = plain
		}
		if got, ok := f.transformed(vmlinuz); ok {
			t.Errorf("%s: it is taken, with %d bytes", name, len(got.plain))
		}
	}
	f := form{entry: Entry{Content: content, Base: base}, old: plain, plain: plain, steps: true}
	if got, ok := f.transformed(vmlinuz); !ok || got.entry.Transform != vmlinuz {
		t.Error("it is not taken where there is a base")
	}
}

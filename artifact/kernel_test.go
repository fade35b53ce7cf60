package artifact

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"deltaup/chunkstore"
	"deltaup/delta/patchset"
	"deltaup/internal/test/kerneltest"
	"deltaup/mkimage"
)

// memory is a Spool, and a source of what it has.
type memory struct {
	spool    []byte
	contents map[chunkstore.ID][]byte
}

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	m.spool = append(m.spool[:off], p...)
	return len(p), nil
}

func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(m.spool).ReadAt(p, off)
}

func (m *memory) Open(_ context.Context, c *chunkstore.Content) (io.ReadCloser, error) {
	b, ok := m.contents[c.ID]
	if !ok {
		return nil, chunkstore.ErrNotFound
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

// takeKernel takes a kernel apart; the side has all of its contents and chunks.
func takeKernel(t *testing.T, file []byte, seed bool) *side {
	t.Helper()
	r, src, err := ByName("kernel").TakeApart(t.Context(), bytes.NewReader(file), Options{Spool: new(memory), Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	return sideOf(t, r, src)
}

// sideOf has all contents and chunks of what was taken apart.
func sideOf(t testing.TB, r Recipe, src mkimage.Source) *side {
	t.Helper()
	s := &side{recipe: r, files: map[chunkstore.ID][]byte{}}
	for _, c := range r.Files() {
		in, err := src.Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		s.files[c.ID] = b
		for _, k := range c.Chunks {
			s.files[k.ID], b = b[:k.Size], b[k.Size:]
		}
	}
	return s
}

// TestKernelSet leads from one kernel to another, beside an image that has nothing of it. The
// target does not know what encoder made its old kernel.
func TestKernelSet(t *testing.T) {
	first := bytes.Repeat(noise(70, 40<<10), 5)
	second := bytes.Clone(first)
	copy(second[90<<10:], "changed")
	file := kerneltest.BzImage(2, second)
	old, made := takeKernel(t, kerneltest.BzImage(1, first), false), takeKernel(t, file, false)
	image, k := imageOf(map[string][]byte{"vmlinuz": file}), ByName("kernel")
	var set bytes.Buffer
	if _, err := Make(t.Context(), &set, Pair{k, old.recipe, made.recipe, image, patchset.FromStore(old), both(old, made)}, patchset.MakeOptions{}); err != nil {
		t.Fatal(err)
	}
	if set.Len() > 1000 {
		t.Errorf("%d bytes for two changed places", set.Len())
	}
	size, err := patchset.HeadSize(set.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	h, err := patchset.ReadHead(set.Bytes()[:size])
	if err != nil {
		t.Fatal(err)
	}
	seed := takeKernel(t, kerneltest.BzImage(1, first), true)
	s, err := Open(h, k, seed.recipe, image)
	if err == nil {
		err = s.ReadRecipe(stored(set.Bytes(), h, 0))
	}
	if err != nil {
		t.Fatal(err)
	}
	all := &memory{contents: seed.files}
	_, err = s.Apply(t.Context(),
		func(n int) ([]byte, error) { return stored(set.Bytes(), h, n), nil },
		func(c *chunkstore.Content) (io.ReaderAt, error) { return bytes.NewReader(seed.files[c.ID]), nil },
		func(c *chunkstore.Content, piece []byte) error {
			all.contents[c.ID] = append(all.contents[c.ID], piece...)
			return nil
		})
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if _, err := s.Recipe.Build(t.Context(), all, &got); err != nil || !bytes.Equal(got.Bytes(), file) {
		t.Errorf("another kernel is made: %v", err)
	}
	if _, err := Open(h, k, made.recipe, image); !errors.Is(err, patchset.ErrFrom) {
		t.Errorf("from another kernel: %v", err)
	}
}

// TestKernelUnsupported tells kernels that could be taken apart from files that are none.
func TestKernelUnsupported(t *testing.T) {
	bzip2 := kerneltest.BzImage(1, []byte("plain"))
	copy(bzip2[bytes.Index(bzip2, []byte("\x02\x21\x4c\x18")):], "BZh91AY")
	for name, tt := range map[string]struct {
		file    []byte
		foreign bool
	}{"bzip2": {bzip2, false}, "initrd": {[]byte("070701 and more"), true}} {
		_, _, err := ByName("kernel").TakeApart(t.Context(), bytes.NewReader(tt.file), Options{})
		if !errors.Is(err, ErrUnsupported) || errors.Is(err, ErrForeign) != tt.foreign {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

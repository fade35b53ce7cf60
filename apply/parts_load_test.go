package apply

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"

	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/delta/patchset"
	"deltaup/internal/test/kerneltest"
	"deltaup/mirror"
	"deltaup/mkimage"
	"deltaup/mkimage/tree"
)

// steppedKernel is a recipe of one file, a kernel whose payload is compressed with zstd. It is a
// patchset.Contents.
type steppedKernel struct {
	patchset.Bytes
	recipe *mkimage.Recipe
}

func newSteppedKernel(t *testing.T, name string) *steppedKernel {
	t.Helper()
	frame, err := os.ReadFile(filepath.Join("../delta/patchset/testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	plain, err := d.DecodeAll(frame, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := kerneltest.Packed(1, frame, len(plain))
	c, err := chunkstore.NewSplitter(chunkstore.DefaultParams).Split(bytes.NewReader(b), nil)
	if err != nil {
		t.Fatal(err)
	}
	return &steppedKernel{b, &mkimage.Recipe{
		BlockSize: 4096, Codec: "zstd-better.1", Chunking: chunkstore.DefaultParams,
		Entries: mkimage.PackEntries(
			mkimage.Entry{Entry: tree.Entry{Attr: tree.Attr{Type: tree.Directory, Mode: 0o755}}},
			mkimage.Entry{Entry: tree.Entry{Path: "vmlinuz", Size: c.Size,
				Attr: tree.Attr{Type: tree.Regular, Mode: 0o644}}, Content: &c},
		),
	}}
}

// Open implements patchset.Contents.
func (k *steppedKernel) Open(context.Context, *chunkstore.Content) (patchset.Reading, error) {
	return k, nil
}

// Close implements patchset.Reading.
func (*steppedKernel) Close() error { return nil }

// TestWorth declines the set of a kernel that is made by a step: where fetching is quicker, unless
// few bytes are wanted, and where recipes leave it too little memory.
func TestWorth(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	from, to := newSteppedKernel(t, "kernel-1.zst"), newSteppedKernel(t, "kernel-2.zst")
	var stored bytes.Buffer
	_, err := patchset.Make(t.Context(), &stored, patchset.Side{Recipe: from.recipe, Contents: from},
		patchset.Side{Recipe: to.recipe, Contents: to}, patchset.MakeOptions{Steps: true})
	if err != nil {
		t.Fatal(err)
	}
	n, err := patchset.HeadSize(stored.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	head, err := patchset.ReadHead(stored.Bytes()[:n])
	if err != nil {
		t.Fatal(err)
	}
	step, err := head.Step(from.recipe)
	if err != nil || len(step.Entries) != 1 || !step.Entries[0].Stepped() {
		t.Fatalf("no step: %+v, %v", step, err)
	}
	small := &mkimage.Recipe{}
	large := &mkimage.Recipe{}
	for range 1_500_000 { // 80 MB of memory, as a pull reckons
		large.Entries.Append(mkimage.Entry{})
	}
	for name, c := range map[string]struct {
		rate     float64 // of the line, bytes per second
		optimize delta.Optimize
		image    *mkimage.Recipe
		seed     *mkimage.Recipe
		want     bool
	}{
		"slow line":               {1e6, delta.ForTime, small, small, true},
		"fast line":               {1e8, delta.ForTime, small, small, false},
		"fast line, few bytes":    {1e8, delta.ForBytes, small, small, true},
		"large recipe, few bytes": {1e6, delta.ForBytes, large, small, false},
		"large old image":         {1e6, delta.ForTime, small, large, false},
	} {
		l := &partsLoader{
			ways: &ways{
				fetcher:  &fetcher{meta: &metadata{line: delta.Line{Rate: c.rate}}},
				optimize: c.optimize,
			},
			seeds: &seeds{list: []*seed{{derived: &mkimage.Derived{Recipe: c.seed}}, {}}},
			image: c.image,
		}
		o := &output{artifact: mirror.Artifact{Object: mirror.Object{Size: 12 << 20}}}
		x := &partsSet{set: &set{patch: &mirror.Patch{Head: mirror.Object{Size: 1 << 20}}, head: head, step: step}}
		if got := l.worth(o, x); got != c.want || !x.large {
			t.Errorf("%s: worth %v, large %v", name, got, x.large)
		}
	}
}

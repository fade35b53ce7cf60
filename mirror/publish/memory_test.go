package publish_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"deltaup/internal/test/mirrorstore"
	"deltaup/internal/test/publishtest"
	"deltaup/mirror"
	"deltaup/mirror/check"
	"deltaup/mirror/internal/verify"
	"deltaup/mirror/publish"
)

// filesOf reads all files of a mirror.
func filesOf(t *testing.T, s mirror.Store) map[string]string {
	t.Helper()
	list, err := s.List(t.Context(), "")
	must(t, err)
	files := map[string]string{}
	for _, e := range list {
		b, err := mirror.ReadFile(t.Context(), s, e.Name, e.Size)
		must(t, err)
		files[e.Name] = string(b)
	}
	return files
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestPublishToMemory publishes to a store that is no folder what it publishes to a folder: the
// files are the same, byte for byte.
func TestPublishToMemory(t *testing.T) {
	memory, dir := &mirrorstore.Memory{}, t.TempDir()
	t1, t2 := publishtest.Trees()
	for i, files := range []map[string][]byte{t1, t2} {
		p, _ := publishtest.Initrd(t, fmt.Sprint(i+1), files)
		p.PatchFrom = 1
		want := publishtest.Publish(t, dir, p)
		got, err := publish.Add(t.Context(), memory, p)
		must(t, err)
		if len(got.Patches) != len(want.Patches) || got.NewBytes != want.NewBytes || len(got.Warnings) > 0 {
			t.Errorf("version %d: %+v, in a folder %+v", i+1, got, want)
		}
		again, err := publish.Add(t.Context(), memory, p)
		must(t, err)
		if !again.Existed || again.Moved {
			t.Errorf("version %d once more: %+v", i+1, again)
		}
	}
	got, want := filesOf(t, memory), publishtest.Snapshot(t, dir)
	if !maps.Equal(got, want) {
		t.Errorf("files %q, in a folder %q", publishtest.Names(got), publishtest.Names(want))
	}
	report, err := check.Mirror(t.Context(), memory, check.Options{Deep: true})
	must(t, err)
	if report.Files != len(got) || len(report.Damaged) > 0 || len(report.Unreferenced) > 0 {
		t.Errorf("%+v", report)
	}
}

// failing is a store whose changes fail from one of them on, as when its server is lost.
type failing struct {
	mirror.Store
	left int // changes that go well
}

var errLost = errors.New("the store is lost")

func (f *failing) change() error {
	if f.left--; f.left < 0 {
		return errLost
	}
	return nil
}

func (f *failing) Write(ctx context.Context, name string, b []byte) error {
	if err := f.change(); err != nil {
		return err
	}
	return f.Store.Write(ctx, name, b)
}

func (f *failing) Create(ctx context.Context) (mirror.Draft, error) {
	d, err := f.Store.Create(ctx)
	return &failingDraft{d, f}, err
}

type failingDraft struct {
	mirror.Draft
	f *failing
}

func (d *failingDraft) Commit(ctx context.Context, name string) error {
	if err := d.f.change(); err != nil {
		return err
	}
	return d.Draft.Commit(ctx, name)
}

// TestPublishToLostStore loses the store before each change: the channel points to the old release,
// which is whole, and the same publication completes the new one.
func TestPublishToLostStore(t *testing.T) {
	v1, v2 := publishtest.Kernels()
	first, second := publishtest.Raw(t, "1", v1), publishtest.Raw(t, "2", v2)
	memory := func() *mirrorstore.Memory {
		m := &mirrorstore.Memory{}
		_, err := publish.Add(t.Context(), m, first)
		must(t, err)
		return m
	}
	whole := memory()
	before := filesOf(t, whole)
	_, err := publish.Add(t.Context(), whole, second)
	must(t, err)
	after := filesOf(t, whole)
	pointer := mirror.PointerPath("stable")
	for n := 0; ; n++ {
		m := memory()
		_, err := publish.Add(t.Context(), &failing{m, n}, second)
		if err == nil {
			if n < 4 {
				t.Errorf("the publication took %d changes", n)
			}
			return
		}
		if !errors.Is(err, errLost) {
			t.Fatalf("change %d: %v", n, err)
		}
		left := filesOf(t, m)
		for name, b := range before {
			if left[name] != b {
				t.Errorf("change %d: %s is another one", n, name)
			}
		}
		if p, err := verify.Pointer(t.Context(), m, "stable"); err != nil || p.Version != "1" {
			t.Errorf("change %d: %s: %v, %v", n, pointer, p, err)
		}
		_, err = publish.Add(t.Context(), m, second)
		must(t, err)
		if got := filesOf(t, m); !maps.Equal(got, after) {
			t.Errorf("change %d: files %q, want %q", n, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(after)))
		}
	}
}

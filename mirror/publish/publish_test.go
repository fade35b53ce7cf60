package publish_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"deltaup/chunkstore"
	"deltaup/internal/test/durabletest"
	"deltaup/internal/test/effort"
	"deltaup/internal/test/mirrortest"
	"deltaup/internal/test/publishtest"
	"deltaup/mirror"
	"deltaup/mirror/folder"
	"deltaup/mirror/internal/verify"
	"deltaup/mirror/publish"
)

// wantRaw puts a raw artifact together from the mirror's packs as a target would.
func wantRaw(t testing.TB, dir, version, name string, want []byte) {
	t.Helper()
	r, err := verify.Release(t.Context(), folder.At(dir), version)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, mirror.IndexPath(r.Index.ID)))
	if err != nil {
		t.Fatal(err)
	}
	x, err := chunkstore.ParseIndex(b)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(x.Raw, func(l chunkstore.RawList) bool { return l.Name == name })
	if i < 0 {
		t.Fatalf("version %s has no artifact %s", version, name)
	}
	store, err := chunkstore.OpenFolder(filepath.Join(dir, mirror.PacksDir), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var got []byte
	for _, c := range x.Raw[i].Content.Chunks {
		if c.IsHole() {
			got = append(got, make([]byte, c.Size)...)
			continue
		}
		plain, err := store.Chunk(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, plain...)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("artifact %s of version %s differs", name, version)
	}
}

func pointedTo(t testing.TB, dir, channel string) string {
	t.Helper()
	p, err := verify.Pointer(t.Context(), folder.At(dir), channel)
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return p.Version
}

func TestPublishRaw(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "mirror")
	v1, v2 := publishtest.Kernels()
	sparse := slices.Concat(mirrortest.Noise(3, 20<<10), make([]byte, 4<<20), mirrortest.Noise(4, 1))
	first := publishtest.Publish(t, dir, publishtest.Raw(t, "1", v1, sparse, nil))
	if first.Existed || !first.Moved || first.NewChunks != first.Chunks || first.NewPacks < 3 {
		t.Errorf("the first release: %+v", first)
	}
	second := publishtest.Publish(t, dir, publishtest.Raw(t, "2", v2, sparse))
	if second.NewChunks == 0 || second.NewChunks > 4 || second.NewChunks >= second.Chunks || second.NewBytes > 400<<10 {
		t.Errorf("the second release stores too much: %+v", second)
	}
	wantRaw(t, dir, "1", mirror.ImageName, v1)
	wantRaw(t, dir, "1", mirror.KernelName, sparse)
	wantRaw(t, dir, "1", mirror.InitrdName, nil)
	wantRaw(t, dir, "2", mirror.ImageName, v2)
	if v := pointedTo(t, dir, "stable"); v != "2" {
		t.Errorf("stable points to %q", v)
	}
	if r := publishtest.WantSound(t, dir); len(r.Unreferenced) != 0 || r.Releases != 2 {
		t.Errorf("check reports %+v", r)
	}
}

func TestPublishAgain(t *testing.T) {
	dir := t.TempDir()
	v1, v2 := publishtest.Kernels()
	p := publishtest.Raw(t, "1", v1)
	p.Compatible = "x"
	publishtest.Publish(t, dir, p)
	before := publishtest.Snapshot(t, dir)

	again := publishtest.Publish(t, dir, p)
	if !again.Existed || again.Moved || again.NewPacks != 0 {
		t.Errorf("the same version again: %+v", again)
	}
	if after := publishtest.Snapshot(t, dir); !reflect.DeepEqual(after, before) {
		t.Errorf("the same version again changed the mirror: %q", publishtest.Names(after))
	}
	promoted := p
	promoted.Channel = "testing"
	if done := publishtest.Publish(t, dir, promoted); !done.Existed || !done.Moved {
		t.Errorf("promotion to another channel: %+v", done)
	}
	if got := pointedTo(t, dir, "testing") + pointedTo(t, dir, "stable"); got != "11" {
		t.Errorf("the channels point to %s", got)
	}

	before = publishtest.Snapshot(t, dir)
	for what, change := range map[string]func(p *publish.Publication){
		"other bytes":    func(p *publish.Publication) { p.Artifacts = publishtest.Raw(t, "1", v2).Artifacts },
		"other machines": func(p *publish.Publication) { p.Compatible = "y" },
		"another name": func(p *publish.Publication) {
			p.Artifacts = []publish.File{{Name: mirror.KernelName, Path: p.Artifacts[0].Path}}
		},
		"one artifact more": func(p *publish.Publication) {
			p.Artifacts = append(p.Artifacts, publish.File{Name: "b", Path: p.Artifacts[0].Path})
		},
		"another channel to": func(p *publish.Publication) { p.Compatible, p.Channel = "", "new" },
	} {
		q := p
		q.Artifacts = slices.Clone(p.Artifacts)
		change(&q)
		if _, err := publish.Add(t.Context(), folder.At(dir), q); !errors.Is(err, publish.ErrExists) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if after := publishtest.Snapshot(t, dir); !reflect.DeepEqual(after, before) {
		t.Errorf("refused publications changed the mirror: %q", publishtest.Names(after))
	}
}

func TestPublishNothing(t *testing.T) {
	image := mirrortest.WriteFile(t, filepath.Join(t.TempDir(), "image"), mirrortest.Noise(1, 100))
	for what, p := range map[string]publish.Publication{
		"no version":       {Artifacts: []publish.File{{Name: "a", Path: image}}},
		"bad version":      {Version: "../1", Artifacts: []publish.File{{Name: "a", Path: image}}},
		"bad channel":      {Version: "1", Channel: "a/b", Artifacts: []publish.File{{Name: "a", Path: image}}},
		"bad artifact":     {Version: "1", Artifacts: []publish.File{{Name: ".", Path: image}}},
		"two of a name":    {Version: "1", Artifacts: []publish.File{{Name: "a", Path: image}, {Name: "a", Path: image}}},
		"image twice":      {Version: "1", Image: image, Artifacts: []publish.File{{Name: mirror.ImageName, Path: image}}},
		"bad compatible":   {Version: "1", Compatible: "\n", Artifacts: []publish.File{{Name: "a", Path: image}}},
		"nothing":          {Version: "1"},
		"no such file":     {Version: "1", Artifacts: []publish.File{{Name: "a", Path: image + "?"}}},
		"a folder":         {Version: "1", Artifacts: []publish.File{{Name: "a", Path: filepath.Dir(image)}}},
		"without a recipe": {Version: "1", Image: image},
	} {
		dir := filepath.Join(t.TempDir(), "mirror")
		if _, err := publish.Add(t.Context(), folder.At(dir), p); err == nil {
			t.Errorf("%s: is published", what)
		}
		if files := publishtest.Snapshot(t, filepath.Dir(dir)); len(files) != 0 {
			t.Errorf("%s: leaves %q", what, publishtest.Names(files))
		}
	}
}

// TestPublishCrash cuts the power before every single step of publishing a second
// release, on a disk that keeps what it may lose and on one that loses it.
func TestPublishCrash(t *testing.T) {
	v1, v2 := publishtest.Kernels()
	p1, p2 := publishtest.Raw(t, "1", v1), publishtest.Raw(t, "2", v2, mirrortest.Noise(5, 150<<10))
	base := t.TempDir()
	publishtest.Publish(t, base, p1)
	whole := publishtest.Copy(t, base)
	publishtest.Publish(t, whole, p2)
	for _, disk := range []string{"kind", "cruel"} {
		testCrash(t, disk, base, p2, publishtest.Snapshot(t, whole), func(dir string) { wantRaw(t, dir, "1", mirror.ImageName, v1) })
	}
}

// testCrash publishes p on copies of the mirror base, stopped before every step, and
// demands each time that the mirror is sound, that old holds and that the same
// publication then gives the wanted files.
func testCrash(t *testing.T, disk, base string, p publish.Publication, want map[string]string, old func(dir string)) {
	t.Helper()
	before := pointedTo(t, base, p.Channel)
	// The first steps sync the folders that are there, which changes nothing that could be seen.
	first := countFolders(t, base)
	n := first
	for ; ; n += effort.Stride() {
		dir := publishtest.Copy(t, base)
		crash := durabletest.CrashAt(t, n)
		_, err := publish.Add(t.Context(), folder.At(dir), p)
		restart := crash.Restart
		if disk == "kind" {
			restart = crash.Keep
		}
		if !restart() {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		v := pointedTo(t, dir, p.Channel)
		if err == nil && v != p.Version {
			t.Errorf("%s disk, step %d: success is reported and %s points to %s", disk, n, p.Channel, v)
		}
		if v != before && v != p.Version {
			t.Errorf("%s disk, step %d: %s points to %q", disk, n, p.Channel, v)
		}
		publishtest.WantSound(t, dir)
		old(dir)
		publishtest.Publish(t, dir, p)
		if got := publishtest.Snapshot(t, dir); !reflect.DeepEqual(got, want) {
			t.Errorf("%s disk, step %d: after the second run there are %q, want %q", disk, n, publishtest.Names(got), publishtest.Names(want))
		}
		if t.Failed() {
			t.FailNow()
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	if n < first+20 {
		t.Errorf("only %d steps: are they noticed?", n-first)
	}
}

func countFolders(t testing.TB, dir string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestPublishCancelled(t *testing.T) {
	dir := t.TempDir()
	v1, _ := publishtest.Kernels()
	ctx, cancel := context.WithCancel(t.Context())
	p := publishtest.Raw(t, "1", v1)
	p.Progress = func(p publish.Progress) {
		if p.Stage == publish.StageStore && p.Done > p.Total/2 {
			cancel()
		}
	}
	if _, err := publish.Add(ctx, folder.At(dir), p); !errors.Is(err, context.Canceled) {
		t.Fatalf("a cancelled run: %v", err)
	}
	if files := publishtest.Snapshot(t, dir); len(files) != 0 {
		t.Errorf("a cancelled run leaves %q", publishtest.Names(files))
	}
	publishtest.Publish(t, dir, p)
	publishtest.WantSound(t, dir)
}

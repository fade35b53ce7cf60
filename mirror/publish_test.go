package mirror

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"deltaup/chunkstore"
	"deltaup/internal/test/durabletest"
)

// testPackSize makes even small releases have several packs.
const testPackSize = 100 << 10

// noise is n bytes that do not compress, always the same for a seed.
func noise(seed byte, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

func writeFile(t testing.TB, path string, b []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// rawPublication publishes files made of bytes.
func rawPublication(t testing.TB, version string, artifacts ...[]byte) Publication {
	t.Helper()
	p := Publication{Version: version, Channel: "stable", PackSize: testPackSize}
	dir := t.TempDir()
	for i, b := range artifacts {
		name := []string{ImageName, KernelName, InitrdName}[i]
		p.Artifacts = append(p.Artifacts, File{Name: name, Path: writeFile(t, filepath.Join(dir, name), b)})
	}
	return p
}

func mustPublish(t testing.TB, dir string, p Publication) *Published {
	t.Helper()
	done, err := Publish(t.Context(), dir, p)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func mustCheck(t testing.TB, dir string) *CheckReport {
	t.Helper()
	r, err := Check(t.Context(), dir, CheckOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// wantSound fails the test when a mirror is damaged.
func wantSound(t testing.TB, dir string) *CheckReport {
	t.Helper()
	r := mustCheck(t, dir)
	for _, d := range r.Damaged {
		t.Errorf("%s: %s", d.Name, d.What)
	}
	return r
}

// wantRaw puts a raw artifact together from the mirror's packs as a target would.
func wantRaw(t testing.TB, dir, version, name string, want []byte) {
	t.Helper()
	r, err := readRelease(filepath.Join(dir, ReleasePath(version)))
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, IndexPath(r.Index.ID)))
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
	store, err := chunkstore.OpenFolder(filepath.Join(dir, packsDir), t.TempDir())
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
	p, err := readPointer(filepath.Join(dir, PointerPath(channel)))
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return p.Version
}

// snapshot reads all files of a mirror but the lock.
func snapshot(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == lockName {
			return err
		}
		b, err := os.ReadFile(path)
		files[strings.TrimPrefix(path, dir+"/")] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// names are the names of a snapshot's files, sorted.
func names(files map[string]string) []string {
	var list []string
	for name := range files {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// kernels are two versions of a file that share most chunks.
func kernels() (v1, v2 []byte) {
	v1 = noise(1, 600<<10)
	v2 = slices.Concat(v1[:250<<10], noise(2, 1000), v1[251<<10:])
	return v1, v2
}

func TestPublishRaw(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "mirror")
	v1, v2 := kernels()
	sparse := slices.Concat(noise(3, 20<<10), make([]byte, 4<<20), noise(4, 1))
	first := mustPublish(t, dir, rawPublication(t, "1", v1, sparse, nil))
	if first.Existed || !first.Moved || first.NewChunks != first.Chunks || first.NewPacks < 3 {
		t.Errorf("the first release: %+v", first)
	}
	second := mustPublish(t, dir, rawPublication(t, "2", v2, sparse))
	if second.NewChunks == 0 || second.NewChunks > 4 || second.NewChunks >= second.Chunks || second.NewBytes > 400<<10 {
		t.Errorf("the second release stores too much: %+v", second)
	}
	wantRaw(t, dir, "1", ImageName, v1)
	wantRaw(t, dir, "1", KernelName, sparse)
	wantRaw(t, dir, "1", InitrdName, nil)
	wantRaw(t, dir, "2", ImageName, v2)
	if v := pointedTo(t, dir, "stable"); v != "2" {
		t.Errorf("stable points to %q", v)
	}
	if r := wantSound(t, dir); len(r.Unreferenced) != 0 || r.Releases != 2 {
		t.Errorf("check reports %+v", r)
	}
}

func TestPublishAgain(t *testing.T) {
	dir := t.TempDir()
	v1, v2 := kernels()
	p := rawPublication(t, "1", v1)
	p.Compatible = "x"
	mustPublish(t, dir, p)
	before := snapshot(t, dir)

	again := mustPublish(t, dir, p)
	if !again.Existed || again.Moved || again.NewPacks != 0 {
		t.Errorf("the same version again: %+v", again)
	}
	if after := snapshot(t, dir); !reflect.DeepEqual(after, before) {
		t.Errorf("the same version again changed the mirror: %q", names(after))
	}
	promoted := p
	promoted.Channel = "testing"
	if done := mustPublish(t, dir, promoted); !done.Existed || !done.Moved {
		t.Errorf("promotion to another channel: %+v", done)
	}
	if got := pointedTo(t, dir, "testing") + pointedTo(t, dir, "stable"); got != "11" {
		t.Errorf("the channels point to %s", got)
	}

	before = snapshot(t, dir)
	for what, change := range map[string]func(p *Publication){
		"other bytes":        func(p *Publication) { p.Artifacts = rawPublication(t, "1", v2).Artifacts },
		"other machines":     func(p *Publication) { p.Compatible = "y" },
		"another name":       func(p *Publication) { p.Artifacts = []File{{Name: KernelName, Path: p.Artifacts[0].Path}} },
		"one artifact more":  func(p *Publication) { p.Artifacts = append(p.Artifacts, File{Name: "b", Path: p.Artifacts[0].Path}) },
		"another channel to": func(p *Publication) { p.Compatible, p.Channel = "", "new" },
	} {
		q := p
		q.Artifacts = slices.Clone(p.Artifacts)
		change(&q)
		if _, err := Publish(t.Context(), dir, q); !errors.Is(err, ErrExists) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if after := snapshot(t, dir); !reflect.DeepEqual(after, before) {
		t.Errorf("refused publications changed the mirror: %q", names(after))
	}
}

func TestPublishNothing(t *testing.T) {
	image := writeFile(t, filepath.Join(t.TempDir(), "image"), noise(1, 100))
	for what, p := range map[string]Publication{
		"no version":       {Artifacts: []File{{"a", image}}},
		"bad version":      {Version: "../1", Artifacts: []File{{"a", image}}},
		"bad channel":      {Version: "1", Channel: "a/b", Artifacts: []File{{"a", image}}},
		"bad artifact":     {Version: "1", Artifacts: []File{{".", image}}},
		"two of a name":    {Version: "1", Artifacts: []File{{"a", image}, {"a", image}}},
		"image twice":      {Version: "1", Image: image, Artifacts: []File{{ImageName, image}}},
		"bad compatible":   {Version: "1", Compatible: "\n", Artifacts: []File{{"a", image}}},
		"nothing":          {Version: "1"},
		"no such file":     {Version: "1", Artifacts: []File{{"a", image + "?"}}},
		"a folder":         {Version: "1", Artifacts: []File{{"a", filepath.Dir(image)}}},
		"without a recipe": {Version: "1", Image: image},
	} {
		dir := filepath.Join(t.TempDir(), "mirror")
		if _, err := Publish(t.Context(), dir, p); err == nil {
			t.Errorf("%s: is published", what)
		}
		if files := snapshot(t, filepath.Dir(dir)); len(files) != 0 {
			t.Errorf("%s: leaves %q", what, names(files))
		}
	}
}

// TestPublishCrash cuts the power before every single step of publishing a second
// release, on a disk that keeps what it may lose and on one that loses it.
func TestPublishCrash(t *testing.T) {
	v1, v2 := kernels()
	p1, p2 := rawPublication(t, "1", v1), rawPublication(t, "2", v2, noise(5, 150<<10))
	base := t.TempDir()
	mustPublish(t, base, p1)
	whole := copyMirror(t, base)
	mustPublish(t, whole, p2)
	for _, disk := range []string{"kind", "cruel"} {
		testCrash(t, disk, base, p2, snapshot(t, whole), func(dir string) { wantRaw(t, dir, "1", ImageName, v1) })
	}
}

// testCrash publishes p on copies of the mirror base, stopped before every step, and
// demands each time that the mirror is sound, that old holds and that the same
// publication then gives the wanted files.
func testCrash(t *testing.T, disk, base string, p Publication, want map[string]string, old func(dir string)) {
	t.Helper()
	before := pointedTo(t, base, p.Channel)
	// The first steps sync the folders that are there, which changes nothing that could be seen.
	first := countFolders(t, base)
	n := first
	for ; ; n++ {
		dir := copyMirror(t, base)
		crash := durabletest.CrashAt(t, n)
		_, err := Publish(t.Context(), dir, p)
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
		wantSound(t, dir)
		old(dir)
		mustPublish(t, dir, p)
		if got := snapshot(t, dir); !reflect.DeepEqual(got, want) {
			t.Errorf("%s disk, step %d: after the second run there are %q, want %q", disk, n, names(got), names(want))
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

func copyMirror(t testing.TB, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "mirror")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestPublishCancelled(t *testing.T) {
	dir := t.TempDir()
	v1, _ := kernels()
	ctx, cancel := context.WithCancel(t.Context())
	p := rawPublication(t, "1", v1)
	p.Progress = func(step Step, _ string, done, total int64) {
		if step == StepStore && done > total/2 {
			cancel()
		}
	}
	if _, err := Publish(ctx, dir, p); !errors.Is(err, context.Canceled) {
		t.Fatalf("a cancelled run: %v", err)
	}
	if files := snapshot(t, dir); len(files) != 0 {
		t.Errorf("a cancelled run leaves %q", names(files))
	}
	mustPublish(t, dir, p)
	wantSound(t, dir)
}

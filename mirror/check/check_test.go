package check_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"deltaup/chunkstore"
	"deltaup/internal/test/mirrorstore"
	"deltaup/internal/test/mirrortest"
	"deltaup/internal/test/publishtest"
	"deltaup/mirror"
	"deltaup/mirror/check"
	"deltaup/mirror/folder"
)

// damages are ways to damage a file; nil deletes it.
var damages = map[string]func(b []byte) []byte{
	"first byte flipped":  func(b []byte) []byte { return publishtest.Flip(b, 0) },
	"middle byte flipped": func(b []byte) []byte { return publishtest.Flip(b, len(b)/2) },
	"late byte flipped":   func(b []byte) []byte { return publishtest.Flip(b, len(b)-20) },
	"last byte flipped":   func(b []byte) []byte { return publishtest.Flip(b, len(b)-1) },
	"cut":                 func(b []byte) []byte { return b[:len(b)/2] },
	"emptied":             func(b []byte) []byte { return []byte{} },
	"longer":              func(b []byte) []byte { return append(bytes.Clone(b), 'x') },
	"deleted":             func(b []byte) []byte { return nil },
}

// TestCheckNamesDamage damages every file of a mirror in every way.
func TestCheckNamesDamage(t *testing.T) {
	dir := publishtest.TwoReleases(t)
	whole := publishtest.Snapshot(t, dir)
	if r := publishtest.WantSound(t, dir); len(r.Unreferenced) != 0 || r.Releases != 2 || r.Files != len(whole) {
		t.Fatalf("the whole mirror of %d files: %+v", len(whole), r)
	}
	users := map[string]bool{}
	for name, b := range whole {
		path := filepath.Join(dir, name)
		for how, damage := range damages {
			if how == "deleted" && strings.HasPrefix(name, mirror.ChannelsDir) {
				continue // a mirror may have any channels
			}
			if bad := damage([]byte(b)); bad != nil {
				mirrortest.WriteFile(t, path, bad)
			} else if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			r := publishtest.Check(t, dir)
			i := slices.IndexFunc(r.Damaged, func(d check.Damage) bool { return d.Name == name })
			if i < 0 {
				t.Errorf("%s %s: not noticed: %+v", name, how, r.Damaged)
				continue
			}
			if len(r.Damaged) != 1 {
				t.Errorf("%s %s: others are blamed, too: %+v", name, how, r.Damaged)
			}
			// A release file that is broken or gone takes what it needs with it; nothing else
			// becomes superfluous.
			if how != "deleted" && len(r.Unreferenced) != 0 {
				t.Errorf("%s %s: unreferenced: %q", name, how, r.Unreferenced)
			}
			d := r.Damaged[i]
			if d.What == "" || len(d.Releases) == 0 && !strings.HasPrefix(name, mirror.ChannelsDir) {
				t.Errorf("%s %s: says too little: %+v", name, how, d)
			}
			if how == "deleted" && d.What != "is missing" {
				t.Errorf("%s %s: says %q", name, how, d.What)
			}
			users[strings.Join(d.Releases, "+")] = true
		}
		mirrortest.WriteFile(t, path, []byte(b))
	}
	for _, want := range []string{"1", "2", "1+2"} {
		if !users[want] {
			t.Errorf("no damaged file affects exactly %s", want)
		}
	}
	publishtest.WantSound(t, dir)
}

// TestCheckMixedUp exchanges files that are all right in themselves.
func TestCheckMixedUp(t *testing.T) {
	whole := publishtest.TwoReleases(t)
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(whole, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	r1, err := mirror.ParseRelease(read(mirror.ReleasePath("1")))
	if err != nil {
		t.Fatal(err)
	}
	r2, err := mirror.ParseRelease(read(mirror.ReleasePath("2")))
	if err != nil {
		t.Fatal(err)
	}
	changed := func(change func(r *mirror.Release)) []byte {
		r := *r2
		r.Artifacts = slices.Clone(r.Artifacts)
		change(&r)
		return publishtest.Marshal(t, r)
	}
	for what, c := range map[string]struct {
		name  string
		bytes []byte
		blame string
	}{
		"release under another version":  {mirror.ReleasePath("2"), read(mirror.ReleasePath("1")), mirror.ReleasePath("2")},
		"pointer of another channel":     {mirror.PointerPath("stable"), read(mirror.PointerPath("old")), mirror.PointerPath("stable")},
		"release with another index":     {mirror.ReleasePath("2"), changed(func(r *mirror.Release) { r.Index = r1.Index }), mirror.IndexPath(r1.Index.ID)},
		"release with another recipe":    {mirror.ReleasePath("2"), changed(func(r *mirror.Release) { r.Artifacts[0].Recipe, r.Patches = r1.Artifacts[0].Recipe, nil }), mirror.IndexPath(r2.Index.ID)},
		"release with another kernel":    {mirror.ReleasePath("2"), changed(func(r *mirror.Release) { r.Artifact(mirror.KernelName).Object = r1.Artifact(mirror.KernelName).Object }), mirror.IndexPath(r2.Index.ID)},
		"release with another block map": {mirror.ReleasePath("2"), changed(func(r *mirror.Release) { r.Artifacts[0].Blockmap = &r.Index }), mirror.BlockmapPath(r2.Index.ID)},
		"release without its kernel":     {mirror.ReleasePath("2"), changed(func(r *mirror.Release) { r.Artifacts = r.Artifacts[:2] }), mirror.IndexPath(r2.Index.ID)},
		"release with other machines":    {mirror.ReleasePath("2"), changed(func(r *mirror.Release) { r.Compatible = "" }), mirror.ReleasePath("2")},
		"file by a wrong name":           {mirror.PackPath(chunkstore.Sum(nil)), []byte("x"), mirror.PackPath(chunkstore.Sum(nil))},
	} {
		dir := publishtest.Copy(t, whole)
		mirrortest.WriteFile(t, filepath.Join(dir, c.name), c.bytes)
		r := publishtest.Check(t, dir)
		if !slices.ContainsFunc(r.Damaged, func(d check.Damage) bool { return d.Name == c.blame }) {
			t.Errorf("%s: %s is not blamed: %+v", what, c.blame, r.Damaged)
		}
	}
}

// TestCheckWrongIndex makes a release whose index is valid and places chunks wrongly.
func TestCheckWrongIndex(t *testing.T) {
	v1, _ := publishtest.Kernels()
	for what, change := range map[string]func(l *chunkstore.Location){
		"offset": func(l *chunkstore.Location) { l.Offset++ },
		"length": func(l *chunkstore.Location) { l.Length-- },
	} {
		dir := t.TempDir()
		done := publishtest.Publish(t, dir, publishtest.Raw(t, "1", v1))
		b, err := os.ReadFile(filepath.Join(dir, mirror.IndexPath(done.Release.Index.ID)))
		if err != nil {
			t.Fatal(err)
		}
		x, err := chunkstore.ParseIndex(b)
		if err != nil {
			t.Fatal(err)
		}
		change(&x.Raw[0].Locations[1])
		if b, err = x.MarshalBinary(); err != nil {
			t.Fatal(err)
		}
		r := *done.Release
		r.Index = mirror.Object{ID: chunkstore.Sum(b), Size: int64(len(b))}
		mirrortest.WriteFile(t, filepath.Join(dir, mirror.IndexPath(r.Index.ID)), b)
		mirrortest.WriteFile(t, filepath.Join(dir, mirror.ReleasePath("1")), publishtest.Marshal(t, r))
		report := publishtest.Check(t, dir)
		if !slices.ContainsFunc(report.Damaged, func(d check.Damage) bool {
			return d.Name == mirror.IndexPath(r.Index.ID) && strings.Contains(d.What, "does not lie")
		}) {
			t.Errorf("a wrong %s: %+v", what, report.Damaged)
		}
	}
}

func TestCheckUnreferenced(t *testing.T) {
	dir := publishtest.TwoReleases(t)
	extra := []byte("notes")
	mirrortest.WriteFile(t, filepath.Join(dir, "README"), extra)
	mirrortest.WriteFile(t, filepath.Join(dir, mirror.TmpDir, "deltaup-1.tmp"), extra)
	loose := mirror.ImagePath(chunkstore.Sum(extra))
	mirrortest.WriteFile(t, filepath.Join(dir, loose), extra)
	r := publishtest.WantSound(t, dir)
	if want := []string{"README", loose}; !slices.Equal(r.Unreferenced, want) {
		t.Errorf("unreferenced %q, want %q", r.Unreferenced, want)
	}
}

func TestCheckNoMirror(t *testing.T) {
	if _, err := check.Mirror(t.Context(), folder.At(filepath.Join(t.TempDir(), "none")), check.Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that does not exist: %v", err)
	}
	if r, err := check.Mirror(t.Context(), folder.At(t.TempDir()), check.Options{}); err == nil {
		t.Errorf("an empty folder: %+v", r)
	}
	if _, err := check.Mirror(t.Context(), &mirrorstore.Memory{}, check.Options{}); !errors.Is(err, mirror.ErrNowhere) {
		t.Errorf("an empty store: %v", err)
	}
}

// TestCheckEnds: what a check that is ended does not read any more is no damage.
func TestCheckEnds(t *testing.T) {
	dir := publishtest.TwoReleases(t)
	for _, at := range []string{mirror.PacksDir, mirror.ReleasesDir, mirror.ChannelsDir} {
		ctx, cancel := context.WithCancel(t.Context())
		s := endingStore{folder.At(dir), at + "/", cancel}
		if r, err := check.Mirror(ctx, s, check.Options{}); !errors.Is(err, context.Canceled) {
			t.Errorf("ended in %s: %v, %+v", at, err, r)
		}
	}
}

// endingStore ends a run when it reads a file of a folder.
type endingStore struct {
	mirror.Store
	at  string
	end func()
}

func (s endingStore) Open(ctx context.Context, name string) (mirror.File, error) {
	if strings.HasPrefix(name, s.at) {
		s.end()
		return nil, ctx.Err()
	}
	return s.Store.Open(ctx, name)
}

func TestCheckProgress(t *testing.T) {
	dir := publishtest.TwoReleases(t)
	var last, total int64
	r, err := check.Mirror(t.Context(), folder.At(dir), check.Options{Progress: func(done, of int64) {
		if done < last {
			t.Errorf("progress goes from %d to %d", last, done)
		}
		last, total = done, of
	}})
	if err != nil {
		t.Fatal(err)
	}
	if last != total || r.Bytes != total {
		t.Errorf("progress ends at %d of %d, the report has %d", last, total, r.Bytes)
	}
}

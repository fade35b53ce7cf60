package mirror

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"deltaup/chunkstore"
)

// twoReleases makes a mirror of two releases with an image, an initrd and a raw artifact each, and
// patch sets that lead from the first to the second; stable points to the second, old to the first.
func twoReleases(t testing.TB) (dir string) {
	t.Helper()
	dir = t.TempDir()
	t1, t2 := trees()
	k1, k2 := kernels()
	for i, files := range []map[string][]byte{t1, t2} {
		p, _ := initrdPublication(t, fmt.Sprint(i+1), files)
		p.PatchFrom = 1
		p.Artifacts = append(p.Artifacts, File{KernelName, writeFile(t, filepath.Join(t.TempDir(), "k"), [][]byte{k1, k2}[i])})
		p.Compatible = "machine"
		mustPublish(t, dir, p)
		if i == 0 {
			p.Channel = "old"
			mustPublish(t, dir, p)
		}
	}
	return dir
}

// damages are ways to damage a file; nil deletes it.
var damages = map[string]func(b []byte) []byte{
	"first byte flipped":  func(b []byte) []byte { return flip(b, 0) },
	"middle byte flipped": func(b []byte) []byte { return flip(b, len(b)/2) },
	"late byte flipped":   func(b []byte) []byte { return flip(b, len(b)-20) },
	"last byte flipped":   func(b []byte) []byte { return flip(b, len(b)-1) },
	"cut":                 func(b []byte) []byte { return b[:len(b)/2] },
	"emptied":             func(b []byte) []byte { return []byte{} },
	"longer":              func(b []byte) []byte { return append(bytes.Clone(b), 'x') },
	"deleted":             func(b []byte) []byte { return nil },
}

func flip(b []byte, i int) []byte {
	b = bytes.Clone(b)
	b[i] ^= 0x04
	return b
}

// TestCheckNamesDamage damages every file of a mirror in every way.
func TestCheckNamesDamage(t *testing.T) {
	dir := twoReleases(t)
	whole := snapshot(t, dir)
	if r := wantSound(t, dir); len(r.Unreferenced) != 0 || r.Releases != 2 || r.Files != len(whole) {
		t.Fatalf("the whole mirror of %d files: %+v", len(whole), r)
	}
	users := map[string]bool{}
	for name, b := range whole {
		path := filepath.Join(dir, name)
		for how, damage := range damages {
			if how == "deleted" && strings.HasPrefix(name, channelsDir) {
				continue // a mirror may have any channels
			}
			if bad := damage([]byte(b)); bad != nil {
				writeFile(t, path, bad)
			} else if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			r := mustCheck(t, dir)
			i := slices.IndexFunc(r.Damaged, func(d Damage) bool { return d.Name == name })
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
			if d.What == "" || len(d.Releases) == 0 && !strings.HasPrefix(name, channelsDir) {
				t.Errorf("%s %s: says too little: %+v", name, how, d)
			}
			if how == "deleted" && d.What != "is missing" {
				t.Errorf("%s %s: says %q", name, how, d.What)
			}
			users[strings.Join(d.Releases, "+")] = true
		}
		writeFile(t, path, []byte(b))
	}
	for _, want := range []string{"1", "2", "1+2"} {
		if !users[want] {
			t.Errorf("no damaged file affects exactly %s", want)
		}
	}
	wantSound(t, dir)
}

// TestCheckMixedUp exchanges files that are all right in themselves.
func TestCheckMixedUp(t *testing.T) {
	whole := twoReleases(t)
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(whole, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	r1, err := ParseRelease(read(ReleasePath("1")))
	if err != nil {
		t.Fatal(err)
	}
	r2, err := ParseRelease(read(ReleasePath("2")))
	if err != nil {
		t.Fatal(err)
	}
	changed := func(change func(r *Release)) []byte {
		r := *r2
		r.Artifacts = slices.Clone(r.Artifacts)
		change(&r)
		return marshal(t, r)
	}
	for what, c := range map[string]struct {
		name  string
		bytes []byte
		blame string
	}{
		"release under another version":  {ReleasePath("2"), read(ReleasePath("1")), ReleasePath("2")},
		"pointer of another channel":     {PointerPath("stable"), read(PointerPath("old")), PointerPath("stable")},
		"release with another index":     {ReleasePath("2"), changed(func(r *Release) { r.Index = r1.Index }), IndexPath(r1.Index.ID)},
		"release with another recipe":    {ReleasePath("2"), changed(func(r *Release) { r.Artifacts[0].Recipe, r.Patches = r1.Artifacts[0].Recipe, nil }), IndexPath(r2.Index.ID)},
		"release with another kernel":    {ReleasePath("2"), changed(func(r *Release) { r.Artifact(KernelName).Object = r1.Artifact(KernelName).Object }), IndexPath(r2.Index.ID)},
		"release with another block map": {ReleasePath("2"), changed(func(r *Release) { r.Artifacts[0].Blockmap = &r.Index }), BlockmapPath(r2.Index.ID)},
		"release without its kernel":     {ReleasePath("2"), changed(func(r *Release) { r.Artifacts = r.Artifacts[:2] }), IndexPath(r2.Index.ID)},
		"release with other machines":    {ReleasePath("2"), changed(func(r *Release) { r.Compatible = "" }), ReleasePath("2")},
		"file by a wrong name":           {PackPath(chunkstore.Sum(nil)), []byte("x"), PackPath(chunkstore.Sum(nil))},
	} {
		dir := copyMirror(t, whole)
		writeFile(t, filepath.Join(dir, c.name), c.bytes)
		r := mustCheck(t, dir)
		if !slices.ContainsFunc(r.Damaged, func(d Damage) bool { return d.Name == c.blame }) {
			t.Errorf("%s: %s is not blamed: %+v", what, c.blame, r.Damaged)
		}
	}
}

// TestCheckWrongIndex makes a release whose index is valid and places chunks wrongly.
func TestCheckWrongIndex(t *testing.T) {
	v1, _ := kernels()
	for what, change := range map[string]func(l *chunkstore.Location){
		"offset": func(l *chunkstore.Location) { l.Offset++ },
		"length": func(l *chunkstore.Location) { l.Length-- },
	} {
		dir := t.TempDir()
		done := mustPublish(t, dir, rawPublication(t, "1", v1))
		b, err := os.ReadFile(filepath.Join(dir, IndexPath(done.Release.Index.ID)))
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
		r.Index = Object{ID: chunkstore.Sum(b), Size: int64(len(b))}
		writeFile(t, filepath.Join(dir, IndexPath(r.Index.ID)), b)
		writeFile(t, filepath.Join(dir, ReleasePath("1")), marshal(t, r))
		report := mustCheck(t, dir)
		if !slices.ContainsFunc(report.Damaged, func(d Damage) bool {
			return d.Name == IndexPath(r.Index.ID) && strings.Contains(d.What, "does not lie")
		}) {
			t.Errorf("a wrong %s: %+v", what, report.Damaged)
		}
	}
}

func TestCheckUnreferenced(t *testing.T) {
	dir := twoReleases(t)
	extra := []byte("notes")
	writeFile(t, filepath.Join(dir, "README"), extra)
	writeFile(t, filepath.Join(dir, tmpDir, "deltaup-1.tmp"), extra)
	loose := ImagePath(chunkstore.Sum(extra))
	writeFile(t, filepath.Join(dir, loose), extra)
	r := wantSound(t, dir)
	if want := []string{"README", loose}; !slices.Equal(r.Unreferenced, want) {
		t.Errorf("unreferenced %q, want %q", r.Unreferenced, want)
	}
}

func TestCheckNoMirror(t *testing.T) {
	if _, err := Check(t.Context(), filepath.Join(t.TempDir(), "none"), CheckOptions{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that does not exist: %v", err)
	}
	if r, err := Check(t.Context(), t.TempDir(), CheckOptions{}); err == nil {
		t.Errorf("an empty folder: %+v", r)
	}
}

func TestCheckProgress(t *testing.T) {
	dir := twoReleases(t)
	var last, total int64
	r, err := Check(t.Context(), dir, CheckOptions{Progress: func(done, of int64) {
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

package apply_test

import (
	"context"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"deltaup/apply"
	"deltaup/artifact"
	"deltaup/chunkstore"
	"deltaup/internal/test/cpiotest"
	"deltaup/internal/test/faultserver"
	"deltaup/internal/test/toykind"
	"deltaup/mirror"
	"deltaup/mirror/check"
	"deltaup/mirror/folder"
	"deltaup/mirror/publish"
	"deltaup/mirror/serve"
)

// newKindTarget makes a target whose mirror has the world's releases, with an initrd and an
// artifact of a kind that no package but its own knows, and patch sets to all of them.
func newKindTarget(t *testing.T) (m *target, dir string) {
	t.Helper()
	t.Cleanup(artifact.Register(toykind.Kind{}))
	m = newTarget(t)
	dir = t.TempDir()
	for i, image := range m.w.image {
		lib := string(system(i + 1)["usr/lib/lib0.so"])
		own := growingInitrd(i + 1)
		inside := map[string][]byte{"usr/lib/lib0.so": []byte(lib)}
		maps.Copy(inside, own)
		files := []publish.File{{Name: "initrd", Path: filepath.Join(dir, "initrd")},
			{Name: toykind.Name, Path: filepath.Join(dir, "toy")}}
		for n, b := range [][]byte{cpiotest.Initrd(inside),
			toykind.Pack([2]string{"lib0", lib}, [2]string{"init", string(own["init"])}, [2]string{"lib", lib})} {
			if err := os.WriteFile(files[n].Path, b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		done, err := publish.Add(context.Background(), folder.At(filepath.Join(dir, "mirror")), publish.Publication{
			Version: string(rune('1' + i)), Channel: "stable", Image: image, PatchFrom: 1, Artifacts: files,
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(done.Warnings) > 0 || len(done.Patches) != 3*i {
			t.Errorf("patch sets %+v, warnings %q", done.Patches, done.Warnings)
		}
	}
	m.server = faultserver.New(t, serve.Handler(filepath.Join(dir, "mirror")))
	m.urls = []string{m.server.URL}
	return m, filepath.Join(dir, "mirror")
}

// TestAnyKind publishes, checks and pulls an artifact of a kind that is in no list: beside another
// one, from its patch set, by chunks, and after its set was damaged.
func TestAnyKind(t *testing.T) {
	m, dir := newKindTarget(t)
	release := m.release("2")
	a := release.Artifact(toykind.Name)
	if a.Kind != toykind.Name || a.Recipe == nil || a.Index == nil || len(a.Patches) != 1 {
		t.Fatalf("published as %+v", a)
	}
	report, err := check.Mirror(t.Context(), folder.At(dir), check.Options{Deep: true})
	if err != nil || len(report.Damaged) > 0 || len(report.Unreferenced) > 0 {
		t.Errorf("check: %+v, %v", report, err)
	}
	toy, initrd := filepath.Join(t.TempDir(), "toy"), filepath.Join(t.TempDir(), "initrd")
	outputs := map[string]string{toykind.Name: toy, "initrd": initrd}
	m.with = func(r *apply.Request) {
		r.Outputs, r.Version, r.Slot, r.StateDir = outputs, "1", nil, r.StateDir+"-old"
	}
	if _, _, err := m.pull(); err != nil {
		t.Fatal(err)
	}
	old := map[string][]byte{toy: readFile(t, toy), initrd: readFile(t, initrd)}
	state := m.state
	for name, c := range map[string]struct {
		old     bool
		damaged string
		sets    int // that are asked for, of those beside the image
		own     bool
	}{
		"patch sets":  {old: true, sets: 2},
		"chunks":      {own: true},
		"damaged set": {old: true, damaged: mirror.PatchPath(a.Patches[0].Set.ID), sets: 2, own: true},
	} {
		t.Run(name, func(t *testing.T) {
			m.t, m.state = t, state+"-"+name[:2]
			m.server.Clear()
			m.server.Reset()
			if c.damaged != "" {
				m.server.Add(faultserver.Rule{Path: c.damaged, Fault: faultserver.Flip(a.Patches[0].Set.Size - 3)})
			}
			for path, b := range old {
				if !c.old {
					b = nil
				}
				if err := os.WriteFile(path, b, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.RemoveAll(m.path); err != nil {
				t.Fatal(err)
			}
			m.with = func(r *apply.Request) { r.Outputs, r.Optimize = outputs, "bytes" }
			m.mustPull()
			for name, path := range outputs {
				if chunkstore.Sum(readFile(t, path)) != release.Artifact(name).ID {
					t.Errorf("the file is not the published %s", name)
				}
			}
			sets := 0
			for _, name := range []string{toykind.Name, "initrd"} {
				if m.server.Requests(mirror.PatchPath(release.Artifact(name).Patches[0].Set.ID)) > 0 {
					sets++
				}
			}
			if own := m.server.Requests(mirror.IndexPath(a.Index.ID)) > 0; sets != c.sets || own != c.own {
				t.Errorf("%d patch sets were asked for, the index %v", sets, own)
			}
		})
	}
	m.t = t
}

// TestSetsAtOnce: the sets to several outputs are asked for at once.
func TestSetsAtOnce(t *testing.T) {
	m, _ := newKindTarget(t)
	release := m.release("2")
	outputs := map[string]string{toykind.Name: filepath.Join(t.TempDir(), "toy"), "initrd": filepath.Join(t.TempDir(), "initrd")}
	m.with = func(r *apply.Request) {
		r.Outputs, r.Version, r.Slot, r.StateDir = outputs, "1", nil, r.StateDir+"-old"
	}
	if _, _, err := m.pull(); err != nil {
		t.Fatal(err)
	}
	m.server.Reset()
	var sets []string
	var both sync.WaitGroup
	for name := range outputs {
		set := mirror.PatchPath(release.Artifact(name).Patches[0].Set.ID)
		sets = append(sets, set)
		both.Add(1)
		m.server.Add(faultserver.Rule{Path: set, Nth: 1, Fault: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			both.Done()
			arrived := make(chan bool)
			go func() { both.Wait(); close(arrived) }()
			select {
			case <-arrived:
				next.ServeHTTP(w, r)
			case <-r.Context().Done():
				t.Error("the other set is not asked for")
			case <-time.After(30 * time.Second):
				t.Error("the other set is not asked for in time")
			}
		}})
	}
	m.with = func(r *apply.Request) { r.Outputs, r.Optimize = outputs, "bytes" }
	m.mustPull()
	for _, set := range sets {
		if n := m.server.Requests(set); n != 1 {
			t.Errorf("%d requests for %s", n, set)
		}
	}
	for name, path := range outputs {
		if chunkstore.Sum(readFile(t, path)) != release.Artifact(name).ID {
			t.Errorf("the file is not the published %s", name)
		}
	}
}

package apply_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"deltaup/apply"
	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/internal/test/faultserver"
	"deltaup/internal/test/mirrortest"
	"deltaup/mirror/folder"
	"deltaup/mirror/publish"
	"deltaup/mkimage"
)

// watchSeeds counts the plain bytes of seeds that are read for what is in them.
func (m *target) watchSeeds() (read *int64) {
	read = new(int64)
	with := m.with
	m.with = func(r *apply.Request) {
		if with != nil {
			with(r)
		}
		next := r.Events
		r.Events = func(e apply.Event) {
			if e.Stage == apply.StageSeed {
				*read = max(*read, e.Done)
			}
			next(e)
		}
	}
	return read
}

// anew tells whether seeds were read for what a kept recipe said wrongly.
func (m *target) anew() bool {
	return strings.Contains(strings.Join(m.warnings, "\n"), "the seeds are read anew")
}

// seedOf makes the target's seed one that may be changed.
func (m *target) seedOf(b []byte) (seed string) {
	m.t.Helper()
	seed = filepath.Join(m.t.TempDir(), "seed")
	if err := os.WriteFile(seed, b, 0o644); err != nil {
		m.t.Fatal(err)
	}
	m.seeds = []string{seed}
	return seed
}

// again pulls to another slot, and says how many bytes that took.
func (m *target) again() (apply.Result, int64) {
	m.t.Helper()
	m.path, m.warnings = filepath.Join(m.t.TempDir(), "slot"), nil
	m.server.Reset()
	_, r := m.mustPull()
	return r, m.server.BodyBytes("")
}

// TestKeptRecipes updates one slot from the other in turn: only the first seed is read, for the
// recipe of what was written is kept.
func TestKeptRecipes(t *testing.T) {
	m := patched(t, 3, 1)
	inner := m.with
	m.with = func(r *apply.Request) { inner(r); r.Version, r.Channel = "2", "" }
	read := m.watchSeeds()
	if _, r, err := m.pull(); err != nil || r.Route != "patch" || *read == 0 {
		t.Fatalf("route %s, %d bytes of the seed read, %v", r.Route, *read, err)
	}
	m.with = inner
	m.seeds, m.path = []string{m.path}, filepath.Join(t.TempDir(), "other")
	read = m.watchSeeds()
	m.server.Reset()
	q, r := m.mustPull()
	if r.Route != "patch" || *read != 0 {
		t.Errorf("route %s, %d bytes of the seed read", r.Route, *read)
	}
	checkExact(t, m, q, r)
}

// pulled pulls a release that is not the last one.
func (m *target) pulled() {
	m.t.Helper()
	if _, r, err := m.pull(); err != nil || r.Route != "patch" {
		m.t.Fatalf("route %s, %v", r.Route, err)
	}
}

// contentBytes is how many bytes version's files have, each content once.
func contentBytes(version int) (n int64) {
	for _, b := range growing(version) {
		n += int64(len(b))
	}
	return n
}

// TestListsOfKeptRecipe: of an image that was patched, the chunks of what came by patch are read
// when the next update goes by chunks, and once. The update fetches what it would have fetched had
// all been known.
func TestListsOfKeptRecipe(t *testing.T) {
	route := func(m *target, version string, r delta.Route) {
		m.with = func(q *apply.Request) {
			q.Line, q.CPU, q.Version, q.Channel, q.Route = thin, steady, version, "", r
		}
	}
	fresh := patched(t, 3, 1)
	route(fresh, "2", "patch")
	fresh.pulled()
	fresh.seeds = []string{fresh.path}
	fresh.state += "-fresh"
	route(fresh, "3", "chunks")
	_, all := fresh.again()

	m := patched(t, 3, 1)
	route(m, "2", "patch")
	m.pulled()
	m.seeds = []string{m.path}
	route(m, "3", "chunks")
	read := m.watchSeeds()
	if _, n := m.again(); n != all || *read == 0 || *read > contentBytes(2)*2/3 {
		t.Errorf("%d bytes fetched instead of %d; %d of %d bytes of the seed read", n, all, *read,
			contentBytes(2))
	}
	read = m.watchSeeds()
	if _, n := m.again(); n != all || *read != 0 {
		t.Errorf("the second time: %d bytes fetched instead of %d, %d of the seed read", n, all, *read)
	}
	route(m, "3", "patch")
	if r, _ := m.again(); r.Route != "patch" || len(m.warnings) > 0 {
		t.Errorf("then route %s, warnings %q", r.Route, m.warnings)
	}
}

// TestListsAfterDamage: the chunks of a seed are read, too, when a group turns out to be of no use.
func TestListsAfterDamage(t *testing.T) {
	m := patched(t, 3, 1)
	inner := m.with
	m.with = func(r *apply.Request) { inner(r); r.Version, r.Channel = "2", "" }
	m.pulled()
	m.seeds, m.with = []string{m.path}, inner
	release := m.release("3")
	m.server.Add(faultserver.Rule{Path: "patches/", Fault: faultserver.Flip(release.Patches[0].Set.Size - 3)})
	read := m.watchSeeds()
	r, _ := m.again()
	given := strings.Count(strings.Join(m.warnings, "\n"), "is fetched otherwise")
	if *read == 0 || *read > contentBytes(2)*2/3 || given != 1 || m.anew() {
		t.Errorf("route %s, %d bytes of the seed read, warnings %q", r.Route, *read, m.warnings)
	}
}

// TestWrongListsOfKeptRecipe: a content of the seed that was damaged shows when its chunks are
// read.
func TestWrongListsOfKeptRecipe(t *testing.T) {
	m := patched(t, 3, 1)
	inner := m.with
	m.with = func(r *apply.Request) { inner(r); r.Version, r.Channel = "2", "" }
	m.pulled()
	bad := readFile(t, m.path)
	bad[bytes.Index(bad, growing(2)["usr/lib/lib0.so"][:64])+5] ^= 1
	m.with = inner
	seed := m.seedOf(bad)
	m.with = func(r *apply.Request) { inner(r); r.Route = "chunks" }
	read := m.watchSeeds()
	if m.again(); *read < contentBytes(2)*9/10 {
		t.Errorf("%d of %d bytes of seed %s read, warnings %q", *read, contentBytes(2), seed, m.warnings)
	}
}

// TestKeptAfterFailure: an update that was cut off does not read the seed again.
func TestKeptAfterFailure(t *testing.T) {
	m := patched(t, 2, 1)
	interrupted(t, m)
	read := m.watchSeeds()
	m.mustPull()
	if *read != 0 {
		t.Errorf("%d bytes of the seed read", *read)
	}
}

// damages are places in version 1's image: each tells of another use of a content.
func damages(t *testing.T, image []byte) map[string]int {
	t.Helper()
	at := func(content []byte) int { // noise is stored as it is
		i := bytes.Index(image, content[:64])
		if i < 0 {
			t.Fatal("the content's bytes are not in the image")
		}
		return i
	}
	files := growing(1)
	return map[string]int{
		"a file that is copied": at(files["usr/lib/lib3.so"]) + 5,
		"the base of a patch":   at(files["usr/lib/lib0.so"]) + 5,
		"a fragment":            bytes.Index(image, []byte{0x28, 0xb5, 0x2f, 0xfd}),
	}
}

// TestWrongKeptRecipe damages a seed whose recipe is kept. The update finds out whatever it uses of
// it, reads the seed, and goes on as if it had never believed; the next one does not believe again.
func TestWrongKeptRecipe(t *testing.T) {
	good := readFile(t, patchedWorld(t, 2, 1).image[0])
	for name, at := range damages(t, good) {
		bad := bytes.Clone(good)
		bad[at] ^= 1
		for _, route := range []delta.Route{"", "chunks"} {
			t.Run(name+" "+string(route), func(t *testing.T) {
				m := patched(t, 2, 1)
				inner := m.with
				m.with = func(r *apply.Request) { inner(r); r.Route = route }
				m.state += "-fresh"
				m.seedOf(bad)
				_, fresh := m.again()

				m.state += "-kept"
				seed := m.seedOf(good)
				_, intact := m.again()
				if len(m.warnings) > 0 {
					t.Fatalf("warnings %q", m.warnings)
				}
				if err := os.WriteFile(seed, bad, 0o644); err != nil {
					t.Fatal(err)
				}
				read := m.watchSeeds()
				_, n := m.again()
				all := strings.Join(m.warnings, "\n")
				if strings.Contains(all, "of no use") || strings.Contains(all, "without copied blocks") {
					t.Errorf("patches or blocks were given up: %q", m.warnings)
				}
				if !m.anew() || *read == 0 || n > fresh+intact {
					t.Errorf("%d bytes, %d of the seed read, warnings %q; without a kept recipe %d bytes, with a good seed %d", n, *read, m.warnings, fresh, intact)
				}
				if _, n := m.again(); m.anew() || n != fresh {
					t.Errorf("the next update: %d bytes, warnings %q; without a kept recipe %d", n, m.warnings, fresh)
				}
			})
		}
	}
}

// TestDamagedNotKept: what was read of a damaged seed is no image's recipe, neither later when it
// is whole nor of another seed that is.
func TestDamagedNotKept(t *testing.T) {
	m := patched(t, 2, 1)
	good := readFile(t, m.w.image[0])
	bad := bytes.Clone(good)
	bad[damages(t, good)["a file that is copied"]] ^= 1
	seed := m.seedOf(bad)
	m.again()
	if err := os.WriteFile(seed, good, 0o644); err != nil {
		t.Fatal(err)
	}
	if r, _ := m.again(); r.Route != "patch" || len(m.warnings) > 0 {
		t.Errorf("route %s, warnings %q", r.Route, m.warnings)
	}

	m = patched(t, 2, 1)
	m.seedOf(bad)
	first := m.seeds[0]
	m.seedOf(good)
	m.seeds = []string{first, m.seeds[0]}
	if r, _ := m.again(); r.Route != "patch" || len(m.warnings) > 0 {
		t.Errorf("with another seed that is whole: route %s, warnings %q", r.Route, m.warnings)
	}
}

// TestKeptOfOtherChunks: a release that is cut otherwise has its seeds read when its chunks are
// needed: when they are asked for, or because a group of the patch set is of no use.
func TestKeptOfOtherChunks(t *testing.T) {
	dir := t.TempDir()
	w := &world{dir: dir, mirror: filepath.Join(dir, "mirror")}
	for v := range 2 {
		files := filepath.Join(dir, "tree", string(rune('1'+v)))
		if err := mirrortest.WriteFiles(files, growing(v+1)); err != nil {
			t.Fatal(err)
		}
		w.image[v] = files + ".squashfs"
		o := mkimage.Options{Level: "better"}
		if v == 1 {
			o.Chunking = chunkstore.Params{Min: 4 << 10, Average: 16 << 10, Max: 64 << 10}
		}
		if err := mirrortest.ImageOf(t.Context(), files, w.image[v], o); err != nil {
			t.Fatal(err)
		}
		_, err := publish.Add(context.Background(), folder.At(w.mirror), publish.Publication{
			Version: string(rune('1' + v)), Channel: "stable", Image: w.image[v], PatchFrom: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	good := readFile(t, w.image[0])
	for name, places := range map[string][]string{"intact": nil, "damaged": {"a file that is copied", "the base of a patch"}} {
		t.Run(name, func(t *testing.T) {
			m := newTargetOf(t, w)
			m.with = func(r *apply.Request) { r.Line, r.CPU = thin, steady }
			seed := m.seedOf(good)
			m.again()
			bad := bytes.Clone(good)
			for _, place := range places {
				bad[damages(t, good)[place]] ^= 1
			}
			if err := os.WriteFile(seed, bad, 0o644); err != nil {
				t.Fatal(err)
			}
			kept := filepath.Join(m.state, "recipes", "*")
			before, err := filepath.Glob(kept)
			if err != nil {
				t.Fatal(err)
			}
			m.with = func(r *apply.Request) { r.Line, r.CPU, r.Route = thin, steady, "chunks" }
			m.again()
			if after, _ := filepath.Glob(kept); len(m.warnings) > 0 || len(before) != 2 || len(after) != 2 {
				t.Errorf("warnings %q; %d recipes kept, then %d", m.warnings, len(before), len(after))
			}
			m.with = func(r *apply.Request) { r.Line, r.CPU = thin, steady }
			release := m.release("2")
			m.server.Add(faultserver.Rule{Path: "patches/", Fault: faultserver.Flip(release.Patches[0].Set.Size - 3)})
			if m.again(); len(m.warnings) == 0 {
				t.Error("a damaged group was not noticed")
			}
		})
	}
}

// TestIncompleteKeptRecipeOfDamagedSeed reads what a kept recipe lacks from a seed that has been
// damaged since. The update reads the whole seed and says why in one line.
func TestIncompleteKeptRecipeOfDamagedSeed(t *testing.T) {
	m := patched(t, 3, 1)
	inner := m.with
	m.with = func(r *apply.Request) { inner(r); r.Version, r.Channel = "2", "" }
	m.pulled()
	b := readFile(t, m.path)
	at := bytes.Index(b, growing(2)["usr/lib/lib0.so"][:64]) // a file that came by patch
	if at < 0 {
		t.Fatal("the image lacks the file")
	}
	b[at+5] ^= 1
	if err := os.WriteFile(m.path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	m.seeds = []string{m.path}
	m.with = func(r *apply.Request) { inner(r); r.Route = "chunks" }
	r, _ := m.again()
	if r.Route != "chunks" || !m.anew() || !strings.Contains(strings.Join(m.warnings, "; "), "its kept recipe is not that of the image") {
		t.Errorf("route %s, warnings %q", r.Route, m.warnings)
	}
}

// TestDamagedKeptRecipe: a kept recipe that cannot be read is no worse than none.
func TestDamagedKeptRecipe(t *testing.T) {
	for name, damage := range map[string]func(b []byte) []byte{
		"empty":   func([]byte) []byte { return nil },
		"cut off": func(b []byte) []byte { return b[:len(b)/2] },
		"flipped": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"no zstd": func([]byte) []byte { return []byte("deltaup-recipe 1\n") },
	} {
		t.Run(name, func(t *testing.T) {
			m := patched(t, 2, 1)
			m.mustPull()
			files, err := filepath.Glob(filepath.Join(m.state, "recipes", "*"))
			if err != nil || len(files) != 2 {
				t.Fatalf("kept %q, %v; want those of the seed and the slot", files, err)
			}
			for _, f := range files {
				if err := os.WriteFile(f, damage(readFile(t, f)), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			read := m.watchSeeds()
			if r, _ := m.again(); r.Route != "patch" || *read == 0 || len(m.warnings) > 0 {
				t.Errorf("route %s, %d bytes of the seed read, warnings %q", r.Route, *read, m.warnings)
			}
		})
	}
}

// TestWrongKeptRecipeOfInitrd makes an initrd of files of an image whose recipe is kept; one of
// them was damaged.
func TestWrongKeptRecipeOfInitrd(t *testing.T) {
	m, file := newInitrdTarget(t, 1)
	inner := m.with
	m.with = func(r *apply.Request) { inner(r); r.Slot = nil }
	b := readFile(t, m.w.image[1])
	seed := m.seedOf(b)
	for n := range 2 {
		if err := os.WriteFile(seed, b, 0o644); err != nil {
			t.Fatal(err)
		}
		os.Remove(file)
		read := m.watchSeeds()
		if _, _, err := m.pull(); err != nil {
			t.Fatal(err)
		}
		m.wantInitrd(file)
		if m.anew() != (n > 0) || *read == 0 {
			t.Errorf("run %d: %d bytes of the seed read, warnings %q", n, *read, m.warnings)
		}
		b[bytes.Index(b, system(2)["usr/lib/lib5.so"][:64])+5] ^= 1
	}
}

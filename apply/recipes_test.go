package apply_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"deltaup/apply"
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

// TestKeptRecipes updates one slot from the other in turn: only the first seed is read, for the recipe of what was written is kept.
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

// TestBeliedRecipe damages the data of a seed whose recipe is kept, so that a file of it can be read and is another, or cannot be read.
func TestBeliedRecipe(t *testing.T) {
	good := readFile(t, patchedWorld(t, 2, 1).image[0])
	lib := bytes.Index(good, growing(1)["usr/lib/lib3.so"][:64]) // noise is stored as it is
	text := bytes.LastIndex(good[:lib], []byte{0x28, 0xb5, 0x2f, 0xfd})
	if text < 0 {
		text = lib + bytes.Index(good[lib:], []byte{0x28, 0xb5, 0x2f, 0xfd})
	}
	for name, at := range map[string]int{"another content": lib + 5, "no frame": text} {
		for _, route := range []string{"patch", "chunks"} {
			t.Run(name+" "+route, func(t *testing.T) {
				m := patched(t, 2, 1)
				inner := m.with
				m.with = func(r *apply.Request) {
					inner(r)
					if route == "chunks" {
						r.Route = "chunks"
					}
				}
				seed := filepath.Join(t.TempDir(), "seed")
				m.seeds = []string{seed}
				if err := os.WriteFile(seed, good, 0o644); err != nil {
					t.Fatal(err)
				}
				m.mustPull()
				if len(m.warnings) > 0 {
					t.Fatalf("warnings %q", m.warnings)
				}
				bad := bytes.Clone(good)
				bad[at] ^= 1
				if err := os.WriteFile(seed, bad, 0o644); err != nil {
					t.Fatal(err)
				}
				m.path = filepath.Join(t.TempDir(), "slot")
				read := m.watchSeeds()
				m.mustPull()
				if !strings.Contains(strings.Join(m.warnings, "\n"), "the seeds are read anew") || *read == 0 {
					t.Errorf("%d bytes of the seed read, warnings %q", *read, m.warnings)
				}
			})
		}
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
			m.path = filepath.Join(t.TempDir(), "slot")
			read := m.watchSeeds()
			if _, r := m.mustPull(); r.Route != "patch" || *read == 0 || len(m.warnings) > 0 {
				t.Errorf("route %s, %d bytes of the seed read, warnings %q", r.Route, *read, m.warnings)
			}
		})
	}
}

// TestBeliedInitrd makes an initrd alone, of files of an image whose recipe is kept; one of them was damaged.
func TestBeliedInitrd(t *testing.T) {
	m, file := newInitrdTarget(t, 1)
	inner := m.with
	m.with = func(r *apply.Request) { inner(r); r.Slot = nil }
	seed := filepath.Join(t.TempDir(), "seed")
	m.seeds = []string{seed}
	b := readFile(t, m.w.image[1])
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
		if anew := strings.Contains(strings.Join(m.warnings, "\n"), "the seeds are read anew"); anew != (n > 0) || *read == 0 {
			t.Errorf("run %d: %d bytes of the seed read, warnings %q", n, *read, m.warnings)
		}
		b[bytes.Index(b, system(2)["usr/lib/lib5.so"][:64])+5] ^= 1
	}
}

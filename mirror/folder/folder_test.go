package folder_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"deltaup/chunkstore"
	"deltaup/internal/test/durabletest"
	"deltaup/internal/test/mirrorstore"
	"deltaup/mirror"
	"deltaup/mirror/folder"
)

func TestFolder(t *testing.T) {
	mirrorstore.Run(t, func(t *testing.T) mirror.Store {
		return folder.At(filepath.Join(t.TempDir(), "new", "mirror"))
	})
}

// TestLinks: what lies behind links is listed with its own size; one that leads nowhere or back is
// left out.
func TestLinks(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	for link, to := range map[string]string{
		"packs": other, "images/back": "..", "images/self": "self", "images/gone": "/nosuch/file",
		"images/file": filepath.Join(other, "ab", "one"), "releases": "images",
	} {
		path := filepath.Join(dir, link)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.Symlink(to, path))
	}
	must(t, os.MkdirAll(filepath.Join(other, "ab"), 0o755))
	must(t, os.WriteFile(filepath.Join(other, "ab", "one"), []byte("twelve bytes"), 0o644))
	s := folder.At(dir)
	got, err := s.List(t.Context(), "")
	must(t, err)
	want := []mirror.Entry{{Name: "images/file", Size: 12}, {Name: "packs/ab/one", Size: 12}, {Name: "releases/file", Size: 12}}
	if !slices.Equal(got, want) {
		t.Errorf("listed is %v, want %v", got, want)
	}
	must(t, s.Recover(t.Context()))
}

// TestFolderCrash cuts the power before each step of each change: a file is as it was or as it
// should be, and the next publisher can go on.
func TestFolderCrash(t *testing.T) {
	old, newer := bytes.Repeat([]byte("old"), 100), bytes.Repeat([]byte("newer"), 100)
	name := mirror.PackPath(chunkstore.Sum(newer))
	for what, change := range map[string]func(s mirror.Store) error{
		"put": func(s mirror.Store) error {
			d, err := s.Create(t.Context())
			if err != nil {
				return err
			}
			defer d.Discard()
			if _, err := d.Write(newer); err != nil {
				return err
			}
			return d.Commit(t.Context(), name)
		},
		"write":  func(s mirror.Store) error { return s.Write(t.Context(), name, newer) },
		"remove": func(s mirror.Store) error { return s.Remove(t.Context(), name) },
	} {
		for _, had := range [][]byte{nil, old} {
			crashes(t, what, had, func(s mirror.Store) ([]byte, error) {
				err := change(s)
				if what == "remove" {
					return nil, err
				}
				return newer, err
			}, name)
		}
	}
}

// crashes cuts the power at each step of a change of a file that had these bytes, nil for none.
func crashes(t *testing.T, what string, had []byte, change func(s mirror.Store) ([]byte, error), name string) {
	t.Helper()
	for n := 1; ; n++ {
		s := folder.At(filepath.Join(t.TempDir(), "mirror"))
		unlock, err := s.Lock(t.Context(), nil)
		must(t, err)
		if had != nil {
			must(t, s.Write(t.Context(), name, had))
		}
		cut := durabletest.CrashAt(t, n)
		want, err := change(s)
		unlock()
		crashed := cut.Restart()
		got, readErr := mirror.ReadFile(t.Context(), s, name, 1<<20)
		if readErr != nil {
			got = nil
		}
		switch {
		case crashed && err == nil:
			t.Errorf("%s, step %d: no error", what, n)
		case !crashed:
			must(t, err)
			if !bytes.Equal(got, want) {
				t.Errorf("%s: %q", what, got)
			}
			return
		case !bytes.Equal(got, had) && !bytes.Equal(got, want):
			t.Errorf("%s, step %d: %q", what, n, got)
		}
		unlock, err = s.Lock(t.Context(), nil)
		must(t, err)
		must(t, s.Recover(t.Context()))
		if _, err := change(s); err != nil {
			t.Errorf("%s, step %d, once more: %v", what, n, err)
		}
		unlock()
	}
}

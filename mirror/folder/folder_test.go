package folder_test

import (
	"bytes"
	"path/filepath"
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

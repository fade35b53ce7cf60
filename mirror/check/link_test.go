package check_test

import (
	"os"
	"path/filepath"
	"testing"

	"deltaup/internal/test/publishtest"
	"deltaup/mirror"
)

// TestLinkedFolder: packs and images may lie on another disk, behind a link.
func TestLinkedFolder(t *testing.T) {
	dir := publishtest.TwoReleases(t)
	files := publishtest.WantSound(t, dir).Files
	for _, name := range []string{mirror.PacksDir, "images"} {
		there := filepath.Join(t.TempDir(), name)
		if err := os.Rename(filepath.Join(dir, name), there); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(there, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if r := publishtest.WantSound(t, dir); r.Files != files || len(r.Unreferenced) != 0 {
		t.Errorf("%d files, not %d; unreferenced: %q", r.Files, files, r.Unreferenced)
	}
}

package iconcache

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"deltaup/internal/test/oracle"
	"deltaup/internal/test/treetest"
)

// populate makes the program and themes.
func populate(t testing.TB, root string) {
	t.Helper()
	treetest.Write(t, filepath.Join(root, "usr/bin/gtk-update-icon-cache"), "")
	icons := filepath.Join(root, folder)
	for _, theme := range []string{"many", "empty", "strange", "spaces", "icon", "loop"} {
		treetest.Write(t, filepath.Join(icons, theme, "index.theme"), "[Icon Theme]\nName=x\n")
		treetest.Write(t, filepath.Join(icons, theme, "top.png"), "")
	}
	for i := range 700 {
		size := []string{"16x16", "48x48", "scalable"}[i%3]
		treetest.Write(t, filepath.Join(icons, "many", size, "apps", fmt.Sprintf("icon-%d.png", i%300)), "")
		treetest.Write(t, filepath.Join(icons, "many", size, []string{"", "places"}[i%2], fmt.Sprintf("x%d.%s", i%90, []string{"svg", "xpm", "png", "txt"}[i%4])), "")
	}
	treetest.Write(t, filepath.Join(icons, "strange/a/one.two.svg"), "")
	treetest.Write(t, filepath.Join(icons, "strange/a/.png"), "")
	treetest.Write(t, filepath.Join(icons, "strange/a/b.png"), "") // the name of a folder, too
	treetest.Write(t, filepath.Join(icons, "strange/b/b.symbolic.png"), "")
	treetest.Write(t, filepath.Join(icons, "strange/none/readme"), "")
	for name, target := range map[string]string{"strange/c": "a", "strange/a/link.svg": "one.two.svg", "strange/a/gone.svg": "none", "loop/l": "."} {
		if err := os.Symlink(target, filepath.Join(icons, name)); err != nil {
			t.Fatal(err)
		}
	}
	treetest.Write(t, filepath.Join(icons, "spaces/a/with space.png"), "")
	treetest.Write(t, filepath.Join(icons, "icon/a/x.png"), "")
	treetest.Write(t, filepath.Join(icons, "icon/a/x.icon"), "[Icon Data]\nDisplayName=X\n")
	treetest.Write(t, filepath.Join(icons, "no-index/a/x.png"), "")
}

// TestLikeGtkUpdateIconCache compares the indexes with those of the machine's program, or that which
// DELTAUP_GTK_UPDATE_ICON_CACHE says: of the themes above, and of the machine's.
func TestLikeGtkUpdateIconCache(t *testing.T) {
	command := strings.Fields(os.Getenv("DELTAUP_GTK_UPDATE_ICON_CACHE"))
	if len(command) == 0 {
		command = []string{oracle.Need(t, "gtk-update-icon-cache")}
	}
	root := t.TempDir()
	populate(t, root)
	machine := os.Getenv("DELTAUP_ICONS")
	if machine == "" {
		machine = "/" + folder
	}
	entries, err := filepath.Glob(machine + "/*/index.theme")
	if err != nil {
		t.Fatal(err)
	}
	for _, index := range entries {
		dir := filepath.Dir(index)
		if out, err := exec.Command("cp", "-a", dir, filepath.Join(root, folder, filepath.Base(dir))).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if err := os.Remove(filepath.Join(root, folder, filepath.Base(dir), name)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	made := map[string][]byte{}
	for _, f := range Build(treetest.Open(t, root)) {
		made[f.Path] = f.Content
	}
	themes, err := filepath.Glob(filepath.Join(root, folder, "*/index.theme"))
	if err != nil || len(themes) < 6 {
		t.Fatalf("%d themes, %v", len(themes), err)
	}
	for _, theme := range themes {
		dir := filepath.Dir(theme)
		if base := filepath.Base(dir); base == "icon" || base == "loop" {
			continue
		}
		out, _ := exec.Command(command[0], append(command[1:], "--force", "--quiet", dir)...).CombinedOutput()
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		got := made[folder+"/"+filepath.Base(dir)+"/"+name]
		if !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, want %d: %s", filepath.Base(dir), len(got), len(want), out)
		}
		t.Logf("%s: %d bytes", filepath.Base(dir), len(want))
	}
}

// TestGolden makes the indexes whose bytes were also those of GTK 3.24 and 4.18.
func TestGolden(t *testing.T) {
	root := t.TempDir()
	populate(t, root)
	sum := sha256.New()
	var paths []string
	for _, f := range Build(treetest.Open(t, root)) {
		sum.Write(f.Content)
		paths = append(paths, strings.TrimPrefix(f.Path, folder))
	}
	if got := strings.Join(paths, " "); got != "/many/icon-theme.cache /strange/icon-theme.cache" {
		t.Error(got)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != "7d7b5a918d7452a8c0c0eb12dacf7f5f32fe898b0f2dfa76b05eb9ee56f29e41" {
		t.Error(got)
	}
	if err := os.Remove(filepath.Join(root, "usr/bin/gtk-update-icon-cache")); err != nil {
		t.Fatal(err)
	}
	if made := Build(treetest.Open(t, root)); made != nil {
		t.Errorf("%d indexes without the program", len(made))
	}
}

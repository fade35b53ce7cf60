package adopt_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"deltaup/dist"
	"deltaup/internal/plainfile"
	"deltaup/internal/test/treetest"
	"deltaup/mkimage/adopt"
)

// settings are of this program, which is one of Linux, and whose processor is that of the tests.
func settings(t *testing.T) adopt.Settings {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return adopt.Settings{Program: program}
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	treetest.Write(t, path, text)
	return path
}

// TestInto puts deltaup into a tree with a merged usr, twice.
func TestInto(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "etc/initramfs-tools/initramfs.conf"), "")
	write(t, filepath.Join(dir, "usr/lib/systemd/system/deltaup-update.service"), "an older one")
	if err := os.Symlink("usr/lib", filepath.Join(dir, "lib")); err != nil {
		t.Fatal(err)
	}
	s := settings(t)
	s.Root = write(t, filepath.Join(t.TempDir(), "root.json"), "{}")
	has := func(path string) bool {
		_, err := os.Lstat(filepath.Join(dir, path))
		return err == nil
	}
	for range 2 {
		files, err := adopt.Files(s, runtimeArchitecture(), has)
		if err != nil {
			t.Fatal(err)
		}
		if err := adopt.Into(dir, files); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{
		"usr/bin/deltaup":                               "",
		"usr/lib/deltaup/root.json":                     "{}",
		"etc/initramfs-tools/hooks/deltaup":             "#!/bin/sh",
		"usr/lib/systemd/system/deltaup-update.service": "[Unit]",
		"usr/lib/deltaup/initramfs/deltaup.sh":          "# shellcheck",
		"usr/lib/deltaup/settings.d/20-accounts.conf":   "# Accounts",
		"data": "",
	} {
		if !has(path) {
			t.Errorf("/%s is missing", path)
			continue
		}
		if b, _ := os.ReadFile(filepath.Join(dir, path)); !strings.HasPrefix(string(b), want) {
			t.Errorf("/%s begins with %.20q", path, b)
		}
	}
	if has("usr/lib/dracut") {
		t.Error("there is a module for dracut, which the tree lacks")
	}
	// each unit that the preset enables has its link, which leads to its file
	links, err := filepath.Glob(filepath.Join(dir, "etc/systemd/system/*.wants/*"))
	if err != nil {
		t.Fatal(err)
	}
	preset, err := fs.ReadFile(dist.Files, "systemd/90-deltaup.preset")
	if err != nil || len(links) != strings.Count(string(preset), "enable ") {
		t.Errorf("links %q, %v", links, err)
	}
	for _, l := range links {
		target, err := os.Readlink(l)
		if err != nil || !has(target) {
			t.Errorf("%s leads to %q, %v", l, target, err)
		}
	}
}

func runtimeArchitecture() string {
	if runtime.GOARCH == "386" {
		return "i386"
	}
	return runtime.GOARCH
}

func TestRefused(t *testing.T) {
	good := settings(t)
	text := write(t, filepath.Join(t.TempDir(), "text"), "no program")
	none := func(string) bool { return false }
	other := "arm64"
	if runtime.GOARCH == other {
		other = "amd64"
	}
	for name, c := range map[string]struct {
		s            adopt.Settings
		architecture string
		want         error
	}{
		"no program":      {adopt.Settings{}, "", adopt.ErrSettings},
		"text":            {adopt.Settings{Program: text}, "", adopt.ErrSettings},
		"a folder":        {adopt.Settings{Program: t.TempDir()}, "", plainfile.ErrKind},
		"other processor": {good, other, adopt.ErrSettings},
		"root":            {adopt.Settings{Program: good.Program, Root: text}, "", adopt.ErrSettings},
	} {
		if _, err := adopt.Files(c.s, c.architecture, none); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := adopt.Files(adopt.Settings{Program: good.Program, Config: text}, "", none); err == nil {
		t.Error("a wrong deltaup.toml is accepted")
	}
	// a tree with links out of it
	outside, dir := t.TempDir(), t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "usr")); err != nil {
		t.Fatal(err)
	}
	files, err := adopt.Files(good, "", none)
	if err != nil {
		t.Fatal(err)
	}
	if err := adopt.Into(dir, files); err == nil {
		t.Error("a link out of the tree was followed")
	}
	left, err := os.ReadDir(outside)
	if err != nil || len(left) > 0 {
		t.Errorf("outside of the tree: %v, %v", left, err)
	}
	if !slices.ContainsFunc(files, func(f adopt.File) bool { return f.Path == "usr/bin/deltaup" }) {
		t.Error("the program has no place")
	}
}

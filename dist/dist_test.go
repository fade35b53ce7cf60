package dist

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tool gives the path of a program, or skips without it; everything is there when DELTAUP_TEST_ALL
// is set.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		for _, dir := range []string{"/sbin/", "/usr/sbin/"} {
			if _, err := os.Stat(dir + name); err == nil {
				return dir + name
			}
		}
		if os.Getenv("DELTAUP_TEST_ALL") != "" {
			t.Fatalf("%s is missing", name)
		}
		t.Skipf("no %s", name)
	}
	return path
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(tool(t, name), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
	return string(out)
}

func TestShellcheck(t *testing.T) {
	var files []string
	err := filepath.WalkDir("initramfs", func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) < 7 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	run(t, "shellcheck", append([]string{"-x", "-P", ".."}, files...)...)
}

// TestUnits has systemd itself read the units, in a root that has nothing else but what they start.
func TestUnits(t *testing.T) {
	root := t.TempDir()
	var units []string
	for _, pattern := range []string{"*.service", "*.timer"} {
		files, err := filepath.Glob("systemd/" + pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			units = append(units, filepath.Base(f))
			copyFile(t, f, filepath.Join(root, "etc/systemd/system", filepath.Base(f)), 0o644)
		}
	}
	if len(units) != 10 {
		t.Fatalf("%q", units)
	}
	copyFile(t, "/bin/true", filepath.Join(root, "usr/bin/deltaup"), 0o755)
	for _, dir := range []string{"/usr/lib/systemd/system", "/lib/systemd/system"} {
		if _, err := os.Stat(dir); err == nil {
			if err := os.CopyFS(filepath.Join(root, "usr/lib/systemd/system"), targets{os.DirFS(dir)}); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	out := run(t, "systemd-analyze", append([]string{"verify", "--man=no", "--root=" + root}, units...)...)
	if strings.TrimSpace(out) != "" {
		t.Errorf("systemd-analyze says: %s", out)
	}
	// What is wrong is seen at all.
	bad := filepath.Join(root, "etc/systemd/system/deltaup-bad.service")
	if err := os.WriteFile(bad, []byte("[Service]\nExecStart=/usr/bin/none\nNoSuchKey=1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	wrong, err := exec.Command(tool(t, "systemd-analyze"), "verify", "--man=no", "--root="+root, "deltaup-bad.service").CombinedOutput()
	if err == nil && !bytes.Contains(wrong, []byte("NoSuchKey")) {
		t.Error("systemd-analyze takes everything here")
	}
}

// targets are the plain targets of a folder of units.
type targets struct{ fs.FS }

func (f targets) ReadDir(name string) ([]fs.DirEntry, error) {
	all, err := fs.ReadDir(f.FS, name)
	var some []fs.DirEntry
	for _, e := range all {
		if e.Type().IsRegular() && strings.HasSuffix(e.Name(), ".target") {
			some = append(some, e)
		}
	}
	return some, err
}

func copyFile(t *testing.T, from, to string, mode fs.FileMode) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o755)
	}
	if err == nil {
		err = os.WriteFile(to, b, mode)
	}
	if err != nil {
		t.Fatal(err)
	}
}

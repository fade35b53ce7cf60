package bench

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// testLine is one of the report's, and quick.
var testLine = Line{roundRate, curveRTTs[0]}

// TestRun measures a small pair with what is installed. One tool is replaced by one that gives wrong bytes: it
// must be found out.
func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("runs other programs for some seconds")
	}
	if _, err := os.Stat("/dev/shm"); err == nil {
		t.Setenv("TMPDIR", "/dev/shm") // what is synced need not reach a disk
	}
	dir := t.TempDir()
	binary := filepath.Join(dir, "deltaup")
	if out, err := exec.Command("go", "build", "-o", binary, "deltaup/cmd/deltaup").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	liar(t, dir, "xdelta3")
	setLines(t, []Line{testLine}, []int64{1e6, 2e6})
	only := []string{"deltaup", "deltaup-bytes", "deltaup-chunks", "deltaup-blocks", "deltaup-whole", "curl", "zstd-image", "xdelta3-tar", "casync-image", "zsync-image", "rsync-image", "ostree-delta"}
	r, err := Run(t.Context(), Options{
		Deltaup: binary, Name: "small", Pair: trees(t, dir), Scratch: dir, Quick: true, Budget: time.Minute, Level: "fastest", Only: only, Log: t.Logf,
	})
	if err != nil {
		t.Fatal(err)
	}
	skipped := map[string]string{}
	for _, s := range r.Skipped {
		skipped[s.Name] = s.Why
	}
	if why := skipped["xdelta3, tar"]; !strings.Contains(why, "the result has the hash") && !strings.Contains(why, "curl is not installed") {
		t.Errorf("a tool that gives wrong bytes: %q", why)
	}
	for _, m := range allMethods() {
		if slices.Contains(only, m.id) && m.id != "xdelta3-tar" {
			checkFigures(t, r, &m, skipped[m.name])
		}
	}
	if whole, own := r.method("deltaup-whole"), r.method("deltaup-bytes"); own.Route != "patch" || own.Sent.Median*5 > whole.Sent.Median {
		t.Errorf("patches: %.0f bytes by the route %s, whole: %.0f", own.Sent.Median, own.Route, whole.Sent.Median)
	}
	if len(r.Sizes) != 2 || r.Sizes[1].Computed || r.Sizes[0].Sent == 0 || len(r.Releases) < 3 || r.Releases[2].First.Sent == 0 {
		t.Errorf("scales: %+v\n%+v", r.Sizes, r.Releases)
	}
	if err := r.WriteFiles(filepath.Join(dir, "report")); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "deltaup-bench.*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// checkFigures looks at a method that must have run unless its tool is missing.
func checkFigures(t *testing.T, r *Report, m *method, why string) {
	t.Helper()
	f := r.method(m.id)
	if f == nil {
		if !strings.HasSuffix(why, "is not installed") {
			t.Errorf("%s was not run: %s", m.name, why)
		}
		return
	}
	size := float64(r.Subject.ImageSize[1])
	if f.Sent.Median <= 0 || f.Sent.Median > 2*size || f.Wall.Median <= 0 || f.CPU.Median <= 0 || f.Rounds < 1 || f.WeakWall <= 0 || f.Version == "" {
		t.Errorf("%s: %+v", m.name, f)
	}
	if m.route != "" && f.Route != m.route {
		t.Errorf("%s took the route %s", m.name, f.Route)
	}
	if p := r.point(m.id, testLine, false, true); p == nil && m.route == "" {
		t.Errorf("%s was not run on the line", m.name)
	}
}

// setLines changes which lines and sizes are run until the test ends.
func setLines(t *testing.T, real []Line, sizes []int64) {
	oldLines, oldSizes := realLines, quickSizes
	realLines, quickSizes = real, sizes
	t.Cleanup(func() { realLines, quickSizes = oldLines, oldSizes })
}

// liar puts a program on the PATH that makes a patch and, with -d, a file of the wrong bytes.
func liar(t *testing.T, dir, name string) {
	t.Helper()
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\nfor last; do :; done\necho wrong > \"$last\"\n"
	if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
}

// trees makes two folders, the second with some bytes of some files changed, and a boot folder that is left out.
func trees(t *testing.T, dir string) (pair [2]string) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	files := map[string][]byte{}
	for i := range 60 {
		b := make([]byte, 4000+random.IntN(60_000))
		for k := range b {
			b[k] = byte(random.IntN(64)) // compresses a little
		}
		files[fmt.Sprintf("usr/lib/file-%02d", i)] = b
	}
	files["boot/vmlinuz"] = make([]byte, 100_000)
	for v := range pair {
		pair[v] = filepath.Join(dir, fmt.Sprintf("tree-%d", v+1))
		for name, b := range files {
			if v == 1 && strings.HasSuffix(name, "7") {
				copy(b[len(b)/2:], "changed in the second release")
			}
			path := filepath.Join(pair[v], name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return pair
}

// TestWithin tells what lies below boot from what is called like it.
func TestWithin(t *testing.T) {
	for name, want := range map[string]bool{
		"boot/vmlinuz": true, "./boot/grub/grub.cfg": true, "./boot/": false, "boot": false, "./bootstrap/x": false, "usr/boot/x": false, "/boot/x": true,
	} {
		if got := within(name, "boot"); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

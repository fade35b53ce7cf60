package bench

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// testLine is a quick one of the report's lines.
var testLine = Line{Rate: roundRate, RTT: curveRTTs[0]}

// TestRun measures a small pair with the installed tools. It replaces one tool by one that gives
// wrong bytes, which Run must notice.
func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("runs other programs for some seconds")
	}
	dir, binary := workplace(t)
	liar(t, dir, "xdelta3")
	setLines(t, []Line{testLine})
	only := []string{"deltaup", "deltaup-first", "deltaup-bytes", "deltaup-chunks", "deltaup-blocks", "deltaup-whole", "curl", "zstd-image", "xdelta3-tar", "casync-image", "zsync-image", "rsync-image", "ostree-delta", "ostree-offline"}
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
	if err := r.WriteFiles(filepath.Join(dir, "report")); err != nil {
		t.Fatal(err)
	}
	nothingLeft(t, dir)
}

// TestRunScale measures small images and few releases. The last image fits no disk.
func TestRunScale(t *testing.T) {
	if testing.Short() {
		t.Skip("runs other programs for some seconds")
	}
	dir, binary := workplace(t)
	oldSizes, oldCounts, oldEvery := scaleSizes, releaseCounts, editEvery
	oldFiles, oldEdits, oldImage := scaleFiles, scaleEdits, changedImage
	t.Cleanup(func() {
		scaleSizes, releaseCounts, editEvery = oldSizes, oldCounts, oldEvery
		scaleFiles, scaleEdits, changedImage = oldFiles, oldEdits, oldImage
	})
	// few files, so edit every fourth
	scaleSizes, releaseCounts, editEvery = []int64{1e6, 3e6, 1e18}, []int{1, 2, 5}, 4
	scaleFiles, scaleEdits, changedImage = []int64{300, 1200, 1e15}, []int64{1, 8}, 2e6
	s, err := RunScale(t.Context(), Options{
		Deltaup: binary, Name: "small", Pair: trees(t, dir), Scratch: dir, Budget: 10 * time.Minute, Level: "fastest", Log: t.Logf,
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Sizes) != 3 || s.Sizes[1].Computed || !s.Sizes[2].Computed || len(s.Skipped) != 2 || !strings.Contains(s.Skipped[0].Why, "of disk") {
		t.Fatalf("sizes: %+v, skipped: %+v", s.Sizes, s.Skipped)
	}
	if len(s.Files) != 3 || !s.Files[2].Computed || s.Files[2].Files != 1e15 || len(s.Changes) != 2 {
		t.Fatalf("files: %+v, changes: %+v", s.Files, s.Changes)
	}
	for _, step := range slices.Concat(s.Sizes[:2], s.Files[:2], s.Changes) {
		if c := step.Cut; c.Again.Wall == 0 || c.Again.CPU == 0 || c.Fetched < c.Whole/2 || c.Left == 0 || c.Left > c.Whole*6/10 {
			t.Errorf("cut off: %+v", c)
		}
		if step.Sent == 0 || step.Sent*5 > step.Image || (step.Pull.Memory == 0) != (timePath == "") || step.First.Wall == 0 || step.Plan.Wall == 0 || step.Mkimage.Wall == 0 {
			t.Errorf("%+v", step)
		}
	}
	if a, b := s.Sizes[0], s.Sizes[1]; b.Image < a.Image+19e5 || b.Mirror < a.Mirror+3*19e5 || b.Sent > 2*a.Sent {
		t.Errorf("an image that is larger by what does not change: %+v, %+v", a, b)
	}
	if a, b := s.Files[0], s.Files[1]; b.Files != a.Files+900 || b.Changed != a.Changed || b.Sent > 2*a.Sent {
		t.Errorf("more files that do not change: %+v, %+v", a, b)
	}
	if a, b := s.Changes[0], s.Changes[1]; a.Changed == 0 || b.Changed < 2*a.Changed || b.Files != a.Files || b.Sent < a.Sent {
		t.Errorf("more files that change: %+v, %+v", a, b)
	}
	if len(s.Releases) != 3 || s.Releases[0].Next.Sent != 0 || s.Releases[2].Releases != 5 || s.Releases[2].First.Sent == 0 {
		t.Errorf("releases: %+v", s.Releases)
	}
	nothingLeft(t, dir)
}

// TestScaledTree writes two edits of a tree to the same path. The second must be the same as when
// it is written alone.
func TestScaledTree(t *testing.T) {
	dir := t.TempDir()
	s := &session{report: &Report{}}
	s.report.Subject.dir = dir
	if err := s.report.Subject.writeTars(t.Context(), trees(t, dir)[0], 0); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int64{0, 1, 512, fillSize, fillSize + 700} {
		var sums []string
		for _, edits := range [][]uint64{{7}, {300, 7}, {0, 300, 7}} {
			path := filepath.Join(dir, fmt.Sprintf("%d-%d.tar", n, len(edits)))
			for _, e := range edits {
				if _, err := (scaled{keep: 0.5, fill: n, small: n / 5e3, edits: e}).write(s, path); err != nil {
					t.Fatal(err)
				}
			}
			sum, err := hashFile(path)
			if err != nil {
				t.Fatal(err)
			}
			sums = append(sums, sum)
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			random, small := int64(0), int64(0)
			err = eachEntry(f, func(h *tar.Header, _ io.Reader) error {
				if strings.HasPrefix(h.Name, "./fill-") {
					random += h.Size
				} else if strings.HasPrefix(h.Name, "./small-") && h.Typeflag == tar.TypeReg {
					small++
				}
				return nil
			})
			if err = errors.Join(err, f.Close()); err != nil || random != n || small != n/5e3 {
				t.Errorf("%d random bytes, want %d; %d small files, want %d: %v", random, n, small, n/5e3, err)
			}
		}
		if sums[1] != sums[0] || sums[2] != sums[0] {
			t.Errorf("with %d random bytes the second edit differs", n)
		}
	}
}

// workplace gives a folder, in memory if possible, and a binary to measure.
func workplace(t *testing.T) (dir, binary string) {
	t.Helper()
	if _, err := os.Stat("/dev/shm"); err == nil {
		t.Setenv("TMPDIR", "/dev/shm") // synced files need not reach a disk
	}
	dir = t.TempDir()
	binary = filepath.Join(dir, "deltaup")
	build := exec.Command("go", "build", "-o", binary, "./cmd/deltaup")
	build.Dir = ".." // the product's module
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir, binary
}

// nothingLeft demands that a run has removed its scratch folder.
func nothingLeft(t *testing.T, dir string) {
	t.Helper()
	if left, err := filepath.Glob(filepath.Join(dir, "deltaup-bench.*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// checkFigures checks the figures of a method, which must have run unless its tool is missing.
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

// setLines changes the real lines until the test ends.
func setLines(t *testing.T, real []Line) {
	old := realLines
	realLines = real
	t.Cleanup(func() { realLines = old })
}

// liar puts a program on the PATH that makes a patch and, with -d, a file of wrong bytes. With one
// argument, as for its version, it writes nothing.
func liar(t *testing.T, dir, name string) {
	t.Helper()
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\n[ $# -gt 1 ] || exit 0\nfor last; do :; done\necho wrong > \"$last\"\n"
	if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
}

// trees makes two folders. The second has some changed bytes in some files. Both have a boot
// folder, which the bench leaves out.
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
	files["boot/vmlinuz-1"] = slices.Concat(files["usr/lib/file-07"], files["usr/lib/file-08"])
	files["boot/initrd.img-1"] = slices.Concat(files["usr/lib/file-17"], files["usr/lib/file-18"])
	for v := range pair {
		pair[v] = filepath.Join(dir, fmt.Sprintf("tree-%d", v+1))
		for name, b := range files {
			if v == 1 && (strings.HasSuffix(name, "7") || within(name, "boot")) {
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

// TestWithin demands that within tells names below boot from names that only begin like it.
func TestWithin(t *testing.T) {
	for name, want := range map[string]bool{
		"boot/vmlinuz": true, "./boot/grub/grub.cfg": true, "./boot/": false, "boot": false, "./bootstrap/x": false, "usr/boot/x": false, "/boot/x": true,
	} {
		if got := within(name, "boot"); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

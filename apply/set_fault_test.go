package apply_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"deltaup/apply"
	"deltaup/delta"
	"deltaup/internal/test/faultserver"
	"deltaup/mirror/publish"
	"deltaup/mirror/serve"
)

// TestSetFaults: whatever is wrong with a set, the pull completes without it, and says so.
func TestSetFaults(t *testing.T) {
	for name, fault := range map[string]faultserver.Fault{
		"missing":   faultserver.Status(404, 0),
		"416":       faultserver.Status(416, 0),
		"empty":     faultserver.Shorten(0),
		"short":     faultserver.Shorten(1000),
		"other":     faultserver.Replace([]byte("<html>Please log in</html>")),
		"head":      faultserver.Flip(100),
		"version":   faultserver.Flip(8),
		"last byte": faultserver.Flip(-1),
	} {
		t.Run(name, func(t *testing.T) {
			m := patched(t, 2, 1)
			if name == "last byte" {
				fault = faultserver.Flip(setSize(t, m.w) - 1)
			}
			m.server.Add(faultserver.Rule{Path: "patches/", Fault: fault})
			_, r := m.mustPull()
			if len(m.warnings) == 0 || m.server.Requests("packs/")+m.server.Requests("images/") == 0 {
				t.Errorf("route %s, warnings %q", r.Route, m.warnings)
			}
			for _, w := range m.warnings {
				if strings.Contains(w, "\n") {
					t.Errorf("a warning of several lines: %q", w)
				}
			}

			// Another mirror has it in good order.
			m = patched(t, 2, 1)
			bad := faultserver.New(t, serve.Handler(m.w.mirror))
			bad.Add(faultserver.Rule{Path: "patches/", Fault: fault})
			m.urls = []string{bad.URL, m.server.URL}
			if _, r := m.mustPull(); r.Route != "patch" || m.server.Requests("packs/")+bad.Requests("packs/") > 0 {
				t.Errorf("with a second mirror: route %s, warnings %q", r.Route, m.warnings)
			}
		})
	}
}

// sets lists the files of a mirror's sets.
func sets(t testing.TB, w *world) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(w.mirror, "patches", "*", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("sets %v (%v)", files, err)
	}
	return files
}

func setSize(t testing.TB, w *world) int64 {
	t.Helper()
	return int64(len(readFile(t, sets(t, w)[0])))
}

// TestEveryByteOfASet flips each byte of a small set.
func TestEveryByteOfASet(t *testing.T) {
	dir := t.TempDir()
	w := &world{dir: dir, mirror: filepath.Join(dir, "mirror")}
	for i := range w.image {
		files := map[string][]byte{
			"etc/motd": []byte(strings.Repeat("all the same ", 2000) + fmt.Sprintf("but for %d", i)),
			"usr/bin":  noise(1, 90<<10),
			"usr/new":  noise(uint64(i), 60),
		}
		image, err := w.release(i+1, files, publish.Publication{PatchFrom: 1})
		if err != nil {
			t.Fatal(err)
		}
		w.image[i] = image
	}
	m := newTargetOf(t, w)
	m.with = func(r *apply.Request) { r.Line, r.CPU = thin, steady }
	size, step := setSize(t, w), int64(1)
	if testing.Short() {
		step = 211
	}
	t.Logf("a set of %d bytes", size)
	for at := int64(0); at < size; at += step {
		m.server.Clear()
		m.server.Reset()
		m.warnings = nil
		if err := errors.Join(os.Remove(m.path), os.RemoveAll(m.state)); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		m.server.Add(faultserver.Rule{Path: "patches/", Fault: faultserver.Flip(at)})
		m.mustPull()
		if len(m.warnings) == 0 || m.server.Requests("patches/") == 0 {
			t.Fatalf("byte %d: warnings %q, %d requests for sets", at, m.warnings, m.server.Requests("patches/"))
		}
	}
}

// TestCorruptCachedSet flips a byte of what an interrupted run left of a set.
func TestCorruptCachedSet(t *testing.T) {
	for _, where := range []string{"head", "groups"} {
		t.Run(where, func(t *testing.T) {
			m := patched(t, 2, 1)
			// no set is fetched whole
			m.with = func(r *apply.Request) { r.Line, r.CPU = delta.Line{Rate: 125e3, RTT: time.Microsecond}, steady }
			interrupted(t, m)
			parts, err := filepath.Glob(filepath.Join(m.state, "*", "fetch", "*", "*"))
			if err != nil || len(parts) != 2 {
				t.Fatalf("parts %q (%v), want head and groups", parts, err)
			}
			for _, p := range parts {
				if (filepath.Base(p) == "0") == (where == "head") {
					b := readFile(t, p)
					b[len(b)/2] ^= 1
					if err := os.WriteFile(p, b, 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
			if _, r := m.mustPull(); r.Route != "patch" || m.server.Requests("packs/") > 0 {
				t.Errorf("route %s, warnings %q", r.Route, m.warnings)
			}
		})
	}
}

package apply_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"deltaup/internal/test/faultserver"
)

// TestStartOverFails: an update that cannot go on after it found a recipe wrong goes on in its next
// run.
func TestStartOverFails(t *testing.T) {
	m := patched(t, 2, 1)
	good := readFile(t, m.w.image[0])
	seed := m.seedOf(good)
	m.again()
	bad := bytes.Clone(good)
	bad[damages(t, good)["a file that is copied"]] ^= 1
	if err := os.WriteFile(seed, bad, 0o644); err != nil {
		t.Fatal(err)
	}
	m.path = filepath.Join(t.TempDir(), "slot")
	u, done, err := m.start()
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	m.server.Add(faultserver.Rule{Path: "indexes/", Fault: faultserver.Status(503, 0)}, faultserver.Rule{Path: "images/", Fault: faultserver.Status(503, 0)})
	if _, err := u.Run(t.Context()); err == nil {
		t.Fatal("without an index it went on")
	}
	m.checkUnbootable()
	m.server.Clear()
	for n := range 2 { // and once more when all is done
		r, err := u.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if m.checkSlot(m.w.image[1]); r.Current != (n > 0) || r.ImageSize != int64(len(readFile(t, m.w.image[1]))) {
			t.Errorf("run %d: %+v", n, r)
		}
	}
}

// TestRunTwice runs an update with an initrd whose first run fails, and then once more.
func TestRunTwice(t *testing.T) {
	m, file := newInitrdTarget(t, 1)
	b := readFile(t, m.w.image[0])
	seed := m.seedOf(b)
	m.again()
	b[bytes.Index(b, system(2)["usr/lib/lib5.so"][:64])+5] ^= 1
	if err := os.WriteFile(seed, b, 0o644); err != nil {
		t.Fatal(err)
	}
	os.Remove(file)
	m.path = filepath.Join(t.TempDir(), "slot")
	u, done, err := m.start()
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	for _, path := range []string{"indexes/", "images/", "recipes/"} {
		m.server.Add(faultserver.Rule{Path: path, Fault: faultserver.Status(503, 0)})
	}
	if _, err := u.Run(t.Context()); err == nil {
		t.Fatal("without an index it went on")
	}
	m.server.Clear()
	for range 2 {
		if _, err := u.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		m.wantInitrd(file)
		m.checkSlot(m.w.image[1])
	}
}

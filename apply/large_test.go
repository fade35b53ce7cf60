package apply_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"deltaup/apply"
	"deltaup/delta/patchset"
	"deltaup/internal/test/programtest"
)

// joined is a system whose second version has a file that is several of the first in a row.
func joined(version int) map[string][]byte {
	files := growing(version)
	var all [][]byte
	for i := range 4 {
		part := noise(uint64(100+i), 300<<10)
		all = append(all, part)
		if version == 1 {
			files[fmt.Sprintf("usr/share/part%d", i)] = part
		}
	}
	if version == 2 {
		files["usr/share/joined"] = slices.Concat(all...)
	}
	return files
}

// TestLeftOut: a content that is cheaper by chunks is not in the published set, and comes by
// chunks.
func TestLeftOut(t *testing.T) {
	m := newTargetOf(t, worldOf(t, "joined", joined, 2, 1))
	m.with = func(r *apply.Request) { r.Line, r.CPU = thin, steady }
	q, r := m.mustPull()
	checkExact(t, m, q, r)
	if q.Route != "patch" || m.server.Requests("recipes/") != 1 || m.server.Requests("indexes/") != 1 || m.server.Requests("patches/") == 0 {
		t.Errorf("quote %+v", q)
	}
	if q.Bytes+q.MetaBytes > 400<<10 { // of which one chunk at each of three borders may be
		t.Errorf("%d bytes", q.Bytes+q.MetaBytes)
	}
}

// vast is a system with a content of several pieces, little of which are not zeros.
func vast(version int) map[string][]byte {
	content := make([]byte, patchset.PieceMax+3<<20)
	for i := range 24 {
		copy(content[i*800_000:], noise(uint64(i), 40_000))
		copy(content[i*800_000+1000*version:], noise(uint64(version), 900))
	}
	return map[string][]byte{"usr/lib/vast": content, "etc/version": fmt.Append(nil, version)}
}

// program is a system with a large program.
func program(version int) map[string][]byte {
	return map[string][]byte{
		"usr/bin/large": programtest.Large(8000, 100/version),
		"etc/version":   fmt.Append(nil, version),
	}
}

// TestVastChain makes a large content out of one that a set before makes.
func TestVastChain(t *testing.T) { testVast(t, "vast", vast) }

// TestProgramChain does so with programs.
func TestProgramChain(t *testing.T) { testVast(t, "program", program) }

func testVast(t *testing.T, name string, files func(int) map[string][]byte) {
	if testing.Short() {
		t.Skip("slow under the race detector, and alike in what runs beside what")
	}
	m := newTargetOf(t, worldOf(t, name, files, 3, 1))
	m.with = func(r *apply.Request) { r.Line, r.CPU = thin, steady }
	q, r := m.mustPull()
	checkExact(t, m, q, r)
	if q.Route != "patch" || q.Sets != 2 {
		t.Errorf("route %s through %d sets: %+v", q.Route, q.Sets, q.Alternatives)
	}
	if left, err := filepath.Glob(filepath.Join(m.state, "*", "tmp", "*")); err != nil || len(left) > 0 {
		t.Errorf("left in the state folder: %v (%v)", left, err)
	}
}

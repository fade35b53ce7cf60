package apply_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"deltaup/apply"
	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/delta/patchset"
	"deltaup/internal/durable"
	"deltaup/internal/test/faultserver"
	"deltaup/mirror"
	"deltaup/mirror/folder"
	"deltaup/mkimage"
	"deltaup/mkimage/squashfs"
)

// stepTarget is a target whose image holds a kernel that is packed with zstd. Of the four releases
// the first has no kernel, and patch sets lead from each to the next one.
func stepTarget(t *testing.T, from int) *target {
	t.Helper()
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	w := worldOf(t, "steps", func(version int) map[string][]byte {
		files := growing(version)
		if version > 1 {
			packed := zstdKernels(t)
			kernel := [][]byte{packed[0], packed[1], bytes.Clone(packed[0])}[version-2]
			kernel[0x300] = byte(version) // what unpacks it
			files["usr/lib/modules/6.12."+strconv.Itoa(version)+"/vmlinuz"] = kernel
		}
		return files
	}, 4, 1)
	m := newTargetOf(t, w)
	m.seeds = []string{filepath.Join(w.dir, "v"+strconv.Itoa(from)+".squashfs")}
	m.with = few
	return m
}

// few wants few bytes, by patches.
func few(r *apply.Request) {
	r.Route, r.Optimize, r.Line, r.CPU = "patch", delta.ForBytes, thin, steady
}

// checkKernel checks by which way the kernel came.
func (m *target) checkKernel(byStep bool) {
	m.t.Helper()
	if chunks := m.server.Requests("packs/") > 0; chunks == byStep {
		m.t.Errorf("chunks were fetched: %v", chunks)
	}
	if left, err := filepath.Glob(filepath.Join(m.state, "*", "tmp", "*")); err != nil || len(left) > 0 {
		m.t.Errorf("left in the state folder: %q (%v)", left, err)
	}
}

// TestStep pulls an image with a kernel: by a step from the old one, or by chunks where the step
// takes more memory than there is, or longer than the line.
func TestStep(t *testing.T) {
	m := stepTarget(t, 3)
	slow, quick := delta.Line{Rate: 1000, RTT: time.Millisecond}, delta.Line{Rate: 1e6, RTT: time.Millisecond}
	for _, tt := range []struct {
		name     string
		optimize delta.Optimize
		line     delta.Line
		memory   int64 // 0: what a pull has
		byStep   bool
	}{
		{"bytes", delta.ForBytes, quick, 0, true},
		{"slow line", "", slow, 0, true},
		{"quick line", "", quick, 0, false},
		{"less memory", delta.ForBytes, quick, 30 << 20, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.memory > 0 {
				defer apply.SetStepMemory(tt.memory)()
			}
			m.t, m.path, m.state = t, filepath.Join(t.TempDir(), "slot"), filepath.Join(t.TempDir(), "state")
			m.server.Reset()
			m.with = func(r *apply.Request) {
				few(r)
				r.Optimize, r.Line = tt.optimize, tt.line
			}
			q, r := m.mustPull()
			checkExact(t, m, q, r)
			m.checkKernel(tt.byStep)
		})
	}
	m.t = t
}

// TestStepFromPatch takes steps from kernels that the sets before give: one by a patch, one by a
// step, too.
func TestStepFromPatch(t *testing.T) {
	m := stepTarget(t, 1)
	q, r := m.mustPull()
	checkExact(t, m, q, r)
	if q.Sets != 3 {
		t.Errorf("through %d sets", q.Sets)
	}
	m.checkKernel(true)
}

// TestStepNoRoom: with no room for what a step makes, known before or met while it is made, the
// content comes by chunks.
func TestStepNoRoom(t *testing.T) {
	full := func(a durable.Action) error {
		if a.Op == durable.OpWrite {
			return syscall.ENOSPC
		}
		return nil
	}
	for name, early := range map[string]bool{"known": true, "met": false} {
		t.Run(name, func(t *testing.T) {
			m := stepTarget(t, 3)
			if early {
				defer apply.SetStepRoom(0)()
			}
			u, done, err := m.start()
			if err != nil {
				t.Fatal(err)
			}
			defer done()
			if chunks := u.Quote().ChunksFetch > 0; chunks != early {
				t.Errorf("quoted with chunks: %v", chunks)
			}
			if !early {
				m.once("tmp", full)
			}
			if _, err := u.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			m.checkSlot(m.w.image[1])
			m.checkKernel(false)
			if told := len(m.warnings) > 0; told == early {
				t.Errorf("warnings %q", m.warnings)
			}
		})
	}
}

// once has fn see what durable does in a folder of the state folder, until it returns an error.
func (m *target) once(folder string, fn func(durable.Action) error) {
	var restore func()
	restore = durable.SetHook(func(a durable.Action) error {
		if !strings.Contains(a.Path, "/"+folder) || !strings.HasPrefix(a.Path, m.state) {
			return nil
		}
		err := fn(a)
		if err != nil {
			restore()
		}
		return err
	})
	m.t.Cleanup(restore)
}

// TestStepResumed: a pull that ends while it takes a step leaves the slot as it was, and what came
// does not come again.
func TestStepResumed(t *testing.T) {
	m := stepTarget(t, 3)
	old := readFile(t, m.seeds[0])
	if err := os.WriteFile(m.path, old, 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	u, done, err := m.start()
	if err != nil {
		t.Fatal(err)
	}
	m.once("tmp", func(a durable.Action) error {
		if a.Op != durable.OpWrite {
			return nil
		}
		cancel()
		return ctx.Err()
	})
	_, err = u.Run(ctx)
	done()
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	if got := readFile(t, m.path); !bytes.Equal(got[:min(len(got), len(old))], old) {
		t.Error("the slot has changed")
	}
	q, _ := m.mustPull()
	if q.Bytes != 0 {
		t.Errorf("%d bytes are fetched again", q.Bytes)
	}
	m.checkKernel(true)
}

// TestStepDamaged: the kernel comes by chunks, and the rest by patches, when the group of its step
// is damaged on the mirror.
func TestStepDamaged(t *testing.T) {
	m := stepTarget(t, 3)
	r, err := mirror.ReadRelease(t.Context(), folder.At(m.w.mirror), "4")
	if err != nil {
		t.Fatal(err)
	}
	id := r.Patches[0].Set.ID
	group := steppedGroup(t, readFile(t, filepath.Join(m.w.mirror, mirror.PatchPath(id))), m.seeds[0])
	m.server.Add(faultserver.Rule{Path: mirror.PatchPath(id), Fault: faultserver.Flip(group.Offset + group.Length/2)})
	_, got := m.mustPull()
	if got.Route != "patch" || len(m.warnings) == 0 {
		t.Errorf("route %s, warnings %q", got.Route, m.warnings)
	}
	m.checkKernel(false)
}

// steppedGroup finds the group of a set's only step, which has nothing else in it.
func steppedGroup(t *testing.T, set []byte, seed string) patchset.GroupRef {
	t.Helper()
	size, err := patchset.HeadSize(set)
	if err != nil {
		t.Fatal(err)
	}
	head, err := patchset.ReadHead(set[:size])
	if err != nil {
		t.Fatal(err)
	}
	b := readFile(t, seed)
	image, err := squashfs.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	d, err := mkimage.Derive(t.Context(), image, chunkstore.Params{}, mkimage.DeriveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	step, err := head.Step(d.Recipe)
	if err != nil {
		t.Fatal(err)
	}
	stepped, entries := -1, map[int]int{}
	for i := range step.Entries {
		e := &step.Entries[i]
		entries[e.Group]++
		if e.Stepped() {
			stepped = e.Group
		}
	}
	if stepped < 0 || entries[stepped] != 1 || len(entries) == 1 {
		t.Fatalf("group %d has the step; entries %v", stepped, entries)
	}
	return head.Groups[stepped]
}

// TestStepWrong: a step that makes other bytes than it should is left out, with a warning.
func TestStepWrong(t *testing.T) {
	m := stepTarget(t, 2) // the second step's base is a file that the first one makes
	changed := false
	m.once("tmp", func(a durable.Action) error {
		if a.Op != durable.OpCreate {
			return nil
		}
		files, err := filepath.Glob(filepath.Join(m.state, "*", "tmp", "*"))
		for _, path := range files {
			if err == nil && bytes.HasPrefix(readFile(t, path), []byte("MZ")) {
				changed = true
				err = overwrite(path, 9000) // in its frame
			}
		}
		return err
	})
	m.mustPull()
	if !changed {
		t.Fatal("no base was changed")
	}
	if len(m.warnings) != 1 || !strings.Contains(m.warnings[0], "patches/") {
		t.Errorf("warnings %q", m.warnings)
	}
	m.checkKernel(false)
}

// overwrite writes other bytes at an offset of a file.
func overwrite(path string, off int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte("other"), off)
	return errors.Join(err, f.Close())
}

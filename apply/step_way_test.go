package apply_test

import (
	"bytes"
	"path/filepath"
	"testing"
	"time"

	"deltaup/apply"
	"deltaup/delta"
	"deltaup/delta/patchset"
	"deltaup/delta/transform/xzutils"
	"deltaup/internal/durable"
	"deltaup/internal/test/faultserver"
	"deltaup/internal/test/kerneltest"
	"deltaup/mirror"
	"deltaup/mirror/folder"
)

// wayTarget is a target whose image holds a kernel that is packed with xz, with the image of one of
// the two releases before. set is the patch set, of which the last group is the other way to make the kernel.
func wayTarget(t *testing.T, from string) (m *target, set string, other patchset.GroupRef) {
	t.Helper()
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	w := worldOf(t, "ways", func(version int) map[string][]byte {
		files := growing(version)
		files["boot/vmlinuz"] = xzKernel(t, version)
		return files
	}, 3, 1)
	m = newTargetOf(t, w)
	m.seeds = []string{filepath.Join(w.dir, from+".squashfs")}
	m.with = few
	r, err := mirror.ReadRelease(t.Context(), folder.At(w.mirror), "3")
	if err != nil {
		t.Fatal(err)
	}
	set = mirror.PatchPath(r.Patches[0].Set.ID)
	b := readFile(t, filepath.Join(w.mirror, set))
	size, err := patchset.HeadSize(b)
	if err != nil {
		t.Fatal(err)
	}
	head, err := patchset.ReadHead(b[:size])
	if err != nil {
		t.Fatal(err)
	}
	usual := steppedGroup(t, b, filepath.Join(w.dir, "v2.squashfs"))
	other = head.Groups[len(head.Groups)-1]
	if usual == other || usual.Length <= other.Length {
		t.Fatalf("the ways are %+v and %+v", usual, other)
	}
	return m, set, other
}

// xzKernel is a kernel of zstdKernels, packed as xz --check=crc32 --x86 --lzma2=dict=64KiB does.
func xzKernel(t *testing.T, version int) []byte {
	t.Helper()
	p, _, err := xzutils.Parse([]byte{1 | 1<<4 | 1<<6, 8, 2*45 + 3, 0x14, 64, 0, 48, 0, 0})
	if err != nil {
		t.Fatal(err)
	}
	plain := plainKernel(t, 1+version%2)
	var b bytes.Buffer
	if err := xzutils.Encode(&b, plain, p); err != nil {
		t.Fatal(err)
	}
	return kerneltest.Packed(byte(version), b.Bytes(), len(plain))
}

// wayChoices are what decides whether a target runs an encoder again: memory, time and bytes.
var wayChoices = func() []wayChoice {
	const enough, less = 600 << 20, 400 << 20
	slow, quick := delta.Line{Rate: 10, RTT: time.Millisecond}, delta.Line{Rate: 1e6, RTT: time.Millisecond}
	return []wayChoice{
		{"usual", 0, delta.ForBytes, quick, false},
		{"less memory", less, delta.ForBytes, quick, false},
		{"bytes", enough, delta.ForBytes, quick, true},
		{"slow line", enough, "", slow, true},
	}
}()

type wayChoice struct {
	name     string
	memory   int64
	optimize delta.Optimize
	line     delta.Line
	encodes  bool
}

func (c *wayChoice) apply(r *apply.Request) {
	r.Memory, r.Optimize, r.Line = c.memory, c.optimize, c.line
}

// wayBytes are the bytes that each way takes: the one that encodes, and the other.
type wayBytes map[bool]int64

// note demands that a choice takes as many bytes as others that led to the same way.
func (w wayBytes) note(t *testing.T, c *wayChoice, n int64) {
	t.Helper()
	if before, ok := w[c.encodes]; ok && n != before {
		t.Errorf("%s: %d bytes, not %d as before", c.name, n, before)
	}
	w[c.encodes] = n
}

// TestWays: a target runs the encoder of the kernel again if it may take the memory, and if that is
// quicker or time does not count.
func TestWays(t *testing.T) {
	m, _, _ := wayTarget(t, "v2")
	bytesOf := wayBytes{}
	for _, c := range wayChoices {
		t.Run(c.name, func(t *testing.T) {
			m.t, m.path, m.state = t, filepath.Join(t.TempDir(), "slot"), filepath.Join(t.TempDir(), "state")
			m.server.Reset()
			m.with = func(r *apply.Request) {
				few(r)
				c.apply(r)
			}
			q, r := m.mustPull()
			checkExact(t, m, q, r)
			m.checkKernel(true)
			bytesOf.note(t, &c, q.Bytes)
		})
	}
	m.t = t
	if bytesOf[true] >= bytesOf[false] {
		t.Errorf("bytes %v", bytesOf)
	}
}

// TestWayDamaged: a target takes the usual way when the group of the other one is damaged on the
// mirror.
func TestWayDamaged(t *testing.T) {
	m, set, other := wayTarget(t, "v2")
	m.with = func(r *apply.Request) {
		few(r)
		r.Memory = 600 << 20
	}
	m.server.Add(faultserver.Rule{Path: set, Fault: faultserver.Flip(other.Offset + other.Length/2)})
	_, got := m.mustPull()
	if got.Route != "patch" || len(m.warnings) == 0 {
		t.Errorf("route %s, warnings %q", got.Route, m.warnings)
	}
	m.checkKernel(true)
}

// TestWayWrong: when a way gives other bytes than it should, the target takes the usual one, and
// chunks when that does so, too.
func TestWayWrong(t *testing.T) {
	m, _, _ := wayTarget(t, "v1")
	m.with = func(r *apply.Request) {
		few(r)
		r.Memory = 600 << 20
	}
	changed := false
	m.once("tmp", func(a durable.Action) error { // the base of the second step
		if a.Op != durable.OpCreate {
			return nil
		}
		files, err := filepath.Glob(filepath.Join(m.state, "*", "tmp", "*"))
		for _, path := range files {
			if err == nil && bytes.HasPrefix(readFile(t, path), []byte("MZ")) {
				changed = true
				err = overwrite(path, 9000) // in its payload
			}
		}
		return err
	})
	m.mustPull()
	if !changed {
		t.Fatal("no base was changed")
	}
	if len(m.warnings) != 2 {
		t.Errorf("warnings %q", m.warnings)
	}
	m.checkKernel(false)
}

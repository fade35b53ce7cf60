package apply_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"deltaup/apply"
	"deltaup/internal/test/faultserver"
	"deltaup/mirror"
	"deltaup/mirror/folder"
	"deltaup/mirror/publish"
	"deltaup/mirror/serve"
)

// TestPull checks that what the server sends is exactly what was quoted.
func TestPull(t *testing.T) {
	m := newTarget(t)
	q, r := m.mustPull()
	if q.Route != "chunks" || r.BlocksCopied == 0 {
		t.Errorf("quote %+v, result %+v: want chunks and copied blocks", q, r)
	}
	if got := m.server.BodyBytes("packs/"); got != q.Bytes || m.server.Requests("packs/") != q.Requests {
		t.Errorf("server sent %d bytes in %d requests, quoted were %d in %d", got, m.server.Requests("packs/"), q.Bytes, q.Requests)
	}
	if got := m.server.BodyBytes(""); got != q.Bytes+q.MetaBytes || got != r.BytesFetched {
		t.Errorf("server sent %d bytes, quoted were %d+%d, the result has %d", got, q.Bytes, q.MetaBytes, r.BytesFetched)
	}
	if m.server.Requests("images/") != 0 {
		t.Error("the whole image was asked for")
	}
	if entries, err := filepath.Glob(filepath.Join(m.state, "*", "fetch", "*")); err != nil || len(entries) > 0 {
		t.Errorf("left in the state folder: %v (%v)", entries, err)
	}
}

func TestQuoteChangesNothing(t *testing.T) {
	m := newTarget(t)
	// two plans, and this machine measured twice may choose twice
	m.with = func(r *apply.Request) { r.Line, r.CPU = thin, steady }
	if err := os.WriteFile(m.path, []byte("what was there"), 0o644); err != nil {
		t.Fatal(err)
	}
	u, done, err := m.start()
	if err != nil {
		t.Fatal(err)
	}
	quoted := u.Quote()
	done()
	if got := readFile(t, m.path); string(got) != "what was there" {
		t.Errorf("the slot now holds %q", got)
	}
	if m.server.Requests("packs/") != 0 {
		t.Error("packs were asked for")
	}
	m.server.Reset()
	q, _ := m.mustPull()
	if q.Bytes != quoted.Bytes || q.Requests != quoted.Requests {
		t.Errorf("quoted %d bytes in %d requests, then %d in %d", quoted.Bytes, quoted.Requests, q.Bytes, q.Requests)
	}
	if q.MetaRequests != 1 || m.server.Requests("recipes/") != 0 {
		t.Errorf("a rerun made %d requests for metadata, want one for the pointer", q.MetaRequests)
	}
}

func TestCurrent(t *testing.T) {
	m := newTarget(t)
	m.mustPull()
	m.server.Reset()
	m.seeds = nil
	q, r := m.mustPull()
	if !q.Current || !r.Current || q.Bytes != 0 {
		t.Errorf("quote %+v, result %+v: want nothing to do", q, r)
	}
	if n := m.server.Requests(""); n != 1 {
		t.Errorf("%d requests, want one for the pointer", n)
	}
}

func TestNoSeedFetchesWhole(t *testing.T) {
	m := newTarget(t)
	m.seeds = nil
	q, _ := m.mustPull()
	if q.Route != "whole" || q.Bytes != q.ImageSize || m.server.BodyBytes("images/") != q.ImageSize {
		t.Errorf("quote %+v, sent %d: want the whole image", q, m.server.BodyBytes("images/"))
	}
}

func TestSeedHasAll(t *testing.T) {
	m := newTarget(t)
	m.seeds = append(m.seeds, m.w.image[1])
	q, r := m.mustPull()
	if q.Bytes != 0 || q.Requests != 0 || r.BlocksCompressed != 0 {
		t.Errorf("quote %+v, result %+v: want nothing fetched and all blocks copied", q, r)
	}
}

func TestVersion(t *testing.T) {
	m := newTarget(t)
	m.with = func(r *apply.Request) { r.Channel, r.Version = "", "1" }
	q, _, err := m.pull()
	if err != nil || q.Version != "1" {
		t.Fatalf("quote %+v, %v", q, err)
	}
	m.checkSlot(m.w.image[0])
}

func TestForeignSeed(t *testing.T) {
	mksquashfs := tool(t, "mksquashfs")
	m := newTarget(t)
	m.with = func(r *apply.Request) { r.Line, r.CPU = thin, steady }
	foreign := filepath.Join(t.TempDir(), "foreign.squashfs")
	if out, err := exec.Command(mksquashfs, m.w.tree, foreign, "-quiet", "-no-progress", "-comp", "gzip").CombinedOutput(); err != nil {
		t.Fatalf("mksquashfs: %v: %s", err, out)
	}
	own, _, err := m.start()
	if err != nil {
		t.Fatal(err)
	}
	want := own.Quote().Bytes
	if err := own.Close(); err != nil {
		t.Fatal(err)
	}
	m.seeds = []string{foreign}
	m.path += "2"
	q, r := m.mustPull()
	if q.Bytes != want || r.BlocksCopied != 0 {
		t.Errorf("fetched %d bytes, %d with our own image as seed; %d blocks copied", q.Bytes, want, r.BlocksCopied)
	}
}

// TestRawSeed gives single files as seeds.
func TestRawSeed(t *testing.T) {
	m := newTarget(t)
	m.seeds = []string{filepath.Join(m.w.tree, "usr/lib/lib5.so"), filepath.Join(m.w.tree, "usr/lib/lib0.so")}
	q, _ := m.mustPull()
	if q.ChunksHave < 10 {
		t.Errorf("%d chunks from seeds of 800 KiB", q.ChunksHave)
	}
}

func TestArtifact(t *testing.T) {
	m := newTarget(t)
	file := filepath.Join(t.TempDir(), "vmlinuz")
	m.with = func(r *apply.Request) { r.Outputs = map[string]string{"kernel": file} }
	if err := os.WriteFile(file, readFile(t, m.w.kernel[0]), 0o644); err != nil {
		t.Fatal(err)
	}
	plain := newTarget(t)
	without, _ := plain.mustPull()
	q, _ := m.mustPull()
	if !bytes.Equal(readFile(t, file), readFile(t, m.w.kernel[1])) {
		t.Error("the kernel is not the published one")
	}
	if more := q.Bytes - without.Bytes; more <= 0 || more > 300<<10 {
		t.Errorf("the kernel took %d bytes, although the old one has most of it", more)
	}
	if entries, err := os.ReadDir(filepath.Dir(file)); err != nil || len(entries) != 1 {
		t.Errorf("left beside the kernel: %v, %v", entries, err)
	}

	// Once more: the slot is right, the kernel is not.
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	q, r := m.mustPull()
	if !q.Current || !r.Current || !bytes.Equal(readFile(t, file), readFile(t, m.w.kernel[1])) {
		t.Errorf("quote %+v: want the kernel alone", q)
	}

	m.with = func(r *apply.Request) { r.Outputs = map[string]string{"initrd": file} }
	if _, _, err := m.pull(); !errors.Is(err, apply.ErrNoArtifact) {
		t.Errorf("an artifact that the release lacks: %v", err)
	}
}

// TestRawImage pulls a release whose image is no squashfs.
func TestRawImage(t *testing.T) {
	m := newTarget(t)
	dir := t.TempDir()
	disk := filepath.Join(dir, "disk.ext4")
	content := append(noise(7, 600<<10), make([]byte, 2<<20)...)
	if err := os.WriteFile(disk, content, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := publish.Add(t.Context(), folder.At(filepath.Join(dir, "mirror")), publish.Publication{
		Version: "raw", Channel: "stable", Artifacts: []publish.File{{Name: mirror.ImageName, Path: disk}},
	})
	if err != nil {
		t.Fatal(err)
	}
	m.urls = []string{filepath.Join(dir, "mirror")}
	m.seeds = nil
	if _, _, err := m.pull(); err != nil {
		t.Fatal(err)
	}
	m.checkSlot(disk)
	if q, _, err := m.pull(); err != nil || !q.Current || len(m.warnings) > 0 {
		t.Errorf("again: %+v, %v, warnings %q", q, err, m.warnings)
	}
}

func TestIncompatible(t *testing.T) {
	m := newTarget(t)
	m.with = func(r *apply.Request) { r.Compatible = "board-b" }
	if _, _, err := m.pull(); !errors.Is(err, apply.ErrIncompatible) {
		t.Errorf("got %v", err)
	}
	m.with = func(r *apply.Request) { r.Compatible = "board-a" }
	m.mustPull()
}

func TestSeedIsSlot(t *testing.T) {
	m := newTarget(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(m.seeds[0], link); err != nil {
		t.Fatal(err)
	}
	m.path = link
	if _, _, err := m.pull(); !errors.Is(err, apply.ErrSlotIsSeed) {
		t.Errorf("got %v", err)
	}
}

func TestBusy(t *testing.T) {
	m := newTarget(t)
	_, done, err := m.start()
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	other := *m
	other.wrap = nil
	if _, _, err := other.pull(); err == nil {
		t.Error("two pulls at once into one slot")
	}
	other.path = filepath.Join(t.TempDir(), "slot") // the same state folder, another slot
	other.mustPull()
}

func TestFailover(t *testing.T) {
	m := newTarget(t)
	bad := faultserver.New(t, serve.Handler(m.w.mirror))
	bad.Add(faultserver.Rule{Path: "packs/", Fault: faultserver.Flip(40 << 10)}, faultserver.Rule{Path: "recipes/", Fault: faultserver.Status(404, 0)})
	m.urls = []string{bad.URL, m.server.URL}
	m.mustPull()
	if m.server.Requests("packs/") == 0 || bad.Requests("packs/") == 0 {
		t.Error("the good mirror was not asked after the bad one")
	}
}

func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("DELTAUP_TEST_ALL") != "" {
		t.Fatal(err)
	}
	t.Skip(err)
	return ""
}

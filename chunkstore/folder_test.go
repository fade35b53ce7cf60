package chunkstore

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"deltaup/internal/durable"
	"deltaup/internal/test/durabletest"
)

// testFolder is a folder of packs on disk, with helpers.
type testFolder struct {
	*testing.T
	packs, tmp string
}

func newTestFolder(t *testing.T) testFolder {
	root := t.TempDir()
	return testFolder{t, filepath.Join(root, "packs"), filepath.Join(root, "tmp")}
}

func (t testFolder) open() *Folder {
	t.Helper()
	f, err := OpenFolder(t.packs, t.tmp)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// files lists all regular files below dir.
func (t testFolder) files(dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return files
}

// addAll adds contents in one batch.
func addAll(f *Folder, target int64, contents [][]byte) ([]PackRef, BatchStats, error) {
	b := f.NewBatch(target)
	defer b.Abort()
	for _, plain := range contents {
		if err := b.Add(chunkOf(plain), plain); err != nil {
			return nil, b.Stats(), err
		}
	}
	packs, err := b.Commit()
	return packs, b.Stats(), err
}

func (t testFolder) mustAdd(f *Folder, target int64, contents [][]byte) ([]PackRef, BatchStats) {
	t.Helper()
	packs, stats, err := addAll(f, target, contents)
	if err != nil {
		t.Fatal(err)
	}
	return packs, stats
}

// mustHave demands that every content reads back.
func (t testFolder) mustHave(f *Folder, contents [][]byte) {
	t.Helper()
	for i, plain := range contents {
		got, err := f.Chunk(t.Context(), chunkOf(plain))
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("content %d: %d bytes, %v", i, len(got), err)
		}
	}
}

func someContents(n int) [][]byte {
	var contents [][]byte
	for i := range n {
		contents = append(contents, randomBytes(uint64(100+i), 3000+i))
	}
	return contents
}

func TestBatch(t *testing.T) {
	d := newTestFolder(t)
	f := d.open()
	contents := someContents(20)
	packs, stats := d.mustAdd(f, 12_000, slices.Concat(contents, contents[:5]))
	if stats.Chunks != 20 || stats.plain != 20*3000+190 || stats.stored != stats.plain+20 {
		t.Errorf("stats: %+v", stats)
	}
	if len(packs) != 5 || len(d.files(d.packs)) != 5 {
		t.Errorf("%d packs of four chunks each, %d files; want 5", len(packs), len(d.files(d.packs)))
	}
	d.mustHave(f, contents)
	d.mustHave(d.open(), contents)
	if left := d.files(d.tmp); len(left) > 0 {
		t.Errorf("temporary files are left: %v", left)
	}

	// Neither this folder nor one opened anew writes again what is there.
	for _, f := range []*Folder{f, d.open()} {
		if packs, stats := d.mustAdd(f, 12_000, contents); len(packs) > 0 || stats != (BatchStats{}) {
			t.Errorf("a second time: %d packs, %+v", len(packs), stats)
		}
	}
	more := someContents(22)
	if packs, stats := d.mustAdd(f, 1<<20, more); len(packs) != 1 || stats.Chunks != 2 {
		t.Errorf("two more: %d packs, %+v", len(packs), stats)
	}
	all := sortedPacks(f)
	if len(all) != 6 {
		t.Errorf("there are %d packs, want 6", len(all))
	}
	if !slices.Equal(all, sortedPacks(d.open())) {
		t.Error("the folder opened anew has other packs")
	}
	for _, p := range all {
		b, err := os.ReadFile(filepath.Join(d.packs, PackPath(p.ID)))
		if err != nil || Sum(b) != p.ID || int64(len(b)) != p.Size {
			t.Errorf("pack %s: %d bytes, %v", p.ID, len(b), err)
		}
	}
}

// sortedPacks are all packs of a folder.
func sortedPacks(f *Folder) []PackRef {
	return slices.SortedFunc(slices.Values(f.packs), func(a, b PackRef) int {
		return bytes.Compare(a.ID[:], b.ID[:])
	})
}

// TestBatchOrder demands that packs hold the chunks in the order of Add, whatever the number of
// processors.
func TestBatchOrder(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	contents := make([][]byte, 300)
	for i := range contents {
		contents[i] = slices.Concat([]byte{byte(i), byte(i >> 8)}, text(40_000+17*i))
	}
	var want []PackRef
	for _, n := range []int{1, 4} {
		runtime.GOMAXPROCS(n)
		d := newTestFolder(t)
		f := d.open()
		got, _ := d.mustAdd(f, 20_000, contents)
		if want == nil {
			want = got
		}
		if !slices.Equal(got, want) {
			t.Errorf("with %d processors other packs are made", n)
		}
		var last Location
		for i, plain := range contents {
			l, _ := f.Locate(Sum(plain))
			if l.Pack == last.Pack && l.Offset != last.Offset+last.Length {
				t.Fatalf("chunk %d does not follow the one before", i)
			}
			last = l
		}
	}
}

func TestBatchAbort(t *testing.T) {
	d := newTestFolder(t)
	f := d.open()
	b := f.NewBatch(4000)
	for _, plain := range someContents(10) {
		if err := b.Add(chunkOf(plain), plain); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.flush(); err != nil {
		t.Fatal(err)
	}
	if len(d.files(d.tmp)) == 0 {
		t.Fatal("nothing is being written: the test shows nothing")
	}
	b.Abort()
	if left := append(d.files(d.tmp), d.files(d.packs)...); len(left) > 0 {
		t.Errorf("left after Abort: %v", left)
	}
	if err := b.Add(chunkOf([]byte("x")), []byte("x")); err == nil {
		t.Error("Add works after Abort")
	}
	if _, err := b.Commit(); err == nil {
		t.Error("Commit works after Abort")
	}
}

func TestBatchRefuses(t *testing.T) {
	plain := []byte("some bytes")
	c := chunkOf(plain)
	for name, test := range map[string]struct {
		c     Chunk
		plain []byte
	}{
		"other bytes": {c, []byte("same bytes")},
		"other size":  {Chunk{ID: c.ID, Size: 9}, plain},
		"empty":       {Chunk{ID: Sum(nil)}, nil},
		"too large":   {Chunk{ID: c.ID, Size: ChunkMax + 1}, make([]byte, ChunkMax+1)},
	} {
		t.Run(name, func(t *testing.T) {
			d := newTestFolder(t)
			b := d.open().NewBatch(1 << 20)
			defer b.Abort()
			err := b.Add(test.c, test.plain)
			if err == nil {
				_, err = b.Commit()
			}
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("%v, want ErrCorrupt", err)
			}
			if left := append(d.files(d.tmp), d.files(d.packs)...); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
	d := newTestFolder(t)
	b := d.open().NewBatch(1 << 20)
	if err := b.Add(Chunk{Size: 1 << 40}, nil); err != nil {
		t.Errorf("a hole: %v", err)
	}
	if packs, err := b.Commit(); err != nil || len(packs) > 0 {
		t.Errorf("a batch of a hole: %v, %v", packs, err)
	}
}

func TestOpenFolder(t *testing.T) {
	d := newTestFolder(t)
	packs, _ := d.mustAdd(d.open(), 1<<20, someContents(3))
	pack := filepath.Join(d.packs, PackPath(packs[0].ID))
	good, err := os.ReadFile(pack)
	if err != nil {
		t.Fatal(err)
	}
	// OpenFolder ignores files with other names
	for _, name := range []string{"README", filepath.Dir(PackPath(packs[0].ID)) + "/x.pack", "zz/" + filepath.Base(pack)} {
		path := filepath.Join(d.packs, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("no pack"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	d.mustHave(d.open(), someContents(3))

	if err := os.WriteFile(pack, good[:len(good)-1], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFolder(d.packs, d.tmp); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), pack) {
		t.Errorf("a damaged pack: %v; want ErrCorrupt and its path", err)
	}
	if _, err := OpenFolder(pack, d.tmp); err == nil || errors.Is(err, ErrCorrupt) {
		t.Errorf("a file for a folder: %v", err)
	}
}

func TestFolderIndex(t *testing.T) {
	d := newTestFolder(t)
	f := d.open()
	contents := someContents(12)
	d.mustAdd(f, 7000, contents)
	var image []Chunk
	for _, plain := range contents[4:] {
		image = append(image, chunkOf(plain))
	}
	raw := []RawList{{Name: "kernel", Content: Content{ID: ID{1}, Size: 6001 + 4096, Chunks: []Chunk{
		chunkOf(contents[0]), {Size: 4096}, chunkOf(contents[1])}}}}
	x, err := f.Index(image, raw)
	if err != nil {
		t.Fatal(err)
	}
	b, err := x.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if x, err = ParseIndex(b); err != nil {
		t.Fatal(err)
	}
	at, err := x.Locations(image)
	if err != nil {
		t.Fatal(err)
	}
	if len(at) != 10 {
		t.Errorf("%d locations, want 10", len(at))
	}
	for id, l := range at {
		if want, ok := f.Locate(id); !ok || l != want {
			t.Errorf("chunk %s at %v, want %v", id, l, want)
		}
	}
	if raw[0].Locations != nil {
		t.Error("the caller's list was changed")
	}
	if _, err := f.Index([]Chunk{chunkOf([]byte("x"))}, nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("a chunk that is not there: %v, want ErrNotFound", err)
	}
}

// TestBatchCrash cuts the power before every step of a batch. The folder then opens again, still
// has what it had, has nothing unsound, and takes the same batch.
func TestBatchCrash(t *testing.T) {
	old, contents := someContents(3), someContents(10)
	for mode, restart := range map[string]func(*durabletest.Crash) bool{
		"worst":   (*durabletest.Crash).Restart,
		"kindest": (*durabletest.Crash).Keep,
	} {
		t.Run(mode, func(t *testing.T) {
			cuts := 0
			for ; ; cuts++ {
				d := newTestFolder(t)
				d.mustAdd(d.open(), 1<<20, old)
				f := d.open()
				cut := durabletest.CrashAt(t, cuts+1)
				_, _, err := addAll(f, 8000, contents)
				crashed := restart(cut)
				if crashed != errors.Is(err, durabletest.ErrCrash) {
					t.Fatalf("cut before step %d: %v", cuts+1, err)
				}
				f = d.open()
				d.mustHave(f, old)
				d.mustAdd(f, 8000, contents)
				d.mustHave(d.open(), contents)
				if err := durable.RemoveTemps(d.tmp); err != nil {
					t.Fatal(err)
				}
				if left := d.files(d.tmp); len(left) > 0 {
					t.Fatalf("temporary files are left: %v", left)
				}
				if !crashed {
					break
				}
			}
			if cuts < 10 {
				t.Errorf("only %d steps were cut", cuts)
			}
			t.Logf("%d steps", cuts)
		})
	}
}

func BenchmarkBatch(b *testing.B) {
	var contents [][]byte
	size := int64(0)
	for i := range 200 {
		contents = append(contents, slices.Concat([]byte{byte(i)}, text(32<<10), randomBytes(uint64(i), 16<<10)))
		size += int64(len(contents[i]))
	}
	b.SetBytes(size)
	for b.Loop() {
		root := b.TempDir()
		f, err := OpenFolder(filepath.Join(root, "packs"), filepath.Join(root, "tmp"))
		if err != nil {
			b.Fatal(err)
		}
		if _, _, err := addAll(f, 4<<20, contents); err != nil {
			b.Fatal(err)
		}
	}
}

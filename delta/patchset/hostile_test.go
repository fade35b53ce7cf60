package patchset

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"deltaup/chunkstore"
	"deltaup/delta/suffix"
	"deltaup/mkimage"
	"deltaup/mkimage/tree"
)

// chunkMap is a store in memory.
type chunkMap map[chunkstore.ID][]byte

// Chunk implements chunkstore.Store.
func (m chunkMap) Chunk(_ context.Context, c chunkstore.Chunk) ([]byte, error) { return m[c.ID], nil }

// Locate implements chunkstore.Store.
func (m chunkMap) Locate(chunkstore.ID) (chunkstore.Location, bool) {
	return chunkstore.Location{}, false
}

// TestEveryByte flips each byte of a set. The error must be about the head or the right group.
func TestEveryByte(t *testing.T) {
	from, to := fixture(t)
	set, stats := makeSet(t, from, to, MakeOptions{})
	for i := range set {
		bad := bytes.Clone(set)
		bad[i] ^= 1 << (i % 8)
		_, _, err := applySet(bad, from)
		want := "group 0 of the patch set"
		if int64(i) < stats.HeadSize {
			want = "read patch set"
		}
		if err == nil || !strings.Contains(err.Error(), want) ||
			!errors.Is(err, chunkstore.ErrCorrupt) && !errors.Is(err, chunkstore.ErrVersion) {
			t.Fatalf("byte %d of %d flipped: %v", i, len(set), err)
		}
	}
	for n := range set {
		if _, _, err := applySet(set[:n], from); err == nil {
			t.Fatalf("%d of %d bytes went unnoticed", n, len(set))
		}
	}
}

func TestVersions(t *testing.T) {
	from, to := fixture(t)
	set, _ := makeSet(t, from, to, MakeOptions{})
	next := bytes.Clone(set)
	binary.LittleEndian.PutUint32(next[8:], version+1)
	if _, err := HeadSize(next); !errors.Is(err, chunkstore.ErrVersion) {
		t.Errorf("version %d: %v", version+1, err)
	}
	if _, err := readBundle([]byte{5, 200, 3, 1, 2, 3}, 1, 100, nil); !errors.Is(err, chunkstore.ErrVersion) {
		t.Errorf("coder 200: %v", err)
	}
}

func TestBundleBounds(t *testing.T) {
	b, _ := appendBundle(nil, [][]byte{bytes.Repeat([]byte("zeros"), 1000), nil, {7}}, unheard)
	if got, err := readBundle(b, 3, 5001, nil); err != nil || len(got[0]) != 5000 || len(got[1]) != 0 || got[2][0] != 7 {
		t.Errorf("bundle: %v", err)
	}
	if _, err := readBundle(b, 3, 5000, nil); !errors.Is(err, chunkstore.ErrCorrupt) {
		t.Errorf("bundle larger than permitted: %v", err)
	}
	for id := range coders {
		plain := text(1, 3000)
		stored := encoders[id](plain, unheard)
		if got, err := coders[id].decode(stored, len(plain)); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("coder %s: %v", coders[id].name, err)
		}
		for _, size := range []int{0, 1, len(plain) - 1, len(plain) + 1} {
			if _, err := coders[id].decode(stored, size); !errors.Is(err, chunkstore.ErrCorrupt) {
				t.Errorf("coder %s, %d bytes instead of %d: %v", coders[id].name, size, len(plain), err)
			}
		}
	}
}

var update = flag.Bool("update", false, "write the golden file anew")

// golden names the set of a version.
const golden = "testdata/v%d.set"

func TestGolden(t *testing.T) {
	from, to := fixture(t)
	checkGolden(t, 1, from, to)
	checkGolden(t, 3, from, to)
	checkGolden(t, 4, from, to)
	from, to = modules(t, modulesMin)
	checkGolden(t, 2, from, to)
}

func checkGolden(t *testing.T, v uint32, from, to *release) {
	t.Helper()
	path := fmt.Sprintf(golden, v)
	if *update && v == version {
		set, _ := makeSet(t, from, to, MakeOptions{})
		if err := os.WriteFile(path, set, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	set, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if h, err := open(set); err != nil || h.version != v {
		t.Fatalf("%s is of version %d, error %v", path, h.version, err)
	}
	checkSet(t, set, from, to)
}

func goldenHead(f *testing.F) ([]byte, *Head) {
	set, err := os.ReadFile(fmt.Sprintf(golden, version))
	if err != nil {
		f.Fatal(err)
	}
	h, err := open(set)
	if err != nil {
		f.Fatal(err)
	}
	return set, h
}

// smallFixture is a step of a few short files, since a fuzzer tries short inputs faster.
func smallFixture(t testing.TB) (from, to *release) {
	t.Helper()
	small := chunkstore.Params{Min: 64, Average: 64, Max: 256}
	from = newRelease(t, 1, small, []file{{path: "a", plain: text(1, 200)}, {path: "b/gone", plain: text(2, 90)},
		{path: "b/link", target: "a"}, {path: "b/old", plain: text(3, 150), mtime: 7}, {path: "twin", link: "a"}})
	to = newRelease(t, 2, small, []file{{path: "a", plain: changed(text(1, 200), 50)}, {path: "b/link", target: "b"},
		{path: "b/new", plain: text(4, 80), xattrs: []tree.Xattr{{Name: "user.x", Value: []byte("1")}}},
		{path: "b/newer", plain: changed(text(3, 150), 70), mtime: 7}, {path: "twin", link: "a"}})
	return from, to
}

// FuzzReadHead demands that what ReadHead accepts encodes to the same bytes.
func FuzzReadHead(f *testing.F) {
	set, h := goldenHead(f)
	f.Add(set[:h.size])
	f.Add((&Head{version: 1, bundle: make([]byte, columnsV1)}).encode())
	f.Add((&Head{version: version, bundle: make([]byte, numColumns)}).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		// With the right checksum the fuzzer gets further.
		if len(b) > FixedSize+hashSize {
			binary.LittleEndian.PutUint32(b[12:], uint32(len(b)))
			sum := chunkstore.Sum(b[:len(b)-hashSize])
			copy(b[len(b)-hashSize:], sum[:])
		}
		h, err := ReadHead(b)
		if err != nil {
			return
		}
		again := *h
		if got := again.encode(); len(got) <= len(b) && !bytes.Equal(got, b) && len(got) == len(b) {
			t.Errorf("%x was read as %x", b, got)
		}
	})
}

// FuzzStep demands that columns of any bytes give an error or a step whose groups can be opened.
func FuzzStep(f *testing.F) {
	from, to := smallFixture(f)
	for _, step := range [][2]*release{{from, to}, {from, from}} {
		for _, o := range []MakeOptions{{}, {ChunkLists: true}, {version: versionIDs}} {
			set, _ := makeSet(f, step[0], step[1], o)
			h, err := open(set)
			if err != nil {
				f.Fatal(err)
			}
			streams, err := readBundle(h.bundle, h.columns(), columnsMax, nil)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(uint8(h.version), joinColumns(streams))
			for i := range streams[colTransform] {
				streams[colTransform][i] = 8 // module+shifts
				streams[colLengths] = append(streams[colLengths], 0)
				streams[colShifted] = append(streams[colShifted], 1)
			}
			streams[colShifts] = []byte{1, 9, 2, 1, 8, 4}
			f.Add(uint8(h.version), joinColumns(streams))
			n := len(streams[colKinds])
			streams[colKinds] = bytes.Repeat([]byte{kindMoved}, n)
			streams[colBases] = make([]byte, n)
			streams[colLengths] = bytes.Repeat([]byte{1, 1, 0, 0, 16, 0, 0, 0}, n)
			streams[colTransform], streams[colShifted] = nil, nil
			f.Add(uint8(h.version), joinColumns(streams))
		}
	}
	moved := movedColumns(f, from, to)
	if _, entries, err := stepOf(version, moved[:], from); err != nil || entries[0].layouts == nil {
		f.Fatalf("%+v, error %v", entries, err)
	}
	f.Add(uint8(version), joinColumns(moved[:]))
	f.Fuzz(func(t *testing.T, v uint8, b []byte) {
		streams := splitColumns(b, (&Head{version: uint32(v)}).columns())
		if streams == nil {
			return
		}
		to, entries, err := stepOf(uint32(v), streams, from)
		if to == nil {
			return
		}
		for _, c := range unlistedOf(to) {
			if c.ID.IsStandIn() != (v > versionIDs) {
				t.Fatalf("version %d: a pending content has the id %v", v, c.ID)
			}
		}
		if err != nil {
			return
		}
		for _, e := range entries {
			if e.length < 0 || e.length > rewrittenMax || e.Length <= 0 || e.Length > PieceMax && !e.rewritesLarge() || e.Offset+e.Length > e.Content.Size {
				t.Fatalf("entry %+v", e)
			}
		}
	})
}

// stepOf reads columns as Head.Step does, as those of a set with one group. The recipe is nil when
// that is what is wrong.
func stepOf(version uint32, streams [][]byte, from *release) (*mkimage.Recipe, []Entry, error) {
	in := readColumns(streams)
	to, renamed, err := (&Head{version: version}).readRecipe(in, from.recipe)
	if err != nil {
		return nil, nil, err
	}
	entries, err := readDirectory(in, newListing(from.recipe, to, originsOf(renamed)), 1)
	return to, entries, err
}

// joinColumns and splitColumns turn columns into one input and back.
func joinColumns(streams [][]byte) (b []byte) {
	for _, s := range streams {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

func splitColumns(b []byte, n int) [][]byte {
	in := input{b: b}
	streams := make([][]byte, n)
	for i := range streams {
		streams[i] = in.bytes(in.length(int64(len(in.b))))
	}
	if in.err != nil {
		return nil
	}
	return streams
}

// FuzzGroup demands that any stored bytes give an error or the right contents. A fuzzer soon hits
// the few bytes of a hash that a set without ids has.
func FuzzGroup(f *testing.F) {
	from, to := smallFixture(f)
	set, _ := makeSet(f, from, to, MakeOptions{version: versionIDs})
	h, err := open(set)
	if err != nil {
		f.Fatal(err)
	}
	ref := h.Groups[0]
	f.Add(set[ref.Offset : ref.Offset+ref.Length])
	streams, err := readBundle(set[ref.Offset:ref.Offset+ref.Length], suffix.NumStreams, groupPlainMax, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(storedBundle(streams))
	step, err := h.Step(from.recipe)
	if err != nil {
		f.Fatal(err)
	}
	if _, err := groupsIn(step, set).Open(0); err != nil {
		f.Fatalf("the first seed is no group any more: %v", err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h.Groups[0].Length, h.Groups[0].Hash = int64(len(b)), chunkstore.Sum(b)
		h.Groups[0].Plain = 1 << 12
		g, err := step.Groups(func(int) ([]byte, error) { return b, nil }).Open(0)
		if err != nil {
			return
		}
		for i, e := range step.Entries {
			var base []byte
			if e.Base != nil {
				base = from.plain[e.Base.ID]
			}
			p, err := g.Content(i, Bytes(base), nil)
			if err == nil && !bytes.Equal(p, to.plain[e.Content.ID][e.Offset:e.Offset+e.Length]) {
				t.Fatalf("entry %d: other bytes", i)
			}
		}
	})
}

// storedBundle is an uncompressed bundle, so that a fuzzer can change its content.
func storedBundle(streams [][]byte) (b []byte) {
	for _, s := range streams {
		b = binary.AppendUvarint(b, uint64(len(s)))
		if len(s) > 0 {
			b = append(b, 0)
			b = binary.AppendUvarint(b, uint64(len(s)))
		}
	}
	for _, s := range streams {
		b = append(b, s...)
	}
	return b
}

// FuzzCoders demands that any stored bytes decode to exactly the size, or give an error.
func FuzzCoders(f *testing.F) {
	for id := range coders {
		f.Add(uint8(id), 300, encoders[id](text(1, 300), unheard))
	}
	f.Fuzz(func(t *testing.T, id uint8, size int, stored []byte) {
		if int(id) >= len(coders) || size < 0 || size > 1<<16 {
			return
		}
		if p, err := coders[id].decode(stored, size); err == nil && len(p) != size {
			t.Fatalf("%d bytes instead of %d", len(p), size)
		}
	})
}

package chunkstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// The files in testdata were made by
//
//	go test ./chunkstore -run Golden -update
//
// They stand for what lies on mirrors: nobody makes them again for a version that is out.
var update = flag.Bool("update", false, "write the golden files anew")

const goldenPack, goldenIndex = "v1.pack", "v1.index"

// goldenContents are the chunks of the golden pack.
func goldenContents() [][]byte {
	return [][]byte{[]byte("a"), text(5000), randomBytes(6, 700), bytes.Repeat([]byte{0, 1}, 1000)}
}

// goldenIndexValue uses every feature of the format: several packs, jumps back and forth, holes, an
// empty artifact.
func goldenIndexValue() *Index {
	a, b := ID{0xaa}, ID{0xbb}
	one, two, three := chunkOf([]byte("one")), chunkOf(text(40_000)), chunkOf(randomBytes(7, 20_000))
	return &Index{
		Packs: []PackRef{{a, 1 << 20}, {b, 300_000}},
		Image: []Location{{a, 12, 4}, {a, 16, 9_000}, {b, 100_000, 20_001}, {a, 9_016, 2}, {b, 120_001, 77}},
		Raw: []RawList{
			{Name: "kernel", Content: Content{ID: ID{1}, Size: 1<<40 + 100_003, Chunks: []Chunk{
				one, two, {Size: 1 << 40}, three, two}},
				Locations: []Location{{a, 12, 4}, {b, 12, 300}, {b, 100_000, 20_001}}},
			{Name: "empty", Content: Content{ID: Sum(nil)}},
			{Name: "zeros", Content: Content{ID: ID{2}, Size: 512, Chunks: []Chunk{{Size: 512}}}},
		},
	}
}

// damage is one way to break a file, and what its reader must say.
type damage struct {
	name  string
	want  error
	wreck func(b []byte) []byte
}

func set(at int, v ...byte) func([]byte) []byte {
	return func(b []byte) []byte {
		if at < 0 {
			at += len(b)
		}
		copy(b[at:], v)
		return b
	}
}

// retable changes the pack's table and makes its checksum right again.
func retable(change func(table []byte)) func([]byte) []byte {
	return func(b []byte) []byte {
		trailer := b[len(b)-packTrailerSize:]
		count := int(binary.LittleEndian.Uint32(trailer))
		table := b[len(b)-packTrailerSize-count*packEntrySize : len(b)-packTrailerSize]
		change(table)
		sum := Sum(table)
		copy(trailer[4:], sum[:])
		return b
	}
}

var packDamages = []damage{
	{"empty", ErrCorrupt, func(b []byte) []byte { return nil }},
	{"magic", ErrCorrupt, set(0, 'X')},
	{"version", ErrVersion, set(8, 2)},
	{"truncated", ErrCorrupt, func(b []byte) []byte { return b[:len(b)-1] }},
	{"half", ErrCorrupt, func(b []byte) []byte { return b[:len(b)/2] }},
	{"longer", ErrCorrupt, func(b []byte) []byte { return append(b, 0) }},
	{"end-magic", ErrCorrupt, set(-1, 'X')},
	{"no-entries", ErrCorrupt, set(-packTrailerSize, 0)},
	{"fewer-entries", ErrCorrupt, set(-packTrailerSize, 3)},
	{"more-entries", ErrCorrupt, set(-packTrailerSize, 5)},
	{"most-entries", ErrCorrupt, set(-packTrailerSize, 0xff, 0xff, 0xff, 0xff)},
	{"table-checksum", ErrCorrupt, set(-packTrailerSize+4, 0xff)},
	{"table", ErrCorrupt, set(-packTrailerSize-1, 0xff)},
	{"hole", ErrCorrupt, retable(func(t []byte) { clear(t[:32]) })},
	{"same-chunk-twice", ErrCorrupt, retable(func(t []byte) { copy(t[40:72], t[:32]) })},
	{"frame-of-one-byte", ErrCorrupt, retable(func(t []byte) { t[36] = 1 })},
	{"frame-too-long", ErrCorrupt, retable(func(t []byte) { t[36] = 3 })},
	{"huge-chunk", ErrCorrupt, retable(func(t []byte) { t[35] = 0xff })},
	{"frames-end-elsewhere", ErrCorrupt, retable(func(t []byte) { t[76]-- })},
}

// The golden index has the number of its packs at 12, their ids at 13 and 48, its first location (3
// bytes) at 84 and the second, a neighbour of it, at 87.
var indexDamages = []damage{
	{"empty", ErrCorrupt, func(b []byte) []byte { return nil }},
	{"magic", ErrCorrupt, set(0, 'X')},
	{"version", ErrVersion, set(8, 2)},
	{"truncated", ErrCorrupt, func(b []byte) []byte { return b[:len(b)-1] }},
	{"half", ErrCorrupt, func(b []byte) []byte { return b[:len(b)/2] }},
	{"longer", ErrCorrupt, func(b []byte) []byte { return append(b, 0) }},
	{"many-packs", ErrCorrupt, set(12, 0x7f)},
	{"fewer-packs", ErrCorrupt, set(12, 1)},
	{"same-pack-twice", ErrCorrupt, func(b []byte) []byte { copy(b[48:80], b[13:45]); return b }},
	{"zero-pack", ErrCorrupt, func(b []byte) []byte { clear(b[13:45]); return b }},
	{"long-number", ErrCorrupt, func(b []byte) []byte { return slices.Concat(b[:12], []byte{0x82, 0x00}, b[13:]) }},
	{"jump-to-neighbour", ErrCorrupt, func(b []byte) []byte {
		return slices.Concat(b[:87], []byte{0xd1, 0x8c, 0x01, 0, 16}, b[90:])
	}},
	{"name-twice", ErrCorrupt, func(b []byte) []byte { return bytes.Replace(b, []byte("zeros"), []byte("empty"), 1) }},
	{"name-not-utf8", ErrCorrupt, func(b []byte) []byte { return bytes.Replace(b, []byte("zeros"), []byte("zer\xff\xff"), 1) }},
	{"sizes-do-not-add-up", ErrCorrupt, set(-2, 0)},
}

func TestGoldenPack(t *testing.T) {
	b := golden(t, goldenPack, func() []byte {
		var buf bytes.Buffer
		w := newPackWriter(&buf)
		for _, plain := range goldenContents() {
			if _, err := w.add(chunkOf(plain), EncodeFrame(nil, plain)); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := w.close(); err != nil {
			t.Fatal(err)
		}
		return buf.Bytes()
	})
	entries, err := ReadPackTable(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	contents := goldenContents()
	if len(entries) != len(contents) {
		t.Fatalf("%d entries, want %d", len(entries), len(contents))
	}
	for i, e := range entries {
		got, err := DecodeFrame(nil, b[e.Offset:e.Offset+e.Length], e.Chunk)
		if err != nil || !bytes.Equal(got, contents[i]) {
			t.Errorf("entry %d: %d bytes, %v", i, len(got), err)
		}
	}
	if got := repack(t, b, entries); !bytes.Equal(got, b) {
		t.Error("its entries are written as other bytes")
	}
}

func TestGoldenIndex(t *testing.T) {
	want := goldenIndexValue()
	encoded, err := want.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	b := golden(t, goldenIndex, func() []byte { return encoded })
	if !bytes.Equal(encoded, b) {
		t.Error("the same index is written as other bytes")
	}
	got, err := ParseIndex(b)
	if err != nil {
		t.Fatal(err)
	}
	if !equalIndex(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestGoldenDamaged(t *testing.T) {
	files, err := os.ReadDir(filepath.Join("testdata", "damaged"))
	if want := len(packDamages) + len(indexDamages); !*update && (err != nil || len(files) != want) {
		t.Errorf("%d damaged files, %v; want %d", len(files), err, want)
	}
	for file, kind := range map[string]struct {
		damages []damage
		read    func([]byte) error
	}{
		goldenPack: {packDamages, func(b []byte) error {
			_, err := ReadPackTable(bytes.NewReader(b), int64(len(b)))
			return err
		}},
		goldenIndex: {indexDamages, func(b []byte) error {
			_, err := ParseIndex(b)
			return err
		}},
	} {
		for _, d := range kind.damages {
			t.Run(file+"/"+d.name, func(t *testing.T) {
				b := golden(t, filepath.Join("damaged", d.name+"."+file), func() []byte {
					return d.wreck(bytes.Clone(golden(t, file, nil)))
				})
				if bytes.Equal(b, golden(t, file, nil)) {
					t.Fatal("it is not damaged")
				}
				err := kind.read(b)
				if !errors.Is(err, d.want) {
					t.Errorf("%v, want %v", err, d.want)
				}
				t.Log(err)
			})
		}
	}
}

// golden reads a golden file, which it makes first with -update.
func golden(t testing.TB, name string, create func() []byte) []byte {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update && create != nil {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, create(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// repack writes a pack of the frames of pack b.
func repack(t *testing.T, b []byte, entries []PackEntry) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := newPackWriter(&buf)
	for _, e := range entries {
		offset, err := w.add(e.Chunk, b[e.Offset:e.Offset+e.Length])
		if err != nil || offset != e.Offset {
			t.Fatalf("Add gives offset %d, %v; want %d", offset, err, e.Offset)
		}
	}
	id, size, err := w.close()
	if err != nil {
		t.Fatal(err)
	}
	if id != Sum(buf.Bytes()) || size != int64(buf.Len()) {
		t.Fatal("Close gives another name or size than the file has")
	}
	return buf.Bytes()
}

func equalIndex(a, b *Index) bool {
	return slices.Equal(a.Packs, b.Packs) && slices.Equal(a.Image, b.Image) &&
		slices.EqualFunc(a.Raw, b.Raw, func(a, b RawList) bool {
			return a.Name == b.Name && equalContent(a.Content, b.Content) && slices.Equal(a.Locations, b.Locations)
		})
}

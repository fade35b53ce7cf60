package blockmap_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"deltaup/chunkstore"
	"deltaup/internal/test/treetest"
	"deltaup/mkimage"
	"deltaup/mkimage/blockmap"
	"deltaup/mkimage/squashfs"
)

// The golden block map was made by
//
//	go test ./mkimage/blockmap -run Golden -update-blockmap
var update = flag.Bool("update-blockmap", false, "write the golden block map anew")

const golden = "testdata/blockmap-2.blockmap"

var mtime = time.Unix(1_700_000_000, 0)

// images makes an image of each kind that mksquashfs can make.
func images(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob("../squashfs/testdata/*.squashfs")
	if err != nil || len(paths) < 6 {
		t.Fatalf("%v, %v", paths, err)
	}
	return paths
}

func open(t testing.TB, path string) (*squashfs.Image, []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m, err := squashfs.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return m, b
}

func makeMap(t testing.TB, m *squashfs.Image, b []byte) *blockmap.Map {
	t.Helper()
	made, err := blockmap.Make(context.Background(), m, bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func encode(t testing.TB, m *blockmap.Map) []byte {
	t.Helper()
	file, err := m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// checkPieces demands that the pieces lie one after another and have the keys of their bytes, and
// that of two neighbours one is large.
func checkPieces(t *testing.T, m *blockmap.Map, b []byte) {
	t.Helper()
	end, last := int64(0), blockmap.PieceMax
	for i := range m.Len() {
		p := m.Piece(i)
		if p.Offset != end || p.Length < 1 || p.Length > blockmap.PieceMax {
			t.Fatalf("piece %d is %+v, the one before ends at %d", i, p, end)
		}
		if b != nil && p.Key != blockmap.KeyOf(b[p.Offset:][:p.Length]) {
			t.Fatalf("piece %d has another key", i)
		}
		if b != nil && i > 1 && p.Length < blockmap.PieceMin && last < blockmap.PieceMin {
			t.Errorf("pieces %d and %d have %d and %d bytes", i-1, i, last, p.Length)
		}
		end, last = end+int64(p.Length), p.Length
	}
	if end != m.Size() || b != nil && end != int64(len(b)) {
		t.Errorf("pieces of %d bytes, the size is %d, the image has %d", end, m.Size(), len(b))
	}
}

func TestMake(t *testing.T) {
	for _, path := range images(t) {
		m, b := open(t, path)
		made := makeMap(t, m, b)
		checkPieces(t, made, b)
		parsed, err := blockmap.Parse(encode(t, made), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(made, parsed) {
			t.Errorf("%s: the map is another one after encoding", path)
		}
		if n := made.Lacking(parsed); n != 0 {
			t.Errorf("%s lacks %d bytes of itself", path, n)
		}
		if n := made.Lacking(nil); n != int64(len(b)) {
			t.Errorf("%s: %d of %d bytes are new to nobody", path, n, len(b))
		}
	}
}

// noise gives bytes that do not compress.
func noise(seed byte, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// image makes an image of files with blocks of 4 KiB.
func image(t testing.TB, files map[string][]byte) (*squashfs.Image, []byte) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(filepath.Join(dir, name), mtime, mtime); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(dir, mtime, mtime); err != nil {
		t.Fatal(err)
	}
	in := treetest.Open(t, dir)
	r, source, err := mkimage.NewRecipe(t.Context(), in, mkimage.Options{BlockSize: 4096, Level: "fastest"})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "image")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := mkimage.Build(t.Context(), r, source, f, mkimage.BuildOptions{}); err != nil {
		t.Fatal(err)
	}
	return open(t, path)
}

// TestShift changes an image near its start, so that everything after that lies elsewhere, and
// demands that the pieces there are found all the same.
func TestShift(t *testing.T) {
	files := map[string][]byte{}
	for i := range 20 {
		files[fmt.Sprintf("f%02d", i)] = noise(byte(i), 40_000+i)
		files[fmt.Sprintf("text%02d", i)] = bytes.Repeat([]byte(fmt.Sprintf("line %d of a text that compresses well\n", i)), 400+i)
	}
	m1, b1 := image(t, files)
	files["f00"] = append(noise(99, 4096), files["f00"]...)
	m2, b2 := image(t, files)
	old, new := makeMap(t, m1, b1), makeMap(t, m2, b2)
	checkPieces(t, new, b2)
	if lacking, tables := new.Lacking(old), int64(len(b2))-m2.Info().Tables; lacking > tables+32<<10 {
		t.Errorf("%d bytes are lacking of %d; the tables have %d", lacking, len(b2), tables)
	}
}

func TestGolden(t *testing.T) {
	m, b := open(t, "../squashfs/testdata/zstd.squashfs")
	made := makeMap(t, m, b)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, encode(t, made), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := blockmap.Parse(file, int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(made, parsed) {
		t.Error("the golden block map is not that of the golden image")
	}
}

// TestMakeFails tries damaged images and files that cannot be read.
func TestMakeFails(t *testing.T) {
	m, b := open(t, images(t)[0])
	if _, err := blockmap.Make(t.Context(), m, bytes.NewReader(b[:len(b)-1]), int64(len(b))); err == nil {
		t.Error("a file that ends early")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := blockmap.Make(ctx, m, bytes.NewReader(b), int64(len(b))); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	caught := 0
	for i := int(m.Info().Tables); i < len(b); i += 7 {
		damaged := bytes.Clone(b)
		damaged[i] ^= 0x55
		m, err := squashfs.Open(bytes.NewReader(damaged), int64(len(b)))
		if err != nil {
			continue
		}
		made, err := blockmap.Make(t.Context(), m, bytes.NewReader(damaged), int64(len(b)))
		switch {
		case err == nil:
			checkPieces(t, made, damaged)
		case !errors.Is(err, squashfs.ErrCorrupt):
			t.Errorf("byte %d: %v", i, err)
		default:
			caught++
		}
	}
	if caught == 0 {
		t.Error("no damage is found")
	}
}

// mapFile makes a block map's file with plain compressed in it.
func mapFile(t testing.TB, count int, plain []byte) []byte {
	t.Helper()
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	head := binary.LittleEndian.AppendUint32([]byte("DUBMAP\r\n"), 2)
	return enc.EncodeAll(plain, binary.LittleEndian.AppendUint32(head, uint32(count)))
}

// plainMap is the uncompressed part of a map of two pieces, of 100 and 5000 bytes.
func plainMap() []byte {
	return append([]byte{100, 0x88, 0x27}, make([]byte, 16)...)
}

func TestDamaged(t *testing.T) {
	const size = 5100
	whole, plain := mapFile(t, 2, plainMap()), plainMap()
	if _, err := blockmap.Parse(whole, size); err != nil {
		t.Fatal(err)
	}
	flipped := func(i int) []byte { b := bytes.Clone(whole); b[i] ^= 0x40; return b }
	for what, c := range map[string]struct {
		file []byte
		size int64
		want error
	}{
		"empty":            {nil, size, chunkstore.ErrCorrupt},
		"other magic":      {flipped(0), size, chunkstore.ErrCorrupt},
		"later version":    {flipped(9), size, chunkstore.ErrVersion},
		"too many":         {flipped(14), size, chunkstore.ErrCorrupt},
		"one more":         {mapFile(t, 3, plain), size, chunkstore.ErrCorrupt},
		"one less":         {mapFile(t, 1, plain), size, chunkstore.ErrCorrupt},
		"no frame":         {whole[:16], size, chunkstore.ErrCorrupt},
		"cut":              {whole[:len(whole)-1], size, chunkstore.ErrCorrupt},
		"a key less":       {mapFile(t, 2, plain[:len(plain)-1]), size, chunkstore.ErrCorrupt},
		"a byte more":      {mapFile(t, 2, append(plain, 0)), size, chunkstore.ErrCorrupt},
		"longer form":      {mapFile(t, 2, append([]byte{100 | 0x80, 0}, plain[1:]...)), size, chunkstore.ErrCorrupt},
		"empty piece":      {mapFile(t, 2, append([]byte{0}, plain[1:]...)), size - 100, chunkstore.ErrCorrupt},
		"large piece":      {mapFile(t, 1, append([]byte{0x81, 0x80, 0x40}, plain[:8]...)), 1<<20 + 1, chunkstore.ErrCorrupt},
		"another image":    {whole, size + 1, chunkstore.ErrCorrupt},
		"an image of none": {whole, 0, chunkstore.ErrCorrupt},
		"bomb":             {mapFile(t, 2, make([]byte, 64<<20)), size, chunkstore.ErrCorrupt},
	} {
		if _, err := blockmap.Parse(c.file, c.size); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	m, b := open(f, "../squashfs/testdata/zstd.squashfs")
	f.Add(encode(f, makeMap(f, m, b)), int64(len(b)))
	f.Add(mapFile(f, 2, plainMap()), int64(5100))
	f.Add(mapFile(f, 0, nil), int64(0))
	f.Fuzz(func(t *testing.T, file []byte, size int64) {
		m, err := blockmap.Parse(file, size)
		if err != nil {
			if !errors.Is(err, chunkstore.ErrCorrupt) && !errors.Is(err, chunkstore.ErrVersion) {
				t.Errorf("error %v", err)
			}
			return
		}
		checkPieces(t, m, nil)
		again, err := blockmap.Parse(encode(t, m), size)
		if err != nil || !reflect.DeepEqual(m, again) {
			t.Errorf("another map after encoding: %v", err)
		}
	})
}

func BenchmarkMake(b *testing.B) {
	m, image := image(b, map[string][]byte{"f": noise(1, 32<<20)})
	b.SetBytes(int64(len(image)))
	for b.Loop() {
		makeMap(b, m, image)
	}
}

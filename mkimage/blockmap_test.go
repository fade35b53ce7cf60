package mkimage

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"io"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"

	"deltaup/chunkstore"
	"deltaup/mkimage/squashfs"
)

// The golden block map was made by
//
//	go test ./mkimage -run GoldenBlockmap -update-blockmap
var updateBlockmap = flag.Bool("update-blockmap", false, "write the golden block map anew")

const goldenBlockmap = "testdata/blockmap-1.blockmap"

func readMap(t testing.TB, r *Recipe, image []byte) *Blockmap {
	t.Helper()
	m, err := squashfs.Open(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		t.Fatal(err)
	}
	b, err := ReadBlockmap(context.Background(), m, r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func encodeMap(t testing.TB, b *Blockmap) []byte {
	t.Helper()
	file, err := b.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// mapSource gives stored blocks, and nothing else, from where a block map says that they are.
type mapSource struct {
	b     *Blockmap
	image []byte
}

func (mapSource) Open(context.Context, *chunkstore.Content) (io.ReadCloser, error) {
	return nil, errors.New("no content but in stored blocks")
}

func (s mapSource) StoredBlock(c *chunkstore.Content, n int) ([]byte, bool, bool, error) {
	at, ok := s.b.Block(c.ID, n)
	return s.image[at.Offset:][:at.Length], at.Compressed, ok, nil
}

func (s mapSource) StoredFragment(contents []chunkstore.ID) ([]byte, bool, bool, error) {
	at, ok := s.b.FragmentBlock(contents)
	return s.image[at.Offset:][:at.Length], at.Compressed, ok, nil
}

// TestBlockmap builds images again out of nothing but the blocks that their maps place.
func TestBlockmap(t *testing.T) {
	for _, blockSize := range blockSizes() {
		r, image, _ := makeImage(t, zoo(blockSize), Options{BlockSize: blockSize, Level: "fastest", Order: []string{"usr/lib/size-5"}})
		read := readMap(t, r, image)
		b, err := ParseBlockmap(encodeMap(t, read), r)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(b, read) {
			t.Errorf("blocks of %d: the map is another one after encoding", blockSize)
		}
		again, stats := build(t, r, mapSource{b, image})
		if !bytes.Equal(again, image) {
			t.Errorf("blocks of %d: another image is built", blockSize)
		}
		if stats.BlocksCompressed != 0 || stats.BlocksCopied == 0 {
			t.Errorf("blocks of %d: %+v", blockSize, stats)
		}
		checkTiling(t, b, r)
	}
}

// checkTiling demands that blocks follow each other without gaps and hold all contents.
func checkTiling(t *testing.T, b *Blockmap, r *Recipe) {
	t.Helper()
	end := int64(DataStart)
	plain := map[chunkstore.ID]int64{}
	for i, s := range b.Stretches {
		n := 0
		for at := range b.Blocks(i) {
			if at.Offset != end {
				t.Fatalf("stretch %d: block %d lies at %d, the one before ends at %d", i, n, at.Offset, end)
			}
			end += int64(at.Length)
			if !s.Fragment {
				plain[s.Contents[0].ID] += int64(at.Size)
				if single, ok := b.Block(s.Contents[0].ID, n); !ok || single != at {
					t.Fatalf("stretch %d: block %d is %+v or %+v", i, n, at, single)
				}
			}
			n++
		}
		if n != s.Blocks(r.BlockSize) {
			t.Errorf("stretch %d has %d blocks", i, n)
		}
		if _, ok := b.Block(s.Contents[0].ID, n); ok {
			t.Errorf("stretch %d has a block more", i)
		}
		if s.Fragment {
			for _, c := range s.Contents {
				plain[c.ID] += c.Size
			}
		}
	}
	if end != b.End {
		t.Errorf("the data end at %d, not at %d", end, b.End)
	}
	for _, c := range r.DataOrder() {
		if plain[c.ID] != c.Size {
			t.Errorf("content %s has %d of %d bytes", c.ID, plain[c.ID], c.Size)
		}
	}
	if _, ok := b.Block(chunkstore.Sum(nil), 0); ok {
		t.Error("an unknown content has a block")
	}
	if _, ok := b.FragmentBlock([]chunkstore.ID{chunkstore.Sum(nil)}); ok {
		t.Error("unknown contents have a fragment block")
	}
}

func TestBlockmapEmptyImage(t *testing.T) {
	r, image, _ := makeImage(t, newTree(regular("zeros", make([]byte, 1<<20))), Options{Level: "fastest"})
	b, err := ParseBlockmap(encodeMap(t, readMap(t, r, image)), r)
	if err != nil {
		t.Fatal(err)
	}
	if len(b.Stretches) != 0 || b.End != DataStart {
		t.Errorf("an image without data: %+v", b)
	}
}

func TestGoldenBlockmap(t *testing.T) {
	r, image, _ := makeImage(t, zoo(64<<10), goldenOptions())
	read := readMap(t, r, image)
	if *updateBlockmap {
		if err := os.WriteFile(goldenBlockmap, encodeMap(t, read), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.ReadFile(goldenBlockmap)
	if err != nil {
		t.Fatal(err)
	}
	b, err := ParseBlockmap(file, r)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(b, read) {
		t.Error("the golden block map is not that of the golden recipe's image")
	}
}

// TestBlockmapOfAnotherImage joins recipes with maps and images that are not theirs.
func TestBlockmapOfAnotherImage(t *testing.T) {
	one, other := zoo(16<<10), zoo(16<<10)
	i := slices.IndexFunc(other.files, func(f file) bool { return f.Path == "usr/lib/size-6" })
	other.files[i] = regular("usr/lib/size-6", realistic(7, 60_000))
	o := Options{BlockSize: 16 << 10, Level: "fastest"}
	r1, image1, _ := makeImage(t, one, o)
	r2, image2, _ := makeImage(t, other, o)
	b1 := readMap(t, r1, image1)
	if stored, plain := b1.Lacking(r1); stored != 0 || plain != 0 {
		t.Errorf("an image lacks %d stored and %d plain bytes of itself", stored, plain)
	}
	if stored, plain := b1.Lacking(r2); plain != 40_000 || stored <= 0 || stored >= plain {
		t.Errorf("the other image lacks %d stored and %d plain bytes", stored, plain)
	}
	foreign := *r2
	foreign.Codec = ""
	if stored, _ := b1.Lacking(&foreign); stored != b1.End-DataStart {
		t.Errorf("an image of another codec lacks %d of %d bytes", stored, b1.End-DataStart)
	}
	if _, err := ParseBlockmap(encodeMap(t, b1), r2); !errors.Is(err, chunkstore.ErrCorrupt) {
		t.Errorf("the map of another image: %v", err)
	}
	m, err := squashfs.Open(bytes.NewReader(image2), int64(len(image2)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ReadBlockmap(t.Context(), m, r1); !errors.Is(err, ErrContent) {
		t.Errorf("another image: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ReadBlockmap(ctx, m, r2); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled reading: %v", err)
	}
}

// tinyMap is the recipe of an image with a compressed block, a hole, a plain block and a fragment block, and its map.
func tinyMap(t testing.TB) (*Recipe, *Blockmap) {
	t.Helper()
	data := slices.Concat(bytes.Repeat([]byte("a"), 4096), make([]byte, 4096), noise(4096))
	r, image, _ := makeImage(t, newTree(regular("a", data), regular("b", realistic(1, 500))), Options{BlockSize: 4096, Level: "fastest"})
	return r, readMap(t, r, image)
}

// noise gives bytes that do not compress.
func noise(n int) []byte {
	h := chunkstore.NewHasher()
	var b []byte
	for len(b) < n {
		h.Write([]byte{1})
		id := h.ID()
		b = append(b, id[:]...)
	}
	return b[:n]
}

// mapFile makes a block map's file of numbers.
func mapFile(t testing.TB, numbers []byte) []byte {
	t.Helper()
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	return enc.EncodeAll(numbers, binary.LittleEndian.AppendUint32([]byte(blockmapMagic), blockmapVersion))
}

func TestDamagedBlockmaps(t *testing.T) {
	r, b := tinyMap(t)
	whole, numbers := encodeMap(t, b), b.numbers()
	if len(numbers) < 4 || len(numbers) > 7 || numbers[1] != blockHole || numbers[2] != blockPlain {
		t.Fatalf("the map is % x", numbers)
	}
	long := binary.AppendUvarint(nil, 4096+blockCompressed)
	for what, c := range map[string]struct {
		file []byte
		want error
	}{
		"empty":               {nil, chunkstore.ErrCorrupt},
		"other magic":         {flipped(whole, 0), chunkstore.ErrCorrupt},
		"later version":       {flipped(whole, 9), chunkstore.ErrVersion},
		"no frame":            {whole[:12], chunkstore.ErrCorrupt},
		"cut":                 {whole[:len(whole)-1], chunkstore.ErrCorrupt},
		"damaged frame":       {flipped(whole, 12), chunkstore.ErrCorrupt},
		"a block less":        {mapFile(t, numbers[:3]), chunkstore.ErrCorrupt},
		"a block more":        {mapFile(t, append(slices.Clone(numbers), 0)), chunkstore.ErrCorrupt},
		"hole as fragment":    {mapFile(t, append(slices.Clone(numbers[:3]), blockHole)), chunkstore.ErrCorrupt},
		"length of the block": {mapFile(t, append(slices.Clone(long), numbers[1:]...)), chunkstore.ErrCorrupt},
		"longer form":         {mapFile(t, append([]byte{numbers[0] | 0x80, 0}, numbers[1:]...)), chunkstore.ErrCorrupt},
		"endless number":      {mapFile(t, bytes.Repeat([]byte{0xff}, 8)), chunkstore.ErrCorrupt},
		"bomb":                {mapFile(t, make([]byte, 64<<20)), chunkstore.ErrCorrupt},
	} {
		if _, err := ParseBlockmap(c.file, r); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func flipped(b []byte, i int) []byte {
	b = bytes.Clone(b)
	b[i] ^= 0x40
	return b
}

func FuzzParseBlockmap(f *testing.F) {
	r, b := tinyMap(f)
	f.Add(encodeMap(f, b))
	f.Add(mapFile(f, []byte{9, 0, 1, 200, 2}))
	f.Add(mapFile(f, []byte{1, 1, 1, 1}))
	f.Fuzz(func(t *testing.T, file []byte) {
		b, err := ParseBlockmap(file, r)
		if err != nil {
			if !errors.Is(err, chunkstore.ErrCorrupt) && !errors.Is(err, chunkstore.ErrVersion) {
				t.Errorf("error %v", err)
			}
			return
		}
		checkTiling(t, b, r)
		numbers, err := blockmapNumbers(file, b.blockCount())
		if err != nil || !bytes.Equal(b.numbers(), numbers) {
			t.Errorf("% x is encoded as % x", numbers, b.numbers())
		}
	})
}

package chunkstore

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

func TestDistinct(t *testing.T) {
	a, b, c, hole := Chunk{ID{1}, 1}, Chunk{ID{2}, 2}, Chunk{ID{3}, 3}, Chunk{Size: 9}
	contents := []*Content{
		{Chunks: []Chunk{b, hole, a, b}},
		{},
		{Chunks: []Chunk{hole}},
		{Chunks: []Chunk{a, c}},
	}
	if got, want := Distinct(slices.Values(contents)), []Chunk{b, a, c}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestIndexTruncated(t *testing.T) {
	b := golden(t, goldenIndex, nil)
	for n := range b {
		if _, err := ParseIndex(b[:n]); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%d of %d bytes: %v, want ErrCorrupt", n, len(b), err)
		}
	}
}

func TestEmptyIndex(t *testing.T) {
	b, err := (&Index{}).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if x, err := ParseIndex(b); err != nil || !equalIndex(x, &Index{}) {
		t.Errorf("%+v, %v", x, err)
	}
}

// TestIndexRefuses breaks a valid index in memory, which MarshalBinary must refuse.
func TestIndexRefuses(t *testing.T) {
	for name, wreck := range map[string]func(x *Index){
		"unknown pack":       func(x *Index) { x.Image[0].Pack = ID{0xcc} },
		"unused pack":        func(x *Index) { x.Packs = append(x.Packs, PackRef{ID{0xcc}, 1000}) },
		"packs out of order": func(x *Index) { slices.Reverse(x.Packs) },
		"small pack":         func(x *Index) { x.Packs[0].Size = packSizeMin - 1 },
		"beyond the pack":    func(x *Index) { x.Image[4].Offset = 300_000 - 84 - 76 },
		"in the header":      func(x *Index) { x.Image[0].Offset = 11 },
		"negative offset":    func(x *Index) { x.Image[2].Offset = -1 },
		"short frame":        func(x *Index) { x.Image[3].Length = 1 },
		"negative frame":     func(x *Index) { x.Image[3].Length = -1 },
		"long frame":         func(x *Index) { x.Raw[0].Locations[0].Length = 5 },
		"no name":            func(x *Index) { x.Raw[0].Name = "" },
		"long name":          func(x *Index) { x.Raw[0].Name = string(text(256)) },
		"a location less":    func(x *Index) { x.Raw[0].Locations = x.Raw[0].Locations[:2] },
		"content size":       func(x *Index) { x.Raw[0].Content.Size++ },
		"two holes": func(x *Index) {
			x.Raw[2].Content.Chunks = []Chunk{{Size: 256}, {Size: 256}}
		},
		"empty chunk": func(x *Index) {
			x.Raw[2].Content.Chunks = []Chunk{{Size: 512}, {ID: ID{1}}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			x := goldenIndexValue()
			wreck(x)
			if _, err := x.MarshalBinary(); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%v, want ErrCorrupt", err)
			}
		})
	}
}

func TestIndexLocations(t *testing.T) {
	x := goldenIndexValue()
	var image []Chunk
	for i, l := range x.Image {
		image = append(image, Chunk{ID: ID{0x10, byte(i)}, Size: l.Length})
	}
	at, err := x.Locations(image)
	if err != nil {
		t.Fatal(err)
	}
	if len(at) != len(x.Image)+3 || at[image[2].ID] != x.Image[2] || at[chunkOf([]byte("one")).ID] != x.Raw[0].Locations[0] {
		t.Errorf("got %v", at)
	}
	if _, err := x.Locations(image[1:]); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a chunk less: %v, want ErrCorrupt", err)
	}
	image[2].Size = 1
	if _, err := x.Locations(image); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a frame too long for its chunk: %v, want ErrCorrupt", err)
	}
}

// TestIndexSize checks the point of the format: a neighbour costs three bytes.
func TestIndexSize(t *testing.T) {
	x := &Index{Packs: []PackRef{{ID{1}, 1 << 30}}}
	l := Location{Pack: ID{1}, Offset: packHeaderSize}
	for range 1000 {
		l.Length = 25_000
		x.Image = append(x.Image, l)
		l.Offset += l.Length
	}
	b, err := x.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 3*len(x.Image)+100 {
		t.Errorf("%d bytes for %d neighbours", len(b), len(x.Image))
	}
}

func FuzzParseIndex(f *testing.F) {
	f.Add(golden(f, goldenIndex, nil))
	for _, d := range indexDamages {
		f.Add(d.wreck(golden(f, goldenIndex, nil)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := ParseIndex(b)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrVersion) {
				t.Fatalf("an error that is neither ErrCorrupt nor ErrVersion: %v", err)
			}
			return
		}
		again, err := x.MarshalBinary()
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("what was read is written as other bytes, %v", err)
		}
	})
}

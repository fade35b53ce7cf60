package patchset

import (
	"errors"
	"slices"
	"testing"

	"deltaup/chunkstore"
)

// TestIDsAreLeftOut demands that a set does not have the ids of contents that it makes.
func TestIDsAreLeftOut(t *testing.T) {
	from, to := fixture(t)
	set, stats := makeSet(t, from, to, MakeOptions{})
	h, err := open(set)
	if err != nil {
		t.Fatal(err)
	}
	s, err := h.Step(from.recipe)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[chunkstore.ID]bool)
	for _, c := range s.pending {
		if !c.ID.IsStandIn() || seen[c.ID] {
			t.Errorf("content %v", c.ID)
		}
		seen[c.ID] = true
	}
	for _, x := range stats.Streams {
		if x.Stream == columnNames[colIDs] && x.Plain != int64(hashSize) { // of zeros, which have no data
			t.Errorf("%d bytes of ids", x.Plain)
		}
		if x.Stream == columnNames[colChecks] && x.Plain != int64(checkSize*len(s.pending)) {
			t.Errorf("%d bytes for %d contents", x.Plain, len(s.pending))
		}
	}
	old, _ := makeSet(t, from, to, MakeOptions{version: versionIDs})
	if want := len(s.pending) * (hashSize - checkSize); len(old)-len(set) < want-8 {
		t.Errorf("%d bytes with ids, %d without: want %d fewer", len(old), len(set), want)
	}
	// another run names them in the same way
	again, err := h.Step(from.recipe)
	if err != nil || !slices.EqualFunc(s.pending, again.pending,
		func(a, b *chunkstore.Content) bool { return a.ID == b.ID }) {
		t.Errorf("other stand-ins, error %v", err)
	}
	if err := s.Complete(from.recipe); !errors.Is(err, chunkstore.ErrCorrupt) {
		t.Errorf("another recipe: %v", err)
	}
	if err := s.Finish(); !errors.Is(err, chunkstore.ErrCorrupt) {
		t.Errorf("without ids: %v", err)
	}
	if err := s.Complete(to.recipe); err != nil {
		t.Error(err)
	}
	if err := s.Finish(); err != nil || recipeText(t, s.To) != recipeText(t, to.recipe) {
		t.Errorf("the whole recipe: %v", err)
	}
}

// TestOldVersion demands that sets of the version with ids are still read.
func TestOldVersion(t *testing.T) {
	from, to := fixture(t)
	for _, lists := range []bool{false, true} {
		o := MakeOptions{ChunkLists: lists, version: versionIDs}
		set, _ := makeSet(t, from, to, o)
		if h, err := open(set); err != nil || !h.TellsIDs() {
			t.Fatalf("head %+v, error %v", h, err)
		}
		checkSet(t, set, from, to)
	}
}

// TestSwapped has entries in each other's place: the patch of one content as that of another.
func TestSwapped(t *testing.T) {
	base := text(1, 4000)
	from := newRelease(t, 1, fixtureChunks, []file{{path: "a", plain: base}, {path: "b", plain: base[1:]}})
	to := newRelease(t, 1, fixtureChunks, []file{{path: "a", plain: changed(base, 500)}, {path: "b", plain: changed(base[1:], 500)}})
	set, _ := makeSet(t, from, to, MakeOptions{})
	s := checkSet(t, set, from, to)
	g, err := groupsIn(s, set).Open(0)
	if err != nil || len(g.patches) != 2 {
		t.Fatalf("%d patches, error %v", len(g.patches), err)
	}
	elsewhere := &Group{step: s, number: 1}
	if _, err := elsewhere.Content(0, Bytes(base), nil); !errors.Is(err, chunkstore.ErrCorrupt) {
		t.Errorf("an entry of another group: %v", err)
	}
	g.patches[0], g.patches[1] = g.patches[1], g.patches[0]
	for i, e := range s.Entries {
		if _, err := g.Content(i, Bytes(from.plain[e.Base.ID]), nil); !errors.Is(err, chunkstore.ErrCorrupt) {
			t.Errorf("entry %d: %v", i, err)
		}
	}
}

// TestHostileIDs has stand-ins where a set has ids, and checks that end early.
func TestHostileIDs(t *testing.T) {
	from, to := smallFixture(t)
	read := func(v uint32, lists bool, change func(streams [][]byte)) error {
		set, _ := makeSet(t, from, to, MakeOptions{ChunkLists: lists, version: v})
		h, err := open(set)
		if err != nil {
			t.Fatal(err)
		}
		streams, err := readBundle(h.bundle, h.columns(), columnsMax, nil)
		if err != nil {
			t.Fatal(err)
		}
		change(streams)
		h.bundle, _ = appendBundle(nil, streams, unheard)
		_, err = h.Step(from.recipe)
		return err
	}
	standIn := func(streams [][]byte) { clear(streams[colIDs][:hashSize/2]) }
	for name, err := range map[string]error{
		"a stand-in":          read(version, true, standIn),
		"a stand-in, version": read(versionIDs, false, standIn),
		"zeros":               read(version, true, func(s [][]byte) { clear(s[colIDs]) }),
		"no checks":           read(version, false, func(s [][]byte) { s[colChecks] = nil }),
		"a check too few":     read(version, false, func(s [][]byte) { s[colChecks] = s[colChecks][checkSize:] }),
		"a check too many":    read(version, false, func(s [][]byte) { s[colChecks] = append(s[colChecks], 1, 2) }),
		"checks and ids":      read(version, true, func(s [][]byte) { s[colChecks] = []byte{1, 2} }),
	} {
		if !errors.Is(err, chunkstore.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := read(version, false, func([][]byte) {}); err != nil {
		t.Error(err)
	}
}

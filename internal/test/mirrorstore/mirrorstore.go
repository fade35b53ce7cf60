// Package mirrorstore is the one suite that every [mirror.Store] passes, and a store in memory.
package mirrorstore

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"sync/atomic"
	"testing"

	"deltaup/chunkstore"
	"deltaup/mirror"
)

// Run runs the suite. open gives a store in which nothing is.
func Run(t *testing.T, open func(t *testing.T) mirror.Store) {
	for name, test := range map[string]func(t *testing.T, s mirror.Store){
		"write and read":   testWrite,
		"put twice":        testPutTwice,
		"put interrupted":  testInterrupted,
		"draft":            testDraft,
		"replace":          testReplace,
		"list":             testList,
		"remove":           testRemove,
		"lock":             testLock,
		"lock waits":       testLockWaits,
		"state":            testState,
		"forbidden names":  testNames,
		"nothing is there": testNothing,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// pack is a name of a mirror's file, and what it may hold.
func pack(text string) (name string, b []byte) {
	return mirror.PackPath(chunkstore.Sum([]byte(text))), []byte(text)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// put writes a file in pieces and names it.
func put(t *testing.T, s mirror.Store, name string, b []byte) {
	t.Helper()
	d, err := s.Create(t.Context())
	must(t, err)
	defer d.Discard()
	for piece := range slices.Chunk(b, 3) {
		if _, err := d.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	must(t, d.Commit(t.Context(), name))
}

// wantHeld demands what a file holds; nil is that it is not there.
func wantHeld(t *testing.T, s mirror.Store, name string, want []byte) {
	t.Helper()
	got, err := mirror.ReadFile(t.Context(), s, name, 1<<20)
	if want == nil {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %q, %v; want fs.ErrNotExist", name, got, err)
		}
		return
	}
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s holds %q, %v; want %q", name, got, err, want)
	}
}

// wantNames demands the names of all files.
func wantNames(t *testing.T, s mirror.Store, want ...string) {
	t.Helper()
	list, err := s.List(t.Context(), "")
	must(t, err)
	var names []string
	for _, e := range list {
		names = append(names, e.Name)
	}
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Errorf("lists %q, want %q", names, want)
	}
}

func testWrite(t *testing.T, s mirror.Store) {
	name, b := pack("one")
	put(t, s, name, b)
	must(t, s.Write(t.Context(), mirror.ReleasePath("1"), []byte("release")))
	wantHeld(t, s, name, b)
	wantHeld(t, s, mirror.ReleasePath("1"), []byte("release"))
	wantNames(t, s, name, mirror.ReleasePath("1"))
	f, err := s.Open(t.Context(), name)
	must(t, err)
	defer f.Close()
	p := make([]byte, 10)
	if n, err := f.ReadAt(p, 1); n != 2 || err != io.EOF || f.Size() != 3 {
		t.Errorf("at 1 of %d bytes: %d bytes, %v", f.Size(), n, err)
	}
	if _, err := mirror.ReadFile(t.Context(), s, name, 2); !errors.Is(err, chunkstore.ErrCorrupt) {
		t.Errorf("a file that is longer than it may be: %v", err)
	}
}

func testPutTwice(t *testing.T, s mirror.Store) {
	name, b := pack("one")
	put(t, s, name, b[:1]) // a damaged one is replaced
	put(t, s, name, b)
	put(t, s, name, b)
	wantHeld(t, s, name, b)
	wantNames(t, s, name)
}

// testInterrupted: what was not named does not exist, for whoever takes the mirror up either.
func testInterrupted(t *testing.T, s mirror.Store) {
	name, b := pack("one")
	unlock, err := s.Lock(t.Context(), nil)
	must(t, err)
	d, err := s.Create(t.Context())
	must(t, err)
	_, err = d.Write(b)
	must(t, err)
	wantNames(t, s)
	d.Discard()
	d.Discard()
	if err := d.Commit(t.Context(), name); err == nil {
		t.Error("a discarded file gets a name")
	}
	lost, err := s.Create(t.Context()) // and neither ended
	must(t, err)
	_, err = lost.Write(b)
	must(t, err)
	must(t, lost.Seal())
	unlock()
	unlock, err = s.Lock(t.Context(), nil)
	must(t, err)
	defer unlock()
	must(t, s.Recover(t.Context()))
	wantNames(t, s)
	put(t, s, name, b)
	wantHeld(t, s, name, b)
}

// testDraft writes out of order, reads back before the end, and commits what was sealed.
func testDraft(t *testing.T, s mirror.Store) {
	name, b := pack("0123456789")
	d, err := s.Create(t.Context())
	must(t, err)
	defer d.Discard()
	for _, i := range []int{5, 0} {
		if _, err := d.WriteAt(b[i:i+5], int64(i)); err != nil {
			t.Fatal(err)
		}
	}
	p := make([]byte, 4)
	if n, err := d.ReadAt(p, 3); n != 4 || err != nil || string(p) != "3456" {
		t.Errorf("reads back %q, %v", p[:n], err)
	}
	must(t, d.Seal())
	must(t, d.Seal())
	if _, err := d.Write(b); err == nil {
		t.Error("a sealed file is written to")
	}
	must(t, d.Commit(t.Context(), name))
	d.Discard() // does nothing now
	wantHeld(t, s, name, b)
	if err := d.Commit(t.Context(), name); err == nil {
		t.Error("a file is committed twice")
	}
}

// testReplace: who has the old file open reads it to its end, who opens it later reads the new one.
func testReplace(t *testing.T, s mirror.Store) {
	name := mirror.PointerPath("stable")
	old, newer := bytes.Repeat([]byte("old"), 1000), []byte("new")
	must(t, s.Write(t.Context(), name, old))
	f, err := s.Open(t.Context(), name)
	must(t, err)
	defer f.Close()
	must(t, s.Write(t.Context(), name, newer))
	wantHeld(t, s, name, newer)
	got, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size()))
	if err != nil || !bytes.Equal(got, old) {
		t.Errorf("the old file reads as %d bytes, %v", len(got), err)
	}
	must(t, s.Write(t.Context(), name, nil))
	wantHeld(t, s, name, []byte{})
}

func testList(t *testing.T, s mirror.Store) {
	want := []string{}
	for _, text := range []string{"b", "a", "c", "e", "d"} {
		name, b := pack(text)
		put(t, s, name, b)
		want = append(want, name)
	}
	slices.Sort(want)
	for _, name := range []string{"releases/1.json", "releases/1-a.json", "releases-not"} {
		must(t, s.Write(t.Context(), name, []byte(name)))
	}
	list, err := s.List(t.Context(), mirror.PacksDir)
	must(t, err)
	var names []string
	for _, e := range list {
		names = append(names, e.Name)
		if e.Size != 1 {
			t.Errorf("%s has %d bytes", e.Name, e.Size)
		}
	}
	if !slices.Equal(names, want) {
		t.Errorf("lists %q, want %q", names, want)
	}
	list, err = s.List(t.Context(), mirror.ReleasesDir)
	must(t, err)
	if len(list) != 2 || list[0].Name != "releases/1-a.json" || list[1].Name != "releases/1.json" {
		t.Errorf("lists %v", list)
	}
	wantNames(t, s, append(want, "releases/1.json", "releases/1-a.json", "releases-not")...)
}

func testRemove(t *testing.T, s mirror.Store) {
	one, b := pack("one")
	two, _ := pack("two")
	put(t, s, one, b)
	put(t, s, two, b)
	must(t, s.Remove(t.Context(), one))
	must(t, s.Remove(t.Context(), one))
	wantHeld(t, s, one, nil)
	wantNames(t, s, two)
}

func testLock(t *testing.T, s mirror.Store) {
	unlock, err := s.Lock(t.Context(), nil)
	must(t, err)
	if _, err := s.Lock(t.Context(), nil); !errors.Is(err, mirror.ErrBusy) {
		t.Errorf("a second lock: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := s.Lock(ctx, cancel); !errors.Is(err, context.Canceled) {
		t.Errorf("a lock that is cancelled while it waits: %v", err)
	}
	unlock()
	unlock, err = s.Lock(t.Context(), nil)
	must(t, err)
	unlock()
	wantNames(t, s)
}

func testLockWaits(t *testing.T, s mirror.Store) {
	unlock, err := s.Lock(t.Context(), nil)
	must(t, err)
	var waits atomic.Int32
	again, err := s.Lock(t.Context(), func() { waits.Add(1); unlock() })
	must(t, err)
	again()
	if waits.Load() != 1 {
		t.Errorf("waiting was told %d times", waits.Load())
	}
}

func testState(t *testing.T, s mirror.Store) {
	want := func(want ...mirror.State) {
		t.Helper()
		if got, err := s.Look(t.Context()); err != nil || !slices.Contains(want, got) {
			t.Errorf("%v, %v; want %v", got, err, want)
		}
	}
	want(mirror.Missing, mirror.Empty)
	unlock, err := s.Lock(t.Context(), nil)
	must(t, err)
	defer unlock()
	want(mirror.Empty)
	name, b := pack("one")
	put(t, s, name, b)
	want(mirror.Unsigned)
	must(t, s.Write(t.Context(), mirror.TimestampPath, b))
	want(mirror.Signed)
	must(t, s.Remove(t.Context(), mirror.TimestampPath))
	must(t, s.Write(t.Context(), mirror.MetadataPath("root", 1), b))
	want(mirror.Signed)
}

// testNames: no name leads out of the mirror, or to what is a store's own.
func testNames(t *testing.T, s mirror.Store) {
	for _, name := range []string{
		"", ".", "..", "../x", "packs/../../x", "packs/../x", "/x", "x/", "a//b", "./x", ".lock", "packs/.x", "tmp", "tmp/x",
		`a\b`, "a\x00b",
	} {
		refused := func(what string, err error) {
			t.Helper()
			if !errors.Is(err, mirror.ErrName) {
				t.Errorf("%s %q: %v", what, name, err)
			}
		}
		_, err := s.Open(t.Context(), name)
		refused("open", err)
		refused("write", s.Write(t.Context(), name, nil))
		refused("remove", s.Remove(t.Context(), name))
		d, err := s.Create(t.Context())
		must(t, err)
		refused("commit", d.Commit(t.Context(), name))
		d.Discard()
		if name != "" {
			_, err = s.List(t.Context(), name)
			refused("list", err)
		}
	}
	wantNames(t, s)
}

func testNothing(t *testing.T, s mirror.Store) {
	name, _ := pack("one")
	wantHeld(t, s, name, nil)
	wantNames(t, s)
	list, err := s.List(t.Context(), mirror.PacksDir)
	if err != nil || len(list) != 0 {
		t.Errorf("lists %v, %v", list, err)
	}
	must(t, s.Remove(t.Context(), name))
}

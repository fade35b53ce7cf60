package mirror

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"deltaup/chunkstore"
)

// testdata/v1.bundle was made by
//
//	go test ./mirror -run TestGoldenBundle -update
//
// It stands for what lies on mirrors: nobody makes it again for a version that is out.
var update = flag.Bool("update", false, "write the golden files anew")

func goldenBundle() Bundle {
	return Bundle{
		{"metadata/3.snapshot.json", []byte(strings.Repeat(`{"signed":"snapshot"}`, 10))},
		{"metadata/3.targets.json", []byte(strings.Repeat(`{"signed":"targets"}`, 10))},
		{"releases/2.json", []byte("a release")},
		{"patches/ab/set.patch", bytes.Repeat([]byte{0, 1, 0xff}, 100)},
		{"empty", []byte{}},
	}
}

func TestGoldenBundle(t *testing.T) {
	path := filepath.Join("testdata", "v1.bundle")
	if *update {
		b, err := goldenBundle().Marshal()
		if err == nil {
			err = errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(path, b, 0o644))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseBundle(b)
	if err != nil || !bytes.Equal(got.plain(), goldenBundle().plain()) {
		t.Errorf("%q, %v", got, err)
	}
	if !goldenBundle().Same(b) || goldenBundle()[1:].Same(b) {
		t.Error("it is taken for another one, or another one for it")
	}
	if m := got.Get("releases/2.json"); string(m) != "a release" {
		t.Errorf("the release is %q", m)
	}
	if m := got.Get("releases/3.json"); m != nil {
		t.Errorf("what it lacks is %q", m)
	}
}

// sealed gives a bundle with these plain bytes as members, whatever they are.
func sealed(plain []byte) []byte {
	b := binary.LittleEndian.AppendUint32([]byte(bundleMagic), bundleVersion)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(plain)))
	id := chunkstore.Sum(plain)
	return chunkstore.EncodeFrame(append(b, id[:]...), plain)
}

func TestHostileBundle(t *testing.T) {
	good, err := goldenBundle().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	member := func(name, bytes string) []byte { return Bundle{{name, []byte(bytes)}}.plain() }
	edit := func(at int, v ...byte) []byte {
		b := bytes.Clone(good)
		copy(b[at:], v)
		return b
	}
	var many Bundle
	for range maxMembers + 1 {
		many = append(many, Bundled{strings.Repeat("x", len(many)+1), nil})
	}
	for what, b := range map[string][]byte{
		"nothing":               nil,
		"a page":                []byte("<html>" + strings.Repeat(" ", 100)),
		"the head alone":        good[:bundleHead],
		"cut off":               good[:len(good)-1],
		"one byte more":         append(bytes.Clone(good), 0),
		"a damaged frame":       edit(len(good)-20, 0xff, 0xff, 0xff),
		"another hash":          edit(16, 0, 0, 0, 0),
		"more than it has":      edit(12, 0xff),
		"4 GiB":                 edit(12, 0xff, 0xff, 0xff, 0xff),
		"no members":            edit(12, 0, 0, 0, 0),
		"a name without end":    sealed([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}),
		"an endless number":     sealed(bytes.Repeat([]byte{0xff}, 20)),
		"a long zero":           sealed([]byte{1, 'a', 0x80, 0}),
		"a name that is cut":    sealed([]byte{5, 'a'}),
		"a name alone":          sealed([]byte{1, 'a'}),
		"bytes that are cut":    sealed([]byte{1, 'a', 2, 'b'}),
		"a path that leads out": sealed(member("../a", "b")),
		"no name":               sealed(member("", "b")),
		"a second one":          sealed(append(member("a", "b"), member("a", "b")...)),
		"many":                  sealed(many.plain()),
	} {
		if x, err := ParseBundle(b); !errors.Is(err, chunkstore.ErrCorrupt) {
			t.Errorf("%s: %q, %v", what, x, err)
		}
	}
	if _, err := ParseBundle(edit(8, 2)); !errors.Is(err, chunkstore.ErrVersion) {
		t.Errorf("a later version: %v", err)
	}
	bomb := sealed(make([]byte, MaxBundleSize+1))
	if _, err := ParseBundle(bomb); !errors.Is(err, chunkstore.ErrCorrupt) {
		t.Errorf("members over the limit: %v", err)
	}
	binary.LittleEndian.PutUint32(bomb[12:], 1000)
	if _, err := ParseBundle(bomb); !errors.Is(err, chunkstore.ErrBomb) && !errors.Is(err, chunkstore.ErrCorrupt) {
		t.Errorf("a bomb: %v", err)
	}
	for what, x := range map[string]Bundle{"no members": nil, "many": many,
		"large ones": {{"a", make([]byte, MaxBundleSize)}}, "an empty name": {{"", nil}}, "twice the same": {{"a", nil}, {"a", nil}}} {
		if _, err := x.Marshal(); err == nil {
			t.Errorf("%s are encoded", what)
		}
	}
}

// FuzzBundle: any bytes give an error or members that encode to what they were decoded from.
func FuzzBundle(f *testing.F) {
	good, err := goldenBundle().Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, false)
	f.Add(goldenBundle().plain(), true)
	f.Add([]byte{1, 'a', 0}, true)
	f.Fuzz(func(t *testing.T, b []byte, plain bool) {
		if plain {
			if len(b) == 0 || len(b) > 1<<16 {
				return
			}
			x, err := parseMembers(slices.Clip(b))
			if err == nil && !bytes.Equal(x.plain(), b) {
				t.Errorf("%q is decoded as %q", b, x)
			}
			return
		}
		x, err := ParseBundle(b)
		switch {
		case err == nil:
			if n := len(x.plain()); n > MaxBundleSize {
				t.Errorf("members of %d bytes", n)
			}
		case !errors.Is(err, chunkstore.ErrCorrupt) && !errors.Is(err, chunkstore.ErrVersion):
			t.Errorf("error %v", err)
		}
	})
}

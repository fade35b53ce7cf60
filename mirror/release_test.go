package mirror

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"deltaup/chunkstore"
	"deltaup/delta/patchset"
)

func object(s string) Object {
	return Object{ID: chunkstore.Sum([]byte(s)), Size: int64(len(s))}
}

func someRelease() Release {
	blockmap := object("block map")
	return Release{
		Version:    "2.0~rc1",
		Previous:   "1.9",
		Compatible: "x86-64 <generic>",
		Artifacts: []Artifact{
			{
				Name: ImageName, Kind: KindSquashfs, Object: object("image"), Blockmap: &blockmap,
				Recipe: &RecipeObject{Object: object("recipe"), Plain: 99, Text: chunkstore.Sum([]byte("text"))},
			},
			{Name: KernelName, Kind: KindRaw, Object: object("kernel")},
			{Name: "empty", Kind: KindRaw, Object: object("")},
		},
		Index: object("index"),
		Patches: []Patch{
			{
				From: "1.9", Recipe: chunkstore.Sum([]byte("text of 1.9")), Set: object("head and groups"), Head: object("head"),
				Costs: &Costs{Chunks: 1000, Blocks: 2000, Compress: 3000},
			},
			{From: "1.8", Recipe: chunkstore.Sum([]byte("text of 1.8")), Set: object("another set"), Head: object("another"), Costs: &Costs{}},
		},
	}
}

func somePointer() Pointer {
	return Pointer{Channel: "stable", Version: "2.0~rc1", Release: object("release")}
}

func marshal(t testing.TB, v interface{ Marshal() ([]byte, error) }) []byte {
	t.Helper()
	b, err := v.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReleaseRoundTrip(t *testing.T) {
	want := someRelease()
	b := marshal(t, want)
	got, err := ParseRelease(b)
	if err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	want.Format, want.Sum = 1, got.Sum
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("got %+v, want %+v", *got, want)
	}
	if got.Sum.IsZero() {
		t.Error("a release has no sum")
	}
	if a := got.Artifact(KernelName); a == nil || a.ID != object("kernel").ID {
		t.Errorf("the kernel is %+v", a)
	}
	if p := got.PatchFrom(chunkstore.Sum([]byte("text of 1.8"))); p == nil || p.From != "1.8" {
		t.Errorf("the patch set from 1.8 is %+v", p)
	}
	if p := got.PatchFrom(chunkstore.Sum([]byte("text"))); p != nil {
		t.Errorf("there is a patch set from the release to itself: %+v", p)
	}
	if a := got.Artifact(InitrdName); a != nil {
		t.Errorf("there is an initrd: %+v", a)
	}
}

func TestPointerRoundTrip(t *testing.T) {
	want := somePointer()
	b := marshal(t, want)
	got, err := ParsePointer(b)
	if err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	want.Format, want.Sum = 1, got.Sum
	if *got != want {
		t.Errorf("got %+v, want %+v", *got, want)
	}
}

// TestEveryFlipIsNoticed changes each byte of both kinds of file in three ways, and cuts them at
// each length.
func TestEveryFlipIsNoticed(t *testing.T) {
	kinds := map[string]struct {
		file  []byte
		parse func([]byte) error
	}{
		"release": {marshal(t, someRelease()), func(b []byte) error { _, err := ParseRelease(b); return err }},
		"pointer": {marshal(t, somePointer()), func(b []byte) error { _, err := ParsePointer(b); return err }},
	}
	for kind, k := range kinds {
		for i := range k.file {
			for _, mask := range []byte{0x01, 0x20, 0x80} {
				b := bytes.Clone(k.file)
				b[i] ^= mask
				if err := k.parse(b); !errors.Is(err, chunkstore.ErrCorrupt) && !errors.Is(err, chunkstore.ErrVersion) {
					t.Errorf("%s with byte %d (%q) changed to %q: %v", kind, i, k.file[i], b[i], err)
				}
			}
			if err := k.parse(k.file[:i]); !errors.Is(err, chunkstore.ErrCorrupt) {
				t.Errorf("%s cut to %d bytes: %v", kind, i, err)
			}
		}
		if err := k.parse(append(bytes.Clone(k.file), '\n')); !errors.Is(err, chunkstore.ErrCorrupt) {
			t.Errorf("%s with one more line: %v", kind, err)
		}
	}
}

func TestLaterFormats(t *testing.T) {
	// A later format may have any fields: only its number is looked at.
	later := []byte(`{"format": 2, "version": ["?"], "new": true}`)
	for what, parse := range map[string]func([]byte) error{
		"release": func(b []byte) error { _, err := ParseRelease(b); return err },
		"pointer": func(b []byte) error { _, err := ParsePointer(b); return err },
	} {
		err := parse(later)
		if !errors.Is(err, chunkstore.ErrVersion) || !strings.Contains(err.Error(), "format 2, this program knows 1") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestInvalidReleases(t *testing.T) {
	for what, change := range map[string]func(r *Release){
		"path as version":         func(r *Release) { r.Version = "../1" },
		"no version":              func(r *Release) { r.Version = "" },
		"long compatible":         func(r *Release) { r.Compatible = strings.Repeat("x", 257) },
		"control in compatible":   func(r *Release) { r.Compatible = "a\x1b[2J" },
		"no artifacts":            func(r *Release) { r.Artifacts = nil },
		"too many artifacts":      func(r *Release) { r.Artifacts = make([]Artifact, MaxArtifacts+1) },
		"path as artifact":        func(r *Release) { r.Artifacts[1].Name = "a/b" },
		"two of a name":           func(r *Release) { r.Artifacts[2].Name = KernelName },
		"unknown kind":            func(r *Release) { r.Artifacts[1].Kind = "tar" },
		"squashfs without recipe": func(r *Release) { r.Artifacts[0].Recipe = nil },
		"raw with recipe":         func(r *Release) { r.Artifacts[1].Recipe = r.Artifacts[0].Recipe },
		"squashfs not the image":  func(r *Release) { r.Artifacts[0].Name = "root" },
		"squashfs not the first":  func(r *Release) { r.Artifacts[0], r.Artifacts[1] = r.Artifacts[1], r.Artifacts[0] },
		"negative size":           func(r *Release) { r.Artifacts[1].Size = -1 },
		"huge size":               func(r *Release) { r.Artifacts[1].Size = maxObjectSize + 1 },
		"no hash":                 func(r *Release) { r.Artifacts[1].ID = chunkstore.ID{} },
		"huge recipe":             func(r *Release) { r.Artifacts[0].Recipe.Size = MaxRecipeSize + 1 },
		"huge plain recipe":       func(r *Release) { r.Artifacts[0].Recipe.Plain = MaxPlainRecipeSize + 1 },
		"empty recipe":            func(r *Release) { r.Artifacts[0].Recipe.Plain = 0 },
		"huge index":              func(r *Release) { r.Index.Size = MaxIndexSize + 1 },
		"no index":                func(r *Release) { r.Index = Object{} },
		"path as previous":        func(r *Release) { r.Previous = "a/b" },
		"previous to itself":      func(r *Release) { r.Previous = r.Version },
		"recipe without text":     func(r *Release) { r.Artifacts[0].Recipe.Text = chunkstore.ID{} },
		"raw with block map":      func(r *Release) { r.Artifacts[1].Blockmap = r.Artifacts[0].Blockmap },
		"huge block map":          func(r *Release) { r.Artifacts[0].Blockmap.Size = MaxBlockmapSize + 1 },
		"patches to raw": func(r *Release) {
			r.Artifacts[0].Kind, r.Artifacts[0].Recipe, r.Artifacts[0].Blockmap = KindRaw, nil, nil
		},
		"too many patches":      func(r *Release) { r.Patches = make([]Patch, MaxPatches+1) },
		"path as patch's from":  func(r *Release) { r.Patches[0].From = "a/b" },
		"patch from itself":     func(r *Release) { r.Patches[0].From = r.Version },
		"patch from its recipe": func(r *Release) { r.Patches[0].Recipe = r.Artifacts[0].Recipe.Text },
		"two patches from one":  func(r *Release) { r.Patches[0].From = r.Patches[1].From },
		"two from one recipe":   func(r *Release) { r.Patches[0].Recipe = r.Patches[1].Recipe },
		"patch from no recipe":  func(r *Release) { r.Patches[0].Recipe = chunkstore.ID{} },
		"huge patch set":        func(r *Release) { r.Patches[0].Set.Size = maxPatchSize + 1 },
		"head beyond its set":   func(r *Release) { r.Patches[0].Head.Size = r.Patches[0].Set.Size + 1 },
		"huge head":             func(r *Release) { r.Patches[0].Set.Size, r.Patches[0].Head.Size = 1<<30, patchset.HeadMax+1 },
		"no head":               func(r *Release) { r.Patches[0].Head = Object{} },
		"negative chunks":       func(r *Release) { r.Patches[0].Chunks = -1 },
		"huge blocks":           func(r *Release) { r.Patches[0].Blocks = maxObjectSize + 1 },
		"negative compress":     func(r *Release) { r.Patches[0].Compress = -1 },
	} {
		r := someRelease()
		change(&r)
		if _, err := r.Marshal(); err == nil {
			t.Errorf("%s: is encoded", what)
		}
		r.Format = releaseFormat
		b, err := encodeJSON(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseRelease(b); !errors.Is(err, chunkstore.ErrCorrupt) {
			t.Errorf("%s: parsing gives %v", what, err)
		}
	}
}

// resum puts the sum right of what may be a release, so that a fuzzer sees what lies behind it.
func resum(b []byte) []byte {
	const before, digits = `"sum": "`, 2 * len(chunkstore.ID{})
	at := bytes.LastIndex(b, []byte(before)) + len(before)
	if at < len(before) || len(b) < at+digits {
		return b
	}
	sum := chunkstore.Sum(slices.Concat(b[:at], []byte("-"), b[at+digits:]))
	return slices.Concat(b[:at], []byte(sum.String()), b[at+digits:])
}

func FuzzParseRelease(f *testing.F) {
	full := marshal(f, someRelease())
	if got := resum(bytes.Clone(full)); !bytes.Equal(got, full) {
		f.Fatalf("%s\nis summed as\n%s", full, got)
	}
	f.Add(full)
	f.Add(marshal(f, Release{Version: "1", Artifacts: []Artifact{{Name: KernelName, Kind: KindRaw, Object: object("kernel")}}, Index: object("index")}))
	f.Add([]byte(`{"format":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = resum(b)
		r, err := ParseRelease(b)
		if err != nil {
			HasFormat(b)
			return
		}
		if !HasFormat(b) {
			t.Errorf("%q does not say of which format it is", b)
		}
		if again := marshal(t, *r); !bytes.Equal(again, b) {
			t.Errorf("%q is encoded as %q", b, again)
		}
		for _, a := range r.Artifacts {
			if !ValidName(a.Name) {
				t.Errorf("artifact %q", a.Name)
			}
		}
	})
}

func FuzzParsePointer(f *testing.F) {
	f.Add(marshal(f, somePointer()))
	f.Add([]byte(`{"format":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePointer(b)
		if err != nil {
			return
		}
		if again := marshal(t, *p); !bytes.Equal(again, b) {
			t.Errorf("%q is encoded as %q", b, again)
		}
		if !ValidName(p.Version) || !ValidName(p.Channel) {
			t.Errorf("pointer %+v", p)
		}
	})
}

// TestPatchSpelling holds the JSON of patch sets, to an image and to an initrd, to what releases
// have had from the beginning.
func TestPatchSpelling(t *testing.T) {
	id := strings.Repeat("ab", 32)
	for _, want := range []string{
		`{"from":"1","release":{"blake3":"ID","size":5},"recipe":"ID","set":{"blake3":"ID","size":9},` +
			`"head":{"blake3":"ID","size":3},"chunks":7,"blocks":0,"compress":0}`,
		`{"from":"1","recipe":"ID","set":{"blake3":"ID","size":9},"head":{"blake3":"ID","size":3},` +
			`"chunks":0,"blocks":0,"compress":0}`,
		`{"from":"1","initrd":"ID","set":{"blake3":"ID","size":9},"head":{"blake3":"ID","size":3}}`,
	} {
		want = strings.ReplaceAll(want, "ID", id)
		var p Patch
		if err := json.Unmarshal([]byte(want), &p); err != nil {
			t.Fatal(err)
		}
		if got, err := json.Marshal(p); err != nil || string(got) != want {
			t.Errorf("%s became %s, %v", want, got, err)
		}
	}
}

package patchset

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"deltaup/chunkstore"
	"deltaup/delta/suffix"
	"deltaup/delta/transform"
)

// TestOther makes a kernel both ways that a set has.
func TestOther(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	chunks := chunkstore.DefaultParams
	files := func(seed uint64, kernel string) []file {
		return []file{
			{path: "a", plain: text(seed, 1000)},
			{path: "boot/vmlinuz", plain: xzKernel(t, kernel)},
			{path: "z", plain: text(seed+10, 1000)},
		}
	}
	from := newRelease(t, 1, chunks, files(1, "kernel-1.zst"))
	to := newRelease(t, 1, chunks, files(2, "kernel-2.zst"))
	without, _ := makeSet(t, from, to, MakeOptions{Steps: true})
	for _, e := range checkSet(t, without, from, to).Entries {
		if e.Other() != nil {
			t.Error("another way in a set that has no groups apart")
		}
	}
	set, _ := makeSet(t, from, to, MakeOptions{Steps: true, StepsApart: true})
	s := checkSet(t, set, from, to)
	if len(s.Entries) != 3 || len(s.head.Groups) != 3 {
		t.Fatalf("%d groups, entries %+v", len(s.head.Groups), s.Entries)
	}
	const kernel, apart = 2, 2 // the last entry, the last group
	usual := s.Entries[kernel]
	other := usual.Other()
	if other == nil || usual.Encodes() || !other.Encodes() || other.Group != apart {
		t.Fatalf("the other way is %+v", other)
	}
	if back := other.Other(); back.Encodes() || back.Group != usual.Group || back.Other() != other {
		t.Errorf("the way back is %+v", back)
	}
	refs := s.head.Groups
	if a, b := refs[apart].Length, refs[usual.Group].Length; a > b*3/4 {
		t.Errorf("the other way takes %d bytes, the usual one %d", a, b)
	}
	s.Entries[kernel] = *other
	g, err := groupsIn(s, set).Open(apart)
	if err != nil {
		t.Fatal(err)
	}
	old := Bytes(from.plain[other.Base.ID])
	want := to.plain[contentAt(t, to, "boot/vmlinuz")]
	var got []byte
	err = g.WriteContent(kernel, old, nil, func(p []byte) error {
		got = append(got, p...)
		return nil
	})
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("another kernel: %v", err)
	}
	if _, err := g.Content(0, old, nil); !errors.Is(err, chunkstore.ErrCorrupt) {
		t.Errorf("an entry of another group: %v", err)
	}
	set = bytes.Clone(set)
	set[refs[apart].Offset+refs[apart].Length/2] ^= 1
	if _, err := groupsIn(s, set).Open(apart); !errors.Is(err, chunkstore.ErrCorrupt) {
		t.Errorf("a damaged group: %v", err)
	}
}

// contentAt gives the id of the content at a path.
func contentAt(t *testing.T, r *release, path string) chunkstore.ID {
	t.Helper()
	i, ok := r.recipe.Entries.Find(path)
	if !ok {
		t.Fatalf("no %s", path)
	}
	return r.recipe.Entries.Content(i).ID
}

// othersOf gives a step with entries of such transforms, each in a group of its own, and behind
// them groups of so many bytes.
func othersOf(transforms, others []byte) *Step {
	s := &Step{head: &Head{}}
	for i, id := range transforms {
		s.Entries = append(s.Entries, Entry{Content: &chunkstore.Content{Size: 100}, Length: 100,
			Base: &chunkstore.Content{Size: 100}, Transform: id, Group: i, length: 200})
		s.head.Groups = append(s.head.Groups, GroupRef{Plain: 10})
	}
	for _, n := range others {
		s.head.Groups = append(s.head.Groups, GroupRef{Plain: int64(n)})
	}
	return s
}

const vmlinuzXZ = 11

func TestFindOthers(t *testing.T) {
	for name, tt := range map[string]struct {
		transforms, others []byte
		ok                 bool
		groups             []int // of the other ways; 0: none
	}{
		"none":                  {[]byte{0, vmlinuzXZ}, nil, true, []int{0, 0}},
		"nothing":               {nil, nil, true, nil},
		"one":                   {[]byte{0, vmlinuzXZ, 3}, []byte{9}, true, []int{0, 3, 0}},
		"the second":            {[]byte{vmlinuzXZ, vmlinuzXZ}, []byte{0, 9}, true, []int{0, 3}},
		"two":                   {[]byte{vmlinuzXZ, 0, vmlinuzXZ}, []byte{9, 9}, true, []int{3, 0, 4}},
		"too few":               {[]byte{vmlinuzXZ, vmlinuzXZ}, []byte{9}, false, nil},
		"too many":              {[]byte{vmlinuzXZ}, []byte{9, 9}, false, nil},
		"for nothing":           {nil, []byte{9}, false, nil},
		"for another encoder":   {[]byte{10}, []byte{9}, false, nil},
		"for the encoder's own": {[]byte{14}, []byte{9}, false, nil},
	} {
		s := othersOf(tt.transforms, tt.others)
		if err := s.findOthers(); (err == nil) != tt.ok || err != nil && !errors.Is(err, chunkstore.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		for i, want := range tt.groups {
			got := 0
			if o := s.Entries[i].Other(); o != nil {
				got = o.Group
			}
			if got != want {
				t.Errorf("%s: entry %d has another way in group %d, not %d", name, i, got, want)
			}
		}
	}
}

func TestReadLength(t *testing.T) {
	e := othersOf([]byte{vmlinuzXZ}, nil).Entries[0]
	for name, tt := range map[string]struct {
		literals []byte
		want     int64 // -1: an error
	}{
		"none":     {nil, -1},
		"cut":      {[]byte{0x80}, -1},
		"too long": {binary.AppendUvarint(nil, 201), -1},
		"huge":     {binary.AppendUvarint(nil, 1<<63), -1},
		"longest":  {append(binary.AppendUvarint(nil, 200), 7), 200},
		"empty":    {[]byte{0, 7}, 0},
	} {
		s := suffix.Streams{suffix.Literals: tt.literals}
		got, err := e.readLength(&s)
		if tt.want < 0 {
			if !errors.Is(err, chunkstore.ErrCorrupt) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || got.length != tt.want || e.length != 200 || !bytes.Equal(s[suffix.Literals], []byte{7}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// FuzzOthers finds other ways, and reads the length that one begins with.
func FuzzOthers(f *testing.F) {
	f.Add([]byte{0, vmlinuzXZ, 3, vmlinuzXZ}, []byte{0, 9}, []byte{100, 1, 2})
	f.Add([]byte{vmlinuzXZ}, []byte{9}, []byte{0xff, 0xff})
	f.Fuzz(func(t *testing.T, transforms, others, literals []byte) {
		s := othersOf(transforms, others)
		if s.findOthers() != nil {
			return
		}
		seen := map[int]bool{}
		for i := range s.Entries {
			e := &s.Entries[i]
			o := e.Other()
			if o == nil {
				continue
			}
			id, ok := transform.Encoding(e.Transform)
			if !ok || o.Transform != id || o.Group < len(transforms) || seen[o.Group] ||
				o.Content != e.Content || o.Base != e.Base || !o.Encodes() {
				t.Fatalf("entry %d: %+v", i, o)
			}
			seen[o.Group] = true
			if g := s.groupOf(o.Group); len(g.entries) != 1 || g.first != i {
				t.Fatalf("group %d: %+v", o.Group, g)
			}
			streams := suffix.Streams{suffix.Literals: literals}
			if read, err := o.readLength(&streams); err == nil && (read.length < 0 || read.length > o.length) {
				t.Fatalf("%d bytes, at most %d", read.length, o.length)
			}
		}
	})
}

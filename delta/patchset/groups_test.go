package patchset

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"deltaup/chunkstore"
	"deltaup/delta/suffix"
)

// long makes two releases whose set has several groups of one run: contents that differ in many
// places, and new ones.
func long(t *testing.T) (from, to *release) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(1, 2))
	var old, new []file
	for i := range 12 {
		content := make([]byte, 100<<10)
		for k := range content {
			content[k] = byte(rnd.IntN(40))
		}
		path := fmt.Sprintf("usr/lib/%02d", i)
		old = append(old, file{path: path, plain: content})
		changed := bytes.Clone(content)
		for k := 0; k < len(changed); k += 2 + rnd.IntN(5) {
			changed[k] += byte(1 + rnd.IntN(3))
		}
		new = append(new, file{path: path, plain: changed})
	}
	for i := range 3 {
		content := make([]byte, 50<<10)
		for k := range content {
			content[k] = byte('a' + rnd.IntN(8))
		}
		new = append(new, file{path: fmt.Sprintf("usr/share/%d", i), plain: content})
	}
	return newRelease(t, 1, chunkstore.DefaultParams, old), newRelease(t, 2, chunkstore.DefaultParams, new)
}

// TestRun: the groups of a run give the same patches in any order, each only after those before
// it, and cost hardly more than one group.
func TestRun(t *testing.T) {
	from, to := long(t)
	set, stats := makeSet(t, from, to, MakeOptions{})
	s := checkSet(t, set, from, to)
	refs := s.head.Groups
	if len(refs) < 4 || refs[0].GoesOn || !refs[1].GoesOn || !refs[len(refs)-1].GoesOn {
		t.Fatalf("groups %+v: want one run", refs)
	}
	one, _ := makeSet(t, from, to, MakeOptions{version: versionRuns - 1})
	checkSet(t, one, from, to)
	if more := len(set) - len(one); more > 80*len(refs) {
		t.Errorf("%d groups cost %d bytes more than one", len(refs), more)
	}
	t.Logf("%d bytes in %d groups, %d in one; %d by brotli", len(set), len(refs), len(one), stats.Size)

	var read []int
	in := groupsIn(s, set)
	groups := s.Groups(func(n int) ([]byte, error) { read = append(read, n); return in.read(n) })
	open := func(n int, want ...int) {
		t.Helper()
		read = nil
		g, err := groups.Open(n)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(read) != fmt.Sprint(want) {
			t.Errorf("group %d: the groups %v were read, want %v", n, read, want)
		}
		for i, e := range s.Entries {
			if e.Group != n {
				continue
			}
			var base Bytes
			if e.Base != nil {
				base = from.plain[e.Base.ID]
			}
			got, err := g.Content(i, base, nil)
			if err != nil || !bytes.Equal(got, to.plain[e.Content.ID]) {
				t.Errorf("entry %d of group %d: %v", i, n, err)
			}
		}
	}
	open(2, 0, 1, 2)
	open(3, 3)
	open(1, 0, 1)
	open(2, 2)
	open(0, 0)
	last := len(refs) - 1
	var all []int
	for n := range refs {
		all = append(all, n)
	}
	open(last, all[1:]...)
	open(last, all...) // nothing is kept behind the end
	groups.Close()
	open(0, 0)

	// A damaged group spoils those behind it, and none before it.
	bad := bytes.Clone(set)
	bad[refs[2].Offset+refs[2].Length/2] ^= 1
	damaged := groupsIn(s, bad)
	for n := range refs {
		if _, err := damaged.Open(n); (err != nil) != (n >= 2) || err != nil && !errors.Is(err, chunkstore.ErrCorrupt) {
			t.Errorf("group %d, while group 2 is damaged: %v", n, err)
		}
	}
}

// TestHostileRuns has heads and groups of runs that no writer makes.
func TestHostileRuns(t *testing.T) {
	from, to := long(t)
	set, _ := makeSet(t, from, to, MakeOptions{})
	h := checkSet(t, set, from, to).head
	for name, change := range map[string]func(g []GroupRef){
		"the first goes on": func(g []GroupRef) { g[0].GoesOn = true },
		"too many bytes":    func(g []GroupRef) { g[0].Plain, g[1].Plain = groupPlainMax, 1 },
		"too long":          func(g []GroupRef) { g[0].Length, g[1].Length = groupMax, 1 },
	} {
		x := *h
		x.Groups = append([]GroupRef(nil), h.Groups...)
		change(x.Groups)
		if _, err := ReadHead(x.encode()); !errors.Is(err, chunkstore.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	step, err := h.Step(from.recipe)
	if err != nil {
		t.Fatal(err)
	}
	plain := bytes.Repeat([]byte("window"), 10)
	sizes := []streamSize{{coder: coderParts, plain: len(plain)}, {}, {}, {}, {}, {}}
	for name, stored := range map[string][]byte{
		"nothing":        nil,
		"a large window": {0x0f, 0, 0, 0, 0, 0, 0, 0}, // 16 MiB
		"noise":          bytes.Repeat([]byte{0xa5}, 40),
	} {
		sizes[0].stored = len(stored)
		b := append(appendTable(nil, sizes), stored...)
		h.Groups = []GroupRef{{Length: int64(len(b)), Plain: int64(len(plain)), Hash: chunkstore.Sum(b)}}
		_, err := step.Groups(func(int) ([]byte, error) { return b, nil }).Open(0)
		if !errors.Is(err, chunkstore.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := readBundle(append(appendTable(nil, sizes[:1]), 1), 1, 100, nil); !errors.Is(err, chunkstore.ErrVersion) &&
		!errors.Is(err, chunkstore.ErrCorrupt) {
		t.Errorf("parts in a head: %v", err)
	}
}

// FuzzParts gives the groups of a run any bytes in the place of one stream's parts.
func FuzzParts(f *testing.F) {
	whole := encodeBrotli(bytes.Repeat([]byte("a stream in parts "), 500), unheard)
	f.Add(whole[:len(whole)/2], whole[len(whole)/2:], 4000, 5000)
	f.Add([]byte{0x0f}, []byte{}, 1, 1)
	f.Fuzz(func(t *testing.T, first, second []byte, n, m int) {
		const most = 1 << 16
		if n < 0 || m < 0 || n+m > most {
			return
		}
		var p parts
		for _, x := range []struct {
			stored []byte
			size   int
		}{{first, n}, {second, m}} {
			got, err := p.decode(x.stored, x.size, 2*most)
			if err != nil {
				return
			}
			if len(got) != x.size {
				t.Fatalf("%d bytes, not %d", len(got), x.size)
			}
		}
	})
}

// TestCut cuts streams of all kinds of bytes at many places: each part suffices for its bytes.
func TestCut(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	noise := make([]byte, 30000)
	for i := range noise {
		noise[i] = byte(rnd.Uint32())
	}
	for name, plain := range map[string][]byte{
		"zeros": make([]byte, 300000),
		"noise": noise,
		"text":  bytes.Repeat([]byte("one word after another, "), 9000),
		"mixed": append(append(make([]byte, 5000), noise...), bytes.Repeat([]byte("ab"), 9000)...),
	} {
		r := &openRun{}
		for at := 0; at < len(plain); {
			n := min(1+rnd.IntN(len(plain)/8), len(plain)-at)
			var s suffix.Streams
			s[suffix.Literals] = plain[at : at+n]
			if at += n; rnd.IntN(3) == 0 {
				s[0] = []byte{1, 2, 3}
			}
			r.streams.Append(&s)
			r.groups = append(r.groups, groupEnd{entries: 1})
			g := &r.groups[len(r.groups)-1]
			for i := range r.streams {
				g.ends[i] = len(r.streams[i])
			}
		}
		groups, err := compressed(r)
		if err != nil || len(groups) < 8 {
			t.Errorf("%s: %d groups (%v)", name, len(groups), err)
		}
	}
}

// compressed compresses a run and reads it back.
func compressed(r *openRun) ([]madeGroup, error) {
	var cut [suffix.NumStreams]cutStream
	for k, s := range r.streams {
		if len(s) == 0 {
			continue
		}
		var err error
		if cut[k], err = r.code(k, cache{}, unheard); err != nil {
			return nil, err
		}
	}
	return r.assemble(cut)
}

// TestPartsOfNothing: what one part tells makes the bytes of several groups, and then come others.
func TestPartsOfNothing(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 30 {
		r := &openRun{}
		s := &r.streams[suffix.Literals]
		for i := range 40 {
			*s = append(*s, make([]byte, rnd.IntN(6000))...)
			for range rnd.IntN(3) * rnd.IntN(40) {
				*s = append(*s, byte(rnd.Uint32()))
			}
			r.groups = append(r.groups, groupEnd{entries: 1})
			r.groups[i].ends[suffix.Literals] = len(*s)
		}
		if _, err := compressed(r); err != nil {
			t.Error(err)
		}
	}
}

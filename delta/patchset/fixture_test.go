package patchset

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"deltaup/chunkstore"
	"deltaup/delta/transform/gnuzip"
	"deltaup/mkimage"
	"deltaup/mkimage/tree"
)

// release is a recipe with its contents in memory. It implements Contents.
type release struct {
	recipe *mkimage.Recipe
	plain  map[chunkstore.ID][]byte
}

// Open implements Contents.
func (r *release) Open(_ context.Context, c *chunkstore.Content) (Reading, error) {
	p, ok := r.plain[c.ID]
	if !ok {
		return nil, chunkstore.ErrNotFound
	}
	return reading{Bytes(p)}, nil
}

type reading struct{ io.ReaderAt }

func (reading) Close() error { return nil }

// file is one name of a release. The folders above it are made too.
type file struct {
	path   string
	plain  []byte
	target string // of a symbolic link
	link   string // of a hard link
	mtime  uint32
	xattrs []tree.Xattr
}

// fixtureChunks cuts contents of a few KB into several chunks.
var fixtureChunks = chunkstore.Params{Min: 512, Average: 1024, Max: 4096}

// newRelease makes a release of files, in any order.
func newRelease(t testing.TB, mtime uint32, chunks chunkstore.Params, files []file, first ...string) *release {
	t.Helper()
	r := &release{plain: make(map[chunkstore.ID][]byte), recipe: &mkimage.Recipe{
		BlockSize: 4096, Codec: "zstd-better.1", ModTime: mtime, Chunking: chunks, First: first}}
	byPath := map[string]mkimage.Entry{"": {Entry: tree.Entry{Attr: tree.Attr{Type: tree.Directory, Mode: 0o755, ModTime: mtime}}}}
	made := make(map[chunkstore.ID]*chunkstore.Content)
	splitter := chunkstore.NewSplitter(chunks)
	for _, f := range files {
		for folder, _ := split(f.path); folder != ""; folder, _ = split(folder) {
			e := byPath[""]
			e.Path = folder
			byPath[folder] = e
		}
		e := mkimage.Entry{Entry: tree.Entry{Path: f.path, Attr: tree.Attr{
			Type: tree.Regular, Mode: 0o644, UID: 3, ModTime: max(f.mtime, 1), Xattrs: f.xattrs}}}
		if f.target != "" {
			e.Type, e.Target = tree.Symlink, f.target
		} else if f.link == "" {
			c, err := splitter.Split(bytes.NewReader(f.plain), nil)
			if err != nil {
				t.Fatal(err)
			}
			if made[c.ID] == nil {
				made[c.ID] = &c
			}
			r.plain[c.ID] = f.plain
			e.Content, e.Size = made[c.ID], c.Size
		}
		byPath[f.path] = e
	}
	for _, f := range files {
		if f.link != "" {
			e := byPath[f.link]
			e.Path, e.Link, e.Content = f.path, f.link, nil
			byPath[f.path] = e
		}
	}
	for _, path := range slices.SortedFunc(maps.Keys(byPath), tree.Compare) {
		r.recipe.Entries.Append(byPath[path])
	}
	if err := r.recipe.Validate(); err != nil {
		t.Fatal(err)
	}
	return r
}

// with gives the entries of a release and another one behind them.
func with(r *release, e mkimage.Entry) (t mkimage.Entries) {
	for _, x := range r.recipe.Entries.All() {
		t.Append(x)
	}
	t.Append(e)
	return t
}

// text gives n bytes of words that depend on the seed.
func text(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	var b bytes.Buffer
	for b.Len() < n {
		fmt.Fprintf(&b, "%s%d ", strings.Repeat(string(rune('a'+r.IntN(26))), 1+r.IntN(4)), r.IntN(1000))
	}
	return b.Bytes()[:n]
}

// changed gives p with every step-th byte changed and a few inserted.
func changed(p []byte, step int) []byte {
	p = bytes.Clone(p)
	for i := step / 2; i < len(p); i += step {
		p[i] += 7
	}
	return slices.Insert(p, len(p)/3, []byte("something new")...)
}

// gzipped compresses p like gzip -9n.
func gzipped(t testing.TB, p []byte) []byte {
	t.Helper()
	b := bytes.NewBuffer([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3})
	if err := gnuzip.Encode(b, p, gnuzip.Params{Family: gnuzip.GNU, Level: 9}); err != nil {
		t.Fatal(err)
	}
	end := binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(p))
	b.Write(binary.LittleEndian.AppendUint32(end, uint32(len(p)))) // a Buffer never fails
	return b.Bytes()
}

// fixture is a step with a bit of everything. It depends on this file alone.
func fixture(t testing.TB) (from, to *release) {
	t.Helper()
	same, module, library, log := text(1, 9000), text(2, 30000), text(3, 20000), text(4, 12000)
	moved := text(5, 8000)
	attr := []tree.Xattr{{Name: "security.capability", Value: []byte{1, 0, 0, 2}}}
	from = newRelease(t, 100, fixtureChunks, []file{
		{path: "etc/motd", plain: []byte("hello\n"), mtime: 100},
		{path: "etc/empty", mtime: 100},
		{path: "etc/gone", plain: text(6, 700)},
		{path: "etc/link", target: "motd", mtime: 100},
		{path: "etc/typed", plain: text(7, 300)},
		{path: "usr/bin/tool", plain: text(8, 5000), xattrs: attr, mtime: 7},
		{path: "usr/bin/twin", link: "usr/bin/tool"},
		{path: "usr/lib/libx.so.3.0.2", plain: library, mtime: 50},
		{path: "usr/lib/modules/6.1.0-54-cloud/a.ko", plain: module, mtime: 60},
		{path: "usr/lib/modules/6.1.0-54-cloud/b.ko", plain: same, mtime: 60},
		{path: "usr/share/old-name", plain: moved},
		{path: "usr/share/changelog.gz", plain: gzipped(t, log)},
		{path: "var/sparse", plain: slices.Concat(text(9, 6000), make([]byte, 20000), text(10, 6000))},
		{path: "var/zeros", plain: make([]byte, 5000)},
	}, "usr/bin/tool", "etc/gone")
	to = newRelease(t, 200, fixtureChunks, []file{
		{path: "etc/motd", plain: []byte("hello, again\n"), mtime: 200},
		{path: "etc/empty", mtime: 200},
		{path: "etc/empty-too"},
		{path: "etc/link", target: "elsewhere", mtime: 200},
		{path: "etc/typed", target: "motd"},
		{path: "usr/bin/tool", plain: changed(text(8, 5000), 900), mtime: 9},
		{path: "usr/bin/twin", link: "usr/bin/tool"},
		{path: "usr/bin/twin2", link: "usr/bin/tool"},
		{path: "usr/lib/libx.so.3.0.4", plain: changed(library, 300), mtime: 55},
		{path: "usr/lib/modules/6.1.0-56-cloud/a.ko", plain: changed(module, 1000), mtime: 65},
		{path: "usr/lib/modules/6.1.0-56-cloud/b.ko", plain: same, mtime: 65, xattrs: attr},
		{path: "usr/lib/modules/6.1.0-56-cloud/copy.ko", plain: changed(module, 1000)},
		{path: "usr/share/entirely/different", plain: changed(moved, 2000)},
		{path: "usr/share/fresh", plain: text(11, 3000)},
		{path: "usr/share/changelog.gz", plain: gzipped(t, slices.Concat(text(12, 300), log))},
		{path: "var/sparse", plain: slices.Concat(text(9, 6000), make([]byte, 24000), text(13, 6000))},
		{path: "var/zeros", plain: make([]byte, 6000)},
	}, "usr/bin/tool", "usr/share/fresh", "etc/motd")
	return from, to
}

// makeSet makes the set between two releases.
func makeSet(t testing.TB, from, to *release, o MakeOptions) ([]byte, *Stats) {
	t.Helper()
	var b bytes.Buffer
	s, err := Make(t.Context(), &b, Side{from.recipe, from}, Side{to.recipe, to}, o)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), s
}

// open reads the head of a set.
func open(set []byte) (*Head, error) {
	n, err := HeadSize(set)
	if err != nil {
		return nil, err
	}
	return ReadHead(set[:min(int64(len(set)), n)])
}

// applySet gives the step of a set and the contents that it makes, by their ids. It fills in the
// ids and chunk lists of pending contents.
func applySet(set []byte, from *release) (*Step, map[chunkstore.ID][]byte, error) {
	h, err := open(set)
	if err != nil {
		return nil, nil, err
	}
	s, err := h.Step(from.recipe)
	if err != nil {
		return nil, nil, err
	}
	made := make(map[chunkstore.ID][]byte)
	groups := groupsIn(s, set)
	for n := range h.Groups {
		g, err := groups.Open(n)
		if err != nil {
			return nil, nil, err
		}
		for i, e := range s.Entries {
			if e.Group != n {
				continue
			}
			ready, err := s.Prepare(i, groupsIn(s, set).Open)
			if err != nil {
				return nil, nil, err
			}
			var base io.ReaderAt
			if e.Base != nil {
				base = Bytes(from.plain[e.Base.ID])
			}
			p, err := g.Content(i, base, ready)
			if err != nil {
				return nil, nil, err
			}
			made[e.Content.ID] = append(made[e.Content.ID], p...)
		}
	}
	splitter := chunkstore.NewSplitter(s.To.Chunking)
	for _, c := range s.pending {
		got, err := splitter.Split(bytes.NewReader(made[c.ID]), nil)
		if err != nil {
			return nil, nil, err
		}
		made[got.ID] = made[c.ID]
		if c.ID.IsStandIn() {
			delete(made, c.ID)
		}
		c.ID, c.Chunks = got.ID, got.Chunks
	}
	return s, made, s.Finish()
}

// groupsIn opens the groups of a set, which must not need their stored bytes afterwards.
func groupsIn(s *Step, set []byte) *Groups {
	var last []byte
	return s.Groups(func(n int) ([]byte, error) {
		clear(last)
		ref := s.head.Groups[n]
		if ref.Offset+ref.Length > int64(len(set)) {
			return nil, io.ErrUnexpectedEOF
		}
		last = bytes.Clone(set[ref.Offset : ref.Offset+ref.Length])
		return last, nil
	})
}

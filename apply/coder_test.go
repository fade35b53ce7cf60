package apply_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"deltaup/apply"
	"deltaup/chunkstore"
	"deltaup/delta/patchset"
	"deltaup/mirror"
)

// TestLaterCoder: a set, rightly named by the release, one of whose groups is compressed by a coder
// that this program does not know. The contents of the other groups are used, those of this one
// come by another route.
func TestLaterCoder(t *testing.T) {
	w := patchedWorld(t, 2, 1)
	m := newTargetOf(t, altered(t, w, func(r *mirror.Release, put func([]byte, func(chunkstore.ID) string) mirror.Object) {
		p := &r.Patches[0]
		set := laterCoder(t, bytes.Clone(stored(t, w, mirror.PatchPath(p.Set.ID))), p.Head.Size)
		p.Head.ID = chunkstore.ID(set[p.Head.Size-32 : p.Head.Size])
		p.Set = put(set, mirror.PatchPath)
	}))
	m.with = func(r *apply.Request) { r.Line, r.CPU = thin, steady }
	m.mustPull()
	all := strings.Join(m.warnings, "\n")
	if !strings.Contains(all, "coder 77, this program knows") || !strings.Contains(all, "group 0") {
		t.Errorf("warnings %q do not name the coder and the group", m.warnings)
	}
	if m.server.Requests("packs/")+m.server.Requests("images/") == 0 {
		t.Error("nothing was fetched by another route")
	}
}

// laterCoder gives the first stream of a set's first group coder 77.
func laterCoder(t *testing.T, set []byte, headSize int64) []byte {
	t.Helper()
	h, err := patchset.ReadHead(set[:headSize])
	if err != nil {
		t.Fatal(err)
	}
	g := h.Groups[0]
	group := set[g.Offset : g.Offset+g.Length]
	at := 0
	for group[at] == 0 {
		at++ // an empty stream has no coder
	}
	_, n := binary.Uvarint(group[at:])
	group[at+n] = 77
	hash := chunkstore.Sum(group)
	where := bytes.Index(set[:headSize], g.Hash[:])
	copy(set[where:], hash[:])
	id := chunkstore.Sum(set[:headSize-32])
	copy(set[headSize-32:], id[:])
	return set
}

package patchset

import (
	"deltaup/chunkstore"
	"deltaup/delta/suffix"
	"deltaup/delta/transform"
	"deltaup/mkimage"
)

// What a set has of a new content.
const (
	kindNone      = iota // nothing, since its chunks cost less
	kindPattern          // a patch whose base is the pattern's content
	kindBase             // a patch with another base
	kindWhole            // all of its bytes, without a base
	kindRewritten        // a patch with a base and a transform, of a content above PieceMax
	kindMoved            // a program's patches, with a base and layouts
	kindsEnd
)

// listing is the part of a set's directory that writer and reader both know: the new contents with
// data, in data order, and the most likely base of each.
type listing struct {
	bases    []*chunkstore.Content // all contents of the old release
	contents []*chunkstore.Content
	patterns []*chunkstore.Content          // most likely bases, parallel to contents; nil: none
	paths    []string                       // first path of each content, parallel to contents
	oldPaths map[*chunkstore.Content]string // first path of each of bases, when a set is made
}

// listingOf finds what was renamed and lists the new contents of to.
func listingOf(from, to *mkimage.Recipe) (*listing, []rename) {
	renames := findRenames(from, to)
	_, renamed := patterns(from, renames)
	l := newListing(from, to, originsOf(renamed))
	l.oldPaths = firstPaths(from)
	return l, renames
}

// newListing lists the new contents of to. origins gives the path in from of each renamed path of
// to.
func newListing(from, to *mkimage.Recipe, origins map[string]string) *listing {
	l := new(listing)
	var old chunkstore.ContentTable
	for c := range from.Contents() {
		l.bases = append(l.bases, c)
		old.Add(c)
	}
	first := make(map[*chunkstore.Content]string) // of new contents
	for c, path := range to.Entries.FirstPaths() {
		if old.Get(c.ID) == nil {
			first[c] = path
		}
	}
	for _, c := range to.DataOrder() {
		if old.Get(c.ID) != nil {
			continue
		}
		path := first[c]
		origin, ok := origins[path]
		if !ok {
			origin = path
		}
		var base *chunkstore.Content
		if at, ok := from.Entries.Find(origin); ok {
			base = from.Entries.Content(at)
		}
		if base != nil && base.Size == 0 {
			base = nil
		}
		l.contents = append(l.contents, c)
		l.patterns = append(l.patterns, base)
		l.paths = append(l.paths, path)
	}
	return l
}

// firstPaths gives the first path of each content.
func firstPaths(r *mkimage.Recipe) map[*chunkstore.Content]string {
	first := make(map[*chunkstore.Content]string)
	for c, path := range r.Entries.FirstPaths() {
		first[c] = path
	}
	return first
}

// originsOf gives the old path by the new one, from the renames of patterns.
func originsOf(renamed map[string]string) map[string]string {
	origins := make(map[string]string, len(renamed))
	for old, path := range renamed {
		// When several paths became one, the first counts: the result must not depend on the map's
		// order.
		if other, ok := origins[path]; !ok || old < other {
			origins[path] = old
		}
	}
	return origins
}

// pieces is how many entries a content has.
func pieces(c *chunkstore.Content) int {
	if c.Size <= PieceMax {
		return 1
	}
	return int((c.Size + largePiece - 1) / largePiece)
}

// checkSize is how many bytes of a hash take the place of an id that is left out. They find nearly
// every base that is not what it should be. The hash of the image finds the others.
const checkSize = 2

// writeDirectory appends entries to the columns. They are in the listing's order. groups has the
// number of entries of each group. The ids of the contents in unnamed are left out.
func writeDirectory(c *columns, l *listing, entries []Entry, groups []int,
	unnamed map[*chunkstore.Content]bool) {
	at := make(map[*chunkstore.Content]int, len(l.bases))
	for i, b := range l.bases {
		at[b] = i
	}
	last, tables := 0, shiftTables{}
	for i, content := range l.contents {
		if len(entries) == 0 || entries[0].Content != content {
			c.byte(colKinds, kindNone)
			continue
		}
		e := &entries[0]
		switch {
		case e.layouts != nil:
			c.byte(colKinds, kindMoved)
			e.layouts.write(c)
			c.signed(colBases, int64(at[e.Base]-last))
			last = at[e.Base] + 1
		case content.Size > PieceMax && e.Transform != 0:
			c.byte(colKinds, kindRewritten)
			c.signed(colBases, int64(at[e.Base]-last))
			last = at[e.Base] + 1
		case e.Base == nil:
			c.byte(colKinds, kindWhole)
		case e.Base == l.patterns[i]:
			c.byte(colKinds, kindPattern)
		default:
			c.byte(colKinds, kindBase)
			c.signed(colBases, int64(at[e.Base]-last))
			last = at[e.Base] + 1
		}
		n := pieces(content)
		if e.rewritesLarge() {
			n = 1
		}
		if n > 1 {
			for _, p := range entries[:n] {
				c[colPieces] = append(c[colPieces], p.hash[:]...)
			}
		} else {
			if e.layouts == nil {
				writeTransform(c, e, &tables)
			}
			if unnamed[content] {
				c[colChecks] = append(c[colChecks], e.hash[:checkSize]...)
			}
		}
		entries = entries[n:]
	}
	for _, n := range groups {
		c.number(colGroups, uint64(n))
	}
}

// writeTransform appends the transform of e, and what goes with it.
func writeTransform(c *columns, e *Entry, tables *shiftTables) {
	c.byte(colTransform, e.Transform)
	if e.Transform != 0 {
		c.signed(colLengths, e.length-e.Content.Size)
	}
	if transform.TakesShifts(e.Transform) {
		c.number(colShifted, uint64(tables.number(c, e.shifts)))
	}
}

// directoryReader reads a directory.
type directoryReader struct {
	*listing
	in      *columnReader
	entries []Entry
	last    int // index of the last base in colBases, plus one
	shifts  []*transform.Shifts
}

// readDirectory gives the entries of a directory with groups groups.
func readDirectory(in *columnReader, l *listing, groups int) ([]Entry, error) {
	r := directoryReader{listing: l, in: in, shifts: readShifts(&in[colShifts])}
	for i := range l.contents {
		if r.content(i); in.err(recipeColumns, numColumns) != nil {
			break
		}
	}
	left := r.entries
	for g := range groups {
		n := in[colGroups].length(int64(len(left)))
		for i := range left[:n] {
			left[i].Group = g
		}
		left = left[n:]
	}
	if len(left) > 0 {
		in[colGroups].fail("%d entries are in no group", len(left))
	}
	return r.entries, in.end(recipeColumns, numColumns)
}

// content reads the entries of content i.
func (r *directoryReader) content(i int) {
	c := r.contents[i]
	e := Entry{Content: c, Length: c.Size, hash: c.ID, length: c.Size}
	kinds := &r.in[colKinds]
	kind := kinds.below(kindsEnd)
	switch kind {
	case kindNone:
		if unlisted(c) {
			kinds.fail("no chunk list of content %v", c.ID)
		}
		return
	case kindWhole:
	case kindPattern:
		if e.Base = r.patterns[i]; e.Base == nil {
			kinds.fail("a patch without base")
		}
	case kindBase, kindRewritten, kindMoved:
		bases := &r.in[colBases]
		at := int64(r.last) + bases.signed()
		if at < 0 || at >= int64(len(r.bases)) {
			bases.fail("no such base")
			return
		}
		e.Base, r.last = r.bases[at], int(at)+1
	}
	if kind == kindRewritten && pieces(c) == 1 {
		kinds.fail("a content of %d bytes as a large one", c.Size)
		return
	}
	if kind == kindMoved {
		e.layouts = readLayouts(&r.in[colLengths])
	}
	if kind != kindRewritten && pieces(c) > 1 {
		r.pieces(e)
		return
	}
	if kind != kindMoved {
		r.transform(&e)
	}
	if c.ID.IsStandIn() {
		e.unknown = hashSize - copy(e.hash[:], r.in[colChecks].bytes(checkSize))
	}
	r.entries = append(r.entries, e)
}

// pieces reads the entries of a large content.
func (r *directoryReader) pieces(e Entry) {
	in := &r.in[colPieces]
	for left := e.Content.Size; left > 0 && in.err == nil; left -= e.Length {
		e.Length = min(largePiece, left)
		e.hash, e.length = in.id(), e.Length
		r.entries = append(r.entries, e)
		e.Offset += e.Length
	}
}

// transform reads the transform of e, with the length and the hash that go with it.
func (r *directoryReader) transform(e *Entry) {
	in := &r.in[colTransform]
	large := e.Content.Size > PieceMax
	if e.Transform = in.byte(); e.Transform == 0 && !large {
		return
	}
	if _, ok := transform.ByID(e.Transform); !ok {
		in.fail("transform %d is not known", e.Transform)
	}
	if transform.TakesShifts(e.Transform) {
		// 0: none
		if at := r.in[colShifted].below(len(r.shifts) + 1); at > 0 {
			e.shifts = r.shifts[at-1]
		}
	}
	lengths := &r.in[colLengths]
	e.length += lengths.signed()
	if large {
		if !transform.ForLarge(e.Transform) || e.length < 0 || e.length > rewrittenMax ||
			e.Content.Size > transform.LargeMax || e.Base == nil || e.Base.Size > transform.LargeMax {
			lengths.fail("a large content of %d bytes, transformed %d", e.Content.Size, e.length)
		}
	} else if most := e.lengthMax(); e.length < 0 || e.length > most ||
		e.Base != nil && e.Base.Size > PieceMax {
		lengths.fail("a transformed content of %d bytes", e.length)
	}
}

// lengthMax is how many bytes a content up to PieceMax has at most once it is rewritten; -1 when it
// cannot be.
func (e *Entry) lengthMax() int64 {
	switch {
	case !e.Stepped():
		return suffix.NewMax
	case e.Base == nil:
		return -1
	}
	return rewrittenMax
}

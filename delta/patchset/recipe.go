package patchset

import (
	"math"
	"slices"

	"deltaup/chunkstore"
	"deltaup/mkimage"
	"deltaup/mkimage/tree"
)

// Flags of an entry: what differs from its pattern, or from the zero entry when it has none.
const (
	flagLink = 1 << iota
	flagAttr
	flagTime
	flagTarget
	flagXattrs
	flagContent
	flagsEnd
)

// How colContents tells a content.
const (
	contentEmpty = iota
	contentNew   // size, id and chunk list follow
	contentOld   // a content of the old release
	contentMade  // a content that contentNew or contentRecut has told before
	contentRecut // a content of the old release with another chunk list
	contentKinds
)

// Forms of a chunk list: listPending is one that is left out, listImplied no chunk or one chunk
// that is the whole content. Otherwise the form is the number of chunks plus one.
const (
	listPending = iota
	listImplied
)

// Forms of a chunk: a hole, a new chunk, or from chunkOld on an old chunk. The form less chunkOld
// is its distance, zigzag, from the old chunk after the last one that was told.
const (
	chunkHole = iota
	chunkNew
	chunkOld
)

// How the list of entries goes on after a number of kept patterns.
const (
	stepInsert = iota
	stepDelete
)

// ledger is what writer and reader of a recipe's patch both know at each point. All of it follows
// from from and from what was written so far.
type ledger struct {
	from, to *mkimage.Recipe
	renamed  map[string]string
	contents []*chunkstore.Content // contents of from
	chunks   []chunkstore.Chunk    // chunks of from; nil: not listed
	empty    *chunkstore.Content   // the content of all empty files, as Validate demands
	made     []*chunkstore.Content // contents that the patch has told so far

	times       map[uint32]uint32 // the last new time of each modification time of the old release
	last        tree.Entry        // the last entry that is no hard link
	lastContent int               // index of the last told content of from, plus one
	lastChunk   int               // the same for chunks
}

func newLedger(from, to *mkimage.Recipe) *ledger {
	l := &ledger{from: from, to: to, times: make(map[uint32]uint32),
		contents: slices.Collect(from.Contents())}
	l.empty = &chunkstore.Content{ID: chunkstore.Sum(nil)}
	for i := range from.Entries.Len() {
		if c := from.Entries.Content(i); c != nil && c.Size == 0 {
			l.empty = c
			break
		}
	}
	return l
}

// expect gives the most likely entry for a pattern, which may be nil, without its path.
func (c *ledger) expect(p *pattern) mkimage.Entry {
	if p == nil {
		return mkimage.Entry{Entry: tree.Entry{Attr: tree.Attr{
			Type: c.last.Type, Mode: c.last.Mode, UID: c.last.UID, GID: c.last.GID, ModTime: c.last.ModTime}}}
	}
	e := c.from.Entries.At(p.index)
	if e.Link != "" {
		if path, ok := c.renamed[e.Link]; ok {
			e.Link = path
		}
	}
	if t, ok := c.times[e.ModTime]; ok {
		e.ModTime = t
	} else if e.ModTime == c.from.ModTime {
		e.ModTime = c.to.ModTime
	}
	return e
}

// told notes an entry that was told.
func (c *ledger) told(p *pattern, e *mkimage.Entry) {
	if e.Link != "" {
		return
	}
	c.last = e.Entry
	if p != nil {
		c.times[p.modTime] = e.ModTime
	}
}

// path gives the path after the renames of a path of the old tree.
func (c *ledger) path(old string) string {
	if p, ok := c.renamed[old]; ok {
		return p
	}
	return old
}

// sizeMax bounds the sum of the sizes of all contents, so that it cannot overflow.
const sizeMax = math.MaxInt64 / 4

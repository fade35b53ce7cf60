package patchset

import (
	"math"
	"slices"

	"deltaup/chunkstore"
	"deltaup/mkimage"
	"deltaup/mkimage/tree"
)

// Flags of an entry: what differs from its pattern, or from nothing when it has none.
const (
	flagLink = 1 << iota
	flagAttr
	flagTime
	flagTarget
	flagXattrs
	flagContent
	flagsEnd
)

// How a content is told.
const (
	contentEmpty = iota
	contentNew   // size, id and chunk list follow
	contentOld   // one of the old release
	contentMade  // told before, by contentNew or contentRecut
	contentRecut // one of the old release with another chunk list
	contentKinds
)

// Forms of a chunk list: left out; none or one chunk that is the content; otherwise the number of
// chunks plus one.
const (
	listPending = iota
	listImplied
)

// Forms of a chunk: a hole, a new chunk, otherwise a zigzag step from the old chunk after the last
// one told, plus two.
const (
	chunkHole = iota
	chunkNew
	chunkOld
)

// How the list of entries goes on after a number of patterns that are kept.
const (
	stepInsert = iota
	stepDelete
)

// ledger is what writer and reader of a recipe's patch both know at each point. Everything in here
// is a function of what was written so far.
type ledger struct {
	from, to *mkimage.Recipe
	renamed  map[string]string
	contents []*chunkstore.Content // of from
	chunks   []chunkstore.Chunk    // of from
	empty    *chunkstore.Content   // of empty files: one for all, as Validate demands
	made     []*chunkstore.Content // told by the patch so far

	times       map[uint32]uint32 // what a modification time of the old release last became
	last        tree.Entry        // the entry before that is no hard link
	lastContent int               // index of the content of from told last, plus one
	lastChunk   int               // likewise
}

func newLedger(from, to *mkimage.Recipe) *ledger {
	l := &ledger{from: from, to: to, times: make(map[uint32]uint32),
		contents: slices.Collect(from.Contents()), chunks: from.Chunks()}
	l.empty = &chunkstore.Content{ID: chunkstore.Sum(nil)}
	for i := range from.Entries {
		if c := from.Entries[i].Content; c != nil && c.Size == 0 {
			l.empty = c
			break
		}
	}
	return l
}

// expect gives what an entry most likely is. Its path is not set.
func (c *ledger) expect(p *pattern) mkimage.Entry {
	if p == nil {
		return mkimage.Entry{Entry: tree.Entry{Attr: tree.Attr{
			Type: c.last.Type, Mode: c.last.Mode, UID: c.last.UID, GID: c.last.GID, ModTime: c.last.ModTime}}}
	}
	e := *p.Entry
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

// told takes note of an entry.
func (c *ledger) told(p *pattern, e *mkimage.Entry) {
	if e.Link != "" {
		return
	}
	c.last = e.Entry
	if p != nil {
		c.times[p.ModTime] = e.ModTime
	}
}

// path gives the path that one of the old tree has after the renames.
func (c *ledger) path(old string) string {
	if p, ok := c.renamed[old]; ok {
		return p
	}
	return old
}

// sizeMax bounds the sum of all contents, so that it cannot overflow.
const sizeMax = math.MaxInt64 / 4

// Package patchset is the file of one release step: everything that turns the contents and the
// recipe of release A into those of release B. Format: doc/patchset.md.
//
// A publisher calls [Make]. A target reads the first [FixedSize] bytes of the file and asks
// [HeadSize] how long the head is, gives the head to [ReadHead], and with the recipe of A calls
// [Head.Step]: then it knows the recipe of B and what each group holds. It fetches the groups that
// it needs, [Step.OpenGroup] decodes one, and [Group.Content] gives the contents. The package
// neither fetches nor stores anything.
package patchset

import (
	"context"
	"io"

	"deltaup/chunkstore"
	"deltaup/mkimage"
)

// FixedSize is the number of bytes at a set's beginning that HeadSize needs.
const FixedSize = 16

const (
	// PieceMax is the most plain bytes that one entry gives, and the most that a transform is tried
	// on. Larger contents come as several entries of LargePiece bytes each (the last one shorter).
	PieceMax = 16 << 20
	// LargePiece is how contents above PieceMax are cut.
	LargePiece = 8 << 20
	// HeadMax is the most bytes of a head.
	HeadMax = 32 << 20
	// GroupMax is the most stored bytes of a group.
	GroupMax = 24 << 20
	// groupPlainMax is the most bytes of a group's decoded streams: a patch that takes more is no
	// good.
	groupPlainMax = 20 << 20
	// columnsMax is the most bytes of a head's decoded columns.
	columnsMax = 64 << 20
)

// Head is the beginning of a set, its checksum verified. What it holds besides is read by Step.
type Head struct {
	// BLAKE3-256 of the head; it holds the hashes of all groups, so this one id proves the whole
	// set
	ID       chunkstore.ID
	Size     int64         // bytes of the head; the first group follows
	From, To chunkstore.ID // BLAKE3-256 of the recipes' plain text
	Groups   []GroupRef    // in file order, without gaps

	bundle []byte // recipe's patch and directory, still compressed
}

// GroupRef says where a group lies in the set.
type GroupRef struct {
	Offset, Length int64
	Hash           chunkstore.ID // BLAKE3-256 of these bytes
	Plain          int64         // bytes of its decoded streams, which OpenGroup keeps in memory
}

// SetSize is the number of bytes of the whole set.
func (h *Head) SetSize() int64 {
	n := h.Size
	for _, g := range h.Groups {
		n += g.Length
	}
	return n
}

// Step is a set together with the recipe that it leads from.
type Step struct {
	From, To *mkimage.Recipe
	// Entries are in the order of the groups. A content has one entry, or, above PieceMax, several
	// in order.
	Entries []Entry
	// Pending are the contents of To whose chunk lists (Content.Chunks) this set, or one before it,
	// leaves out, so that they are nil: each has entries there, and once it is made the target cuts
	// it itself (chunkstore.Splitter with To.Chunking) and sets Chunks. Until then To does not
	// validate and must not be written; paths, sizes, content ids and the data order are all there.
	// A target that wants the chunk lists before (because it wants none of the patches) fetches the
	// recipe whole instead.
	Pending []*chunkstore.Content

	head *Head
}

// Entry says how one content, or one piece of a large one, comes about.
type Entry struct {
	Content *chunkstore.Content // of Step.To, shared with its entries there
	Base    *chunkstore.Content // of Step.From; nil: no old content is needed
	// what both are put through before they are compared; 0: nothing
	Transform uint8
	// the plain bytes of Content that it gives: all, or one piece
	Offset, Length int64
	Group          int // index in Head.Groups

	hash   chunkstore.ID // of the plain bytes
	length int64         // of the transformed ones
}

// Contents opens contents of a release for the publisher. What it reads is verified by Make.
type Contents interface {
	Open(ctx context.Context, c *chunkstore.Content) (Reading, error)
}

// Reading is one opened content. Its Close error is of no interest: it was only read.
type Reading interface {
	io.ReaderAt
	io.Closer
}

// MakeOptions says how to make a set; the zero value is usable.
type MakeOptions struct {
	// ChunkCost is how many bytes a target that has From would fetch to get c by chunks. Contents
	// whose patches are no smaller are left out when that saves LeftOutCost bytes or more, all
	// together. It is called concurrently. nil: none is.
	ChunkCost func(c *chunkstore.Content) int64
	// LeftOutCost is what a target fetches besides as soon as a content is left out: recipe, index,
	// requests.
	LeftOutCost int64
	// send all chunk lists in the recipe's patch: nothing is ever pending, for about 32 bytes a
	// chunk
	ChunkLists bool
	Workers    int    // goroutines; 0: GOMAXPROCS
	Temp       string // folder for a temporary file of the set's size; "": the system's
	// Progress is told the plain bytes of new contents whose patches have been found, by one
	// goroutine at a time.
	Progress func(done, total int64)
}

// Stats says what a set holds, for deltaup diff and for logs.
type Stats struct {
	ID       chunkstore.ID // Head.ID
	HeadSize int64
	Size     int64 // of the set
	Recipe   int64 // stored bytes of the recipe's patch
	Entries  []EntryStats
	Streams  []StreamStats
}

// EntryStats is what one content cost.
type EntryStats struct {
	Path      string // of the content, the first in To
	Content   *chunkstore.Content
	Base      *chunkstore.Content // nil: whole
	BasePath  string
	Transform uint8
	Cost      int64 // stored bytes: its share of its group, an estimate
}

// StreamStats sums the blocks of one stream that one coder made, over all groups.
type StreamStats struct {
	Stream, Coder string
	Plain, Stored int64
}

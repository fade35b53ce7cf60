// Package patchset makes, reads and applies patch sets. A patch set is the file of one release
// step: it turns the recipe and the contents of release A into those of release B. Format:
// doc/patchset.md.
//
// A publisher calls [Make]. A target reads the first [FixedSize] bytes of the file and asks
// [HeadSize] for the length of the head. It gives the head to [ReadHead] and calls [Head.Step] with
// the recipe of A. Then it knows the recipe of B and what each group holds, though not all ids, see
// [Step.To]. It fetches the groups that it needs, with those before them in the same run, and opens
// them with [Step.Groups]. For each entry it calls [Step.Prepare] and gets the content, or a piece
// of it, from [Group.Content]. The package neither fetches nor stores anything.
package patchset

import (
	"context"
	"io"
	"sync"

	"deltaup/chunkstore"
	"deltaup/delta/transform"
	"deltaup/mkimage"
)

// FixedSize is the number of bytes at the beginning of a set that HeadSize needs.
const FixedSize = 16

const (
	// PieceMax is how many plain bytes one entry makes at most, and up to which size transforms are
	// tried. Larger contents have several entries of largePiece bytes each, of which the last may
	// be shorter.
	PieceMax = 16 << 20
	// largePiece is the size, in bytes, of the pieces of contents above PieceMax.
	largePiece = 8 << 20
	// HeadMax is how many bytes a head has at most.
	HeadMax = 32 << 20
	// groupMax is how many stored bytes a group has at most.
	groupMax = 24 << 20
	// groupPlainMax is how many bytes the decoded streams of a group have at most. A longer patch
	// is of no use.
	groupPlainMax = 20 << 20
	// columnsMax is how many bytes the decoded columns of a head have at most.
	columnsMax = 64 << 20
)

// Head is the beginning of a set, with a verified checksum. [Head.Step] reads the rest of it.
type Head struct {
	// ID is the BLAKE3-256 of the head. The head has the hashes of all groups, so the ID verifies
	// the whole set.
	ID       chunkstore.ID
	From, To chunkstore.ID // BLAKE3-256 of the recipes' plain text
	Groups   []GroupRef    // in file order, without gaps

	version uint32 // of the format
	size    int64  // bytes of the head; the first group follows
	bundle  []byte // the recipe's patch and the directory, compressed
}

// TellsIDs tells whether the set is of a version that names all contents by their ids.
func (h *Head) TellsIDs() bool { return h.version <= versionIDs }

// GroupRef says where a group lies in the set.
type GroupRef struct {
	Offset, Length int64
	Hash           chunkstore.ID // BLAKE3-256 of the group's stored bytes
	Plain          int64         // bytes of its decoded streams, which a Group keeps in memory
	// GoesOn: its streams go on where those of the group before end, which has to be decoded first.
	// The two are of one run.
	GoesOn bool
}

// SetSize is the number of bytes of the whole set.
func (h *Head) SetSize() int64 {
	n := h.size
	for _, g := range h.Groups {
		n += g.Length
	}
	return n
}

// Step is a set applied to the recipe that it leads from.
type Step struct {
	// To is the recipe that the set leads to. Its contents whose chunk lists (Content.Chunks) are
	// nil are pending: this set or one before it leaves the lists out. Each has entries in that
	// set. Once the target has made such a content, it cuts it (chunkstore.Splitter with
	// To.Chunking) and sets Chunks. Until then To does not validate and must not be written, though
	// paths, sizes and the data order are all there. The ids of pending contents are stand-ins
	// (chunkstore.StandIn) unless the set has them; cutting tells these, too. A target that needs
	// the chunk lists earlier, because it wants none of the patches, fetches the whole recipe
	// instead and calls Complete.
	To *mkimage.Recipe
	// Entries are in the order of the groups. A content has one entry, or above PieceMax several,
	// in order.
	Entries []Entry

	pending []*chunkstore.Content // those of To
	head    *Head

	mu   sync.Mutex
	made map[*chunkstore.Content]chunkstore.ID // ids that To lacks
}

// Entry says how to make one content, or one piece of a large content.
type Entry struct {
	Content *chunkstore.Content // a content of Step.To, the same pointer as there
	Base    *chunkstore.Content // a content of the old recipe; nil: none is needed
	// Transform is the id of the transform of both contents; 0: none.
	Transform uint8
	// Offset and Length are the plain bytes of Content that the entry makes: all, or one piece.
	Offset, Length int64
	Group          int // index in Head.Groups

	hash    chunkstore.ID     // BLAKE3-256 of the plain bytes
	unknown int               // bytes at the end of hash that the set does not tell
	length  int64             // number of transformed bytes
	shifts  *transform.Shifts // nil: the transform takes none

	layouts *layouts // of a program whose addresses are predicted

	other *Entry // see Other
}

// Contents opens contents of a release for a publisher. Make verifies what it reads. It calls Open
// in several goroutines.
type Contents interface {
	Open(ctx context.Context, c *chunkstore.Content) (Reading, error)
}

// Reading is one open content, for one goroutine. Callers ignore errors of Close, since nothing was
// written.
type Reading interface {
	io.ReaderAt
	io.Closer
}

// Side is one of the two releases between which a publisher makes a set.
type Side struct {
	Recipe   *mkimage.Recipe
	Contents Contents // those of Recipe
}

// MakeOptions says how to make a set. The zero value is usable.
type MakeOptions struct {
	// ChunkCost gives how many bytes a target that has From fetches to get c by chunks. Make leaves
	// out contents whose patches are no smaller, if that saves at least LeftOutCost bytes in all.
	// It calls ChunkCost concurrently. nil: it leaves nothing out.
	ChunkCost func(c *chunkstore.Content) int64
	// LeftOutCost is how many bytes more a target fetches, once, when any content is left out: for
	// recipe, index and requests.
	LeftOutCost int64
	// ChunkLists puts all ids and chunk lists into the recipe's patch, so that nothing is pending.
	// That costs about 32 bytes for each of them.
	ChunkLists bool
	// Steps permits transforms that take a step from the old content to the new one: for a target
	// that has little else in memory when it makes a content.
	Steps bool
	// StepsApart gives each content that is made by a step a group of its own, for a target that
	// may do without the content, and where there are two ways to make it the other one as well,
	// see Entry.Other.
	StepsApart bool
	// Bases gives the most likely bases of new contents, both by their ids, where these are not
	// what has the same path.
	Bases map[chunkstore.ID]chunkstore.ID
	// Large has each run be one group: for a target that uses nothing of a set before it has all.
	Large bool
	// Cache, when not nil, keeps what was made for this set or another, from any release: what is
	// the same is not made again.
	Cache Keeper
	// Progress, when not nil, is told how far the phases have come, by one goroutine at a time.
	Progress func(Progress)

	workers int    // goroutines; 0: GOMAXPROCS
	version uint32 // of the format, for tests; 0: the last one
}

// Stats says what a set consists of, for deltaup diff and for logs.
type Stats struct {
	ID       chunkstore.ID // Head.ID
	HeadSize int64
	Size     int64 // bytes of the set
	Recipe   int64 // stored bytes of the recipe's patch
	Entries  []EntryStats
	Streams  []StreamStats
}

// EntryStats says what one content, or one piece, costs.
type EntryStats struct {
	Path      string // the content's first path in To
	Content   *chunkstore.Content
	BasePath  string // of the old content that it is made from; "": none
	Transform uint8
	Cost      int64 // stored bytes: an estimated share of its group
}

// StreamStats sums, over all bundles, the bytes of one stream that one coder stores.
type StreamStats struct {
	Stream, Coder string
	Plain, Stored int64
}

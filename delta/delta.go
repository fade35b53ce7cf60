// Package delta decides how an update travels. For each route to the image the caller says what it
// costs, as far as that is known ([Offer]). [NewPlan] takes the best of these for a line and a
// machine, with its exact bytes and requests and its estimated time, and says why the others lost.
// It fetches nothing itself, and knows no route by name.
//
// A route whose metadata have not been fetched yet takes part with what the release file tells of
// it. When it is the best, the caller fetches its metadata and plans anew.
package delta

import (
	"errors"
	"iter"
	"time"

	"deltaup/chunkstore"
)

// ErrNoRoute is wrapped when no way to get the image is open.
var ErrNoRoute = errors.New("no way to get the image")

// Route is the name of a route, as plans and messages have it.
type Route string

// Kind says what a file of the mirror is.
type Kind uint8

// The kinds of files from which targets fetch ranges.
const (
	PackFile Kind = iota
	ImageFile
	SetFile // a patch set
)

// File names an immutable file of the mirror.
type File struct {
	Kind Kind
	ID   chunkstore.ID
}

// Extent is a run of bytes of one file of the mirror, in bytes.
type Extent struct{ Offset, Length int64 }

// End is the offset behind the last byte.
func (e Extent) End() int64 { return e.Offset + e.Length }

// Without gives the parts of e that lie in none of the others, which come by offset.
func (e Extent) Without(others iter.Seq[Extent]) (out []Extent) {
	for x := range others {
		if x.Offset >= e.End() {
			break
		}
		if x.End() <= e.Offset || x.Length <= 0 {
			continue
		}
		if x.Offset > e.Offset {
			out = append(out, Extent{e.Offset, x.Offset - e.Offset})
		}
		next := min(x.End(), e.End())
		e = Extent{next, e.End() - next}
	}
	if e.Length > 0 {
		out = append(out, e)
	}
	return out
}

// Piece is a run of bytes that are useful only together: a chunk's frame, a patch set's group, or a
// stored block.
type Piece struct {
	File File
	Extent
}

// List is a list of chunks and, parallel to it, their locations on the mirror.
type List struct {
	Chunks    []chunkstore.Chunk // distinct, no holes
	Locations []chunkstore.Location
}

// Offer is what a route to the image costs.
type Offer struct {
	Route  Route
	Closed string // why it cannot be taken; "" when it can
	// Whole says that Pieces are the whole image. They may be cut anywhere, and no offer of more
	// bytes is taken.
	Whole bool

	// The metadata that must be fetched, one file after another, before Pieces and Chunks are
	// known: its bytes and requests. While MetaRequests is not 0, Guess estimates the bytes of
	// Pieces and Chunks.
	MetaBytes    int64
	MetaRequests int
	Guess        int64

	Pieces []Piece // in any order
	Chunks List    // fetched unless a seed has them
	Work   Work
	// Making says that blocks are patched and compressed beside fetching. The first ones can be
	// when Lead bytes have come, and as many bytes come last before the last ones can be.
	Making bool
	Lead   int64
	// Beside is for how long the image is written beside the end of fetching; 0: it is written when
	// all is fetched.
	Beside time.Duration
}

// Work is what a route gives the machine to do.
type Work struct {
	Compress int64 // plain bytes of blocks that are compressed
	Decode   int64 // plain bytes of fetched chunks and blocks
	Patch    int64 // plain bytes of contents that patches make
	Write    int64 // bytes of the image, written and read back
	Scan     int64 // stored bytes of seeds that are read and hashed
}

// Need is everything that a target needs for a release, whether it has it or not.
type Need struct {
	Offers []Offer // of the routes to the image; none when no image is wanted
	Other  List    // chunks of other artifacts, needed by every route
	// Pieces, too, are needed by every route.
	Pieces []Piece
}

// Have tells what the target has already.
type Have interface {
	// Chunk tells whether a seed has the chunk.
	Chunk(id chunkstore.ID) bool
	// Extents lists the bytes of a mirror's file that earlier runs left on disk. They may be in any
	// order, touch and overlap.
	Extents(file chunkstore.ID) []Extent
}

// Range is one request: adjacent bytes of one file of the mirror, none of which is on disk. It may
// include gaps between pieces, which the target drops.
type Range struct {
	File   File
	Offset int64
	Length int64
	// Skip is how many bytes before Offset come too, from a mirror that sends whole files. The
	// target drops them.
	Skip int64
}

// Optimize says what a plan minimizes.
type Optimize string

// What a plan can minimize; "" is ForTime.
const (
	ForTime  Optimize = "time"
	ForBytes Optimize = "bytes"
)

// Options are the conditions of a plan; zero values mean the defaults.
type Options struct {
	Line     Line
	CPU      CPU
	Optimize Optimize
	// maxRange is the longest range, in bytes; default 8 MiB. Longer runs are split between pieces,
	// so that they can be fetched in parallel and, one by one, from another mirror.
	maxRange int64
	Parallel int // requests under way at once, as the estimate assumes; default DefaultParallel
	// Whole gives the size of a file, for mirrors that send only whole files: each file of which
	// anything is needed then comes whole, once. nil: the mirrors send ranges.
	Whole func(File) int64
}

// Plan says by which route to get the image and what to fetch. Bytes and Requests count the payload
// of Ranges.
type Plan struct {
	Route Route // "" when no image is wanted
	// Exact is false when the route's metadata must be fetched before its ranges are known. Bytes
	// and Requests are then an estimate that includes the metadata.
	Exact    bool
	Ranges   []Range // by file, in order of first need, then by offset
	Bytes    int64
	Requests int
	Time     time.Duration // estimate for all that is left to do

	ChunksHave   int // needed chunks that a seed has
	ChunksCached int // needed chunks that lie complete on disk from earlier runs
	ChunksFetch  int // needed chunks that are fetched, wholly or in part

	Alternatives []Alternative // all offers, in the order given, the chosen one too
}

// Alternative is the plan's judgement of one offer.
type Alternative struct {
	Route    Route         `json:"route"`
	Chosen   bool          `json:"chosen"`
	Exact    bool          `json:"exact"` // Bytes and Requests are exact
	Bytes    int64         `json:"bytes"` // left to fetch, with metadata and other artifacts
	Requests int           `json:"requests"`
	Time     time.Duration `json:"-"`
	Why      string        `json:"why,omitempty"` // why it was not chosen
}

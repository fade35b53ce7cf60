// Package delta decides by which route a target gets an image. The caller describes each route as
// far as it knows it, as a [Way]. [NewPlan] chooses the best of them for a line and a machine,
// lists its requests, estimates its time, and says why the others lost. The package fetches
// nothing.
//
// A way whose metadata the target lacks takes part with an estimate from the release file. When
// such a way is the best, the caller fetches its metadata and plans anew.
package delta

import (
	"errors"
	"time"

	"deltaup/chunkstore"
)

// ErrNoRoute is wrapped when no way to get the image is open.
var ErrNoRoute = errors.New("no way to get the image")

// Route says by what kind of pieces a way gets the image.
type Route string

// The routes. All but RouteWhole rebuild the image, and take from seeds what these have.
const (
	RoutePatch  Route = "patch"  // contents by patches, and by chunks where the patch set has none
	RouteChunks Route = "chunks" // contents by chunks
	RouteBlocks Route = "blocks" // stored blocks, by range from the finished image
	RouteWhole  Route = "whole"  // the finished image
)

// Routes lists all routes. Of routes that are equally good, the first is preferred.
func Routes() []Route { return []Route{RoutePatch, RouteBlocks, RouteChunks, RouteWhole} }

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

// Way describes one way to get an image: what it fetches and what work it makes.
type Way struct {
	Route  Route
	Closed string // why this way cannot be taken; "" when it can

	// The metadata that must be fetched, one file after another, before Pieces and Chunks are
	// known: its bytes and requests. While MetaRequests is not 0, Guess estimates the bytes of
	// Pieces and Chunks.
	MetaBytes    int64
	MetaRequests int
	Guess        int64

	// Pieces are in any order. The whole image is one piece, which may be cut anywhere.
	Pieces []Piece
	Chunks List // fetched unless a seed has them
	Work   Work
	// Early is for how long writing the image overlaps with the end of fetching; 0: writing
	// follows.
	Early time.Duration
}

// Work is the work that a way makes for the machine.
type Work struct {
	Compress int64 // plain bytes of blocks that are compressed
	Decode   int64 // plain bytes of fetched chunks and blocks
	Patch    int64 // plain bytes of contents that patches make
	Write    int64 // bytes of the image, written and read back
	Scan     int64 // stored bytes of seeds that are read and hashed
}

// Need is everything that a target needs for a release, whether it has it or not.
type Need struct {
	Ways  []Way // ways to get the image; none when no image is wanted
	Other List  // chunks of other artifacts, needed by every way
	// Pieces, too, are needed by every way.
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
	// MaxRange is the longest range, in bytes; default 8 MiB. Longer runs are split between pieces,
	// so that they can be fetched in parallel and, one by one, from another mirror.
	MaxRange int64
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

	Alternatives []Alternative // all ways, in the order given, the chosen one too
}

// Alternative is the plan's judgement of one way.
type Alternative struct {
	Route    Route         `json:"route"`
	Chosen   bool          `json:"chosen"`
	Exact    bool          `json:"exact"` // Bytes and Requests are exact
	Bytes    int64         `json:"bytes"` // left to fetch, with metadata and other artifacts
	Requests int           `json:"requests"`
	Time     time.Duration `json:"-"`
	Why      string        `json:"why,omitempty"` // why it was not chosen
}

// Package delta decides how an update travels. A caller describes each way to get
// an image as far as it knows it ([Way]); [NewPlan] takes the best of them for a line and a
// machine, with its exact bytes and requests and its estimated time, and says why the
// others lost. It fetches nothing itself.
//
// A way whose metadata are not there yet takes part with what the release file tells of
// it. When such a way is the best, the caller fetches its metadata and plans anew.
package delta

import (
	"errors"
	"time"

	"deltaup/chunkstore"
)

// ErrNoRoute is wrapped when there is no way to get the image.
var ErrNoRoute = errors.New("no way to get the image")

// Route is the kind of a way.
type Route string

// The routes. All but RouteWhole rebuild the image and copy what the seeds have.
const (
	RoutePatch  Route = "patch"  // contents by patches, and by chunks what the patches leave out
	RouteChunks Route = "chunks" // contents by chunks
	RouteBlocks Route = "blocks" // stored blocks, by range from the finished image
	RouteWhole  Route = "whole"  // the finished image
)

// Routes lists all routes, those that are as good as others in the order of preference.
func Routes() []Route { return []Route{RoutePatch, RouteBlocks, RouteChunks, RouteWhole} }

// Kind says what a file of the mirror is.
type Kind uint8

// The kinds of files that are fetched by range.
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

// Extent is a run of bytes of one file of the mirror.
type Extent struct{ Offset, Length int64 }

// End is the offset behind the last byte.
func (e Extent) End() int64 { return e.Offset + e.Length }

// Piece is bytes that are of use only together: a chunk's frame, a patch set's group, a stored
// block.
type Piece struct {
	File File
	Extent
}

// List is chunks and, in parallel, where each lies on the mirror.
type List struct {
	Chunks    []chunkstore.Chunk // distinct, no holes
	Locations []chunkstore.Location
}

// Way is one way to get an image.
type Way struct {
	Route  Route
	Closed string // why it cannot be gone; "" when it can

	// Metadata to be fetched, one file after another, before Pieces and Chunks are known. As
	// long as there are any, Guess stands for the bytes of both.
	MetaBytes    int64
	MetaRequests int
	Guess        int64

	// in any order; the image whole is one piece, which is cut where that is convenient
	Pieces []Piece
	Chunks List // those that a seed has are not fetched
	Work   Work
	// for how long the image is written beside the end of fetching; 0: it is written behind it
	Early time.Duration
}

// Work is what a way gives the machine to do.
type Work struct {
	Compress int64 // plain bytes of blocks that are compressed
	Decode   int64 // plain bytes of fetched chunks and blocks
	Patch    int64 // plain bytes of contents that are made by patches
	Write    int64 // bytes of the image, written and read back
	Scan     int64 // stored bytes of seeds that are read and hashed
}

// Need is what a release consists of, whether the target has it or not.
type Need struct {
	Ways  []Way // of the image; none when no image is wanted
	Other List  // chunks of other artifacts, needed whatever the way
	// Pieces are needed whatever the way, too.
	Pieces []Piece
}

// Have is what the target has already.
type Have interface {
	// Chunk tells whether a seed has the chunk.
	Chunk(id chunkstore.ID) bool
	// Extents lists the bytes of a mirror's file that earlier runs left on
	// disk, in any order; they may touch and overlap.
	Extents(file chunkstore.ID) []Extent
}

// Range is one request: adjacent bytes of one file of the mirror, none of which is on disk.
// The bytes between pieces are fetched and not used.
type Range struct {
	File   File
	Offset int64
	Length int64
	// bytes before Offset that come as well, and are dropped: of a mirror that sends whole files
	Skip int64
}

// Optimize says what a plan makes small.
type Optimize string

// What can be made small; "" is ForTime.
const (
	ForTime  Optimize = "time"
	ForBytes Optimize = "bytes"
)

// Options are the conditions of a plan; zero values mean the defaults.
type Options struct {
	Line     Line
	CPU      CPU
	Optimize Optimize
	// bytes; longer runs are split at pieces, to be fetched in parallel and failed over; default 8
	// MiB
	MaxRange int64
	Parallel int // requests under way at once, for the estimate; default DefaultParallel
	// Whole gives the size of a file of mirrors that send only whole files: whatever is needed of
	// one costs all of it, once. nil: they send ranges.
	Whole func(File) int64
}

// Plan is what to fetch. Bytes and Requests are payload exactly as the ranges say.
type Plan struct {
	Route Route // "" when no image is wanted
	// Exact is false when the route's metadata have to be fetched before there can be ranges; then
	// Bytes and Requests, the metadata's included, are an estimate.
	Exact    bool
	Ranges   []Range // by file in order of first need, then by offset
	Bytes    int64
	Requests int
	Time     time.Duration // estimate for all that is still to do

	ChunksHave   int // needed chunks that a seed has
	ChunksCached int // needed chunks that lie complete on disk from earlier runs
	ChunksFetch  int // needed chunks that are fetched, wholly or in part

	Alternatives []Alternative // all ways as they were given, that of the plan among them
}

// Alternative is a way as it was judged.
type Alternative struct {
	Route    Route         `json:"route"`
	Chosen   bool          `json:"chosen"`
	Exact    bool          `json:"exact"` // Bytes and Requests are no estimates
	Bytes    int64         `json:"bytes"` // still to be fetched, metadata and other artifacts included
	Requests int           `json:"requests"`
	Time     time.Duration `json:"-"`
	Why      string        `json:"why,omitempty"` // it was not chosen
}

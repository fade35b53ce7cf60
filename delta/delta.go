// Package delta decides how an update travels. [NewPlan] takes what a release
// needs and what the target has, and gives the cheapest set of requests with its
// exact bytes and its estimated time. It fetches nothing itself.
package delta

import (
	"errors"
	"time"

	"deltaup/chunkstore"
)

// ErrNoRoute is returned when an image can neither be rebuilt (its codec is not known) nor had whole.
var ErrNoRoute = errors.New("no way to get the image")

// Line is a network path between target and mirror.
type Line struct {
	Rate float64       // bytes per second; 0: not known
	RTT  time.Duration // one round trip; 0: not known
}

// DefaultLine stands in for what is not known of a line.
var DefaultLine = Line{Rate: 1e6, RTT: 50 * time.Millisecond}

// List is chunks and, in parallel, where each lies on the mirror.
type List struct {
	Chunks    []chunkstore.Chunk // distinct, no holes
	Locations []chunkstore.Location
}

// Whole names the finished image as one file of the mirror.
type Whole struct {
	ID   chunkstore.ID
	Size int64 // bytes; 0: it cannot be had
}

// Need is what a release consists of, whether the target has it or not. Without Image
// and Whole no image is wanted, and Codec says nothing.
type Need struct {
	Codec string // of the image; one that mkimage does not know rules a rebuild out
	Image List   // chunks of the image's contents; not needed when the image is fetched whole
	Other List   // chunks of other artifacts, needed on every route
	Whole Whole
}

// Extent is a run of bytes of one file of the mirror.
type Extent struct{ Offset, Length int64 }

// End is the offset behind the last byte.
func (e Extent) End() int64 { return e.Offset + e.Length }

// Have is what the target has already.
type Have interface {
	// Chunk tells whether a seed has the chunk.
	Chunk(id chunkstore.ID) bool
	// Extents lists the bytes of a mirror's file (a pack, or the whole image) that earlier runs left on
	// disk, in any order; they may touch and overlap.
	Extents(file chunkstore.ID) []Extent
}

// Route is how the image as a whole comes about.
type Route int

const (
	// Rebuild makes the image from contents: those of the seeds and those of fetched chunks.
	Rebuild Route = iota
	// FetchWhole takes the finished image from the mirror.
	FetchWhole
)

// String is "rebuild" or "whole".
func (r Route) String() string {
	if r == FetchWhole {
		return "whole"
	}
	return "rebuild"
}

// Range is one request: adjacent bytes of one file of the mirror, none of which is on disk.
type Range struct {
	File   chunkstore.ID // a pack, or the image itself when Image is set
	Image  bool
	Offset int64
	Length int64
	Frames []Frame // frames whose last missing byte lies in here, by offset; the bytes between frames are fetched and not used
}

// Frame is one wanted chunk's place in a pack.
type Frame struct {
	Chunk  chunkstore.Chunk
	Offset int64
	Length int64
}

// Options are the limits of a plan; zero values mean the defaults.
type Options struct {
	MaxRange int64 // bytes; longer runs are split at frames, to be fetched in parallel and failed over; default 8 MiB
	Parallel int   // requests under way at once, for the estimate; default 4
}

// Plan is what to fetch. Bytes and Requests are payload exactly as the ranges say.
type Plan struct {
	Route    Route
	Ranges   []Range // by file in order of first need, then by offset
	Bytes    int64
	Requests int
	Time     time.Duration // estimate for the line that was planned for

	ChunksHave   int // needed chunks that a seed has
	ChunksCached int // needed chunks that lie complete on disk from earlier runs
	ChunksFetch  int // needed chunks that are fetched, wholly or in part
}

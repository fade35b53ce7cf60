// Package delta decides how an update travels. [NewPlan] takes what a release
// needs and what the target has, and gives the cheapest set of routes with its
// exact bytes and requests and its estimated time. It fetches nothing itself.
package delta

import (
	"time"

	"deltaup/chunkstore"
)

// Line is a network path between target and mirror.
type Line struct {
	Rate float64       // bytes per second
	RTT  time.Duration // one round trip
}

// Range is one request for adjacent bytes of one pack.
type Range struct {
	Pack   chunkstore.ID
	Offset int64
	Length int64
	Frames []Frame // wanted frames, by offset; bytes between them are fetched and dropped
}

// Frame is one wanted chunk within a range.
type Frame struct {
	Chunk  chunkstore.Chunk
	Offset int64 // in the pack
	Length int64
}

// Package chunkstore cuts contents into chunks and stores them: ids of contents and chunks, the
// content-defined chunker, packs with their index, and stores of chunks. It is the lowest package:
// it knows nothing of images, releases or mirrors. All that pass on a stream of bytes with a known
// id, wherever it comes from, read it through a [Verifier].
//
// A publisher calls [Splitter.Split] on every content and [Folder.NewBatch] to add the chunks that
// are new. A target reads chunks through a [Store], or it reads ranges of packs itself and checks
// each frame with [DecodeFrame]. Formats: doc/pack.md and doc/index.md.
package chunkstore

import (
	"context"
	"errors"
)

// ID is the BLAKE3-256 of plain bytes. It names contents and chunks, and the immutable files of a
// mirror by all of their bytes. The zero ID is no hash: it marks a hole.
type ID [32]byte

// Chunk is a piece of a content. A hole is a chunk with the zero ID: a run of zero bytes, of any
// length, that nobody stores or fetches.
type Chunk struct {
	ID   ID
	Size int64 // plain bytes, > 0
}

// Content names the bytes of one regular file or raw artifact: their id, their number, and the
// chunks that they consist of, in order. An empty content has no chunks.
type Content struct {
	ID     ID
	Size   int64
	Chunks []Chunk
}

// Location says where one chunk's frame lies.
type Location struct {
	Pack   ID    // name of the pack: BLAKE3-256 of the whole pack file
	Offset int64 // of the frame's first byte in the pack
	Length int64 // stored bytes of the frame
}

var (
	// ErrCorrupt says that bytes are not what their name, length or format says. Every such error
	// wraps it.
	ErrCorrupt = errors.New("corrupt")
	// ErrBomb says that compressed bytes decompress to more than their bound. Decompression stops
	// at the bound, and the error wraps ErrCorrupt as well.
	ErrBomb = errors.New("decompresses to more than it may")
	// ErrVersion says that a file has the right magic and a version that this program does not
	// know.
	ErrVersion = errors.New("unknown format version")
	// ErrNotFound says that a store lacks a chunk.
	ErrNotFound = errors.New("not found")
)

// Store reads chunks by id. [Folder] is a store of packs in a local folder; storetest.Run tests any
// store. A store lacks every hole.
type Store interface {
	// Chunk returns the plain bytes of c, verified against c.ID and c.Size, or an error that wraps
	// ErrNotFound, ErrCorrupt or ctx's.
	Chunk(ctx context.Context, c Chunk) ([]byte, error)
	// Locate tells where a chunk's frame lies, or false when the store lacks the chunk.
	Locate(id ID) (Location, bool)
}

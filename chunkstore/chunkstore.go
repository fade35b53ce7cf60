// Package chunkstore is the ground floor: content and chunk ids, the
// content-defined chunker, packs with their index, and stores of chunks.
//
// A publisher calls [Splitter.Split] on every content and [Folder.NewBatch] to
// add what is new; a target reads chunks through a [Store], or reads pack ranges
// itself and checks each frame with [DecodeFrame]. The package knows nothing of
// images, releases or mirrors. Formats: doc/pack.md and doc/index.md.
package chunkstore

import (
	"context"
	"errors"
)

// ID is the BLAKE3-256 of plain bytes; it names contents, chunks and, over a
// whole file, the immutable files of a mirror. The zero ID is no hash: it marks a hole.
type ID [32]byte

// Chunk is a piece of a content. A hole (zero ID) is a run of zero bytes of any
// length: it is stored nowhere and fetched from nowhere.
type Chunk struct {
	ID   ID
	Size int64 // plain bytes, > 0
}

// Content is the bytes of one regular file (or raw artifact) by name: its id,
// its size, and the chunks that make it up in order. An empty content has none.
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
	// ErrCorrupt is wrapped by every error about bytes that are not what their name, length or
	// format says.
	ErrCorrupt = errors.New("corrupt")
	// ErrBomb is wrapped beside ErrCorrupt when compressed bytes stand for more than they may: not
	// one more is decompressed.
	ErrBomb = errors.New("decompresses to more than it may")
	// ErrVersion is wrapped when magic matches and the version is one that this program does not
	// know.
	ErrVersion = errors.New("unknown format version")
	// ErrNotFound is wrapped when a store has no such chunk.
	ErrNotFound = errors.New("not found")
)

// Store reads chunks by id. [Folder] is one, of packs in a local folder; storetest.Run is the suite
// for any. A store holds no holes: asked for one it answers as for any chunk that it lacks.
type Store interface {
	// Chunk returns the plain bytes of c, verified against c.ID and c.Size, or an
	// error that wraps ErrNotFound, ErrCorrupt or ctx's.
	Chunk(ctx context.Context, c Chunk) ([]byte, error)
	// Locate tells where a chunk's frame lies; false when the store lacks it.
	Locate(id ID) (Location, bool)
}

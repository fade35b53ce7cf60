package mkimage

import (
	"context"
	"errors"
	"io"
)

// ErrContent is wrapped when a source gives other bytes than the recipe names.
var ErrContent = errors.New("content differs from the recipe")

// BuildOptions says how to build; nothing in it changes the image. The zero value is usable.
type BuildOptions struct {
	Workers  int                     // compressing goroutines; 0: as many as fit GOMAXPROCS and memory
	Progress func(done, total int64) // plain bytes laid out; called by one goroutine at a time
}

// BuildStats says what a build did.
type BuildStats struct {
	Size             int64 // of the image in bytes, padding included
	PlainBytes       int64 // of all distinct contents
	BlocksCopied     int   // data and fragment blocks taken from Stored as they were
	BlocksCompressed int   // data and fragment blocks made here, those stored plain included
	BytesCopied      int64 // stored bytes of BlocksCopied
	Fragments        int   // fragment blocks, copied or made
}

// Build writes the image of r to out, in order except for the superblock: the
// first 96 bytes are written by the very last WriteAt. Contents come from src; when src
// implements [Stored], blocks that it has are copied. The image depends on r alone.
//
// Errors wrap ErrContent with the path when src gives other bytes, ErrUnknownCodec,
// or what src and out returned.
func Build(ctx context.Context, r *Recipe, src Source, out io.WriterAt, o BuildOptions) (BuildStats, error) {
	panic("unbuilt")
}

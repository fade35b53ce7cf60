package chunkstore

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// The first byte of a frame says what follows.
const (
	framePlain = 0 // the chunk's bytes as they are
	frameZstd  = 1 // one zstd frame
)

// frameMin is the length of the shortest frame: the tag and one byte.
const frameMin = 2

// frameMax is how many stored bytes the frame of a chunk of size plain bytes has at most.
func frameMax(size int64) int64 { return size + 1 }

// encoderWindow is how far back zstd looks, in bytes, in chunks larger than usual. An encoder takes
// twice as much memory, whatever the size of the chunks.
const encoderWindow = 1 << 20

// All callers share one encoder and one decoder: EncodeAll and DecodeAll are safe for concurrent
// use, and an encoder of this level takes 35 MB for each processor.
var encoder = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(zstd.SpeedBestCompression),
		zstd.WithEncoderCRC(false), // the chunk's id is the check
		zstd.WithWindowSize(encoderWindow),
		zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)))
	if err != nil {
		panic(err) // constant options
	}
	return e
})

var decoder = sync.OnceValue(func() *zstd.Decoder {
	d, err := zstd.NewReader(nil,
		zstd.WithDecoderMaxMemory(ChunkMax),
		zstd.WithDecoderMaxWindow(ChunkMax),
		zstd.WithDecodeAllCapLimit(true), // never more than the chunk's size
		zstd.WithDecoderLowmem(true),
		zstd.WithDecoderConcurrency(runtime.GOMAXPROCS(0)))
	if err != nil {
		panic(err) // constant options
	}
	return d
})

// EncodeFrame appends the frame of plain to dst: compressed with zstd at its best level, or plain
// where zstd saves nothing. Versions of this program may make different frames. It is safe for
// concurrent use.
func EncodeFrame(dst, plain []byte) []byte {
	start := len(dst)
	dst = append(dst, frameZstd)
	dst = encoder().EncodeAll(plain, dst)
	if int64(len(dst)-start) >= frameMax(int64(len(plain))) {
		dst = append(dst[:start], framePlain)
		dst = append(dst, plain...)
	}
	return dst
}

// DecodeFrame appends the plain bytes of a frame to dst, after it has checked them against c.Size
// and c.ID. It never makes more than c.Size bytes. Every error wraps [ErrCorrupt]. It is safe for
// concurrent use.
func DecodeFrame(dst, frame []byte, c Chunk) ([]byte, error) {
	if err := checkFrame(c, int64(len(frame))); err != nil {
		return nil, err
	}
	start := len(dst)
	dst = slices.Grow(dst, int(c.Size))
	switch payload := frame[1:]; frame[0] {
	case framePlain:
		dst = append(dst, payload...)
	case frameZstd:
		plain, err := decoder().DecodeAll(payload, dst[start:start:start+int(c.Size)])
		if err != nil {
			return nil, fmt.Errorf("chunk %s: %w", c.ID, DecompressError(err))
		}
		dst = append(dst, plain...) // the bytes are in place already: no copy
	default:
		return nil, fmt.Errorf("chunk %s: %w: frame of unknown kind %d", c.ID, ErrCorrupt, frame[0])
	}
	if got := int64(len(dst) - start); got != c.Size {
		return nil, fmt.Errorf("chunk %s: %w: %d bytes, expected %d", c.ID, ErrCorrupt, got, c.Size)
	}
	if got := Sum(dst[start:]); got != c.ID {
		return nil, fmt.Errorf("chunk %s: %w: its bytes are those of %s", c.ID, ErrCorrupt, got)
	}
	return dst, nil
}

// DecompressError adds [ErrCorrupt] to an error of a bounded zstd decoder, and [ErrBomb] too when
// the decoder stopped at its bound.
func DecompressError(err error) error {
	for _, bomb := range []error{zstd.ErrDecoderSizeExceeded, zstd.ErrWindowSizeExceeded} {
		if errors.Is(err, bomb) {
			return fmt.Errorf("%w: %w: %w", ErrCorrupt, ErrBomb, err)
		}
	}
	return fmt.Errorf("%w: %w", ErrCorrupt, err)
}

// checkFrame checks that c can have a frame of length stored bytes. It bounds what one chunk makes
// a reader read and allocate.
func checkFrame(c Chunk, length int64) error {
	switch {
	case c.IsHole():
		return fmt.Errorf("chunk: %w: a hole has no frame", ErrCorrupt)
	case c.Size < 1 || c.Size > ChunkMax:
		return fmt.Errorf("chunk %s: %w: of %d bytes, at most %d are possible", c.ID, ErrCorrupt,
			c.Size, int64(ChunkMax))
	case length < frameMin || length > frameMax(c.Size):
		return fmt.Errorf("chunk %s: %w: frame of %d bytes for %d plain ones", c.ID, ErrCorrupt,
			length, c.Size)
	}
	return nil
}

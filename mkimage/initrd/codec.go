package initrd

import (
	"io"

	"github.com/klauspost/compress/zstd"

	"deltaup/mkimage/internal/codec"
)

// codecs are the codecs of compressed segments. Their ids differ from those of images, since they
// make streams, not blocks.
var codecs = codec.Zstd("zstd-stream", 1)

// zstdWindow is the window of every codec, in bytes. The kernel takes windows of up to 128 MiB, and
// as much memory to unpack. Twice this window saves half a percent and costs Build 8 MiB.
const zstdWindow = 4 << 20

// KnownCodec reports whether Build has the codec with this id.
func KnownCodec(id string) bool { return codecs.Has(id) }

// codecFor gives the id of the codec of a level, one of mkimage.Levels; "" is the best.
func codecFor(level string) (id string, err error) { return codecs.ForLevel(level) }

// newEncoder makes an encoder that compresses to w in one frame, in the caller's goroutine. It
// takes at most 44 MiB of memory.
//
// It must be one frame, since the kernel takes the end of a frame for the end of its archives. The
// frame has a checksum because nothing else verifies an initrd at boot.
func newEncoder(w io.Writer, c *codec.Codec) (*zstd.Encoder, error) {
	return zstd.NewWriter(w,
		zstd.WithEncoderLevel(c.Speed),
		zstd.WithWindowSize(zstdWindow),
		zstd.WithEncoderConcurrency(1),
		zstd.WithLowerEncoderMem(false),
		zstd.WithEncoderCRC(true),
	)
}

package initrd

import (
	"io"

	"github.com/klauspost/compress/zstd"

	"deltaup/mkimage/internal/codec"
)

// codecs are those of compressed segments. Their ids are others than an image's, for these are
// streams and not blocks.
var codecs = codec.Zstd("zstd-stream", 1)

// zstdWindow is part of every codec. The kernel takes up to 128 MiB, and as much memory as
// the window to unpack; twice as much here saves half a percent and costs 8 MiB.
const zstdWindow = 4 << 20

// KnownCodec reports whether Build can compress with the codec id.
func KnownCodec(id string) bool { return codecs.Has(id) }

// CodecFor gives the codec id of a level by name, one of mkimage.Levels; "" is the best.
func CodecFor(level string) (id string, err error) { return codecs.ForLevel(level) }

// newEncoder makes an encoder that compresses to w in one frame, in the caller's goroutine. It
// takes at most 44 MiB.
//
// It must be one frame: the kernel takes the end of a frame for the end of its
// archives. The checksum is for the kernel: nothing else verifies an initrd at boot.
func newEncoder(w io.Writer, c *codec.Codec) (*zstd.Encoder, error) {
	return zstd.NewWriter(w,
		zstd.WithEncoderLevel(c.Speed),
		zstd.WithWindowSize(zstdWindow),
		zstd.WithEncoderConcurrency(1),
		zstd.WithLowerEncoderMem(false),
		zstd.WithEncoderCRC(true),
	)
}

package mkimage

import (
	"github.com/klauspost/compress/zstd"

	"deltaup/mkimage/internal/codec"
	"deltaup/mkimage/squashfs"
)

// ErrUnknownCodec is wrapped when a recipe names a codec that this program does not have.
var ErrUnknownCodec = codec.ErrUnknown

// codecs are the codecs of blocks.
var codecs = codec.Zstd("zstd", 1)

// KnownCodec reports whether Build has the codec with this id.
func KnownCodec(id string) bool { return codecs.Has(id) }

// CodecFor gives the id of the codec of a level, see [Levels]; "" is the best.
func CodecFor(level string) (id string, err error) { return codecs.ForLevel(level) }

// Levels names the compression levels, fastest first.
func Levels() []string { return codecs.Levels() }

// metadataCompressor compresses an image's metadata blocks.
type metadataCompressor struct{ encoder *zstd.Encoder }

// ID implements squashfs.Compressor.
func (m metadataCompressor) ID() uint16 { return squashfs.CompressorZstd }

// Options implements squashfs.Compressor. An image without options is complete: they only name a
// level for tools that append to an image, and the kernel ignores those of zstd.
func (m metadataCompressor) Options() []byte { return nil }

// Compress implements squashfs.Compressor.
func (m metadataCompressor) Compress(dst, plain []byte) []byte {
	return m.encoder.EncodeAll(plain, dst)
}

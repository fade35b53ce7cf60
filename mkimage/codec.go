package mkimage

import (
	"github.com/klauspost/compress/zstd"

	"deltaup/mkimage/internal/codec"
	"deltaup/mkimage/squashfs"
)

// ErrUnknownCodec is wrapped when a recipe names a codec that this program does not have.
var ErrUnknownCodec = codec.ErrUnknown

// codecs are those of blocks.
var codecs = codec.Zstd("zstd", 1)

// KnownCodec reports whether Build can compress with the codec id.
func KnownCodec(id string) bool { return codecs.Has(id) }

// CodecFor gives the codec id of a level by name, see [Levels]; "" is the best.
func CodecFor(level string) (id string, err error) { return codecs.ForLevel(level) }

// Levels names the compression levels, fastest first.
func Levels() []string { return codecs.Levels() }

// metadataCompressor compresses an image's metadata blocks.
type metadataCompressor struct{ encoder *zstd.Encoder }

// ID implements squashfs.Compressor.
func (m metadataCompressor) ID() uint16 { return squashfs.CompressorZstd }

// Options implements squashfs.Compressor. They would name a level for tools that append to
// an image; the kernel does not look at zstd's.
func (m metadataCompressor) Options() []byte { return nil }

// Compress implements squashfs.Compressor.
func (m metadataCompressor) Compress(dst, plain []byte) []byte {
	return m.encoder.EncodeAll(plain, dst)
}

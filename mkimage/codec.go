package mkimage

import (
	"runtime"
	"slices"
	"time"

	"github.com/klauspost/compress/zstd"

	"deltaup/mkimage/internal/codec"
	"deltaup/mkimage/squashfs"
)

// ErrUnknownCodec is wrapped when a recipe names a codec that this program does not have.
var ErrUnknownCodec = codec.ErrUnknown

// codecs are those of blocks.
var codecs = codec.Zstd("zstd", 1)

// encoderCost is the bytes of memory that one encoder takes, measured.
var encoderCost = map[zstd.EncoderLevel]int64{
	zstd.SpeedFastest:           4 << 20,
	zstd.SpeedDefault:           5 << 20,
	zstd.SpeedBetterCompression: 8 << 20,
	zstd.SpeedBestCompression:   38 << 20,
}

// zstdWindow is the encoders' window: no block is larger, and the encoders' buffers grow with it.
const zstdWindow = 1 << 20

// KnownCodec reports whether Build can compress with the codec id.
func KnownCodec(id string) bool { return codecs.Has(id) }

// CodecFor gives the codec id of a level by name, see [Levels]; "" is the best.
func CodecFor(level string) (id string, err error) { return codecs.ForLevel(level) }

// Levels names the compression levels, fastest first.
func Levels() []string { return codecs.Levels() }

// newEncoder makes an encoder for one goroutine.
//
// The kernel refuses a frame whose window is larger than the squashfs block, so frames are
// single segments, whose window is their content; and it gives EIO for frames with a checksum.
func newEncoder(c *codec.Codec) (*zstd.Encoder, error) {
	return zstd.NewWriter(nil,
		zstd.WithEncoderLevel(c.Speed),
		zstd.WithWindowSize(zstdWindow),
		zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(false),
		zstd.WithSingleSegment(true),
	)
}

// workersFor tells how many encoders to run at once within memory bytes, with the
// buffers that each needs.
func workersFor(c *codec.Codec, blockSize int, memory int64) int {
	each := encoderCost[c.Speed] + 2*blocksPerWorker*int64(blockSize)
	return int(max(1, min(int64(runtime.GOMAXPROCS(0)), memory/each)))
}

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

// CompressRate measures how many plain bytes a second Build compresses with a codec, with as many
// encoders as it runs by default, on a sample of what is to be compressed.
func CompressRate(id string, blockSize int, sample []byte) (float64, error) {
	c, err := codecs.Find(id)
	if err != nil {
		return 0, err
	}
	e, err := newEncoder(c)
	if err != nil {
		return 0, err
	}
	defer e.Close()
	buf := make([]byte, 0, blockSize+blockSize/2)
	e.EncodeAll(sample[:min(blockSize, len(sample))], buf) // the encoder takes its memory
	start := time.Now()
	for b := range slices.Chunk(sample, blockSize) {
		e.EncodeAll(b, buf)
	}
	workers := workersFor(c, blockSize, defaultMemory)
	return float64(workers) * float64(len(sample)) / max(time.Since(start), time.Microsecond).Seconds(), nil
}

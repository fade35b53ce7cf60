package mkimage

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"deltaup/chunkstore"
	"deltaup/mkimage/squashfs"
)

// ErrUnknownCodec is wrapped when a recipe names a codec that this program does not have.
var ErrUnknownCodec = fmt.Errorf("unknown codec: %w", chunkstore.ErrVersion)

// errUnknownLevel is wrapped by CodecFor.
var errUnknownLevel = errors.New("unknown compression level")

// codec is an encoder whose output is fixed for ever: a recipe that names its id must
// give the same image on every machine and with every later version of this program. When
// the encoder's module changes what it writes, which TestCodecGolden tells, the ids get a new generation.
type codec struct {
	level string // as on the command line
	id    string // level and generation
	speed zstd.EncoderLevel
	cost  int64 // bytes of memory that one encoder takes, measured
}

// codecs are the known ones, fastest first. Generation 1 is klauspost/compress v1.20.
var codecs = []codec{
	{"fastest", "zstd-fastest.1", zstd.SpeedFastest, 4 << 20},
	{"default", "zstd-default.1", zstd.SpeedDefault, 5 << 20},
	{"better", "zstd-better.1", zstd.SpeedBetterCompression, 8 << 20},
	{"best", "zstd-best.1", zstd.SpeedBestCompression, 38 << 20},
}

// zstdWindow is the encoders' window: no block is larger, and the encoders' buffers grow with it.
const zstdWindow = 1 << 20

// defaultLevel is what an empty level means.
const defaultLevel = "best"

// KnownCodec reports whether Build can compress with the codec id.
func KnownCodec(id string) bool {
	_, err := findCodec(id)
	return err == nil
}

func findCodec(id string) (*codec, error) {
	for i := range codecs {
		if codecs[i].id == id {
			return &codecs[i], nil
		}
	}
	return nil, fmt.Errorf("codec %.70q, this program has %s to %s: %w",
		id, codecs[0].id, codecs[len(codecs)-1].id, ErrUnknownCodec)
}

// CodecFor gives the codec id of a level by name, see [Levels].
func CodecFor(level string) (id string, err error) {
	for _, c := range codecs {
		if c.level == level {
			return c.id, nil
		}
	}
	return "", fmt.Errorf("%w %q, there are %s", errUnknownLevel, level, strings.Join(Levels(), ", "))
}

// Levels names the compression levels, fastest first.
func Levels() []string {
	names := make([]string, len(codecs))
	for i, c := range codecs {
		names[i] = c.level
	}
	return names
}

// encoder makes an encoder for one goroutine.
//
// The kernel refuses a frame whose window is larger than the squashfs block, so frames are
// single segments, whose window is their content; and it gives EIO for frames with a checksum.
func (c *codec) encoder() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil,
		zstd.WithEncoderLevel(c.speed),
		zstd.WithWindowSize(zstdWindow),
		zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(false),
		zstd.WithSingleSegment(true),
	)
}

// workers tells how many encoders to run at once within memory bytes, with the
// buffers that each needs.
func (c *codec) workers(blockSize int, memory int64) int {
	each := c.cost + 2*blocksPerWorker*int64(blockSize)
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
	c, err := findCodec(id)
	if err != nil {
		return 0, err
	}
	e, err := c.encoder()
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
	workers := c.workers(blockSize, defaultMemory)
	return float64(workers) * float64(len(sample)) / max(time.Since(start), time.Microsecond).Seconds(), nil
}

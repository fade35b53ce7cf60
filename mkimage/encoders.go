package mkimage

import (
	"errors"
	"runtime"
	"slices"
	"time"

	"github.com/klauspost/compress/zstd"

	"deltaup/mkimage/internal/codec"
)

// Encoders are encoders of one codec, made when they are first needed and kept. They are most of
// the memory that a build takes, so who builds again after a failure, or measures before it builds,
// passes the same ones on. They are for one build, or one measurement, at a time.
type Encoders struct {
	codec *codec.Codec
	list  []*zstd.Encoder
}

// NewEncoders gives the encoders of a codec id. The error wraps ErrUnknownCodec.
func NewEncoders(id string) (*Encoders, error) {
	c, err := codecs.Find(id)
	if err != nil {
		return nil, err
	}
	return &Encoders{codec: c}, nil
}

// Codec is the id of their codec.
func (e *Encoders) Codec() string { return e.codec.ID }

// take gives n encoders, one for each goroutine.
func (e *Encoders) take(n int) ([]*zstd.Encoder, error) {
	for len(e.list) < n {
		encoder, err := newEncoder(e.codec)
		if err != nil {
			return nil, err
		}
		e.list = append(e.list, encoder)
	}
	return e.list[:n], nil
}

// Rate measures how many plain bytes a second one encoder compresses, on a sample of what it will
// be given: of its blocks one that less than a quarter of them are quicker than, for on a busy
// machine half may be interrupted by whatever else runs.
func (e *Encoders) Rate(blockSize int, sample []byte) (float64, error) {
	if len(sample) == 0 {
		return 0, errors.New("compression rate: no sample")
	}
	list, err := e.take(1)
	if err != nil {
		return 0, err
	}
	buf := make([]byte, 0, blockSize+blockSize/2)
	list[0].EncodeAll(sample[:min(blockSize, len(sample))], buf) // the encoder takes its memory
	var rates []float64
	for b := range slices.Chunk(sample, blockSize) {
		start := time.Now()
		list[0].EncodeAll(b, buf)
		rates = append(rates, float64(len(b))/max(time.Since(start), time.Microsecond).Seconds())
	}
	slices.Sort(rates)
	return rates[len(rates)-1-(len(rates)-1)/4], nil
}

// encoderCost is the bytes of memory that one encoder takes, measured.
var encoderCost = map[zstd.EncoderLevel]int64{
	zstd.SpeedFastest:           4 << 20,
	zstd.SpeedDefault:           5 << 20,
	zstd.SpeedBetterCompression: 8 << 20,
	zstd.SpeedBestCompression:   38 << 20,
}

// Workers tells how many encoders a build runs at once within memory bytes, the blocks that they
// work on included: at least one, and no more than there are processors.
func (e *Encoders) Workers(blockSize int, memory int64) int {
	each := encoderCost[e.codec.Speed] + 2*blocksPerWorker*int64(blockSize)
	return int(max(1, min(int64(runtime.GOMAXPROCS(0)), memory/each)))
}

// zstdWindow is the encoders' window: no block is larger, and the encoders' buffers grow with it.
const zstdWindow = 1 << 20

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

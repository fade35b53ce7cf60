package mkimage

import (
	"errors"
	"runtime"
	"slices"
	"time"

	"github.com/klauspost/compress/zstd"

	"deltaup/mkimage/internal/codec"
)

// Encoders are encoders of one codec. Each is made when it is first needed, and kept. They take
// most of the memory of a build, so a caller that builds again after a failure, or measures before
// it builds, should pass the same Encoders. One build or measurement uses them at a time.
type Encoders struct {
	codec     *codec.Codec
	blockSize int // of list
	list      []*zstd.Encoder
}

// NewEncoders returns Encoders of the codec with an id. Its error wraps ErrUnknownCodec.
func NewEncoders(id string) (*Encoders, error) {
	c, err := codecs.Find(id)
	if err != nil {
		return nil, err
	}
	return &Encoders{codec: c}, nil
}

// take gives n encoders of blocks of a size, one for each goroutine.
func (e *Encoders) take(n, blockSize int) ([]*zstd.Encoder, error) {
	if e.blockSize != blockSize {
		e.blockSize, e.list = blockSize, nil
	}
	for len(e.list) < n {
		encoder, err := newEncoder(e.codec, blockSize)
		if err != nil {
			return nil, err
		}
		e.list = append(e.list, encoder)
	}
	return e.list[:n], nil
}

// Rate measures how many plain bytes one encoder compresses in a second, on a sample of what it
// will compress. It measures each block of the sample and gives the rate at the upper quartile,
// since on a busy machine other programs may interrupt half of the blocks.
func (e *Encoders) Rate(blockSize int, sample []byte) (float64, error) {
	rate, _, err := e.Measure(blockSize, sample)
	return rate, err
}

// Measure is Rate, and tells how many bytes an image has of the sample.
func (e *Encoders) Measure(blockSize int, sample []byte) (rate float64, stored int64, err error) {
	if len(sample) == 0 {
		return 0, 0, errors.New("compression rate: no sample")
	}
	list, err := e.take(1, blockSize)
	if err != nil {
		return 0, 0, err
	}
	buf := make([]byte, 0, blockSize+blockSize/2)
	// the first call makes the encoder allocate
	list[0].EncodeAll(sample[:min(blockSize, len(sample))], buf)
	var rates []int64 // whose sort the program has anyway
	for b := range slices.Chunk(sample, blockSize) {
		start := time.Now()
		out := list[0].EncodeAll(b, buf)
		took := max(time.Since(start), time.Microsecond)
		rates = append(rates, int64(float64(len(b))/took.Seconds()))
		stored += int64(min(len(out), len(b)))
	}
	slices.Sort(rates)
	return float64(rates[len(rates)-1-(len(rates)-1)/4]), stored, nil
}

// encoderCost is how many bytes of memory one encoder takes, as measured.
var encoderCost = map[zstd.EncoderLevel]int64{
	zstd.SpeedFastest:           3 << 20,
	zstd.SpeedDefault:           4 << 20,
	zstd.SpeedBetterCompression: 7 << 20,
	zstd.SpeedBestCompression:   37 << 20,
}

// EncoderMemory is how many bytes an encoder of a codec takes in a build, with its blocks; 0 when the
// codec is not known.
func EncoderMemory(id string, blockSize int) int64 {
	c, err := codecs.Find(id)
	if err != nil {
		return 0
	}
	return encoderCost[c.Speed] + 2*blocksPerWorker*int64(blockSize)
}

// Workers tells how many encoders a build runs at once when they and their blocks may take memory
// bytes: at least one, and at most the number of processors.
func (e *Encoders) Workers(blockSize int, memory int64) int {
	return e.WorkersOf(runtime.GOMAXPROCS(0), blockSize, memory)
}

// WorkersOf is Workers on a machine of so many processors.
func (e *Encoders) WorkersOf(processors, blockSize int, memory int64) int {
	each := EncoderMemory(e.codec.ID, blockSize)
	return int(max(1, min(int64(processors), memory/each)))
}

// newEncoder makes an encoder of blocks of a size, for one goroutine. Its window is the block's: an
// encoder keeps up to twice as many bytes.
//
// The kernel refuses a frame whose window is larger than the squashfs block. So frames are single
// segments, whose window is the size of their content. It also refuses frames with a checksum
// (EIO).
func newEncoder(c *codec.Codec, blockSize int) (*zstd.Encoder, error) {
	return zstd.NewWriter(nil,
		zstd.WithEncoderLevel(c.Speed),
		zstd.WithWindowSize(blockSize),
		zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(false),
		zstd.WithSingleSegment(true),
	)
}

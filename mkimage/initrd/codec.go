package initrd

import (
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"

	"deltaup/mkimage"
)

// codec is an encoder whose output is fixed for ever, like mkimage's: a recipe that names its
// id must give the same initrd on every machine and with every later version of this program.
// The ids are others than an image's, for these are streams and not blocks.
type codec struct {
	level string // as on the command line
	id    string // level and generation
	speed zstd.EncoderLevel
}

// codecs are the known ones, fastest first. Generation 1 is klauspost/compress v1.20. When
// TestCodecGolden says that the module writes other bytes, the ids get a new generation.
var codecs = []codec{
	{"fastest", "zstd-stream-fastest.1", zstd.SpeedFastest},
	{"default", "zstd-stream-default.1", zstd.SpeedDefault},
	{"better", "zstd-stream-better.1", zstd.SpeedBetterCompression},
	{"best", "zstd-stream-best.1", zstd.SpeedBestCompression},
}

// zstdWindow is part of every codec. The kernel takes up to 128 MiB, and as much memory as
// the window to unpack; twice as much here saves half a percent and costs 8 MiB.
const zstdWindow = 4 << 20

// CodecFor gives the codec id of a level by name; the names are those of mkimage.Levels.
func CodecFor(level string) (id string, err error) {
	for _, c := range codecs {
		if c.level == level {
			return c.id, nil
		}
	}
	return "", fmt.Errorf("unknown compression level %q, there are %s", level, strings.Join(mkimage.Levels(), ", "))
}

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
		id, codecs[0].id, codecs[len(codecs)-1].id, mkimage.ErrUnknownCodec)
}

// encoder compresses to w in one frame, in the caller's goroutine. It takes at most 44 MiB.
//
// It must be one frame: the kernel takes the end of a frame for the end of its
// archives. The checksum is for the kernel: nothing else verifies an initrd at boot.
func (c *codec) encoder(w io.Writer) (*zstd.Encoder, error) {
	return zstd.NewWriter(w,
		zstd.WithEncoderLevel(c.speed),
		zstd.WithWindowSize(zstdWindow),
		zstd.WithEncoderConcurrency(1),
		zstd.WithLowerEncoderMem(false),
		zstd.WithEncoderCRC(true),
	)
}

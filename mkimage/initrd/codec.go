package initrd

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"deltaup/mkimage"
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

// FindCodec has r name the codec with which Build makes the initrd that was taken apart byte for
// byte, which was reads. Errors wrap ErrUnsupported when none of those here does, or are those of
// src and ctx.
func (r *Recipe) FindCodec(ctx context.Context, src mkimage.Source, was *io.SectionReader) error {
	for i := range codecs {
		r.Codec = codecs[len(codecs)-1-i].ID // mostly the best
		w := &comparer{was: was}
		stats, err := Build(ctx, r, src, w)
		switch {
		case w.differs:
		case err != nil:
			return err
		case stats.Size == was.Size():
			return nil
		}
	}
	return unsupported("no encoder known here makes it again as it is")
}

// comparer accepts the bytes that are in was and fails at the first that differ.
type comparer struct {
	was     *io.SectionReader
	at      int64
	differs bool
}

func (c *comparer) Write(p []byte) (int, error) {
	was := make([]byte, len(p))
	if n, _ := c.was.ReadAt(was, c.at); n < len(p) || !bytes.Equal(was, p) {
		c.differs = true
		return 0, fmt.Errorf("bytes differ from %d on", c.at)
	}
	c.at += int64(len(p))
	return len(p), nil
}

// NewFrame compresses the archives that are written to it to w, in one frame, with the codec of a
// level, as Build does: what it has written Build makes again. The archives are whole when it is
// closed, which leaves w open.
func NewFrame(w io.Writer, level string) (io.WriteCloser, error) {
	id, err := codecFor(level)
	if err != nil {
		return nil, err
	}
	c, err := codecs.Find(id)
	if err != nil {
		return nil, err
	}
	z, err := newEncoder(w, c)
	return frame{z}, err
}

// frame has none of the encoder's other methods.
type frame struct{ z *zstd.Encoder }

func (f frame) Write(p []byte) (int, error) { return f.z.Write(p) }
func (f frame) Close() error                { return f.z.Close() }

package squashfs

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/mikelolasagasti/xz"
	"github.com/pierrec/lz4/v4"
)

// decompressor decompresses the stored bytes of blocks. It is safe for concurrent use.
type decompressor interface {
	// decompress fills dst from its beginning and returns the number of bytes. More than len(dst)
	// plain bytes are an error.
	decompress(dst, stored []byte) (int, error)
}

// errTooLong is the error for a block that decompresses to more bytes than it may.
var errTooLong = errors.New("decompresses to more than its size")

// newDecompressor gives the name and the decompressor of a superblock's compressor number.
func newDecompressor(id uint16) (string, decompressor, error) {
	switch id {
	case compressorGzip:
		return "gzip", new(gzipDecompressor), nil
	case compressorXZ:
		return "xz", new(xzDecompressor), nil
	case compressorLZ4:
		return "lz4", lz4Decompressor{}, nil
	case CompressorZstd:
		d, err := newZstdDecompressor()
		return "zstd", d, err
	case compressorLZMA:
		return "", nil, fmt.Errorf("%w: compressed with lzma", ErrUnsupported)
	case compressorLZO:
		return "", nil, fmt.Errorf("%w: compressed with lzo", ErrUnsupported)
	}
	return "", nil, fmt.Errorf("%w: compressor number %d", ErrUnsupported, id)
}

// gzipDecompressor reads what squashfs calls gzip: zlib streams. It keeps readers for reuse.
type gzipDecompressor struct{ readers sync.Pool }

func (d *gzipDecompressor) decompress(dst, stored []byte) (int, error) {
	in := bytes.NewReader(stored)
	r, ok := d.readers.Get().(io.ReadCloser)
	var err error
	if ok {
		err = r.(zlib.Resetter).Reset(in, nil)
	} else {
		r, err = zlib.NewReader(in)
	}
	if err != nil {
		return 0, err
	}
	defer d.readers.Put(r)
	return readInto(dst, r)
}

// xzDecompressor reads xz streams, also with a branch filter (mksquashfs -Xbcj).
type xzDecompressor struct{ readers sync.Pool }

func (d *xzDecompressor) decompress(dst, stored []byte) (int, error) {
	in := bytes.NewReader(stored)
	r, ok := d.readers.Get().(*xz.Reader)
	var err error
	if ok {
		err = r.Reset(in)
	} else {
		// Linux accepts no dictionary larger than a block.
		r, err = xz.NewReader(in, BlockSizeMax)
	}
	if err != nil {
		return 0, err
	}
	defer d.readers.Put(r)
	return readInto(dst, r)
}

// readInto reads r to its end, so that r checks its checksum.
func readInto(dst []byte, r io.Reader) (int, error) {
	var beyond [1]byte
	n := 0
	for idle := 0; idle < 100; idle++ {
		p := dst[n:]
		if len(p) == 0 {
			p = beyond[:]
		}
		k, err := r.Read(p)
		if k > 0 {
			if n == len(dst) {
				return n, errTooLong
			}
			n += k
			idle = 0
		}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
	return n, io.ErrNoProgress
}

// lz4Decompressor reads bare lz4 blocks.
type lz4Decompressor struct{}

func (lz4Decompressor) decompress(dst, stored []byte) (int, error) {
	return lz4.UncompressBlock(stored, dst)
}

// zstdDecompressor reads zstd frames. Its decoder only decodes whole blocks and so starts no
// goroutines.
type zstdDecompressor struct{ dec *zstd.Decoder }

func newZstdDecompressor() (*zstdDecompressor, error) {
	dec, err := zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(0), // one block at a time for each processor
		zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(BlockSizeMax),
		zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	return &zstdDecompressor{dec}, nil
}

func (d *zstdDecompressor) decompress(dst, stored []byte) (int, error) {
	out, err := d.dec.DecodeAll(stored, dst[:0:len(dst)])
	if err != nil {
		return 0, err
	}
	if len(out) > len(dst) {
		return 0, errTooLong
	}
	if len(out) > 0 && &out[0] != &dst[0] {
		copy(dst, out)
	}
	return len(out), nil
}

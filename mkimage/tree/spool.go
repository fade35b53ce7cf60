package tree

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/mikelolasagasti/xz"
)

// windowMax is how far back compressed data may refer, and so what decompression keeps in
// memory: what zstd itself accepts unasked, and twice what "xz -9" needs.
const windowMax = 128 << 20

// spool copies a stream, decompressed, to a file without a name and gives it open for reading.
func spool(ctx context.Context, r io.Reader, tempDir string) (*os.File, error) {
	plain, closer, err := decompress(contextReader{ctx, r})
	if err != nil {
		return nil, err
	}
	defer closer()
	f, err := os.CreateTemp(tempDir, "deltaup-tar-*")
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if _, err := io.Copy(f, plain); err != nil {
		return nil, errors.Join(fmt.Errorf("unpack: %w", err), f.Close())
	}
	kind, err := sniff(io.NewSectionReader(f, 0, sniffLen))
	if err == nil && kind != kindTar {
		err = fmt.Errorf("unpacked: %w", ErrKind)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// decompress gives the plain bytes of a stream of any kind but an image.
func decompress(r io.Reader) (io.Reader, func(), error) {
	br := bufio.NewReaderSize(r, 128<<10)
	head, err := br.Peek(sniffLen)
	if err != nil && err != io.EOF {
		return nil, nil, err
	}
	kind, err := sniff(bytes.NewReader(head))
	if err != nil {
		return nil, nil, err
	}
	var plain io.Reader
	closer := func() {}
	switch kind {
	case kindTar:
		return br, closer, nil
	case kindImage:
		return nil, nil, fmt.Errorf("%w: a squashfs image cannot be read from a stream, only from a file", ErrMalformed)
	case kindGzip:
		plain, err = gzip.NewReader(br)
	case kindZstd:
		var d *zstd.Decoder
		d, err = zstd.NewReader(br, zstd.WithDecoderMaxWindow(windowMax))
		plain, closer = d, d.Close
	case kindXZ:
		plain, err = xz.NewReader(br, windowMax)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return damageReader{plain}, closer, nil
}

// damageReader marks the errors of a decompressor as those of its input.
type damageReader struct{ r io.Reader }

func (d damageReader) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("%w: compressed data: %w", ErrMalformed, err)
	}
	return n, err
}

// contextReader ends reading when the context ends.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

package rootfs

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

// windowMax is how many bytes back compressed data may refer, which decompression keeps in memory.
// zstd accepts as much by default; "xz -9" needs half of it.
const windowMax = 128 << 20

// How many bytes a stream may unpack to. All of them are read; zeros are not stored.
const (
	spoolMax = 2 * sizeMax
	tailMax  = 1 << 30 // bytes behind the end of the archive
)

// spool keeps what a stream has unpacked to so far in a file without a name. It reads on only as
// far as a caller asks, so that an archive that is refused for its headers takes neither the time
// nor the room of its contents.
type spool struct {
	plain  io.Reader // nil at its end
	closer func()    // closes plain
	file   *os.File
	size   int64 // bytes that plain has given so far
	buf    []byte
}

func newSpool(ctx context.Context, r io.Reader, tempDir string) (*spool, error) {
	plain, closer, err := Decompress(contextReader{ctx, r})
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(tempDir, "deltaup-tar-*")
	if err != nil {
		closer()
		return nil, fmt.Errorf("unpack: %w", err)
	}
	s := &spool{plain: plain, closer: closer, file: f, buf: make([]byte, 128<<10)}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	kind, err := sniff(io.NewSectionReader(s, 0, sniffLen))
	if err == nil && !kind.archive() {
		err = fmt.Errorf("unpacked: %w", ErrKind)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// ReadAt implements io.ReaderAt. Before drain only one goroutine may call it.
func (s *spool) ReadAt(p []byte, off int64) (int, error) {
	for s.plain != nil && s.size < off+int64(len(p)) {
		if err := s.more(true); err != nil {
			return 0, err
		}
	}
	return s.file.ReadAt(p, off)
}

// more unpacks one buffer, and stores it if store is set.
func (s *spool) more(store bool) error {
	n, err := io.ReadFull(s.plain, s.buf)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return fmt.Errorf("unpack: %w", err)
	}
	if err != nil {
		s.end()
	}
	if s.size+int64(n) > spoolMax {
		return fmt.Errorf("unpack: %w: more than %d GiB", ErrTooLarge, spoolMax>>30)
	}
	if !store || n == 0 {
		return nil
	}
	if isZero(s.buf[:n]) {
		err = s.file.Truncate(s.size + int64(n)) // zeros become a hole
	} else {
		_, err = s.file.WriteAt(s.buf[:n], s.size)
	}
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	s.size += int64(n)
	return nil
}

// drain unpacks the rest without storing it, because checksums lie at the end.
func (s *spool) drain() error {
	for left := int64(tailMax); s.plain != nil; left -= int64(len(s.buf)) {
		if left <= 0 {
			return fmt.Errorf("unpack: %w: more than %d MiB behind the end of the archive",
				ErrTooLarge, tailMax>>20)
		}
		if err := s.more(false); err != nil {
			return err
		}
	}
	return nil
}

func (s *spool) end() {
	if s.plain != nil {
		s.plain = nil
		s.closer()
	}
}

// Close frees the room.
func (s *spool) Close() error {
	s.end()
	return s.file.Close()
}

// Decompress gives the plain bytes of an archive, plain or compressed with gzip, zstd or xz, and a
// function that frees the decompressor. Errors wrap ErrKind or ErrMalformed, or are r's.
func Decompress(r io.Reader) (io.Reader, func(), error) {
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
	case kindTar, kindZeros:
		return br, closer, nil
	case kindImage:
		return nil, nil, fmt.Errorf(
			"%w: a squashfs image cannot be read from a stream, only from a file", ErrMalformed)
	case kindGzip:
		plain, err = newGunzip(br)
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

// gunzip reads gzip members one after another. Like gzip it ignores zeros behind them, with which
// tapes are padded.
type gunzip struct {
	*gzip.Reader
	r *bufio.Reader
}

func newGunzip(r *bufio.Reader) (*gunzip, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	z.Multistream(false)
	return &gunzip{z, r}, nil
}

func (g *gunzip) Read(p []byte) (int, error) {
	n, err := g.Reader.Read(p)
	if err != io.EOF || n > 0 && len(p) > 0 {
		return n, ignoreEOF(err)
	}
	for padding := 0; ; padding++ {
		next, err := g.r.ReadByte()
		if err != nil {
			return 0, err
		}
		if next == 0 {
			continue
		}
		if err := g.r.UnreadByte(); err != nil || padding > 0 {
			return 0, errors.Join(gzip.ErrHeader, err)
		}
		if err := g.Reset(g.r); err != nil {
			return 0, err
		}
		g.Multistream(false)
		return 0, nil
	}
}

// ignoreEOF drops io.EOF, which the next read finds again.
func ignoreEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

// damageReader marks errors of a decompressor as damage of its input.
type damageReader struct{ r io.Reader }

func (d damageReader) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("%w: compressed data: %w", ErrMalformed, err)
	}
	return n, err
}

// contextReader fails when its context ends.
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

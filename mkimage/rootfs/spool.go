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

// windowMax is how far back compressed data may refer, and so what decompression keeps in
// memory: what zstd itself accepts unasked, and twice what "xz -9" needs.
const windowMax = 128 << 20

// What a stream may unpack to, in bytes. All of it is read, zeros are not stored.
const (
	spoolMax = 2 * sizeMax
	tailMax  = 1 << 30 // behind the end of the archive
)

// spool is what a stream has unpacked to so far, in a file without a name. It reads on
// only as far as it is asked to, so that an archive that is refused by its headers takes neither
// the time nor the room of its contents.
type spool struct {
	plain  io.Reader // nil when it is at its end
	closer func()    // of plain
	file   *os.File
	size   int64 // bytes that plain has given
	buf    []byte
}

func newSpool(ctx context.Context, r io.Reader, tempDir string) (*spool, error) {
	plain, closer, err := decompress(contextReader{ctx, r})
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

// ReadAt implements io.ReaderAt. It is for one goroutine until drain was called.
func (s *spool) ReadAt(p []byte, off int64) (int, error) {
	for s.plain != nil && s.size < off+int64(len(p)) {
		if err := s.more(true); err != nil {
			return 0, err
		}
	}
	return s.file.ReadAt(p, off)
}

// more reads a buffer full.
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
		err = s.file.Truncate(s.size + int64(n)) // a hole
	} else {
		_, err = s.file.WriteAt(s.buf[:n], s.size)
	}
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	s.size += int64(n)
	return nil
}

// drain reads what is left and stores none of it: checksums lie at the end.
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

// Close gives the room back.
func (s *spool) Close() error {
	s.end()
	return s.file.Close()
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
	case kindTar, kindZeros:
		return br, closer, nil
	case kindImage:
		return nil, nil, fmt.Errorf(
			"%w: a squashfs image cannot be read from a stream, only from a file",
			ErrMalformed,
		)
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

// gunzip reads gzip members one after another and, like gzip itself, zeros behind them, with
// which tapes are filled up.
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

// ignoreEOF lets the next read find the end once more.
func ignoreEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
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

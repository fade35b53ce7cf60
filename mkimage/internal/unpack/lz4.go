package unpack

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"github.com/pierrec/lz4/v4"
)

// The kernel knows the "legacy" frame of lz4 (doc/lz4_Frame_format.md of lz4): blocks of 8 MiB,
// each with its length in front, without an end mark.
const (
	lz4Plain     = 8 << 20
	lz4StoredMax = lz4Plain + lz4Plain/255 + 16
)

type lz4Reader struct {
	in            *bufio.Reader
	stored, plain []byte
	rest          []byte // unread part of plain
}

const lz4Magic = "\x02\x21\x4c\x18"

// LZ4 opens the legacy frame at which in is. Zeros in the place of a block's length end it, and so
// do four bytes that are the last: kernels have the length of what is unpacked there.
func LZ4(in *bufio.Reader) (io.ReadCloser, error) {
	magic := make([]byte, len(lz4Magic))
	if _, err := io.ReadFull(in, magic); err != nil {
		return nil, notEOF(err)
	}
	if string(magic) != lz4Magic {
		return nil, errors.New("not a legacy frame of lz4")
	}
	return io.NopCloser(&lz4Reader{in: in, plain: make([]byte, lz4Plain)}), nil
}

func (l *lz4Reader) Read(p []byte) (int, error) {
	for len(l.rest) == 0 {
		if err := l.block(); err != nil {
			return 0, err
		}
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

// block reads the next block.
func (l *lz4Reader) block() error {
	head, err := l.in.Peek(5)
	if err != nil && err != io.EOF {
		return err
	}
	if len(head) == 4 || len(bytes.Trim(head[:min(4, len(head))], "\x00")) == 0 {
		return io.EOF
	}
	if len(head) < 4 {
		return io.ErrUnexpectedEOF
	}
	size := binary.LittleEndian.Uint32(head)
	if size > lz4StoredMax {
		return errors.New("an lz4 block that is too long")
	}
	if _, err := l.in.Discard(4); err != nil {
		return err
	}
	if int(size) > cap(l.stored) {
		l.stored = make([]byte, lz4StoredMax)
	}
	if _, err := io.ReadFull(l.in, l.stored[:size]); err != nil {
		return notEOF(err)
	}
	n, err := lz4.UncompressBlock(l.stored[:size], l.plain)
	if err != nil {
		return err
	}
	l.rest = l.plain[:n]
	return nil
}

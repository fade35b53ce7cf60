package unpack

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/mikelolasagasti/xz"
)

func openXz(in *bufio.Reader) (io.ReadCloser, error) {
	z, err := xz.NewReader(xzStream(in), windowMax)
	if err != nil {
		return nil, err
	}
	z.Multistream(false)
	return io.NopCloser(z), nil
}

// Sizes in "The .xz File Format", version 1.2.0, in bytes.
const (
	xzHeaderSize = 12
	xzFooterSize = 12
)

// xzWalk finds the parts of one stream. It checks only what it needs; the decoder checks the rest.
// Like the decoder it knows no filter but LZMA2.
type xzWalk struct {
	parts
	check   int64  // bytes of the check after each block
	block   int64  // bytes of the block's data so far
	index   int64  // bytes of the index so far
	numbers uint64 // numbers of the index that are still to come
}

// xzStream reads the bytes of one stream: a header, blocks, an index of the blocks, a footer.
func xzStream(in *bufio.Reader) io.Reader {
	w := &xzWalk{parts: parts{in: in}}
	w.next = w.streamHeader
	return &w.parts
}

func (w *xzWalk) streamHeader() error {
	b, err := w.in.Peek(xzHeaderSize)
	if err != nil {
		return err
	}
	w.check = [...]int64{0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64}[b[7]&15]
	w.left, w.next = xzHeaderSize, w.blockHeader
	return nil
}

func (w *xzWalk) blockHeader() error {
	b, err := w.in.Peek(2)
	if err != nil {
		return err
	}
	if b[0] == 0 { // the index begins
		w.left, w.index, w.next = 1, 1, w.indexCount
		return nil
	}
	size := (int(b[0]) + 1) * 4
	if b, err = w.in.Peek(size); err != nil {
		return err
	}
	if err := checkXzFilter(b); err != nil {
		return err
	}
	w.left, w.block, w.next = int64(size), 0, w.chunk
	return nil
}

// checkXzFilter bounds the dictionary that a block's header makes the decoder allocate.
func checkXzFilter(b []byte) error {
	flags := b[1]
	rest := b[2:]
	for _, present := range []byte{0x40, 0x80} { // the compressed size, the uncompressed size
		if flags&present != 0 {
			_, n := binary.Uvarint(rest)
			if n <= 0 {
				return errors.New("xz: a broken block header")
			}
			rest = rest[n:]
		}
	}
	const lzma2 = 0x21
	if flags&3 != 0 || len(rest) < 3 || rest[0] != lzma2 || rest[1] != 1 {
		return errors.New("xz: other filters than LZMA2")
	}
	bits := int64(rest[2])
	if bits > 40 || (2|bits&1)<<(bits/2+11) > windowMax {
		return fmt.Errorf("xz: a dictionary of more than %d bytes", windowMax)
	}
	return nil
}

// chunk finds the next chunk of LZMA2. A control byte of 0 ends them.
func (w *xzWalk) chunk() error {
	b, err := w.in.Peek(1)
	if err != nil {
		return err
	}
	control := b[0]
	if control == 0 {
		w.left, w.next = 1, w.blockEnd
	} else if b, err = w.in.Peek(5); err != nil {
		return err
	} else if control < 0x80 { // stored
		w.left = 3 + int64(binary.BigEndian.Uint16(b[1:])) + 1
	} else {
		w.left = 5 + int64(binary.BigEndian.Uint16(b[3:])) + 1
		if control >= 0xc0 { // new properties follow
			w.left++
		}
	}
	w.block += w.left
	return nil
}

func (w *xzWalk) blockEnd() error {
	w.left, w.next = -w.block&3+w.check, w.blockHeader
	return nil
}

func (w *xzWalk) indexCount() error {
	records, err := w.number()
	if err != nil {
		return err
	}
	if records > 1<<40 {
		return errors.New("xz: a broken index")
	}
	w.numbers, w.next = 2*records, w.indexNumber
	return nil
}

func (w *xzWalk) indexNumber() error {
	if w.numbers == 0 {
		w.left, w.next = -w.index&3+4+xzFooterSize, nil
		return nil
	}
	w.numbers--
	_, err := w.number()
	return err
}

// number makes the next number the current part.
func (w *xzWalk) number() (uint64, error) {
	b, err := w.in.Peek(binary.MaxVarintLen64)
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, errors.Join(errors.New("xz: a broken index"), err)
	}
	w.left = int64(n)
	w.index += w.left
	return v, nil
}

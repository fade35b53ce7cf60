// Package unpack reads what lies compressed within a file: in the compressions that kernels know,
// up to the end of one stream and no further.
package unpack

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
)

// BufferSize, in bytes, is what the buffer of a bufio.Reader must have at least, since streams are
// peeked at.
const BufferSize = 64 << 10

// unpacker opens the compressed stream at which in is. The reader that it gives ends with the
// stream, and leaves in at the first byte after it. The kernel, too, unpacks stream by stream.
type unpacker func(in *bufio.Reader) (io.ReadCloser, error)

var unpackers = []struct {
	name  string
	magic string
	open  unpacker
}{
	{"gzip", "\x1f\x8b", openGzip},
	{"zstd", "\x28\xb5\x2f\xfd", openZstd},
	{"xz", "\xfd7zXZ\x00", openXz},
	{"lz4", lz4Magic, LZ4},
}

// Open opens the stream at which in is, by the compression that its first bytes tell, which name
// names. The reader that it gives ends with the stream, and leaves in at the first byte after it.
func Open(in *bufio.Reader) (name string, plain io.ReadCloser, err error) {
	head, _ := in.Peek(6) // too few bytes match no magic
	for _, u := range unpackers {
		if bytes.HasPrefix(head, []byte(u.magic)) {
			plain, err = u.open(in)
			return u.name, plain, err
		}
	}
	return "part", nil, fmt.Errorf("it begins with %x, which is no compression known here", head)
}

func openGzip(in *bufio.Reader) (io.ReadCloser, error) {
	z, err := gzip.NewReader(in)
	if err != nil {
		return nil, err
	}
	z.Multistream(false)
	return z, nil
}

// parts reads the bytes of one stream whose parts tell their own lengths. It ends where the stream
// ends, even when a decoder tries to read ahead.
type parts struct {
	in   *bufio.Reader
	left int64        // bytes left of the current part
	next func() error // peeks at the next part and sets left; sets next to nil at the last part
}

func (p *parts) Read(b []byte) (int, error) {
	for p.left == 0 {
		if p.next == nil {
			return 0, io.EOF
		}
		if err := p.next(); err != nil {
			return 0, notEOF(err)
		}
	}
	n, err := p.in.Read(b[:min(int64(len(b)), p.left)])
	p.left -= int64(n)
	return n, notEOF(err)
}

// notEOF turns io.EOF into io.ErrUnexpectedEOF, for the middle of a stream.
func notEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

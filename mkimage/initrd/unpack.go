package initrd

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
)

// unpacker begins to decompress one stream that in is at; the reader ends with the stream,
// and then in is at the first byte after it. The kernel, too, unpacks stream by stream.
type unpacker func(in *bufio.Reader) (io.ReadCloser, error)

var unpackers = []struct {
	name  string
	magic string
	open  unpacker
}{
	{"gzip", "\x1f\x8b", openGzip},
	{"zstd", "\x28\xb5\x2f\xfd", openZstd},
	{"xz", "\xfd7zXZ\x00", openXz},
	{"lz4", "\x02\x21\x4c\x18", openLZ4},
}

// unpack finds the unpacker for what in is at.
func unpack(in *bufio.Reader) (name string, plain io.ReadCloser, err error) {
	head, _ := in.Peek(6) // what is missing matches nothing
	for _, u := range unpackers {
		if bytes.HasPrefix(head, []byte(u.magic)) {
			plain, err = u.open(in)
			return u.name, plain, err
		}
	}
	return "part", nil, unsupported("it begins with %x, which is no compression known here", head)
}

func openGzip(in *bufio.Reader) (io.ReadCloser, error) {
	z, err := gzip.NewReader(in)
	if err != nil {
		return nil, err
	}
	z.Multistream(false)
	return z, nil
}

// parts reads the bytes of one stream whose length is only told by its parts: it passes on
// part after part, so that a decoder that reads ahead ends where the stream ends.
type parts struct {
	in   *bufio.Reader
	left int64        // bytes of the part at hand
	next func() error // peeks at the next part and sets left, and next to nil for the last
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

// notEOF makes the end of the file an error in the middle of a stream.
func notEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

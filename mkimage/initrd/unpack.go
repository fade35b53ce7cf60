package initrd

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
)

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
	{"lz4", "\x02\x21\x4c\x18", openLZ4},
}

// unpack opens the stream at which in is, by the compression that its first bytes tell, which name
// names.
func unpack(in *bufio.Reader) (name string, plain io.ReadCloser, err error) {
	head, _ := in.Peek(6) // too few bytes match no magic
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
